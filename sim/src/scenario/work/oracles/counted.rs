//! However often a task is tried, its result is accepted once.

use crate::scenario::work::book::Book;

pub(in crate::scenario::work) const PROMISE: &str = "the result of each task counts once";

pub(in crate::scenario::work) fn breach(book: &Book) -> Option<String> {
    let seen = book.seen.as_ref()?.as_ref().ok()?;
    let (tasks, done, completed) = (seen.job.tasks, seen.job.done, seen.cluster.counters.completed);
    (done != tasks || completed != u64::from(tasks))
        .then(|| format!("{done} done, {completed} results accepted for {tasks} tasks"))
}
