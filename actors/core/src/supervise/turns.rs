//! Who starts and who stops next.

use std::collections::BTreeSet;
use std::time::Duration;

use playhouse_wire::Time;

use super::event::{ChildId, Effect};
use super::machine::Supervisor;
use super::report::{ChildState, SupervisorState};
use super::spec::Strategy;

/// Two queues. A child stays in its queue until it has started, or has stopped.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    to_start: BTreeSet<ChildId>,
    /// Those of `to_start` that are starting, back off, or stop to start again. While there are any, nobody of the queue starts.
    busy: BTreeSet<ChildId>,
    to_stop: BTreeSet<ChildId>,
}

impl Turns {
    /// The child started, or is not to be started any more.
    pub(super) fn leave_start(&mut self, id: ChildId) {
        self.to_start.remove(&id);
        self.busy.remove(&id);
    }

    fn queue_start(&mut self, id: ChildId, busy: bool) {
        self.leave_start(id);
        self.to_start.insert(id);
        if busy {
            self.busy.insert(id);
        }
    }

    pub(super) fn queue_stop(&mut self, id: ChildId) {
        self.to_stop.insert(id);
    }

    /// The child's life is over; true if its stop was wanted.
    pub(super) fn leave_stop(&mut self, id: ChildId) -> bool {
        self.to_stop.remove(&id)
    }

    pub(super) fn is_to_stop(&self, id: ChildId) -> bool {
        self.to_stop.contains(&id)
    }
}

impl Supervisor {
    /// Does the next thing that is due: a stop before a start, the last one to stop and the first one to start, one at a time.
    pub(super) fn advance(&mut self, effects: &mut Vec<Effect>) {
        let turns = &self.turns;
        let last = if self.planted.forget_order { turns.to_stop.first() } else { turns.to_stop.last() };
        if let Some(&id) = last {
            self.stop_child(id, effects);
            return;
        }
        match &self.state {
            SupervisorState::Stopping(end) => {
                effects.push(Effect::Down { end: end.clone() });
                self.state = SupervisorState::Down(end.clone());
            }
            SupervisorState::Starting | SupervisorState::Up if turns.busy.is_empty() => {
                if let Some(&id) = turns.to_start.first() {
                    self.start_child(id, effects);
                    if self.planted.hasty_start {
                        self.turns.leave_start(id);
                    } else {
                        self.turns.queue_start(id, true);
                    }
                } else if self.state == SupervisorState::Starting {
                    effects.push(Effect::Up);
                    self.state = SupervisorState::Up;
                }
            }
            _ => {}
        }
    }

    /// Whether children start one after the other: always in a group; else until all are up for the first time, since from then on
    /// none waits for another.
    fn in_turn(&self) -> bool {
        self.spec.strategy != Strategy::OneForOne || self.state != SupervisorState::Up
    }

    /// Starts the child, in its turn if there are turns.
    pub(super) fn queue(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        self.child(id).state = ChildState::Waiting;
        if self.in_turn() {
            self.turns.queue_start(id, false);
        } else {
            self.start_child(id, effects);
        }
    }

    /// Starts the child after a wait; if there are turns, nobody else starts before.
    pub(super) fn back_off(&mut self, now: Time, id: ChildId, wait: Duration, effects: &mut Vec<Effect>) {
        if wait.is_zero() {
            self.queue(id, effects);
            return;
        }
        self.child(id).state = ChildState::BackingOff { until: now + wait };
        if self.in_turn() {
            self.turns.queue_start(id, true);
        }
        self.set_timer(id, wait, effects);
    }

    fn start_child(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        let child = self.child(id);
        child.state = ChildState::Starting;
        child.life += 1;
        effects.push(Effect::StartChild { child: id, life: child.life });
    }

    /// Tells a child that lives to stop, once.
    pub(super) fn stop_child(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        let closing = self.is_closing();
        let child = self.child(id);
        if child.state == ChildState::Stopping {
            return;
        }
        child.state = ChildState::Stopping;
        let within = child.spec.stop_within;
        effects.push(Effect::StopChild { child: id, life: child.life, within, restart: !closing && child.returns() });
        if within != Duration::MAX {
            self.set_timer(id, within, effects);
        }
    }

    /// Stops the child, then starts it in its turn. Those behind it in the queue wait for that.
    pub(super) fn stop_and_start_child(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        if self.in_turn() {
            self.turns.queue_start(id, true);
        }
        self.stop_child(id, effects);
    }

    pub(super) fn forget(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        self.clear_timer(id, effects);
        self.turns.leave_start(id);
        self.children.remove(&id);
        effects.push(Effect::Forgotten { child: id });
    }

    fn set_timer(&mut self, id: ChildId, after: Duration, effects: &mut Vec<Effect>) {
        self.last_timer += 1;
        let timer = self.last_timer;
        self.child(id).timer = Some(timer);
        effects.push(Effect::SetTimer { child: id, timer, after });
    }

    pub(super) fn clear_timer(&mut self, id: ChildId, effects: &mut Vec<Effect>) {
        if self.child(id).timer.take().is_some() {
            effects.push(Effect::ClearTimer { child: id });
        }
    }
}
