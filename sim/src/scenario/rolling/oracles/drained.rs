//! When it is known that a node leaves, it gets nothing of what is submitted later.

use crate::scenario::rolling::book::Book;

pub(in crate::scenario::rolling) const PROMISE: &str = "a node that drains gets no new work";

pub(in crate::scenario::rolling) fn breach(book: &Book) -> Option<String> {
    book.calls.iter().find_map(|call| {
        let (node, life) = book.drains.get(..call.drains)?.iter().find(|drained| **drained == call.at)?;
        let (client, job, number) = &call.task;
        Some(format!("task {number} of job {job} of {client} was submitted when {node}{life} drained, and runs there"))
    })
}
