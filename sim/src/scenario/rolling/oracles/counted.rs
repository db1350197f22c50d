//! However often a task is tried, and whoever led meanwhile, its result is accepted once.

use crate::scenario::rolling::book::Book;

pub(in crate::scenario::rolling) const PROMISE: &str = "the result of each task is accepted once";

pub(in crate::scenario::rolling) fn breach(book: &Book) -> Option<String> {
    let completed = book.completed?;
    (completed != book.done).then(|| format!("{completed} results for {} tasks", book.done))
}
