//! What is promised of a cluster of coordinators: a file for each promise, with a function from the book to what breaks it.

pub(super) mod acked;
pub(super) mod counted;
pub(super) mod heals;
pub(super) mod linear;
pub(super) mod same;
pub(super) mod term;
