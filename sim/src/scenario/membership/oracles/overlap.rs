//! Whoever agrees before a change of the coordinators and whoever agrees after it have somebody in common.

use crate::scenario::membership::book::Book;

pub(in crate::scenario::membership) const PROMISE: &str = "majorities before and after a change overlap";

pub(in crate::scenario::membership) fn breach(book: &Book) -> Option<String> {
    book.no_overlap.clone()
}
