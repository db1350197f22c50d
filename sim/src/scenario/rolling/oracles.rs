//! What is promised of a rolling restart: a file for each promise, with a function from the book to what breaks it.

pub(super) mod again;
pub(super) mod answered;
pub(super) mod counted;
pub(super) mod drained;
pub(super) mod ends;
