//! What was moved to a node is not activated elsewhere, as long as that node hosts.

use crate::scenario::entities::book::Book;

pub(in crate::scenario::entities) const PROMISE: &str = "an entity is where it was moved to";

pub(in crate::scenario::entities) fn breach(book: &Book) -> Option<String> {
    book.strayed.clone()
}
