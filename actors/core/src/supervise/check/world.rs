//! Children that do what they are told to, and what can happen to them. It knows the supervisor by its events and effects alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use playhouse_wire::Time;

use crate::supervise::{ChildId, ChildSpec, ChildState, End, Event, Lifetime, Planted, Strategy, Supervisor, SupervisorSpec};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Living {
    No,
    Starting,
    Up,
    /// Told to stop.
    Stopping,
}

pub(super) struct Kid {
    pub(super) lifetime: Lifetime,
    pub(super) life: u64,
    pub(super) living: Living,
}

pub(super) struct World {
    pub(super) supervisor: Supervisor,
    pub(super) spec: SupervisorSpec,
    pub(super) now: Time,
    pub(super) kids: BTreeMap<ChildId, Kid>,
    pub(super) timers: BTreeMap<ChildId, (u64, Time)>,
    /// Timers that fired or were cleared.
    pub(super) old_timers: Vec<(ChildId, u64)>,
    /// Who must have stopped before anybody starts: the group of a failure.
    pub(super) group: BTreeSet<ChildId>,
    /// Who was asked to stop by itself, out of turn.
    pub(super) asked: BTreeSet<ChildId>,
    /// Who of them is to start again.
    pub(super) returning: BTreeSet<ChildId>,
    /// Who was started since the last event that changed the order of starting.
    pub(super) last_start: Option<ChildId>,
    /// The restarts within the window, counted again.
    pub(super) restarts: VecDeque<Time>,
    pub(super) up: bool,
    /// No more starts: stopped, or more failures than are borne.
    pub(super) closing: bool,
    pub(super) gave_up: bool,
    pub(super) down: Option<End>,
    /// What was met on the way, to show that the checks check something.
    pub(super) reached: BTreeSet<&'static str>,
}

impl World {
    pub(super) fn new(spec: SupervisorSpec, planted: Planted) -> World {
        let kid = |child: &ChildSpec| Kid { lifetime: child.lifetime, life: 0, living: Living::No };
        let mut world = World {
            kids: (1..).map(ChildId).zip(spec.children.iter().map(kid)).collect(),
            supervisor: Supervisor::planted(spec.clone(), planted).expect("few children"),
            spec,
            now: Time::ZERO,
            timers: BTreeMap::new(),
            old_timers: Vec::new(),
            group: BTreeSet::new(),
            asked: BTreeSet::new(),
            returning: BTreeSet::new(),
            last_start: None,
            restarts: VecDeque::new(),
            up: false,
            closing: false,
            gave_up: false,
            down: None,
            reached: BTreeSet::new(),
        };
        world.tell(Event::Start);
        world
    }

    // What can happen.

    /// A child that is starting has started, or one that was told to stop has stopped.
    pub(super) fn answer(&mut self, arg: u8) {
        match self.choose(arg, |kid| matches!(kid.living, Living::Starting | Living::Stopping)) {
            Some(child) if self.kids[&child].living == Living::Starting => self.started(child),
            Some(child) => self.ended(child, End::Stopped),
            None => {}
        }
    }

    pub(super) fn fail(&mut self, arg: u8) {
        self.end_any(arg, End::Failed("a panic".into()));
    }

    pub(super) fn end_normally(&mut self, arg: u8) {
        self.end_any(arg, End::Normal);
    }

    pub(super) fn end_stopped(&mut self, arg: u8) {
        self.end_any(arg, End::Stopped);
    }

    /// A report of a life that is over.
    pub(super) fn old_report(&mut self, arg: u8) {
        let Some(child) = self.choose(arg, |kid| kid.life > 1) else { return };
        let life = self.kids[&child].life - 1;
        let end = End::Failed("long ago".into());
        self.expect_ignored(Event::Ended { child, life, end, dice: 0 });
        self.expect_ignored(Event::Started { child, life });
    }

    pub(super) fn old_timer(&mut self, arg: u8) {
        if !self.old_timers.is_empty() {
            let (child, timer) = self.old_timers[arg as usize % self.old_timers.len()];
            self.expect_ignored(Event::Timer { child, timer });
        }
    }

    /// The next timer's time comes.
    pub(super) fn fire_timer(&mut self) {
        let Some((child, (timer, due))) = self.timers.iter().min_by_key(|(_, (_, due))| *due).map(|(c, t)| (*c, *t)) else {
            return;
        };
        self.now = self.now.max(due);
        self.timers.remove(&child);
        self.old_timers.push((child, timer));
        self.tell(Event::Timer { child, timer });
    }

    pub(super) fn pass(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.timers.values().any(|(_, due)| *due <= until) {
            let before = self.timers.len();
            self.fire_timer();
            assert!(self.timers.len() <= before + self.kids.len(), "timers beget timers");
        }
        self.now = self.now.max(until);
    }

    pub(super) fn add(&mut self, spec: ChildSpec) {
        let child = self.supervisor.next_child();
        if self.closing || self.down.is_some() {
            self.expect_ignored(Event::Add { child, spec });
        } else if self.kids.len() < 12 {
            self.kids.insert(child, Kid { lifetime: spec.lifetime, life: 0, living: Living::No });
            self.last_start = None;
            self.tell(Event::Add { child, spec });
        }
    }

    pub(super) fn remove(&mut self, arg: u8) {
        self.request(arg, |child| Event::Remove { child });
    }

    pub(super) fn restart(&mut self, arg: u8) {
        self.request(arg, |child| Event::Restart { child });
    }

    pub(super) fn stop(&mut self) {
        if self.closing {
            self.expect_ignored(Event::Stop);
        } else {
            self.closing = true;
            self.tell(Event::Stop);
        }
    }

    /// From here on all goes well: whoever should live must come up.
    pub(super) fn heal(&mut self) {
        for _ in 0..20 * (self.kids.len() + 1) {
            self.answer(0);
            self.fire_timer();
        }
        if self.closing {
            assert!(self.down.is_some(), "every child answered, but the supervisor did not end");
            return;
        }
        assert!(self.up, "all children started, but the supervisor is not up");
        for child in self.supervisor.report().children {
            let rests = child.state == ChildState::Resting && child.lifetime == Lifetime::Transient;
            let lives = matches!(child.state, ChildState::Up { .. });
            assert!(lives || rests, "child {} did not come up: {:?}", child.child, child.state);
            assert_eq!(lives, self.kids[&child.child].living == Living::Up, "the report and the world differ");
        }
    }

    /// Stops the supervisor; it must end in bounded time, and then be quiet.
    pub(super) fn stop_all(&mut self, answering: bool) {
        self.stop();
        for _ in 0..self.kids.len() * 2 {
            if answering { self.answer(255) } else { self.fire_timer() }
        }
        let end = self.down.clone().expect("the supervisor must end within the deadlines of its children");
        assert_eq!(matches!(end, End::Failed(_)), self.gave_up, "it ended with {end:?}");
        assert!(self.timers.is_empty(), "timers are left");
        assert!(self.kids.values().all(|kid| kid.living == Living::No), "children are left");
        self.expect_ignored(Event::Start);
        self.expect_ignored(Event::Stop);
    }

    // How it goes there.

    fn choose(&self, arg: u8, fits: impl Fn(&Kid) -> bool) -> Option<ChildId> {
        let fitting: Vec<_> = self.kids.iter().filter(|(_, kid)| fits(kid)).map(|(child, _)| *child).collect();
        (!fitting.is_empty()).then(|| fitting[arg as usize % fitting.len()])
    }

    fn started(&mut self, child: ChildId) {
        let kid = self.kids.get_mut(&child).expect("a kid");
        kid.living = Living::Up;
        let life = kid.life;
        self.tell(Event::Started { child, life });
    }

    fn end_any(&mut self, arg: u8, end: End) {
        if let Some(child) = self.choose(arg, |kid| kid.living != Living::No) {
            self.ended(child, end);
        }
    }

    /// A life is over. What the supervisor must make of it is worked out here once more.
    fn ended(&mut self, child: ChildId, end: End) {
        let kid = self.kids.get_mut(&child).expect("a kid");
        let told = std::mem::replace(&mut kid.living, Living::No) == Living::Stopping;
        let life = kid.life;
        let in_group = self.group.remove(&child);
        self.asked.remove(&child);
        self.returning.remove(&child);
        let wanted = match self.kids[&child].lifetime {
            Lifetime::Permanent => true,
            Lifetime::Transient => matches!(end, End::Failed(_)),
            Lifetime::Temporary => false,
        };
        self.last_start = None;
        if in_group && !told {
            self.reached.insert("failure in a group that stops");
        }
        if wanted && !told && !in_group && !self.closing {
            self.count_restart();
            if self.closing {
                self.group.clear();
            } else {
                let first = match self.spec.strategy {
                    Strategy::OneForOne => None,
                    Strategy::OneForAll => Some(ChildId(0)),
                    Strategy::RestForOne => Some(child),
                };
                let living = self.kids.iter().filter(|(id, kid)| first.is_some_and(|f| **id >= f) && kid.living != Living::No);
                self.group.extend(living.map(|(id, _)| *id));
                if self.group.len() > 1 {
                    self.reached.insert("restart of a group");
                }
            }
        }
        let dice = self.now.as_nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.tell(Event::Ended { child, life, end, dice });
    }

    fn count_restart(&mut self) {
        let window = self.spec.intensity;
        while self.restarts.front().is_some_and(|then| self.now.since(*then) > window.within) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(self.now);
        if self.restarts.len() > window.max as usize {
            self.gave_up = true;
            self.closing = true;
            self.reached.insert(if self.up { "gave up" } else { "did not start" });
        }
    }

    fn request(&mut self, arg: u8, event: impl Fn(ChildId) -> Event) {
        let Some(child) = self.choose(arg, |_| true) else { return };
        if self.closing {
            self.expect_ignored(event(child));
            return;
        }
        self.last_start = None;
        let mut effects = Vec::new();
        if self.kids[&child].living != Living::No {
            self.asked.insert(child);
        }
        if self.supervisor.on(self.now, event(child), &mut effects).is_err() {
            assert!(effects.is_empty(), "an event that is ignored has no effects");
        }
        self.take(effects);
    }

    fn expect_ignored(&mut self, event: Event) {
        let mut effects = Vec::new();
        let taken = self.supervisor.on(self.now, event.clone(), &mut effects);
        assert!(taken.is_err() && effects.is_empty(), "{event:?} must change nothing, but: {effects:?}");
    }

    fn tell(&mut self, event: Event) {
        let mut effects = Vec::new();
        let taken = self.supervisor.on(self.now, event.clone(), &mut effects);
        if taken.is_err() {
            // A child may report its start when it has been told to stop.
            assert!(effects.is_empty() && matches!(event, Event::Started { .. }), "{event:?}: {taken:?}, {effects:?}");
        }
        self.take(effects);
    }
}
