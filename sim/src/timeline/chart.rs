//! What the page is made of: columns of numbers and a table of texts, so that a hundred thousand events are a few megabytes.

use serde::Serialize;
use serde_json::Value;

/// Which run it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The line that replays it.
    pub command: String,
    /// The hash over the ledger.
    pub hash: String,
}

/// A run, ready to be drawn. Times are virtual nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    /// Which run it is.
    pub run: Run,
    /// What the run's report says: null when all held.
    pub verdict: Value,
    /// Where a promise was broken.
    pub flag: Option<Flag>,
    /// The kinds of events.
    pub kinds: Vec<String>,
    /// The texts of events.
    pub strings: Vec<String>,
    /// The nodes, in the order of their names.
    pub nodes: Vec<Node>,
    /// The lanes, those of one node together.
    pub lanes: Vec<Lane>,
    /// What happened, in order.
    pub events: Events,
    /// What led to what.
    pub arrows: Arrows,
    /// Faults, for as long as they lasted.
    pub bands: Vec<Band>,
    /// The last event's time.
    pub end: u64,
    /// Lines that were too many to be shown.
    pub left_out: u64,
}

/// Where a promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// The event.
    pub event: usize,
    /// Whether it was seen when it happened; else the end of the run is marked.
    pub seen_at_once: bool,
}

/// A place that nodes live at, one life after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its lives.
    pub lives: Vec<Life>,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// A life of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// The place and the number of the life.
    pub name: String,
    /// When it began.
    pub from: u64,
    /// When it ended; the end of the run, if it did not.
    pub to: u64,
}

/// A lane: an actor's, or one of the node's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The node's index.
    pub node: usize,
    /// The actor's name; in the node's own lanes what they hold, empty in the first.
    pub name: String,
    /// Whether it is an actor's.
    pub actor: bool,
}

/// What happened, in order, as columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    /// The time since the event before.
    pub after: Vec<u64>,
    /// The lane's index.
    pub lane: Vec<usize>,
    /// The kind's index.
    pub kind: Vec<usize>,
    /// The text's index.
    pub text: Vec<usize>,
}

impl Events {
    pub(super) fn push(&mut self, after: u64, lane: usize, kind: usize, text: usize) {
        self.after.push(after);
        self.lane.push(lane);
        self.kind.push(kind);
        self.text.push(text);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.after.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.after.is_empty()
    }
}

/// What an arrow stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrowKind {
    Message = 0,
    Answer = 1,
    Datagram = 2,
}

/// Arrows from event to event, in the order of their ends, as columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Arrows {
    /// The event that it ends at.
    pub to: Vec<usize>,
    /// How many events earlier it begins.
    pub back: Vec<usize>,
    /// 0: a message, 1: an answer, 2: a datagram.
    pub kind: Vec<u8>,
}

impl Arrows {
    pub(super) fn push(&mut self, from: usize, to: usize, kind: ArrowKind) {
        self.to.push(to);
        self.back.push(to - from);
        self.kind.push(kind as u8);
    }
}

/// A fault, for as long as it lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Band {
    /// The nodes' indices; none: all of them.
    pub nodes: Vec<usize>,
    /// When it began.
    pub from: u64,
    /// When it ended; the end of the run, if it did not.
    pub to: u64,
    /// `down`, `cut`, or `fault` for one of the plan.
    pub kind: &'static str,
    /// What it was.
    pub text: String,
    /// The event that began it.
    pub event: usize,
}
