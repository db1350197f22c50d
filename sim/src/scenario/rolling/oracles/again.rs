//! What a node that leaves has begun comes to its end there. Only who loses its power may leave something that is done again.

use std::collections::BTreeMap;

use crate::scenario::rolling::book::Book;

pub(in crate::scenario::rolling) const PROMISE: &str = "no task runs a second time, unless a node loses its power";

pub(in crate::scenario::rolling) fn breach(book: &Book) -> Option<String> {
    if !book.is_calm {
        return None;
    }
    let mut first = BTreeMap::new();
    book.calls.iter().find_map(|call| {
        let before = first.insert(&call.task, &call.at)?;
        let (client, job, number) = &call.task;
        Some(format!(
            "task {number} of job {job} of {client} runs at {}{}, and ran at {}{}",
            call.at.0, call.at.1, before.0, before.1
        ))
    })
}
