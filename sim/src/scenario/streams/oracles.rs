//! What is promised of streams and of credit: a file for each promise, with a function from the book to what breaks it.

pub(super) mod credit;
pub(super) mod early_end;
pub(super) mod ends;
pub(super) mod hash;
pub(super) mod items;
pub(super) mod minute;
pub(super) mod window;
