//! All copies are the same when they have applied the same: nothing but the log changes them.

use crate::scenario::quorum::book::Book;

pub(in crate::scenario::quorum) const PROMISE: &str = "coordinators that have applied the same know the same";

pub(in crate::scenario::quorum) fn breach(book: &Book) -> Option<String> {
    book.torn.clone()
}
