//! The book of a run: what ran where, and what callers were told of it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{CLIENT, HEAD};
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

/// A function that began.
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) node: String,
}

/// What a caller was told in the end.
#[derive(Debug)]
pub(super) enum Told {
    /// The result, and what it should be.
    Gave { is: u64, should: u64 },
    /// It may have run there.
    Unknown { node: String, why: String },
    /// It did not run.
    NotRun(String),
    /// Something that nothing here can cause.
    Wrong(String),
}

#[derive(Default)]
pub(super) struct Book {
    /// In the order of time.
    pub(super) runs: Vec<Run>,
    /// Each with the number of the call and its caller.
    pub(super) told: Vec<(u64, u64, Told)>,
    /// Worker nodes that something befalls in this run, or their ways to others.
    pub(super) befallen: BTreeSet<String>,
    /// Those that are down.
    pub(super) away: BTreeSet<String>,
    /// Where `told` was when the faults had ended.
    over: Option<usize>,
    /// How many call.
    pub(super) callers: u64,
    /// Callers whose calls gave results since the faults have ended.
    gave_again: BTreeSet<u64>,
}

impl Book {
    pub(super) fn of(plan: &Plan) -> Book {
        let mut befallen = BTreeSet::new();
        for timed in &plan.faults {
            match &timed.fault {
                Fault::Crash { node, .. } | Fault::Isolate { node, .. } | Fault::Pause { node, .. } => {
                    befallen.insert(node.clone());
                }
                // What a way loses is lost to the one that is called; who calls is not at fault.
                Fault::Cut { from, to, .. } => befallen.extend([from, to].into_iter().filter(|node| *node != CLIENT).cloned()),
                Fault::SlowPolls { node, .. } => befallen.extend([node.clone()]),
                _ => {}
            }
        }
        befallen.remove(HEAD);
        Book { befallen, callers: plan.dial("callers"), ..Book::default() }
    }

    pub(super) fn tell(&mut self, number: u64, caller: u64, told: Told) {
        if matches!(told, Told::Gave { .. }) && self.over.is_some() {
            self.gave_again.insert(caller);
        }
        self.told.push((number, caller, told));
    }

    pub(super) fn gave_since(&self, from: usize) -> bool {
        self.told[from..].iter().any(|(_, _, told)| matches!(told, Told::Gave { .. }))
    }

    pub(super) fn faults_end(&mut self) {
        self.over = Some(self.told.len());
    }

    /// How many callers have had results since the faults have ended.
    pub(super) fn gave_again(&self) -> u64 {
        self.gave_again.len() as u64
    }

    /// What callers have been told since the faults have ended, if that is all of them.
    pub(super) fn since_the_end(&self) -> Option<&[(u64, u64, Told)]> {
        self.over.map(|over| &self.told[over..])
    }

    pub(super) fn summary(&self) -> String {
        format!("{} calls, {} runs", self.told.len(), self.runs.len())
    }
}
