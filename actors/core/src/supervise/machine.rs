//! The supervisor: what it does with each event.

use std::collections::BTreeMap;

use playhouse_wire::Time;

use super::child::Child;
use super::event::{ChildId, Effect, End, Event, Ignored};
use super::policy::Window;
use super::report::{ChildReport, ChildState, Report, SupervisorState};
use super::spec::{Lifetime, Planted, Strategy, SupervisorSpec};
use super::turns::Turns;

/// The decisions of one supervisor. Its shell tells it what happens with [`on`](Supervisor::on), and carries out the effects.
///
/// An event costs the logarithm of the number of children, except where it concerns many: a start, a stop, the restart of a group.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// Its children are in `children`.
    pub(super) spec: SupervisorSpec,
    pub(super) state: SupervisorState,
    /// In the order of starting.
    pub(super) children: BTreeMap<ChildId, Child>,
    /// Whose turn it is to start and to stop.
    pub(super) turns: Turns,
    pub(super) next: ChildId,
    window: Window,
    pub(super) last_timer: u64,
    pub(super) planted: Planted,
}

impl Supervisor {
    /// A supervisor that has started nothing yet. Its children have the numbers 1, 2, ... in the order of the specification.
    ///
    /// # Errors
    /// [`Ignored::Full`] if these are too many children.
    pub fn new(spec: SupervisorSpec) -> Result<Supervisor, Ignored> {
        Supervisor::planted(spec, Planted::default())
    }

    /// A supervisor with bugs.
    #[doc(hidden)]
    pub fn planted(mut spec: SupervisorSpec, planted: Planted) -> Result<Supervisor, Ignored> {
        let children = std::mem::take(&mut spec.children);
        let mut supervisor = Supervisor {
            spec,
            state: SupervisorState::New,
            children: BTreeMap::new(),
            turns: Turns::default(),
            next: ChildId(1),
            window: Window::default(),
            last_timer: 0,
            planted,
        };
        for child in children {
            // Nothing is started before `Start`, so there are no effects.
            supervisor.add(supervisor.next, child, &mut Vec::new())?;
        }
        Ok(supervisor)
    }

    /// Takes what happened at `now`, appends what must be done.
    ///
    /// # Errors
    /// If the event is late, foreign or impossible now. Then nothing has changed and there are no effects.
    pub fn on(&mut self, now: Time, event: Event, effects: &mut Vec<Effect>) -> Result<(), Ignored> {
        if matches!(self.state, SupervisorState::Down(_)) {
            return Err(Ignored::Stopping);
        }
        match event {
            Event::Start => self.start()?,
            Event::Stop => {
                self.expect_open()?;
                self.close(End::Stopped, effects);
            }
            Event::Started { child, life } => self.started(now, child, life)?,
            Event::Ended { child, life, end, dice } => {
                self.living(child, life)?;
                self.ended(now, child, end.shortened(), dice, effects);
            }
            Event::Timer { child, timer } => self.timer(now, child, timer, effects)?,
            Event::Add { child, spec } => self.add(child, spec, effects)?,
            Event::Remove { child } => self.remove(child, effects)?,
            Event::Restart { child } => self.restart(child, effects)?,
        }
        self.advance(effects);
        Ok(())
    }

    /// The lowest number that a further child may have.
    pub fn next_child(&self) -> ChildId {
        self.next
    }

    /// How things stand, child by child.
    pub fn report(&self) -> Report {
        let child = |(id, child): (&ChildId, &Child)| ChildReport {
            child: *id,
            name: child.spec.name.clone(),
            lifetime: child.spec.lifetime,
            state: child.state,
            restarts: child.life.saturating_sub(1),
            ends: child.ends.iter().cloned().collect(),
            below: None,
        };
        Report {
            name: self.spec.name.clone(),
            strategy: self.spec.strategy,
            state: self.state.clone(),
            children: self.children.iter().map(child).collect(),
        }
    }

    fn start(&mut self) -> Result<(), Ignored> {
        self.expect_open()?;
        if self.state != SupervisorState::New {
            return Err(Ignored::Already);
        }
        self.state = SupervisorState::Starting;
        Ok(())
    }

    fn started(&mut self, now: Time, id: ChildId, life: u64) -> Result<(), Ignored> {
        let child = self.living(id, life)?;
        if child.state != ChildState::Starting {
            // Up, or told to stop before its report came.
            return Err(Ignored::Already);
        }
        child.state = ChildState::Up { since: now };
        self.turns.leave_start(id);
        Ok(())
    }

    /// A life is over: by itself, because it was stopped, or because it was given up.
    fn ended(&mut self, now: Time, id: ChildId, end: End, dice: u64, effects: &mut Vec<Effect>) {
        self.clear_timer(id, effects);
        let swept = self.turns.leave_stop(id);
        let closing = self.is_closing();
        let child = self.child(id);
        child.note_end(now, end.clone());
        let asked = swept || child.state == ChildState::Stopping;
        if !asked {
            self.ended_by_itself(now, id, end, dice, effects);
        } else if closing && !child.leaves {
            child.state = ChildState::Resting;
        } else if child.returns() {
            self.queue(id, effects);
        } else {
            self.forget(id, effects);
        }
    }

    fn ended_by_itself(&mut self, now: Time, id: ChildId, end: End, dice: u64, effects: &mut Vec<Effect>) {
        let backoff = self.spec.backoff;
        let planted = self.planted;
        let child = self.child(id);
        let temporary = child.spec.lifetime == Lifetime::Temporary;
        let wanted = child.calls_for_restart(&end) || (temporary && planted.restart_temporary);
        if !wanted {
            child.state = ChildState::Resting;
            self.turns.leave_start(id);
            if temporary {
                self.forget(id, effects);
            } else {
                effects.push(Effect::Rest { child: id });
            }
            return;
        }
        let failures = child.count_failure(now, &backoff);
        if !self.window.admit(now, &self.spec.intensity) && !planted.ignore_intensity {
            self.child(id).state = ChildState::Resting;
            let reason = self.why_give_up(id, &end);
            self.close(End::Failed(reason).shortened(), effects);
            return;
        }
        self.back_off(now, id, backoff.wait(failures, dice), effects);
        self.sweep(id, effects);
    }

    fn why_give_up(&self, id: ChildId, end: &End) -> String {
        let prefix = if self.state == SupervisorState::Up { "" } else { "it did not start: " };
        let limit = &self.spec.intensity;
        let name = &self.children[&id].spec.name;
        format!("{prefix}more than {} restarts within {:?}, at last since {name} {end}", limit.max, limit.within)
    }

    /// The restart of `culprit` takes others of its group along.
    fn sweep(&mut self, culprit: ChildId, effects: &mut Vec<Effect>) {
        let first = match self.spec.strategy {
            Strategy::OneForOne => return,
            Strategy::OneForAll => ChildId(0),
            Strategy::RestForOne => culprit,
        };
        let others: Vec<ChildId> = self.children.range(first..).map(|(id, _)| *id).filter(|id| *id != culprit).collect();
        for id in others {
            let child = &self.children[&id];
            if child.lives() {
                self.turns.queue_stop(id);
            } else if child.state == ChildState::Resting {
                self.queue(id, effects);
            }
        }
    }

    /// From here on nothing is started any more, and what lives is stopped.
    fn close(&mut self, end: End, effects: &mut Vec<Effect>) {
        self.state = SupervisorState::Stopping(end);
        let ids: Vec<ChildId> = self.children.keys().copied().collect();
        for id in ids {
            if self.children[&id].lives() {
                self.turns.queue_stop(id);
            } else {
                self.clear_timer(id, effects);
                self.child(id).state = ChildState::Resting;
            }
        }
    }

    fn timer(&mut self, now: Time, id: ChildId, timer: u64, effects: &mut Vec<Effect>) -> Result<(), Ignored> {
        let patient = self.planted.endless_patience;
        let child = self.children.get_mut(&id).ok_or(Ignored::OldTimer)?;
        if child.timer != Some(timer) {
            return Err(Ignored::OldTimer);
        }
        child.timer = None;
        if child.state != ChildState::Stopping {
            self.queue(id, effects);
        } else if !patient {
            effects.push(Effect::AbortChild { child: id, life: child.life });
            let end = End::Failed(format!("it did not stop within {:?}", child.spec.stop_within));
            self.ended(now, id, end, 0, effects);
        }
        Ok(())
    }

    /// The child, if this life of it is not over.
    fn living(&mut self, id: ChildId, life: u64) -> Result<&mut Child, Ignored> {
        let believe = self.planted.believe_old_lives;
        let child = self.children.get_mut(&id).ok_or(Ignored::NoSuchChild)?;
        if child.lives() && (child.life == life || believe) { Ok(child) } else { Err(Ignored::OldLife) }
    }

    pub(super) fn expect_open(&self) -> Result<(), Ignored> {
        if self.is_closing() { Err(Ignored::Stopping) } else { Ok(()) }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.state, SupervisorState::Stopping(_) | SupervisorState::Down(_))
    }

    /// A child that is known.
    pub(super) fn child(&mut self, id: ChildId) -> &mut Child {
        self.children.get_mut(&id).expect("only known children are spoken of")
    }
}
