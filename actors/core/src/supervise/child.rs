//! What a supervisor knows of one child.

use std::collections::VecDeque;

use playhouse_wire::Time;

use super::event::End;
use super::limits::LAST_ENDS;
use super::report::{ChildState, Ended};
use super::spec::{Backoff, ChildSpec, Lifetime};

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) state: ChildState,
    /// The number of its present or last life; 0 before the first.
    pub(super) life: u64,
    /// The number of its timer, if one is set: the end of its back-off, or the deadline of its stop.
    pub(super) timer: Option<u64>,
    /// To be forgotten as soon as it has stopped.
    pub(super) leaves: bool,
    /// Failures in a row.
    failures: u32,
    /// Its last ends, oldest first.
    pub(super) ends: VecDeque<Ended>,
}

impl Child {
    pub(super) fn new(spec: ChildSpec) -> Child {
        Child { spec, state: ChildState::Waiting, life: 0, timer: None, leaves: false, failures: 0, ends: VecDeque::new() }
    }

    /// Whether there is a life that has not been reported as ended.
    pub(super) fn lives(&self) -> bool {
        matches!(self.state, ChildState::Starting | ChildState::Up { .. } | ChildState::Stopping)
    }

    /// Whether it is started again after it was stopped for its group or by request.
    pub(super) fn returns(&self) -> bool {
        !self.leaves && self.spec.lifetime != Lifetime::Temporary
    }

    /// Whether an end that nobody asked for calls for a restart.
    pub(super) fn calls_for_restart(&self, end: &End) -> bool {
        match self.spec.lifetime {
            Lifetime::Permanent => true,
            Lifetime::Transient => matches!(end, End::Failed(_)),
            Lifetime::Temporary => false,
        }
    }

    /// Counts a failure at `now`, and says how many there were in a row. A long life before it makes it the first again.
    pub(super) fn count_failure(&mut self, now: Time, backoff: &Backoff) -> u32 {
        if let ChildState::Up { since } = self.state
            && now.since(since) >= backoff.calm_after
        {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    pub(super) fn note_end(&mut self, at: Time, end: End) {
        if self.ends.len() == LAST_ENDS {
            self.ends.pop_front();
        }
        self.ends.push_back(Ended { at, life: self.life, end });
    }
}
