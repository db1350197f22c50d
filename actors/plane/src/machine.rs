//! The shape of every decision maker.

use alloc::vec::Vec;

use playhouse_wire::Time;

/// A decision maker.
///
/// A shell calls [`on`](Machine::on) for what arrives, [`tick`](Machine::tick) when [`wakes_at`](Machine::wakes_at) has come, and
/// carries out the effects in their order.
pub trait Machine {
    /// What can happen to it.
    type Event;
    /// What it can want done.
    type Effect;

    /// Takes what happened at `now`, appends what must be done.
    fn on(&mut self, now: Time, event: Self::Event, effects: &mut Vec<Self::Effect>);

    /// Does what has become due.
    fn tick(&mut self, now: Time, effects: &mut Vec<Self::Effect>);

    /// When `tick` has something to do next; `None`: never, unless an event comes.
    fn wakes_at(&self) -> Option<Time>;
}
