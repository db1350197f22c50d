//! A task may run more than once; what it did counts once.

use playhouse::WindowResult;

use crate::scenario::demo::Seen;
use crate::verdict::Verdict;

pub(in crate::scenario::demo) const PROMISE: &str = "each task's effect is applied once";

pub(in crate::scenario::demo) fn check(seen: &Seen, windows: &[WindowResult]) -> Result<(), Verdict> {
    Verdict::check(PROMISE, seen.job.done == seen.job.tasks, || format!("{:?}", seen.job))?;
    let completed = seen.cluster.counters.completed;
    Verdict::check(PROMISE, completed == u64::from(seen.job.tasks), || {
        format!("{completed} results accepted for {} tasks", seen.job.tasks)
    })?;
    let events: u64 = seen.windows.iter().map(|window| window.count).sum();
    let expected: u64 = windows.iter().map(|window| window.count).sum();
    Verdict::check(PROMISE, events == expected, || format!("{events} events in windows, for {expected} files"))
}
