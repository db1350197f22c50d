//! A timer and a delayed message come once, not before their time, and not after they were cancelled, or while something has their actor for
//! itself.

use crate::scenario::groups::book::Book;
use crate::scenario::trio::{Phase, State, phase, state};

pub(in crate::scenario::groups) const PROMISE: &str = "a timer fires once and not before its time, unless it was cancelled";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    book.timers.iter().enumerate().find_map(|(number, timer)| {
        let life = &book.lives[timer.life];
        let title = || format!("timer {number} of {}", book.title(life.at));
        if let Some(odd) = &timer.odd {
            return Some(format!("{}: {odd}", title()));
        }
        let due = phase() == Phase::Settled && state(life.at) == State::Up && !life.over && !timer.cancelled;
        (due && timer.fired == 0).then(|| format!("{} never fires", title()))
    })
}
