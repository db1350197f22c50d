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
    pub loss_ppm: u32,
    /// How likely it arrives twice.
    pub duplication_ppm: u32,
    /// How likely it is held back for another ten times the latency, so that many overtake it.
    pub straggle_ppm: u32,
    /// How likely a bit of its first copy flips.
    pub corruption_ppm: u32,
    /// Bytes of the longest datagram that passes; 0: any.
    #[serde(default)]
    pub mtu: u64,
    /// Bytes a second that pass, from one host to another; 0: any.
    #[serde(default)]
    pub bandwidth: u64,
}

impl Climate {
    /// A network on which nothing happens: each datagram takes a millisecond.
    pub const CALM: Climate = Climate {
        latency_us: 1_000,
        jitter_us: 0,
        loss_ppm: 0,
        duplication_ppm: 0,
        straggle_ppm: 0,
        corruption_ppm: 0,
        mtu: 0,
        bandwidth: 0,
    };

    /// A climate between calm and rough.
    pub fn draw(random: &mut Random) -> Climate {
        let mut ppm = |most: u64| random.below(most) as u32;
        // Flipped bits are rare, as in the field: what a network's own checksums let through.
        let [loss_ppm, duplication_ppm, straggle_ppm, corruption_ppm] = [50_000, 30_000, 20_000, 1_000].map(&mut ppm);
        Climate {
            latency_us: random.between(200, 10_000),
            jitter_us: random.between(0, 10_000),
            loss_ppm,
            duplication_ppm,
            straggle_ppm,
            corruption_ppm,
            ..Climate::CALM
        }
    }

    /// The same without anything that goes wrong.
    pub fn calm(&self) -> Climate {
        Climate { latency_us: self.latency_us, ..Climate::CALM }
    }

    /// The same without one of the things that go wrong: the `part`th, from 0; `None` when there is no such part.
    pub fn without(&self, part: usize) -> Option<Climate> {
        let calm = self.calm();
        let parts = [
            Climate { corruption_ppm: 0, ..*self },
            Climate { loss_ppm: 0, ..*self },
            Climate { duplication_ppm: 0, ..*self },
            Climate { straggle_ppm: 0, ..*self },
            Climate { jitter_us: 0, ..*self },
            Climate { mtu: calm.mtu, bandwidth: calm.bandwidth, ..*self },
        ];
        parts.into_iter().nth(part)
    }

    /// In how many ways it is not calm.
    pub fn hazards(&self) -> usize {
        let ppm = [self.loss_ppm, self.duplication_ppm, self.straggle_ppm, self.corruption_ppm];
        let sizes = [self.jitter_us, self.mtu, self.bandwidth];
        ppm.into_iter().filter(|ppm| *ppm > 0).count() + sizes.into_iter().filter(|size| *size > 0).count()
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
        parts.iter().filter(|(ppm, _)| *ppm > 0).try_for_each(|(ppm, word)| write!(f, ", {} {word}", percent(*ppm)))?;
        let sizes = [(self.mtu, "bytes a datagram"), (self.bandwidth, "bytes a second")];
        sizes.iter().filter(|(size, _)| *size > 0).try_for_each(|(size, word)| write!(f, ", at most {size} {word}"))
    }
}
