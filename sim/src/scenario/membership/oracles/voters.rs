//! What was asked for is so in the end.

use std::collections::BTreeSet;

use crate::scenario::membership::book::Book;

pub(in crate::scenario::membership) const PROMISE: &str = "in the end those are coordinators who were asked to be";

pub(in crate::scenario::membership) fn breach(book: &Book) -> Option<String> {
    let last: BTreeSet<&str> = book.last.as_ref()?.iter().map(String::as_str).collect();
    (last != book.asked).then(|| format!("{last:?} vote, and {:?} were asked to", book.asked))
}
