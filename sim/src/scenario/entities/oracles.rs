//! What is promised of names and entities: a file for each promise, with a function from the book to what breaks it.

pub(super) mod active;
pub(super) mod lost;
pub(super) mod moved;
pub(super) mod order;
pub(super) mod owner;
