//! Who coordinates, and in which order the plane's commands apply.
//!
//! Either one coordinator does, [`Solo`], or several agree: [`Group`]. What stands above sees only commands that were numbered here.

mod agree;
pub mod limits;

pub use agree::{Called, Group, GroupError, Member, Profile, ProposeError, Replicated, Standing, Transport};

use playhouse_plane::Machine;
use playhouse_wire::Time;

/// One coordinator, which agrees with itself: numbers the commands of a machine and stamps them with a time that never runs back.
///
/// ```
/// use playhouse_cluster::Solo;
/// use playhouse_plane::{Machine, Plane, PlaneConfig, PlaneEvent};
/// use playhouse_wire::Time;
///
/// let mut plane = Solo::new(Plane::new(PlaneConfig::default()));
/// plane.on(Time::from_secs(2), PlaneEvent::TookOver, &mut Vec::new());
/// plane.on(Time::from_secs(1), PlaneEvent::TookOver, &mut Vec::new());
/// assert_eq!((plane.applied(), plane.now()), (2, Time::from_secs(2)));
/// ```
#[derive(Debug)]
pub struct Solo<M> {
    machine: M,
    applied: u64,
    now: Time,
}

impl<M: Machine> Solo<M> {
    /// Coordinates `machine`.
    pub fn new(machine: M) -> Solo<M> {
        Solo { machine, applied: 0, now: Time::ZERO }
    }

    /// The machine, to ask it things.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// How many commands were applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The stamp of the last one.
    pub fn now(&self) -> Time {
        self.now
    }

    fn stamp(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.applied += 1;
        self.now
    }
}

impl<M: Machine> Machine for Solo<M> {
    type Event = M::Event;
    type Effect = M::Effect;

    fn on(&mut self, now: Time, event: M::Event, effects: &mut Vec<M::Effect>) {
        let now = self.stamp(now);
        self.machine.on(now, event, effects);
    }

    fn tick(&mut self, now: Time, effects: &mut Vec<M::Effect>) {
        let now = self.stamp(now);
        self.machine.tick(now, effects);
    }

    fn wakes_at(&self) -> Option<Time> {
        self.machine.wakes_at()
    }
}
