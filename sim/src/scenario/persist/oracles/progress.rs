//! A task goes on where it was told that it is kept, on whatever node, and so repeats no more steps than lie between two saves.

use crate::scenario::persist::book::{Book, Did, Task};
use crate::scenario::persist::tasks::INTERVAL;

pub(in crate::scenario::persist) const PROMISE: &str = "a resumed task repeats at most one interval";

pub(in crate::scenario::persist) fn breach(book: &Book) -> Option<String> {
    book.tasks.iter().enumerate().find_map(|(at, resumed)| {
        let Did::Resumed(from) = resumed.did else { return None };
        let same = |task: &&Task| (task.run, task.number) == (resumed.run, resumed.number);
        let all: Vec<&Task> = book.tasks[..at].iter().filter(same).collect();
        if all.iter().any(|task| task.did == Did::Done) {
            // With it went what was kept; its result came too late to count, or this attempt does: it was on its way for long.
            return None;
        }
        let before: Vec<&Task> = all.into_iter().filter(|task| task.attempt < resumed.attempt).collect();
        let kept = before.iter().filter_map(|task| if let Did::Kept(step) = task.did { Some(step) } else { None }).max();
        let name = || format!("task {} of run {} in attempt {}", resumed.number, resumed.run, resumed.attempt);
        if kept > from {
            return Some(format!("{} found {from:?}, and {kept:?} was kept", name()));
        }
        let last = before.iter().filter_map(|task| if let Did::Step(step) = task.did { Some(step) } else { None }).max()?;
        let repeats = last.saturating_sub(from.unwrap_or(0));
        let refused = before.iter().any(|task| task.did == Did::NotKept);
        (repeats > INTERVAL && !refused).then(|| format!("{} repeats {repeats} steps from {from:?}", name()))
    })
}
