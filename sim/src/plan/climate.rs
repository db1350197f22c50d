//! How the network behaves between its faults.

use playhouse_rt::Random;
use serde::{Deserialize, Serialize};

use super::fault::percent;

/// How a network behaves. Drawn from the seed; then every datagram's fate is drawn from a stream of its own.
///
/// Times are virtual microseconds, chances parts per million: whole numbers print and shrink without surprises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Climate {
    /// The least time that a datagram takes.
    pub latency_us: u64,
    /// What may come on top, evenly; datagrams overtake each other by it.
    pub jitter_us: u64,
    /// How likely a datagram is lost.
    pub loss_ppm: u64,
    /// How likely it arrives twice.
    pub duplication_ppm: u64,
    /// How likely it is held back for another ten times the latency, so that many overtake it.
    pub straggle_ppm: u64,
    /// How likely a bit of a copy flips.
    pub corruption_ppm: u64,
}

impl Climate {
    /// A climate between calm and rough.
    pub fn draw(random: &mut Random) -> Climate {
        Climate {
            latency_us: random.between(200, 10_000),
            jitter_us: random.between(0, 10_000),
            loss_ppm: random.below(50) * 1_000,
            duplication_ppm: random.below(30) * 1_000,
            straggle_ppm: random.below(20) * 1_000,
            // Rare, as in the field: what a network's own checksums let through.
            corruption_ppm: random.below(3) * 500,
        }
    }

    /// The same without anything that goes wrong.
    pub fn calm(&self) -> Climate {
        (0..).map_while(|part| self.without(part)).fold(*self, |calm, form| calm.least(form))
    }

    fn least(self, other: Climate) -> Climate {
        Climate {
            latency_us: self.latency_us,
            jitter_us: self.jitter_us.min(other.jitter_us),
            loss_ppm: self.loss_ppm.min(other.loss_ppm),
            duplication_ppm: self.duplication_ppm.min(other.duplication_ppm),
            straggle_ppm: self.straggle_ppm.min(other.straggle_ppm),
            corruption_ppm: self.corruption_ppm.min(other.corruption_ppm),
        }
    }

    /// The same without one of the things that go wrong: the `part`th, from 0; `None` when there is no such part.
    pub fn without(&self, part: usize) -> Option<Climate> {
        let mut climate = *self;
        let parts = [
            &mut climate.corruption_ppm,
            &mut climate.loss_ppm,
            &mut climate.duplication_ppm,
            &mut climate.straggle_ppm,
            &mut climate.jitter_us,
        ];
        *parts.into_iter().nth(part)? = 0;
        Some(climate)
    }

    /// In how many ways it is not calm.
    pub fn hazards(&self) -> usize {
        let parts = [self.jitter_us, self.loss_ppm, self.duplication_ppm, self.straggle_ppm, self.corruption_ppm];
        parts.into_iter().filter(|part| *part > 0).count()
    }
}

impl std::fmt::Display for Climate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "climate: {} to {} us of latency", self.latency_us, self.latency_us + self.jitter_us)?;
        let parts = [
            (self.loss_ppm, "lost"),
            (self.duplication_ppm, "doubled"),
            (self.straggle_ppm, "late"),
            (self.corruption_ppm, "corrupted"),
        ];
        parts.iter().filter(|(ppm, _)| *ppm > 0).try_for_each(|(ppm, word)| write!(f, ", {} {word}", percent(*ppm)))
    }
}
