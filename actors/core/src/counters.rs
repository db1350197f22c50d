//! What a system counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Running totals, as the parts of a system count them.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) alive: AtomicU64,
    pub(crate) spawned: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
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
    /// Tells from other nodes that found no actor, a full mailbox or no meaning.
    pub dead_letters: u64,
}

impl Totals {
    pub(crate) fn read(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            alive: get(&self.alive),
            spawned: get(&self.spawned),
            panics: get(&self.panics),
            restarts: get(&self.restarts),
            expired: get(&self.expired),
            dead_letters: get(&self.dead_letters),
        }
    }
}
