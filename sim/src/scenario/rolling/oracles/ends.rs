//! A node that is told to stop waits for what it has begun, and says so.

use crate::scenario::rolling::book::Book;

pub(in crate::scenario::rolling) const PROMISE: &str =
    "what a node that leaves has begun comes to its end, unless a node loses its power";

pub(in crate::scenario::rolling) fn breach(book: &Book) -> Option<String> {
    let (node, _) = book.ends.iter().find(|(_, ended)| book.is_calm && !ended)?;
    Some(format!("{node} was not drained in its time"))
}
