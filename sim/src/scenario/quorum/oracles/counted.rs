//! However often a task is tried, and whoever led meanwhile, its result is accepted once.

use crate::scenario::quorum::book::Book;

pub(in crate::scenario::quorum) const PROMISE: &str = "the result of each task counts once";

pub(in crate::scenario::quorum) fn breach(book: &Book) -> Option<String> {
    let counters = book.seen.as_ref()?.cluster.counters;
    // Each job has one task. One that was taken without a word to its client may not be done yet.
    let (least, most) = (book.acked.len() as u64, counters.accepted);
    (counters.completed < least || counters.completed > most)
        .then(|| format!("{} results for {most} jobs, {least} of them acknowledged and done", counters.completed))
}
