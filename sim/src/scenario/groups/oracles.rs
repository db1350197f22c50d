//! What is promised of groups, drains, children, offloaded work and timers: a file for each promise, with a function from the book to what
//! breaks it.

pub(super) mod children;
pub(super) mod drained;
pub(super) mod intervals;
pub(super) mod offloaded;
pub(super) mod pool;
pub(super) mod reverse;
pub(super) mod timers;
pub(super) mod told_all;
pub(super) mod told_once;
