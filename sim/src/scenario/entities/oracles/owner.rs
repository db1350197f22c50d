//! Nobody believes to own a name that somebody else owns, and the fences of its owners rise.

use crate::scenario::entities::book::Book;

pub(in crate::scenario::entities) const PROMISE: &str = "a name has one owner at a time";

pub(in crate::scenario::entities) fn breach(book: &Book) -> Option<String> {
    book.two_owners.clone()
}
