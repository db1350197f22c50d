//! What becomes of datagrams: latency, loss, duplication, re-ordering, and links that are cut.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use playhouse_rt::Random;
use playhouse_rt::sim::{Flight, Links};

use crate::plan::Climate;

/// The network's policy, shared with whoever cuts its links.
#[derive(Clone)]
pub struct Weather(Arc<Mutex<State>>);

struct State {
    climate: Climate,
    random: Random,
    cut: BTreeSet<(IpAddr, IpAddr)>,
}

impl Weather {
    /// Weather of this climate, whose chance comes from `random`.
    pub fn new(climate: Climate, random: Random) -> Weather {
        Weather(Arc::new(Mutex::new(State { climate, random, cut: BTreeSet::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the way from one host to another, not back. What is under way does not arrive.
    pub fn cut(&self, a: IpAddr, b: IpAddr) {
        playhouse_rt::ledger::record("cut", || format!("{a} to {b}"));
        self.state().cut.insert((a, b));
    }

    /// Mends it.
    pub fn mend(&self, a: IpAddr, b: IpAddr) {
        playhouse_rt::ledger::record("mend", || format!("{a} to {b}"));
        self.state().cut.remove(&(a, b));
    }
}

impl Links for Weather {
    fn send(&mut self, flight: &Flight) -> Vec<Duration> {
        let state = &mut *self.state();
        let climate = state.climate;
        let random = &mut state.random;
        // Always the same number of draws, so that one datagram's fate does not shift the next one's.
        let mut chance = |ppm: u64| random.below(1_000_000) < ppm;
        let (lost, twice, late) = (chance(climate.loss_ppm), chance(climate.duplication_ppm), chance(climate.straggle_ppm));
        let delays = [random.below(climate.jitter_us + 1), random.below(climate.jitter_us + 1)];
        if lost || state.cut.contains(&(flight.from.ip(), flight.to.ip())) {
            return Vec::new();
        }
        let base = if late { climate.latency_us * 11 } else { climate.latency_us };
        let copies = if twice { 2 } else { 1 };
        delays[..copies].iter().map(|delay| Duration::from_micros(base + delay)).collect()
    }

    fn arrives(&mut self, flight: &Flight) -> bool {
        !self.state().cut.contains(&(flight.from.ip(), flight.to.ip()))
    }
}
