//! Histories of clients, and whether what they saw can be explained: linearizability.
//!
//! A [`History`] records who asked what, when, and what came back. [`check`] asks whether there is one order of all operations that a
//! single copy of the service ([`Model`]) could have carried out one after the other, giving the same answers, in which each operation
//! stands somewhere between its call and its answer. An operation without an answer (a timeout, a broken connection) may have happened at
//! any time since its call, or not at all.
//!
//! Unlike the rest of this crate it is there in both worlds: a history may come from anywhere.
//!
//! ```
//! use playhouse_sim::history::{Access, Answer, Fetched, History, Register, check};
//! use std::time::Duration;
//!
//! let mut history = History::new();
//! let at = Duration::from_millis;
//! let write = history.call("a", at(1), Access::Write(7));
//! let read = history.call("b", at(2), Access::Read);
//! history.answer(read, at(3), Fetched::Value(7));
//! history.answer(write, at(4), Fetched::Done);
//! assert_eq!(check(&Register(0), &history), Answer::Linearizable);
//!
//! // Whoever reads later must not see less.
//! let late = history.call("c", at(5), Access::Read);
//! history.answer(late, at(6), Fetched::Value(0));
//! let Answer::Unlinearizable(why) = check(&Register(0), &history) else { panic!("a stale read") };
//! assert!(why.to_string().contains("Value(7) would be possible"));
//! ```

mod check;
mod model;
mod search;

use std::fmt::Debug;
use std::time::Duration;

pub use check::{Answer, STEPS_MAX, Violation, check, check_within};
pub use model::{Access, At, Fetched, KeyValue, Model, Queue, QueueAnswer, QueueOp, Register};

/// What clients asked and were answered, in the order in which it was recorded.
///
/// The order of the calls of its methods is what counts; the times are for whoever reads the report. Within a simulation, which is one
/// thread, that order is what really happened.
#[derive(Clone, Debug)]
pub struct History<Op, Ret> {
    operations: Vec<Operation<Op, Ret>>,
    moments: u64,
}

/// A number of an operation in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call(usize);

#[derive(Clone, Debug)]
struct Operation<Op, Ret> {
    client: String,
    op: Op,
    called: Moment,
    answer: Option<(Moment, Ret)>,
    /// It certainly has not happened, and will not.
    refused: bool,
}

/// A place in the order, and the time that it was.
#[derive(Clone, Copy, Debug)]
struct Moment {
    order: u64,
    at: Duration,
}

impl<Op, Ret> Default for History<Op, Ret> {
    fn default() -> History<Op, Ret> {
        History { operations: Vec::new(), moments: 0 }
    }
}

impl<Op: Debug, Ret: Debug> History<Op, Ret> {
    /// Nothing yet.
    pub fn new() -> History<Op, Ret> {
        History::default()
    }

    fn moment(&mut self, at: Duration) -> Moment {
        self.moments += 1;
        Moment { order: self.moments, at }
    }

    /// A client asks for something. Never answered, its outcome is unknown.
    pub fn call(&mut self, client: &str, at: Duration, op: Op) -> Call {
        let called = self.moment(at);
        self.operations.push(Operation { client: client.to_string(), op, called, answer: None, refused: false });
        Call(self.operations.len() - 1)
    }

    /// The answer comes.
    ///
    /// # Panics
    /// When it has been answered or refused before.
    pub fn answer(&mut self, call: Call, at: Duration, answer: Ret) {
        let moment = self.moment(at);
        let operation = &mut self.operations[call.0];
        assert!(operation.answer.is_none() && !operation.refused, "{operation:?} has ended already");
        operation.answer = Some((moment, answer));
    }

    /// It certainly has not happened and will not: the error said so.
    ///
    /// # Panics
    /// When it has been answered or refused before.
    pub fn refused(&mut self, call: Call) {
        let operation = &mut self.operations[call.0];
        assert!(operation.answer.is_none() && !operation.refused, "{operation:?} has ended already");
        operation.refused = true;
    }

    /// How many operations were called.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}
