//! Turns of the dice: at a virtual time, every chance of the run goes another way. Runs whose turns differ share all that was before.
//!
//! All [`Random`](crate::Random) streams are seeded anew, each from its own state and the turn's dice. madsim's own dice (the order of tasks, what a
//! poll takes, the process's entropy) cannot be seeded from outside while a run goes on: they are moved on by a number of draws that the turn says.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use madsim::rand::RngCore;

/// The most turns of one run.
pub const TURNS_MAX: usize = 64;

/// madsim's dice are moved on by one to so many draws.
const DRAWS_MAX: u64 = 4_096;

thread_local! {
    static WANTED: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
    /// Those of this run that are still to come; the next one last.
    static COMING: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(u64::MAX) };
    /// How many there were, and what streams mix into their state since the last one.
    static TAKEN: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
}

/// In this thread's next simulation the dice are turned at these virtual times, each time with these dice: at the first poll of a task at that time or
/// later. Until then nothing is different, not even the ledger.
///
/// # Panics
/// When there are more than [`TURNS_MAX`].
pub fn turns(turns: impl IntoIterator<Item = (Duration, u64)>) {
    let nanos = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX - 1);
    let mut wanted: Vec<(u64, u64)> = turns.into_iter().map(|(at, dice)| (nanos(at), dice)).collect();
    assert!(wanted.len() <= TURNS_MAX, "{} turns of the dice; a run has at most {TURNS_MAX}", wanted.len());
    wanted.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    WANTED.set(wanted);
}

pub(super) fn begin() {
    end();
    let coming = WANTED.take();
    NEXT.set(coming.last().map_or(u64::MAX, |(at, _)| *at));
    COMING.set(coming);
}

pub(super) fn end() {
    NEXT.set(u64::MAX);
    TAKEN.set((0, 0));
    COMING.take();
}

/// A task is about to be polled, at this time.
pub(super) fn look(now: u64) {
    while NEXT.get() <= now {
        let (taken, next) = COMING.with_borrow_mut(|coming| (coming.pop(), coming.last().map_or(u64::MAX, |(at, _)| *at)));
        NEXT.set(next);
        let Some((_, dice)) = taken else { return };
        let (number, mixed) = TAKEN.get();
        // SplitMix64's constants: turns with neighbouring dice have nothing in common.
        let mut hash = (mixed ^ dice).wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        TAKEN.set((number + 1, hash));
        let mut executor = madsim::rand::thread_rng();
        (0..=hash % DRAWS_MAX).for_each(|_| _ = executor.next_u64());
        crate::ledger::record("turn", || format!("of the dice, to {dice}"));
    }
}

/// What a stream that has seen `seen` turns mixes into its state now, if there were more since.
pub(crate) fn missed(seen: &mut u32) -> Option<u64> {
    let (number, mixed) = TAKEN.try_with(Cell::get).unwrap_or_default();
    if *seen >= number {
        return None;
    }
    *seen = number;
    Some(mixed)
}
