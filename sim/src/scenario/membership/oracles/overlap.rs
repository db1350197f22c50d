//! Coordinators come and go one at a time, so whoever agrees before a change of them and whoever agrees after it have somebody in common.

use crate::scenario::membership::book::Book;

pub(in crate::scenario::membership) const PROMISE: &str = "coordinators come and go one at a time";

pub(in crate::scenario::membership) fn breach(book: &Book) -> Option<String> {
    book.no_overlap.clone()
}
