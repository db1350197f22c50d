//! What becomes of datagrams: latency, loss, duplication, re-ordering, and links that are cut.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use playhouse_rt::Random;
use playhouse_rt::sim::{Flight, Links};

/// How a network behaves. Drawn from the seed; then every datagram's fate is drawn from a stream of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Climate {
    /// The least time that a datagram takes.
    pub latency: Duration,
    /// What may come on top, evenly; datagrams overtake each other by it.
    pub jitter: Duration,
    /// How likely a datagram is lost.
    pub loss: f64,
    /// How likely it arrives twice.
    pub duplication: f64,
    /// How likely it is held back for another ten times the latency, so that many overtake it.
    pub straggle: f64,
}

impl Climate {
    /// A climate between calm and rough.
    pub fn draw(random: &mut Random) -> Climate {
        Climate {
            latency: Duration::from_micros(random.between(200, 10_000)),
            jitter: Duration::from_micros(random.between(0, 10_000)),
            loss: random.below(50) as f64 / 1000.0,
            duplication: random.below(30) as f64 / 1000.0,
            straggle: random.below(20) as f64 / 1000.0,
        }
    }
}

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

    /// Cuts the way between two hosts, both directions. What is under way does not arrive.
    pub fn cut(&self, a: IpAddr, b: IpAddr) {
        playhouse_rt::reachable!("cut");
        playhouse_rt::ledger::record("cut", || format!("{a} and {b}"));
        self.state().cut.extend([(a, b), (b, a)]);
    }

    /// Mends it.
    pub fn mend(&self, a: IpAddr, b: IpAddr) {
        playhouse_rt::ledger::record("mend", || format!("{a} and {b}"));
        let mut state = self.state();
        state.cut.remove(&(a, b));
        state.cut.remove(&(b, a));
    }
}

impl Links for Weather {
    fn send(&mut self, flight: &Flight) -> Vec<Duration> {
        let state = &mut *self.state();
        let Climate { latency, jitter, loss, duplication, straggle } = state.climate.clone();
        let random = &mut state.random;
        // Always the same number of draws, so that one datagram's fate does not shift the next one's.
        let (lost, twice, late) = (random.chance(loss), random.chance(duplication), random.chance(straggle));
        let delays = [random.below(jitter.as_micros() as u64 + 1), random.below(jitter.as_micros() as u64 + 1)];
        if lost || state.cut.contains(&(flight.from.ip(), flight.to.ip())) {
            return Vec::new();
        }
        let base = if late { latency * 11 } else { latency };
        let copies = if twice { 2 } else { 1 };
        delays[..copies].iter().map(|delay| base + Duration::from_micros(*delay)).collect()
    }

    fn arrives(&mut self, flight: &Flight) -> bool {
        !self.state().cut.contains(&(flight.from.ip(), flight.to.ip()))
    }
}
