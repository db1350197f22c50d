//! Labelled streams of chance: each use has a stream of its own, so that one more draw in one place shifts no dice in another.

use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A stream of pseudo-random numbers. Not for keys or certificates: those come from the provider of cryptography.
#[derive(Clone, Debug)]
pub struct Random {
    dice: Xoshiro256PlusPlus,
    /// The label's hash, for the ledger.
    #[cfg(madsim)]
    label: u64,
    /// How many turns of the dice it has obeyed.
    #[cfg(madsim)]
    turns: u32,
}

impl Random {
    /// The stream that `seed` and `label` name.
    pub fn new(seed: u64, label: &str) -> Random {
        // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ : stable across builds, unlike std's hashers.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        #[cfg(madsim)]
        crate::sim::ledger::name_label(hash, label);
        Random {
            dice: Xoshiro256PlusPlus::seed_from_u64(seed ^ hash),
            #[cfg(madsim)]
            label: hash,
            #[cfg(madsim)]
            turns: 0,
        }
    }

    /// A stream for a place that has no [`Host`](crate::Host) at hand: another one at each call, seeded by the process, or by the simulation.
    pub fn here(label: &str) -> Random {
        Random::new(crate::side::seed_here(), label)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        #[cfg(madsim)]
        if let Some(turn) = crate::sim::turn::missed(&mut self.turns) {
            self.dice = Xoshiro256PlusPlus::seed_from_u64(self.dice.next_u64() ^ turn);
        }
        let drawn = self.dice.next_u64();
        #[cfg(madsim)]
        crate::sim::ledger::draws(self.label, drawn);
        drawn
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift: the bias is below bound / 2^64.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `from..to`; `from` when the range is empty.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// True with `probability`.
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

/// For crates that want their chance through the usual trait.
impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        (Random::next_u64(self) >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        Random::next_u64(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_seed_and_label() {
        let draw = |seed, label| Random::new(seed, label).next_u64();
        assert_eq!(draw(1, "net"), draw(1, "net"));
        assert_ne!(draw(1, "net"), draw(2, "net"));
        assert_ne!(draw(1, "net"), draw(1, "disk"));
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut random = Random::new(7, "range");
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.between(10, 15) as usize - 10] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
        assert!((0..100).all(|_| !random.chance(0.0) && random.chance(1.0)));
    }
}
