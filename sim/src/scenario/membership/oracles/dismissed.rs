//! A coordinator that was dismissed is one no more, until it is asked to be one again.

use crate::scenario::membership::book::Book;

pub(in crate::scenario::membership) const PROMISE: &str =
    "a dismissed coordinator neither leads nor votes, and does not come back by itself";

pub(in crate::scenario::membership) fn breach(book: &Book) -> Option<String> {
    book.leads_again.clone()
}
