//! What a supervisor is told, and what it wants done.

use std::fmt;
use std::time::Duration;

use super::limits::FAILURE_TEXT;
use super::spec::ChildSpec;

/// A child's number: its place in the order of starting. Never used twice by one supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u64);

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How a life ended: a child's, or the supervisor's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It had nothing left to do.
    Normal,
    /// It was stopped.
    Stopped,
    /// A panic, an error or a failed start; the text says which.
    Failed(String),
}

impl End {
    /// With a text of bounded length.
    pub(super) fn shortened(mut self) -> End {
        if let End::Failed(text) = &mut self {
            text.truncate(text.floor_char_boundary(FAILURE_TEXT));
        }
        self
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Normal => f.write_str("ended"),
            End::Stopped => f.write_str("stopped"),
            End::Failed(text) => write!(f, "failed: {text}"),
        }
    }
}

/// What can happen to a supervisor. A `life` is the number that [`Effect::StartChild`] gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Start the children, in order. Once.
    Start,
    /// The parent, or the node, wants the supervisor to stop.
    Stop,
    /// The child has started.
    Started {
        /// Which child.
        child: ChildId,
        /// In which life.
        life: u64,
    },
    /// The child's life is over, whether it had started or not, by itself or because it was stopped.
    Ended {
        /// Which child.
        child: ChildId,
        /// Which life.
        life: u64,
        /// Why.
        end: End,
        /// Any number, drawn anew for each event: the chance in the back-off.
        dice: u64,
    },
    /// The time of a [`Effect::SetTimer`] has passed.
    Timer {
        /// Whose timer.
        child: ChildId,
        /// Its number.
        timer: u64,
    },
    /// One more child, started after all others. Its number is [`Supervisor::next_child`](super::Supervisor::next_child) or higher.
    Add {
        /// Its number.
        child: ChildId,
        /// What it is.
        spec: ChildSpec,
    },
    /// Stop the child if it lives, then forget it. The others go on.
    Remove {
        /// Which child.
        child: ChildId,
    },
    /// Stop the child if it lives, then start it, without a wait. The others go on, and it does not count as a failure.
    Restart {
        /// Which child.
        child: ChildId,
    },
}

/// What a supervisor wants done.
///
/// A child's mailbox and its references outlive its lives: they end with [`Forgotten`](Effect::Forgotten), [`Rest`](Effect::Rest) or
/// [`Down`](Effect::Down), whichever comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Build the child and start it; report [`Event::Started`], or [`Event::Ended`] if that fails. With a `life` above 1, it is built
    /// anew behind the mailbox that it had, if that was kept.
    StartChild {
        /// Which child.
        child: ChildId,
        /// The number of the new life.
        life: u64,
    },
    /// Stop the child, which may be starting still; report [`Event::Ended`] when it has.
    StopChild {
        /// Which child.
        child: ChildId,
        /// Its life.
        life: u64,
        /// It will be given up after this long.
        within: Duration,
        /// It is to be started again: its state goes, its mailbox with all that waits there stays. Otherwise the mailbox may be closed
        /// at once.
        restart: bool,
    },
    /// The child is late: it did not stop in time. Drop it without its consent. This life counts as over now; no report is wanted.
    AbortChild {
        /// Which child.
        child: ChildId,
        /// Its life.
        life: u64,
    },
    /// The child ended in a way that calls for no restart. It stays in the report, and only a request or the restart of its group
    /// starts it again: its mailbox is best closed.
    Rest {
        /// Which child.
        child: ChildId,
    },
    /// The child is no longer known: drop its factory and its mailbox, and answer who asked for its removal.
    Forgotten {
        /// Which child.
        child: ChildId,
    },
    /// Report [`Event::Timer`] after this long. A child has at most one timer: a new one replaces the former.
    SetTimer {
        /// Whose timer.
        child: ChildId,
        /// Its number, never used twice.
        timer: u64,
        /// The time to wait.
        after: Duration,
    },
    /// The child's timer is not needed any more. One that is reported all the same is ignored.
    ClearTimer {
        /// Whose timer.
        child: ChildId,
    },
    /// All children have started, for the first time.
    Up,
    /// All children are stopped, and this was the last effect. [`End::Stopped`] after [`Event::Stop`], else the failure that the
    /// parent must judge. Without an [`Up`](Effect::Up) before it, the supervisor failed to start.
    Down {
        /// How the supervisor ended.
        end: End,
    },
}

/// Why an event changed nothing and had no effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// There is no such child, or no longer.
    #[error("the supervisor has no such child; nothing was changed")]
    NoSuchChild,
    /// It speaks of a life that is over.
    #[error("that life of the child is over; nothing was changed")]
    OldLife,
    /// The timer was replaced or cleared.
    #[error("that timer is not set any more; nothing was changed")]
    OldTimer,
    /// The child, or the supervisor, is doing that or has done it.
    #[error("that is under way or done already; nothing was changed")]
    Already,
    /// The supervisor stops or has stopped.
    #[error("the supervisor stops, or has stopped; nothing was changed")]
    Stopping,
    /// A temporary child is never restarted.
    #[error("a temporary child is never restarted; remove it and add another")]
    Temporary,
    /// There are [`MAX_CHILDREN`](super::limits::MAX_CHILDREN) children.
    #[error("the supervisor has as many children as it may have; nothing was changed; remove some, or use several supervisors")]
    Full,
    /// The number was given before; the caller is at fault.
    #[error("that child's number was given before; nothing was changed; use `next_child`")]
    NumberTaken,
}
