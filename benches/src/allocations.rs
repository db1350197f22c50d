//! A global allocator that can count.

#![expect(unsafe_code, reason = "an allocator's trait is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// The system's allocator, with a count of what passes through while [`count`] runs. Otherwise one load per call is all it adds, for
/// ours and peers alike.
pub(crate) struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// What has passed since some moment: only differences mean something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) allocations: u64,
    /// Bytes as they were asked for, without the allocator's own.
    pub(crate) live: i64,
}

/// The counters, which stand still unless [`count`] runs.
pub(crate) fn now() -> Count {
    Count { allocations: ALLOCATIONS.load(Relaxed), live: LIVE.load(Relaxed) }
}

/// Counts, in all threads, while `work` runs.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> T {
    ON.store(true, Relaxed);
    let result = work();
    ON.store(false, Relaxed);
    result
}

fn note(allocated: usize, freed: usize) {
    if ON.load(Relaxed) {
        ALLOCATIONS.fetch_add(u64::from(allocated > 0), Relaxed);
        LIVE.fetch_add(allocated as i64 - freed as i64, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps the trait's promises.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller keeps the trait's promises.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    // SAFETY: the caller keeps the trait's promises.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    // SAFETY: the caller keeps the trait's promises.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
