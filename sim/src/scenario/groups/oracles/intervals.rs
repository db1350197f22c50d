//! Ticks of an interval keep their distance, also after a long pause, which is not made up for; and they go on until they are cancelled.

use std::time::Duration;

use playhouse::rt;

use crate::scenario::groups::book::Book;
use crate::scenario::trio::{Phase, State, phase, state};

pub(in crate::scenario::groups) const PROMISE: &str =
    "ticks of an interval keep their distance, and go on until they are cancelled";

/// Longer than anything has an actor for itself after the load.
const SOON: Duration = Duration::from_secs(1);

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    book.intervals.iter().enumerate().find_map(|(number, interval)| {
        let life = &book.lives[interval.life];
        let title = || format!("interval {number} of {}, every {:?}", book.title(life.at), interval.every);
        if let Some(odd) = &interval.odd {
            return Some(format!("{}: {odd}", title()));
        }
        let due = phase() == Phase::Settled && state(life.at) == State::Up && !life.over && !interval.cancelled;
        let silent = due && rt::now() > interval.last + interval.every + SOON;
        silent.then(|| format!("{} ticks no more", title()))
    })
}
