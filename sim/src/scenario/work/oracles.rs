//! What is promised of a job's tasks: a file for each promise, with a function from the book to what breaks it.

pub(super) mod busy;
pub(super) mod counted;
pub(super) mod moved;
pub(super) mod once;
pub(super) mod result;
