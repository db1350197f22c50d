//! No entity lives at two places, and neither does the singleton.

use crate::scenario::entities::book::Book;

pub(in crate::scenario::entities) const PROMISE: &str = "an entity is active once at a time";

pub(in crate::scenario::entities) fn breach(book: &Book) -> Option<String> {
    book.twice.clone()
}
