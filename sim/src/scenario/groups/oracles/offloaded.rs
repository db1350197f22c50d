//! The result of offloaded work comes back once, and is the right one, unless the actor has ended: then it does not.

use crate::scenario::groups::book::Book;
use crate::scenario::trio::{Phase, State, phase, state};

pub(in crate::scenario::groups) const PROMISE: &str = "offloaded work comes back once, or its actor has ended";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    book.works.iter().enumerate().find_map(|(number, work)| {
        let life = &book.lives[work.life];
        let title = || format!("work {number} of {}", book.title(life.at));
        if work.back > 1 || work.posthumous {
            return Some(format!("{} came back wrong, twice, or to an actor that had ended", title()));
        }
        let due = phase() == Phase::Settled && state(life.at) == State::Up && !life.over;
        (due && work.back == 0).then(|| format!("{} has not come back", title()))
    })
}
