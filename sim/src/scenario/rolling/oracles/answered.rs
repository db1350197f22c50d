//! Coordinators and worker nodes are restarted one after the other, and no client has to know of it.

use crate::scenario::rolling::book::Book;

pub(in crate::scenario::rolling) const PROMISE: &str = "every request is answered, and every job gives its result";

pub(in crate::scenario::rolling) fn breach(book: &Book) -> Option<String> {
    book.failed.first().cloned()
}
