//! The shell: one actor that runs any machine, as one of several copies.
//!
//! While its member leads the group, it takes what happens, has it agreed on in batches, and has the effects carried out. While another
//! one leads, it says so to whoever asks.

use std::pin::Pin;
use std::time::Instant;

use playhouse_actors::prelude::*;
use playhouse_cluster::{Command, Group, Kept, ProposeError, Replica, Standing};
use playhouse_plane::{Machine, Planted};
use playhouse_wire::{NodeName, Time};

use crate::limits::{BATCH_MAX, LEAD_AGAIN, QUEUE_MAX};
use crate::messages::{Led, NotTaken};

/// Carries out what a machine wants done.
pub trait Hands<M: Kept>: Unpin + Sized + 'static {
    /// Starts to carry out `effect`, as the leader of this term, and returns; what comes of it goes back to `shell` as an event.
    fn carry_out(&mut self, effect: M::Effect, term: u64, shell: &Ref<Shell<M, Self>>);

    /// The machine has changed.
    fn changed(&mut self, machine: &M);

    /// What the machine is to hear before it is woken.
    fn before_tick(&self, machine: &M) -> Option<M::Event>;

    /// What a group begins with.
    fn begin(&self) -> M;

    /// This member leads from here on: what the machine is to hear first.
    fn takes_over(&mut self, term: u64, machine: &M) -> M::Event;

    /// This member still leads; who belongs to the group, and where, may be news.
    fn leads_on(&mut self);

    /// Another one leads, or nobody. Whoever waits is told.
    fn steps_down(&mut self);
}

/// An actor around a [`Machine`]: stamps events with time, has them agreed on, wakes the machine when it asked for it, has its effects
/// carried out. The one place where a machine's events can be traced.
pub struct Shell<M: Kept, H> {
    group: Group<Replica<M>>,
    hands: H,
    standing: Standing,
    lead: Lead,
    /// What waits for the batch that is under way.
    queue: Vec<Queued<M>>,
    /// A batch is under way.
    busy: bool,
    alarm: Option<(Time, SpawnHandle)>,
    /// The machine is to be woken with the next batch.
    awake: bool,
    planted: Planted,
}

enum Lead {
    No,
    /// Elected; what was acknowledged before is not yet known to be applied here, or the machine has not heard of it.
    Begins(u64),
    /// The machine's time was `base` at `since`.
    Yes {
        term: u64,
        base: Time,
        since: Instant,
    },
}

/// What comes of a question, in time.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Led<T>>>>;

/// What to do when a command was applied, or was not.
type Done<M> = Box<dyn FnOnce(Result<&M, NotTaken>) + Send>;

struct Queued<M: Machine> {
    event: M::Event,
    done: Option<Done<M>>,
}

impl<M: Kept, H: Hands<M>> Shell<M, H> {
    pub(crate) fn new(group: Group<Replica<M>>, hands: H, planted: Planted) -> Shell<M, H> {
        let standing = group.standing();
        let (lead, queue, busy, alarm, awake) = (Lead::No, Vec::new(), false, None, false);
        Shell { group, hands, standing, lead, queue, busy, alarm, awake, planted }
    }

    pub(crate) fn group(&self) -> &Group<Replica<M>> {
        &self.group
    }

    pub(crate) fn planted(&self) -> Planted {
        self.planted
    }

    pub(crate) fn hands(&mut self) -> &mut H {
        &mut self.hands
    }

    /// The term in which it leads, if it does.
    pub(crate) fn leads(&self) -> Option<u64> {
        match self.lead {
            Lead::Yes { term, .. } => Some(term),
            Lead::No | Lead::Begins(_) => None,
        }
    }

    /// The machine's time, if it leads.
    pub(crate) fn now(&self) -> Option<Time> {
        match self.lead {
            Lead::Yes { base, since, .. } => Some(base + playhouse_rt::now().duration_since(since)),
            Lead::No | Lead::Begins(_) => None,
        }
    }

    /// Looks at the machine, as it is here.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&M) -> T) -> Option<T> {
        self.group.read(|replica| replica.machine().map(look))
    }

    /// Where to ask instead.
    pub(crate) fn not_taken(&self) -> NotTaken {
        let Standing { leader, term, .. } = &self.standing;
        let me = self.group.name().as_str();
        let leader = leader.as_ref().filter(|name| *name != me);
        let members = self.group.members();
        let member = members.iter().find(|member| Some(&member.name) == leader);
        let address = member.and_then(|member| member.address.parse().ok());
        NotTaken { leader: leader.and_then(|name| NodeName::new(name).ok()), address, term: *term }
    }

    /// Whether there is room for one more event that nobody waits for.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_MAX
    }

    /// Gives the machine an event, which is lost if this is not the leader: whoever needs to know uses [`Shell::take`].
    pub(crate) fn event(&mut self, event: M::Event, ctx: &mut Ctx<Self>) {
        if self.leads().is_some() {
            self.queue.push(Queued { event, done: None });
            self.fly(ctx);
        }
    }

    /// Gives the machine an event; when it has been applied, and a majority has it on its disks, `answer` looks at the machine.
    pub(crate) fn take<T: Send + 'static>(
        &mut self,
        event: M::Event,
        ctx: &mut Ctx<Self>,
        answer: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Answer<T> {
        if self.leads().is_none() || self.queue.len() >= QUEUE_MAX {
            return Box::pin(std::future::ready(Err(self.not_taken())));
        }
        let (reply, answered) = playhouse_rt::sync::oneshot::channel();
        let done: Done<M> = Box::new(move |result| drop(reply.send(result.map(answer))));
        self.queue.push(Queued { event, done: Some(done) });
        self.fly(ctx);
        let instead = self.not_taken();
        Box::pin(async move { answered.await.unwrap_or(Err(instead)) })
    }

    /// Looks at the machine when all is applied that was acknowledged before, by anybody.
    pub(crate) fn fresh<T: 'static>(&self, look: impl FnOnce(&M) -> T + 'static) -> Answer<T> {
        let (looked, instead) = (self.fresh_copy(|replica| replica.machine().map(look)), self.not_taken());
        Box::pin(async move { looked.await?.ok_or(instead) })
    }

    /// Looks at this copy when all is applied that was acknowledged before, by anybody.
    pub(crate) fn fresh_copy<T: 'static>(&self, look: impl FnOnce(&Replica<M>) -> T + 'static) -> Answer<T> {
        let (leads, instead, group) = (self.leads().is_some(), self.not_taken(), self.group.clone());
        let planted = self.planted;
        Box::pin(async move {
            if leads && (planted.stale_reads || group.settle().await.is_ok()) {
                return Ok(group.read(look));
            }
            Err(instead)
        })
    }

    /// Has what waits agreed on, unless a batch is under way.
    fn fly(&mut self, ctx: &mut Ctx<Self>) {
        let Lead::Yes { term, base, since } = self.lead else { return };
        if self.busy || (self.queue.is_empty() && !self.awake) {
            return;
        }
        self.busy = true;
        let now = base + playhouse_rt::now().duration_since(since);
        let (mut commands, mut answers) = (Vec::new(), Vec::new());
        if std::mem::take(&mut self.awake) {
            let first = self.group.read(|replica| self.hands.before_tick(replica.machine()?));
            commands.extend(first.map(|event| (now, Command::Event(event))));
            commands.push((now, Command::Tick));
        }
        let most = self.queue.len().min(BATCH_MAX);
        for Queued { event, done } in self.queue.drain(..most) {
            commands.push((now, Command::Event(event)));
            answers.extend(done);
        }
        let group = self.group.clone();
        let agreed = async move {
            playhouse_rt::select! {
                agreed = group.command(term, &commands) => agreed,
                // What is under way may be answered when this member leads again, or never.
                () = group.deposed(term) => Err(ProposeError::Unknown("this node leads no more".into())),
            }
        };
        ctx.spawn(agreed.into_actor(self).map(move |agreed, shell: &mut Self, ctx: &mut Ctx<Self>| {
            shell.busy = false;
            shell.landed(agreed, answers, term, ctx);
        }));
    }

    fn landed(&mut self, agreed: Result<Vec<M::Effect>, ProposeError>, answers: Vec<Done<M>>, term: u64, ctx: &mut Ctx<Self>) {
        let effects = match agreed {
            Ok(effects) => effects,
            Err(error) => {
                tracing::debug!(%error, "a batch of events was not agreed on");
                let instead = self.not_taken();
                answers.into_iter().for_each(|done| done(Err(instead.clone())));
                // If it was to be woken, it still is.
                self.awake = true;
                return self.again(ctx);
            }
        };
        self.carry_out(effects, term, ctx);
        self.group.read(|replica| {
            if let Some(machine) = replica.machine() {
                answers.into_iter().for_each(|done| done(Ok(machine)));
            }
        });
        self.settled(ctx);
        self.fly(ctx);
    }

    fn carry_out(&mut self, effects: Vec<M::Effect>, term: u64, ctx: &mut Ctx<Self>) {
        // Agreed on, but not ours to give any more: the new leader gives what has no answer again.
        if self.leads() == Some(term) {
            let me = ctx.me();
            effects.into_iter().for_each(|effect| self.hands.carry_out(effect, term, &me));
        }
    }

    /// After a change of the machine.
    fn settled(&mut self, ctx: &mut Ctx<Self>) {
        let Lead::Yes { base, since, .. } = self.lead else { return };
        let hands = &mut self.hands;
        let wakes_at = self.group.read(|replica| {
            let machine = replica.machine()?;
            hands.changed(machine);
            machine.wakes_at()
        });
        if self.awake || self.alarm.map(|(at, _)| at) == wakes_at {
            return;
        }
        self.silence(ctx);
        self.alarm = wakes_at.map(|at| {
            let wait = at.since(base + playhouse_rt::now().duration_since(since));
            let alarm = ctx.run_later(wait, |shell, ctx| {
                shell.alarm = None;
                shell.awake = true;
                shell.fly(ctx);
            });
            (at, alarm)
        });
    }

    fn silence(&mut self, ctx: &mut Ctx<Self>) {
        if let Some((_, alarm)) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
    }

    /// Begins to lead in this term: nothing is done before all that was acknowledged is applied here.
    fn begin(&mut self, term: u64, ctx: &mut Ctx<Self>) {
        self.step_down(ctx);
        self.lead = Lead::Begins(term);
        let (group, begins) = (self.group.clone(), self.hands.begin());
        let settled = async move {
            group.settle().await?;
            group.forget_effects();
            let (now, begun) = group.read(|replica| (replica.now(), replica.machine().is_some()));
            if !begun {
                group.command(term, &[(now, Group::begin(&begins))]).await?;
            }
            Ok::<Time, ProposeError>(now)
        };
        ctx.spawn(settled.into_actor(self).map(move |settled, shell: &mut Self, ctx: &mut Ctx<Self>| {
            if !matches!(shell.lead, Lead::Begins(of) if of == term) {
                return;
            }
            let first = match settled {
                Ok(base) => {
                    let hands = &mut shell.hands;
                    let first = shell.group.read(|replica| replica.machine().map(|machine| hands.takes_over(term, machine)));
                    first.map(|first| (base, first))
                }
                Err(error) => {
                    tracing::debug!(%error, term, "this node was elected, and does not lead yet");
                    None
                }
            };
            let Some((base, first)) = first else {
                shell.lead = Lead::No;
                return shell.again(ctx);
            };
            tracing::info!(term, "this node leads");
            playhouse_rt::ledger::record("leads", || format!("term {term}"));
            shell.lead = Lead::Yes { term, base, since: playhouse_rt::now() };
            shell.queue.insert(0, Queued { event: first, done: None });
            shell.fly(ctx);
        }));
    }

    /// Something was not agreed on. If this member leads all the same, it goes on a little later.
    fn again(&mut self, ctx: &mut Ctx<Self>) {
        ctx.run_later(LEAD_AGAIN, |shell, ctx| {
            let standing = shell.standing.clone();
            shell.stands(standing, ctx);
            shell.fly(ctx);
        });
    }

    fn step_down(&mut self, ctx: &mut Ctx<Self>) {
        if matches!(self.lead, Lead::Yes { .. }) {
            tracing::info!("this node leads no more");
        }
        self.lead = Lead::No;
        self.awake = false;
        self.silence(ctx);
        let instead = self.not_taken();
        let waiting = std::mem::take(&mut self.queue);
        waiting.into_iter().filter_map(|queued| queued.done).for_each(|done| done(Err(instead.clone())));
        self.hands.steps_down();
    }

    fn stands(&mut self, standing: Standing, ctx: &mut Ctx<Self>) {
        self.standing = standing;
        let term = self.standing.term;
        match self.lead {
            Lead::Yes { term: of, .. } if self.standing.leads && of == term => {
                if !self.standing.is_changing {
                    self.hands.leads_on();
                }
            }
            Lead::Begins(of) if self.standing.leads && of == term => {}
            _ if self.standing.leads => self.begin(term, ctx),
            Lead::No => {}
            _ => self.step_down(ctx),
        }
    }
}

impl<M: Kept, H: Hands<M>> Actor for Shell<M, H> {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        let (group, me) = (self.group.clone(), ctx.me());
        let watch = async move {
            let mut seen = group.standing();
            loop {
                let told = me.tell_when_ready(Stands(Some(seen.clone()))).await;
                if told.is_err() {
                    return;
                }
                // What was applied is none of its business.
                let next = loop {
                    let Some(next) = group.changed(&seen).await else { break None };
                    let news = Standing { applied: 0, ..next.clone() } != Standing { applied: 0, ..seen };
                    seen = next;
                    if news {
                        break Some(seen.clone());
                    }
                };
                if next.is_none() {
                    let _ = me.tell_when_ready(Stands(None)).await;
                    return;
                }
            }
        };
        ctx.spawn(watch.into_actor(self));
    }
}

/// What the member is in its group now; `None`: it has stopped.
struct Stands(Option<Standing>);

impl Message for Stands {
    type Result = ();
}

impl<M: Kept, H: Hands<M>> Handler<Stands> for Shell<M, H> {
    type Result = ();

    fn handle(&mut self, Stands(standing): Stands, ctx: &mut Ctx<Self>) {
        match standing {
            Some(standing) => {
                if let Some(why) = self.group.waits() {
                    tracing::warn!(%why, "this node takes no part in the agreement until it is let in");
                }
                self.stands(standing, ctx);
            }
            None => {
                match self.group.trouble() {
                    Some(why) => tracing::error!(%why, "this node takes no part in the agreement any more"),
                    None => tracing::info!("this node takes no part in the agreement any more"),
                }
                ctx.stop();
            }
        }
    }
}

/// An event for the machine of a [`Shell`].
pub(crate) struct Happened<E>(pub(crate) E);

impl<E> Message for Happened<E> {
    type Result = ();
}

impl<M: Kept, H: Hands<M>> Handler<Happened<M::Event>> for Shell<M, H> {
    type Result = ();

    fn handle(&mut self, happened: Happened<M::Event>, ctx: &mut Ctx<Self>) {
        self.event(happened.0, ctx);
    }
}
