//! The book of a job: each call of a task, each node that goes, and what the client saw in the end.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use playhouse::ClientError;

use super::Seen;
use crate::plan::{Fault, Plan};
use crate::scenario::frame::Shelf;

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

#[derive(Default)]
pub(super) struct Book {
    /// In the order of time.
    pub(super) calls: Vec<Call>,
    pub(super) gone: Vec<Gone>,
    pub(super) seen: Option<Result<Seen, ClientError>>,
}

/// A call of a task's function.
pub(super) struct Call {
    /// Which task.
    pub(super) number: u64,
    pub(super) node: String,
    pub(super) at: Instant,
    /// It takes so long.
    pub(super) pace: Duration,
    /// It comes to nothing, and says so.
    pub(super) failed: bool,
}

impl Call {
    /// When it has run.
    pub(super) fn ends(&self) -> Instant {
        self.at + self.pace
    }
}

/// A node that goes: it loses its power, or reaches nobody.
pub(super) struct Gone {
    pub(super) node: String,
    pub(super) at: Instant,
    pub(super) lasts: Duration,
    /// What it had in hand is lost, however short it is gone.
    pub(super) crash: bool,
}

impl Book {
    /// What is going to befall the nodes, of a load that began then.
    pub(super) fn expect(&mut self, plan: &Plan, began: Instant) {
        for timed in &plan.faults {
            let at = began + Duration::from_millis(timed.at_ms);
            let (node, ms, crash) = match &timed.fault {
                // Who does not come back is gone for longer than any run.
                Fault::Crash { node, down_ms, .. } => (node.clone(), down_ms.unwrap_or(86_400_000), true),
                Fault::Isolate { node, ms } => (node.clone(), *ms, false),
                _ => continue,
            };
            self.gone.push(Gone { node, at, lasts: Duration::from_millis(ms), crash });
        }
    }
}
