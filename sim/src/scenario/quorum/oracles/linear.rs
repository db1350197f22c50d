//! The clients cannot tell the coordinators from a single one that does one thing after the other: a counter of jobs.

use crate::history::{Answer, Model, check};
use crate::scenario::quorum::book::Book;
use crate::scenario::quorum::client::{Asked, Told};

pub(in crate::scenario::quorum) const PROMISE: &str = "submissions and counts happen one after the other";

/// So many jobs were taken.
struct Jobs;

impl Model for Jobs {
    type State = u64;
    type Op = Asked;
    type Ret = Told;
    type Part = ();

    fn start(&self) -> u64 {
        0
    }

    fn step(&self, taken: &u64, asked: &Asked) -> (u64, Told) {
        match asked {
            Asked::Submit => (taken + 1, Told::Taken(*taken)),
            Asked::Count => (*taken, Told::Are(*taken)),
        }
    }

    fn part(&self, _: &Asked) {}
}

pub(in crate::scenario::quorum) fn breach(book: &Book) -> Option<String> {
    match check(&Jobs, &book.history) {
        Answer::Linearizable => None,
        Answer::Unlinearizable(why) => Some(why.to_string()),
        // Nothing is claimed.
        _ => None,
    }
}
