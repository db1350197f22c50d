//! What is promised of calls: a file for each promise, with a function from the book to what breaks it.

pub(super) mod heals;
pub(super) mod lost;
pub(super) mod once;
pub(super) mod refused;
pub(super) mod right;
