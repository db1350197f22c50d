//! An actor has only what it was given, and each of it once, however often events were played back.

use std::collections::BTreeSet;

use crate::scenario::persist::book::Book;

pub(in crate::scenario::persist) const PROMISE: &str = "what is found was given, once";

pub(in crate::scenario::persist) fn breach(book: &Book) -> Option<String> {
    book.found.iter().chain(&book.acks).find_map(|stand| {
        let mut seen = BTreeSet::new();
        let odd = stand.numbers.iter().find(|number| !seen.insert(**number) || **number > book.given[stand.actor])?;
        Some(format!("list {} with fence {} has {odd} twice, or was never given it", stand.actor, stand.fence))
    })
}
