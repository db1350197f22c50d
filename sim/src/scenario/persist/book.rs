//! The book of a run: what was given to whom, what was answered as durable, and what was found again.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{NODES, actor};
use crate::scenario::frame::Shelf;

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

/// What an actor was like in one of its lives.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) actor: usize,
    pub(super) fence: u64,
    pub(super) life: u64,
    pub(super) numbers: Vec<u64>,
}

impl Stand {
    /// Whether this life began when that one was over, or owned nothing any more.
    pub(super) fn follows(&self, other: &Stand) -> bool {
        self.actor == other.actor && (self.fence, self.life) > (other.fence, other.life)
    }
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// It went on from this step, or begins anew.
    Resumed(Option<u64>),
    /// It did this step.
    Step(u64),
    /// It was told that the progress up to this step is kept.
    Kept(u64),
    /// It was told that it is not.
    NotKept,
    /// It came to its end.
    Done,
}

/// An entry about a task: of which submission of the job, which of its tasks, in which attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) run: u64,
    pub(super) number: u64,
    pub(super) attempt: u32,
    pub(super) did: Did,
}

#[derive(Default)]
pub(super) struct Book {
    /// Where each actor is to live.
    pub(super) homes: Vec<String>,
    /// How many numbers each was given, in all.
    pub(super) given: Vec<u64>,
    /// What was answered as durable, in the order of the answers.
    pub(super) acks: Vec<Stand>,
    /// What was found, in the order of time.
    pub(super) found: Vec<Stand>,
    /// Actors that have answered as durable at their homes, since the beginning or since the last fault.
    answering: BTreeSet<usize>,
    pub(super) over: bool,
    pub(super) tasks: Vec<Task>,
    pub(super) submitted: bool,
    /// What the job gave, and what it should have.
    pub(super) result: Option<(u64, u64)>,
}

impl Book {
    /// One in which every actor has its home.
    pub(super) fn new() -> Book {
        let homes = (0..actor::COUNT).map(|actor| NODES[actor % 2].to_string()).collect();
        Book { homes, given: vec![0; actor::COUNT], ..Book::default() }
    }

    /// A number that the actor was not given yet.
    pub(super) fn next(&mut self, actor: usize) -> u64 {
        self.given[actor] += 1;
        self.given[actor]
    }

    pub(super) fn acked(&mut self, stand: Stand) {
        self.acks.push(stand);
    }

    pub(super) fn recovered(&mut self, stand: Stand) {
        self.found.push(stand);
    }

    pub(super) fn answers(&mut self, actor: usize, place: &str) {
        if self.homes[actor] == place {
            self.answering.insert(actor);
        }
    }

    pub(super) fn answers_at_all_homes(&self) -> bool {
        self.answering.len() == actor::COUNT
    }

    pub(super) fn silent(&self) -> Vec<usize> {
        (0..actor::COUNT).filter(|actor| !self.answering.contains(actor)).collect()
    }

    pub(super) fn hand_over(&mut self, actor: usize) {
        let other = NODES.into_iter().find(|name| *name != self.homes[actor]);
        self.homes[actor] = other.unwrap_or(NODES[0]).to_string();
    }

    pub(super) fn faults_end(&mut self) {
        self.over = true;
        self.answering.clear();
    }
}
