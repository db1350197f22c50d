//! What is promised of what is kept: a file for each promise, with a function from the book to what breaks it.

pub(super) mod durable;
pub(super) mod forward;
pub(super) mod heals;
pub(super) mod once;
pub(super) mod progress;
