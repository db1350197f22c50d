//! What a system counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Running totals, as the parts of a system count them.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) alive: AtomicU64,
    pub(crate) spawned: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) waiting: Times,
    pub(crate) handling: Times,
}

/// What has happened in a system since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Actors alive now.
    pub alive: u64,
    /// Actors started.
    pub spawned: u64,
    /// Panics of actors.
    pub panics: u64,
    /// Actors built anew after a panic.
    pub restarts: u64,
    /// Asks that were given up before they were handled.
    pub expired: u64,
    /// Messages that waited in a mailbox when its actor ended.
    pub lost: u64,
    /// Messages that no actor handled and whose sender was not told: the lost ones, those dropped by a mailbox's policy, and those from
    /// other nodes that found no actor or no meaning.
    pub dead_letters: u64,
}

impl Totals {
    pub(crate) fn read(&self, dead_letters: u64) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            alive: get(&self.alive),
            spawned: get(&self.spawned),
            panics: get(&self.panics),
            restarts: get(&self.restarts),
            expired: get(&self.expired),
            lost: get(&self.lost),
            dead_letters,
        }
    }
}

/// Buckets of [`Times`]: the last one holds all from 2^39 ns (nine minutes) on.
const BUCKETS: usize = 40;

/// How long something took, many times: in buckets that double.
#[derive(Debug)]
pub(crate) struct Times([AtomicU64; BUCKETS]);

impl Default for Times {
    fn default() -> Times {
        Times(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Times {
    pub(crate) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let bucket = (nanos.ilog2() as usize).min(BUCKETS - 1);
        self.0[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Distribution {
        Distribution(std::array::from_fn(|bucket| self.0[bucket].load(Ordering::Relaxed)))
    }
}

/// How long something took, many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution([u64; BUCKETS]);

impl Distribution {
    /// How many times.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// So long it took at most in `per_mille` of a thousand cases: the upper end of the bucket, hence up to twice the truth. Zero when
    /// nothing was measured.
    pub fn quantile(&self, per_mille: u64) -> Duration {
        let wanted = (self.count() * per_mille.min(1000)).div_ceil(1000);
        let mut seen = 0;
        for (bucket, count) in self.buckets() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return bucket;
            }
        }
        Duration::ZERO
    }

    /// The upper end of each bucket, and how many cases fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.0.iter().enumerate().map(|(bucket, count)| (Duration::from_nanos(1 << (bucket + 1)), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_ends_of_buckets() {
        let times = Times::default();
        assert_eq!(times.read().quantile(500), Duration::ZERO);
        for nanos in [0, 1, 3, 1000, 1_000_000] {
            times.record(Duration::from_nanos(nanos));
        }
        let read = times.read();
        let at = |per_mille| read.quantile(per_mille).as_nanos();
        assert_eq!((read.count(), at(0), at(400), at(600), at(800), at(1000)), (5, 2, 2, 4, 1024, 1 << 20));
    }
}
