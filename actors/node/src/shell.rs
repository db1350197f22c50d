//! The shell: one actor that runs any machine.

use std::time::Instant;

use playhouse_actors::prelude::*;
use playhouse_plane::Machine;
use playhouse_wire::Time;

/// Carries out what a machine wants done.
pub trait Hands<M: Machine + Unpin + 'static>: Unpin + Sized + 'static {
    /// Starts to carry out `effect` and returns; what comes of it goes back to `shell` as an event.
    fn carry_out(&mut self, effect: M::Effect, shell: &Ref<Shell<M, Self>>);

    /// The machine has changed.
    fn changed(&mut self, machine: &M);
}

/// An actor around a [`Machine`]: stamps events with time, wakes the machine when it asked for it, has its effects carried out. The
/// one place where a machine's events can be traced.
pub struct Shell<M, H> {
    machine: M,
    hands: H,
    /// The machine's time is counted from here.
    origin: Instant,
    alarm: Option<(Time, SpawnHandle)>,
}

impl<M: Machine + Unpin + 'static, H: Hands<M>> Shell<M, H> {
    pub(crate) fn new(machine: M, hands: H) -> Shell<M, H> {
        Shell { machine, hands, origin: playhouse_rt::now(), alarm: None }
    }

    pub(crate) fn machine(&self) -> &M {
        &self.machine
    }

    pub(crate) fn hands(&mut self) -> &mut H {
        &mut self.hands
    }

    fn now(&self) -> Time {
        Time::ZERO + playhouse_rt::now().duration_since(self.origin)
    }

    /// Gives the machine an event.
    pub(crate) fn event(&mut self, event: M::Event, ctx: &mut Ctx<Self>) {
        let mut effects = Vec::new();
        self.machine.on(self.now(), event, &mut effects);
        self.settle(effects, ctx);
    }

    fn settle(&mut self, effects: Vec<M::Effect>, ctx: &mut Ctx<Self>) {
        if !effects.is_empty() {
            let me = ctx.me();
            for effect in effects {
                self.hands.carry_out(effect, &me);
            }
        }
        self.hands.changed(&self.machine);
        let wakes_at = self.machine.wakes_at();
        if self.alarm.map(|(at, _)| at) == wakes_at {
            return;
        }
        if let Some((_, alarm)) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        self.alarm = wakes_at.map(|at| {
            let wait = at.since(self.now());
            let alarm = ctx.run_later(wait, |shell, ctx| {
                shell.alarm = None;
                let mut effects = Vec::new();
                shell.machine.tick(shell.now(), &mut effects);
                shell.settle(effects, ctx);
            });
            (at, alarm)
        });
    }
}

impl<M: Machine + Unpin + 'static, H: Hands<M>> Actor for Shell<M, H> {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.settle(Vec::new(), ctx);
    }
}

/// An event for the machine of a [`Shell`].
pub(crate) struct Happened<E>(pub(crate) E);

impl<E> Message for Happened<E> {
    type Result = ();
}

impl<M: Machine + Unpin + 'static, H: Hands<M>> Handler<Happened<M::Event>> for Shell<M, H> {
    type Result = ();

    fn handle(&mut self, happened: Happened<M::Event>, ctx: &mut Ctx<Self>) {
        self.event(happened.0, ctx);
    }
}
