//! Drawing a plan from a seed.

use std::collections::BTreeMap;

use playhouse_rt::Random;

use super::{BUGGIFY, Climate, Dial, Fault, Plan, Timed};

/// A kind of fault that a scenario can take.
pub struct Offer<'a> {
    /// In how many of a hundred runs it exists at all. Runs that lack a kind reach what that kind would have hidden
    /// (Groce et al., "Swarm Testing", ISSTA 2012).
    pub percent: u64,
    /// Where it exists, there are between one and so many of it.
    pub most: u64,
    /// Draws one.
    pub draw: Box<dyn Fn(&mut Random) -> Fault + 'a>,
}

impl<'a> Offer<'a> {
    /// An offer.
    pub fn new(percent: u64, most: u64, draw: impl Fn(&mut Random) -> Fault + 'a) -> Offer<'a> {
        Offer { percent, most, draw: Box::new(draw) }
    }
}

/// Draws the parts of a plan, each from a stream of its own, so that another draw in one part does not shift the others.
pub struct Draw {
    seed: u64,
    dials: BTreeMap<String, Dial>,
    faults: Vec<Timed>,
}

impl Draw {
    /// The draws of `seed`.
    pub fn new(seed: u64) -> Draw {
        let mut draw = Draw { seed, dials: BTreeMap::new(), faults: Vec::new() };
        draw.set(BUGGIFY, 0, 1);
        draw
    }

    /// The stream called `label`.
    pub fn random(&self, label: &str) -> Random {
        Random::new(self.seed, label)
    }

    /// Draws a size from `from..to`. When the plan is shrunk it comes down to `least`.
    pub fn dial(&mut self, name: &str, least: u64, (from, to): (u64, u64)) -> u64 {
        let is = self.random(&format!("dial {name}")).between(from, to);
        self.dials.insert(name.into(), Dial { is, least });
        is
    }

    /// Sets a size that the scenario draws by itself.
    pub fn set(&mut self, name: &str, least: u64, is: u64) {
        self.dials.insert(name.into(), Dial { is, least });
    }

    /// Draws which of `offers` exist in this run, how many of each and when, within the first `within_ms` after the load began.
    pub fn swarm(&mut self, within_ms: u64, offers: &[Offer<'_>]) {
        for (number, offer) in offers.iter().enumerate() {
            let mut random = self.random(&format!("faults {number}"));
            let exists = random.below(100) < offer.percent;
            let count = if exists { random.between(1, offer.most.max(1) + 1) } else { 0 };
            for _ in 0..count {
                let at_ms = random.between(1, within_ms);
                self.faults.push(Timed { at_ms, call: 0, fault: (offer.draw)(&mut random) });
            }
        }
    }

    /// Adds a fault that is in every run.
    pub fn fault(&mut self, at_ms: u64, fault: Fault) {
        self.faults.push(Timed { at_ms, call: 0, fault });
    }

    /// The plan.
    pub fn finish(mut self) -> Plan {
        self.faults.sort_by_key(|timed| timed.at_ms);
        let climate = Climate::draw(&mut self.random("climate"));
        Plan { dice: self.seed, climate, dials: self.dials, faults: self.faults, turns: Vec::new(), absent: Vec::new() }
    }
}
