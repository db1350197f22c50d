//! What is promised when coordinators come and go: a file for each promise, with a function from the book to what breaks it.

pub(super) mod dismissed;
pub(super) mod overlap;
pub(super) mod seat;
pub(super) mod voters;
