//! A vote is a promise on a disk: nobody leads who needs the vote of one that has forgotten what it promised.

use crate::scenario::membership::book::Book;

pub(in crate::scenario::membership) const PROMISE: &str = "a coordinator that has lost its disk does not vote";

pub(in crate::scenario::membership) fn breach(book: &Book) -> Option<String> {
    book.bad_vote.clone()
}
