//! What people ask of a supervisor while it runs: one more child, one less, one anew.

use super::child::Child;
use super::event::{ChildId, Effect, Ignored};
use super::limits::MAX_CHILDREN;
use super::machine::Supervisor;
use super::report::ChildState;
use super::spec::{ChildSpec, Lifetime};

impl Supervisor {
    pub(super) fn add(&mut self, id: ChildId, spec: ChildSpec, effects: &mut Vec<Effect>) -> Result<(), Ignored> {
        self.expect_open()?;
        if self.children.len() >= MAX_CHILDREN {
            return Err(Ignored::Full);
        }
        // The last number is never given, so there is always a next one.
        if id < self.next || id.0 == u64::MAX {
            return Err(Ignored::NumberTaken);
        }
        self.next = ChildId(id.0 + 1);
        self.children.insert(id, Child::new(spec));
        self.queue(id, effects);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: ChildId, effects: &mut Vec<Effect>) -> Result<(), Ignored> {
        self.expect_open()?;
        let child = self.children.get_mut(&id).ok_or(Ignored::NoSuchChild)?;
        if child.leaves {
            return Err(Ignored::Already);
        }
        child.leaves = true;
        if !child.lives() {
            self.forget(id, effects);
        } else if !self.turns.is_to_stop(id) {
            self.stop_child(id, effects);
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, id: ChildId, effects: &mut Vec<Effect>) -> Result<(), Ignored> {
        self.expect_open()?;
        let child = self.children.get(&id).ok_or(Ignored::NoSuchChild)?;
        if child.spec.lifetime == Lifetime::Temporary {
            return Err(Ignored::Temporary);
        }
        if child.leaves || self.turns.is_to_stop(id) {
            return Err(Ignored::Already);
        }
        match child.state {
            ChildState::Starting | ChildState::Up { .. } => self.stop_and_start_child(id, effects),
            ChildState::BackingOff { .. } | ChildState::Resting => {
                self.clear_timer(id, effects);
                self.queue(id, effects);
            }
            ChildState::Waiting | ChildState::Stopping => return Err(Ignored::Already),
        }
        Ok(())
    }
}
