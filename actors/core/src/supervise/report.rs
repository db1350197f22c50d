//! How things stand under a supervisor, for people.

use std::fmt;

use playhouse_wire::Time;

use super::event::{ChildId, End};
use super::spec::{Lifetime, Strategy};

/// What a supervisor does at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SupervisorState {
    /// Nothing was started yet.
    New,
    /// Its children start for the first time.
    Starting,
    /// All its children have been up at once.
    Up,
    /// It stops its children, and will end like this.
    Stopping(End),
    /// It has ended like this.
    Down(End),
}

/// What a child does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It starts when it is its turn.
    Waiting,
    /// It is starting.
    Starting,
    /// It has reported that it started.
    Up {
        /// When.
        since: Time,
    },
    /// It failed, and is started again then.
    BackingOff {
        /// When.
        until: Time,
    },
    /// It was told to stop.
    Stopping,
    /// It ended and is not started again by itself.
    Resting,
}

/// The end of one life of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When it was reported.
    pub at: Time,
    /// Which life.
    pub life: u64,
    /// How it ended.
    pub end: End,
}

/// A supervisor and its children. Its `Display` is a tree, with two more spaces at each floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The supervisor's name.
    pub name: String,
    /// Whom a failure concerns.
    pub strategy: Strategy,
    /// What it does.
    pub state: SupervisorState,
    /// Its children, in the order of starting.
    pub children: Vec<ChildReport>,
}

/// One child in a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildReport {
    /// Its number.
    pub child: ChildId,
    /// Its name.
    pub name: String,
    /// Which ends call for a restart.
    pub lifetime: Lifetime,
    /// What it does.
    pub state: ChildState,
    /// How often it was started again.
    pub restarts: u64,
    /// Its last ends, oldest first; at most [`LAST_ENDS`](super::limits::LAST_ENDS).
    pub ends: Vec<Ended>,
    /// If it is a supervisor itself: what is under it. The machine knows nothing of it; its shell puts it here.
    pub below: Option<Report>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Report {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let state = match &self.state {
            SupervisorState::New => "new".to_string(),
            SupervisorState::Starting => "starting".to_string(),
            SupervisorState::Up => "up".to_string(),
            SupervisorState::Stopping(end) => format!("stopping ({end})"),
            SupervisorState::Down(end) => format!("down ({end})"),
        };
        writeln!(f, "{:1$}{2}: {state}, {3:?}", "", depth * 2, self.name, self.strategy)?;
        self.children.iter().try_for_each(|child| child.write(f, depth + 1))
    }
}

impl ChildReport {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let state = match self.state {
            ChildState::Waiting => "waiting".to_string(),
            ChildState::Starting => "starting".to_string(),
            ChildState::Up { since } => format!("up since {since}"),
            ChildState::BackingOff { until } => format!("backing off until {until}"),
            ChildState::Stopping => "stopping".to_string(),
            ChildState::Resting => "stopped".to_string(),
        };
        let restarts = match self.restarts {
            0 => String::new(),
            1 => ", 1 restart".to_string(),
            n => format!(", {n} restarts"),
        };
        writeln!(f, "{:1$}{2} {3}: {state}{restarts}, {4:?}", "", depth * 2, self.child, self.name, self.lifetime)?;
        for Ended { at, life, end } in &self.ends {
            writeln!(f, "{:1$}life {life} {end} at {at}", "", depth * 2 + 2)?;
        }
        self.below.as_ref().map_or(Ok(()), |below| below.write(f, depth + 1))
    }
}
