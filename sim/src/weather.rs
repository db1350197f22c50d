//! What becomes of datagrams: latency, loss, duplication, re-ordering, corruption, links that are narrow, and links that are cut.
//!
//! What is begun twice ends when it has been ended twice: faults of a plan may overlap.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use playhouse_rt::Random;
use playhouse_rt::ledger::record;
use playhouse_rt::sim::{self, Deliveries, Delivery, Flight, Links};
use serde::{Deserialize, Serialize};

use crate::plan::Climate;

/// Bytes that wait before a link whose bandwidth is bounded; what comes then is lost, as in a full router.
pub const LINK_QUEUE_BYTES: u64 = 128 * 1024;

/// What is different on one link, in one direction. The last that was begun counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinkFault {
    /// The least time that a datagram takes, in microseconds.
    Latency(u64),
    /// What may come on top, in microseconds.
    Jitter(u64),
    /// How likely a datagram is lost, in parts per million.
    Loss(u32),
    /// How likely it arrives twice, in parts per million.
    Duplication(u32),
    /// How likely it is held back, in parts per million.
    Straggle(u32),
    /// How likely a bit of it is flipped, in parts per million.
    Corruption(u32),
    /// Bytes of the longest datagram that passes.
    Mtu(u64),
    /// Bytes a second that pass.
    Bandwidth(u64),
}

impl LinkFault {
    fn apply(self, climate: &mut Climate) {
        match self {
            LinkFault::Latency(us) => climate.latency_us = us,
            LinkFault::Jitter(us) => climate.jitter_us = us,
            LinkFault::Loss(ppm) => climate.loss_ppm = ppm,
            LinkFault::Duplication(ppm) => climate.duplication_ppm = ppm,
            LinkFault::Straggle(ppm) => climate.straggle_ppm = ppm,
            LinkFault::Corruption(ppm) => climate.corruption_ppm = ppm,
            LinkFault::Mtu(bytes) => climate.mtu = bytes,
            LinkFault::Bandwidth(bytes) => climate.bandwidth = bytes,
        }
    }
}

/// The network's policy, shared with whoever changes it. Hosts are named by the addresses that they were given, wherever others see them.
#[derive(Clone)]
pub struct Weather(Arc<Mutex<State>>);

type Way = (IpAddr, IpAddr);

struct State {
    climate: Climate,
    random: Random,
    /// What is different from the climate, with the climate that comes of it.
    links: BTreeMap<Way, (Vec<LinkFault>, Climate)>,
    /// How often each is cut: in both directions, in this one.
    cut: BTreeMap<Way, [u32; 2]>,
    isolated: BTreeMap<IpAddr, u32>,
    /// Until when (of virtual time) a link of bounded bandwidth is busy with what it has taken.
    busy: BTreeMap<Way, Duration>,
    counts: Counts,
}

/// How often things happened to datagrams.
#[derive(Clone, Copy, Default)]
struct Counts {
    loss: u64,
    straggle: u64,
    cut: u64,
    one_way_cut: u64,
    isolation: u64,
    latency: u64,
    mtu: u64,
    queued: u64,
    tail_drop: u64,
}

impl Weather {
    /// Weather of this climate, whose chance comes from `random`.
    pub fn new(climate: Climate, random: Random) -> Weather {
        Weather(Arc::new(Mutex::new(State {
            climate,
            random,
            links: BTreeMap::new(),
            cut: BTreeMap::new(),
            isolated: BTreeMap::new(),
            busy: BTreeMap::new(),
            counts: Counts::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The climate of all links on which nothing is different.
    pub fn climate(&self) -> Climate {
        self.state().climate
    }

    /// Another climate, from now on.
    pub fn change(&self, climate: Climate) {
        record("climate", || climate.to_string());
        let state = &mut *self.state();
        state.climate = climate;
        for (faults, of_link) in state.links.values_mut() {
            *of_link = with(&state.climate, faults);
        }
    }

    /// Cuts the way between two hosts, both directions. What is under way does not arrive.
    pub fn cut(&self, a: IpAddr, b: IpAddr) {
        playhouse_rt::reachable!("cut");
        record("cut", || format!("{a} and {b}"));
        let mut state = self.state();
        [(a, b), (b, a)].iter().for_each(|way| state.cut.entry(*way).or_default()[0] += 1);
    }

    /// Mends it.
    pub fn mend(&self, a: IpAddr, b: IpAddr) {
        record("mend", || format!("{a} and {b}"));
        let mut state = self.state();
        [(a, b), (b, a)].iter().for_each(|way| state.mend(*way, 0));
    }

    /// Cuts the way from one host to another; what is sent back arrives.
    pub fn cut_one_way(&self, from: IpAddr, to: IpAddr) {
        record("cut", || format!("{from} to {to}"));
        self.state().cut.entry((from, to)).or_default()[1] += 1;
    }

    /// Mends it.
    pub fn mend_one_way(&self, from: IpAddr, to: IpAddr) {
        record("mend", || format!("{from} to {to}"));
        self.state().mend((from, to), 1);
    }

    /// Cuts a host off from all others.
    pub fn isolate(&self, host: IpAddr) {
        record("cut", || format!("{host} and all others"));
        *self.state().isolated.entry(host).or_default() += 1;
    }

    /// Others reach it again.
    pub fn rejoin(&self, host: IpAddr) {
        record("mend", || format!("{host} and all others"));
        let mut state = self.state();
        if let Some(times) = state.isolated.get_mut(&host) {
            *times -= 1;
            state.isolated.retain(|_, times| *times > 0);
        }
    }

    /// From now on this is different on the way from one host to another.
    pub fn begin(&self, from: IpAddr, to: IpAddr, fault: LinkFault) {
        record("fault", || format!("link {from} to {to}: {fault:?}"));
        let State { climate, links, .. } = &mut *self.state();
        let (faults, of_link) = links.entry((from, to)).or_insert_with(|| (Vec::new(), *climate));
        faults.push(fault);
        fault.apply(of_link);
    }

    /// Ends what began with the same words, once. Nothing when there is no such fault.
    pub fn end(&self, from: IpAddr, to: IpAddr, fault: LinkFault) {
        let State { climate, links, .. } = &mut *self.state();
        let Some((faults, of_link)) = links.get_mut(&(from, to)) else { return };
        let Some(at) = faults.iter().rposition(|known| *known == fault) else { return };
        record("mend", || format!("link {from} to {to}: {fault:?}"));
        faults.remove(at);
        *of_link = with(climate, faults);
        if faults.is_empty() {
            links.remove(&(from, to));
        }
    }

    /// Ends all cuts and all that is different on any link. The climate stays.
    pub fn end_all(&self) {
        let mut state = self.state();
        if state.links.is_empty() && state.cut.is_empty() && state.isolated.is_empty() {
            return;
        }
        record("mend", || "all links".into());
        state.links.clear();
        state.cut.clear();
        state.isolated.clear();
    }

    /// How many datagrams each kind of fault has hit.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let Counts { loss, straggle, cut, one_way_cut, isolation, latency, mtu, queued, tail_drop } = self.state().counts;
        let counts = [
            ("loss", loss),
            ("straggle", straggle),
            ("cut", cut),
            ("one-way-cut", one_way_cut),
            ("isolation", isolation),
            ("latency", latency),
            ("mtu", mtu),
            ("bandwidth", queued),
            ("tail-drop", tail_drop),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

fn with(climate: &Climate, faults: &[LinkFault]) -> Climate {
    let mut climate = *climate;
    faults.iter().for_each(|fault| fault.apply(&mut climate));
    climate
}

impl State {
    fn mend(&mut self, way: Way, which: usize) {
        if let Some(times) = self.cut.get_mut(&way) {
            times[which] = times[which].saturating_sub(1);
            self.cut.retain(|_, times| *times != [0, 0]);
        }
    }

    /// Whether nothing passes; counts it.
    fn is_cut(&mut self, (from, to): Way) -> bool {
        if self.cut.is_empty() && self.isolated.is_empty() {
            return false;
        }
        let count = match self.cut.get(&(from, to)) {
            Some([0, _]) => &mut self.counts.one_way_cut,
            Some(_) => &mut self.counts.cut,
            None if from != to && [from, to].iter().any(|host| self.isolated.contains_key(host)) => &mut self.counts.isolation,
            None => return false,
        };
        *count += 1;
        true
    }

    /// Takes a datagram onto a link of bounded bandwidth: when it has passed, from now; none when too much waits.
    fn pass(&mut self, way: Way, bandwidth: u64, length: u64) -> Option<Duration> {
        let takes = |bytes: u64| Duration::from_micros(bytes.saturating_mul(1_000_000) / bandwidth);
        let now = sim::elapsed();
        let busy = self.busy.entry(way).or_default();
        let waits = busy.saturating_sub(now);
        if waits + takes(length) > takes(LINK_QUEUE_BYTES) {
            self.counts.tail_drop += 1;
            return None;
        }
        self.counts.queued += u64::from(!waits.is_zero());
        let passes = waits + takes(length);
        *busy = now + passes;
        Some(passes)
    }
}

impl Links for Weather {
    fn send(&mut self, flight: &Flight) -> Deliveries {
        let state = &mut *self.state();
        let way = (flight.from.ip(), flight.to.ip());
        let own = if state.links.is_empty() { None } else { state.links.get(&way) };
        let climate = own.map_or(&state.climate, |(_, climate)| climate);
        let (latency, bandwidth, mtu) = (climate.latency_us, climate.bandwidth, climate.mtu);
        let slower = own.is_some() && (latency, climate.jitter_us) != (state.climate.latency_us, state.climate.jitter_us);
        let random = &mut state.random;
        let mut chance = |ppm: u32| random.below(1_000_000) < u64::from(ppm);
        // Always the same number of draws, so that one datagram's fate does not shift the next one's.
        let [lost, twice, late, corrupt] =
            [climate.loss_ppm, climate.duplication_ppm, climate.straggle_ppm, climate.corruption_ppm].map(&mut chance);
        let bit = random.next_u64();
        let jitters = [random.below(climate.jitter_us.saturating_add(1)), random.below(climate.jitter_us.saturating_add(1))];

        if state.is_cut(way) {
            return Deliveries::lost();
        }
        if lost {
            state.counts.loss += 1;
            return Deliveries::lost();
        }
        if mtu > 0 && flight.length as u64 > mtu {
            state.counts.mtu += 1;
            return Deliveries::lost();
        }
        let mut passes = Duration::ZERO;
        if bandwidth > 0 {
            match state.pass(way, bandwidth, flight.length as u64) {
                Some(time) => passes = time,
                None => return Deliveries::lost(),
            }
        }
        state.counts.straggle += u64::from(late);
        state.counts.latency += u64::from(slower);
        let base = passes + Duration::from_micros(if late { latency.saturating_mul(11) } else { latency });
        let after = |jitter: u64| base + Duration::from_micros(jitter);
        let first = Deliveries::lost().and(Delivery { after: after(jitters[0]), corrupt: corrupt.then_some(bit) });
        if twice { first.and(Delivery { after: after(jitters[1]), corrupt: None }) } else { first }
    }

    fn arrives(&mut self, flight: &Flight) -> bool {
        !self.state().is_cut((flight.from.ip(), flight.to.ip()))
    }
}
