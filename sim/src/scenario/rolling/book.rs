//! The book of a run: which nodes were told to stop, what the clients asked and were answered, and where each task ran.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use playhouse::Incarnation;
use playhouse::rt::sync::Notify;

use super::plan::Order;
use crate::scenario::frame::Shelf;

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

/// A call of a task's function.
pub(super) struct Call {
    /// Which task: its client, the number of its job, its own.
    pub(super) task: (String, u64, u64),
    /// So many drains had been acknowledged when its job was submitted.
    pub(super) drains: usize,
    /// The node, and its life.
    pub(super) at: (String, Incarnation),
}

#[derive(Default)]
pub(super) struct Book {
    /// Nobody loses its power.
    pub(super) is_calm: bool,
    /// Clients that began, and that are done.
    pub(super) begun: usize,
    pub(super) ended: usize,
    /// How many jobs of each client are under way.
    pub(super) open: BTreeMap<&'static str, u64>,
    /// The clients submit no more.
    pub(super) over: bool,
    /// The restarts that are still to be made, and whether these are all.
    pub(super) orders: VecDeque<Order>,
    pub(super) no_more_orders: bool,
    /// Tells the life of a node that it is to stop.
    pub(super) signals: BTreeMap<String, Arc<Notify>>,
    /// The life of each node.
    pub(super) lives: BTreeMap<String, Incarnation>,
    /// Nodes that have stopped, and not been started again.
    pub(super) stopped: BTreeSet<String>,
    /// The drains that were acknowledged, in order: of which life of which node.
    pub(super) drains: Vec<(String, Incarnation)>,
    /// Whether all that a node did came to its end before it stopped.
    pub(super) ends: Vec<(String, bool)>,
    pub(super) calls: Vec<Call>,
    /// Requests that were not answered as they must, and why.
    pub(super) failed: Vec<String>,
    /// How long each submission waited for its answer, in milliseconds.
    pub(super) waits: Vec<u64>,
    /// Tasks of all jobs that gave their results.
    pub(super) done: u64,
    /// Results that the cluster accepted, in the end.
    pub(super) completed: Option<u64>,
}

impl Book {
    /// A node is started.
    pub(super) fn starts(&mut self, name: &str, signal: &Arc<Notify>) {
        self.stopped.remove(name);
        self.signals.insert(name.to_string(), signal.clone());
    }
}
