//! The future that is an actor: takes messages, runs its futures, catches its panics and builds it anew.

use std::collections::VecDeque;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use actix::{Actor, ActorState, AsyncContext, Running};
use playhouse_rt::Sleep;

use crate::context::Wait;
use crate::deliver::Envelope;
use crate::exclusive::{Body, Lent};
use crate::items::poll_items;
use crate::limits::BUDGET;
use crate::reference::Cell;
use crate::restart::{Restart, Restarts, Verdict};
use crate::shared::{Failure, LifeEnd, Manner};
use crate::{Ctx, Exit, System};

/// Why an actor could not be built.
pub type BuildError = Box<dyn Error + Send + Sync>;

pub(crate) type Factory<A> = Box<dyn Make<A>>;

/// Makes an actor for each of its lives.
pub(crate) trait Make<A: Actor<Context = Ctx<A>>>: Send {
    fn make(&mut self) -> Result<A, BuildError>;

    /// Called at the beginning of each life, before [`Actor::started`].
    fn begin(&mut self, _actor: &mut A, _ctx: &mut Ctx<A>) {}
}

impl<A, F> Make<A> for F
where
    A: Actor<Context = Ctx<A>>,
    F: FnMut() -> Result<A, BuildError> + Send,
{
    fn make(&mut self) -> Result<A, BuildError> {
        self()
    }
}

pub(crate) struct Runner<A: Actor<Context = Ctx<A>>> {
    system: System,
    cell: Arc<Cell<A>>,
    factory: Factory<A>,
    phase: Phase<A>,
    /// Messages that were taken from the mailbox at once.
    hand: VecDeque<Envelope<A>>,
    /// Nothing more is taken; the end comes when all is handled.
    draining: bool,
    /// There are orders that could not be obeyed while a future had the actor for itself.
    deferred: bool,
    /// The turn ended only so that others of this thread can run.
    yielded: bool,
    life: u64,
    /// `finish` was called.
    finished: bool,
    restarts: Option<Box<Restarts>>,
}

enum Phase<A: Actor<Context = Ctx<A>>> {
    /// To be built, in the next turn.
    Build,
    /// Waits before it is built anew.
    Backoff(Pin<Box<Sleep>>),
    /// Has ended a life; whoever supervises it decides whether there is another. Why, if it ended by itself.
    Parked(Option<Exit>),
    Live(Box<Body<A>>),
    /// A future has the actor for itself. Boxed: few actors are ever lent, and all would have room for it.
    Lent(Box<Lent<A>>),
    /// Between two phases: a panic finds this.
    Nothing,
}

// The future of the actor is never pinned into: it owns its parts in boxes.
impl<A: Actor<Context = Ctx<A>>> Unpin for Runner<A> {}

impl<A: Actor<Context = Ctx<A>>> Runner<A> {
    pub(crate) fn new(system: System, cell: Arc<Cell<A>>, factory: Factory<A>, policy: Restart) -> Runner<A> {
        // A supervised actor waits for the word of its supervisor.
        let phase = if cell.shared.parent.is_some() { Phase::Parked(None) } else { Phase::Build };
        Runner {
            system,
            cell,
            factory,
            phase,
            hand: VecDeque::new(),
            draining: false,
            deferred: false,
            yielded: false,
            life: 1,
            finished: false,
            restarts: Restarts::of(policy),
        }
    }

    /// Runs until there is nothing to do now (pending) or ever (the reason).
    fn turn(&mut self, task: &mut Context<'_>) -> Poll<Exit> {
        let mut budget = if playhouse_rt::buggify!("short-turn") { 1 } else { BUDGET };
        loop {
            if self.cell.shared.has_orders()
                && let Some(exit) = self.obey()
            {
                return Poll::Ready(exit);
            }
            match &mut self.phase {
                Phase::Nothing => unreachable!("a panic has put another phase in its place"),
                Phase::Parked(Some(exit)) if self.cell.shared.parent.is_none() => return Poll::Ready(exit.clone()),
                Phase::Parked(_) => {
                    playhouse_rt::ledger::waits(|| "its supervisor".into());
                    return Poll::Pending;
                }
                Phase::Backoff(sleep) => {
                    if sleep.as_mut().poll(task).is_pending() {
                        return Poll::Pending;
                    }
                    self.phase = Phase::Build;
                }
                Phase::Build => self.build(),
                Phase::Lent(lent) => match lent.poll(task) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(body) => {
                        self.phase = Phase::Live(body);
                        if std::mem::take(&mut self.deferred)
                            && let Some(exit) = self.obey()
                        {
                            return Poll::Ready(exit);
                        }
                    }
                },
                Phase::Live(_) => match self.live(task, &mut budget) {
                    Poll::Ready(Some(exit)) => return Poll::Ready(exit),
                    Poll::Ready(None) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
            if budget == 0 {
                // Others of this thread come first now.
                self.yielded = true;
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            budget -= 1;
        }
    }

    fn build(&mut self) {
        self.phase = Phase::Nothing;
        let actor = match self.factory.make() {
            Ok(actor) => actor,
            Err(error) => return self.failed(Failure::Error(error.to_string())),
        };
        let ctx = Ctx::new(self.system.clone(), self.cell.clone());
        // In its place before anything of it runs: a panic finds it there, and drops it apart.
        self.phase = Phase::Live(Box::new(Body { actor, ctx }));
        let Phase::Live(body) = &mut self.phase else { unreachable!("as was just said") };
        body.ctx.state = ActorState::Running;
        self.factory.begin(&mut body.actor, &mut body.ctx);
        body.actor.started(&mut body.ctx);
        if self.cell.shared.parent.is_some() && self.cell.shared.common.planted().child_started_twice {
            body.actor.started(&mut body.ctx);
        }
        // Started when it has done what it waits for, and before any message.
        if self.cell.shared.parent.is_some() {
            body.ctx.exclusively(async |_, ctx: &mut Ctx<A>| ctx.shared().report_start());
        }
    }

    /// One step of a living actor: ready when something has changed, with the reason when that was its end.
    fn live(&mut self, task: &mut Context<'_>, budget: &mut u32) -> Poll<Option<Exit>> {
        let Phase::Live(body) = &mut self.phase else { unreachable!("the caller has looked") };
        let Body { actor, ctx } = &mut **body;
        if ctx.state == ActorState::Stopping && ctx.failed.is_none() && actor.stopping(ctx) == Running::Continue {
            ctx.state = ActorState::Running;
        }
        if matches!(ctx.state, ActorState::Stopping | ActorState::Stopped) {
            return Poll::Ready(self.gave_up());
        }
        // What the actor waits for has it for itself: no message is handled and nothing that it spawned runs meanwhile.
        match ctx.waits.pop_front() {
            Some(Wait::Exclusive(lend)) => {
                let Phase::Live(body) = std::mem::replace(&mut self.phase, Phase::Nothing) else { unreachable!("as above") };
                self.phase = Phase::Lent(Box::new(lend(body)));
                return Poll::Ready(None);
            }
            Some(Wait::Beside(mut work, scope)) => {
                let pending = {
                    let _entered = scope.enter();
                    work.as_mut().poll(actor, ctx, task).is_pending()
                };
                if pending {
                    ctx.waits.push_front(Wait::Beside(work, scope));
                    return Poll::Pending;
                }
                return Poll::Ready(None);
            }
            None => {}
        }
        let shared = &self.cell.shared;
        let mailbox = &self.cell.mailbox;
        while *budget > 0 && !ctx.waiting() && !shared.has_orders() {
            if !self.hand.is_empty() && mailbox.overtaken() {
                mailbox.put_back(&mut self.hand);
            }
            if self.hand.is_empty() {
                if shared.is_parked() || !mailbox.refill(&mut self.hand, || shared.park()) {
                    break;
                }
                if shared.common.planted().hand_reversed {
                    self.hand.make_contiguous().reverse();
                }
            }
            let Some(envelope) = self.hand.pop_front() else { break };
            mailbox.release();
            *budget -= 1;
            ctx.handled += 1;
            envelope.deliver(actor, ctx);
            if ctx.tally.is_some() {
                ctx.count_one(actor);
            }
        }
        if ctx.waiting() {
            // What it waits for may wait for a place here.
            mailbox.look_for_waiters();
        } else if let Some(mut door) = ctx.side_door.take() {
            ctx.door_in_use = Some(door.address().downgrade());
            door.poll(actor, ctx, task);
            let _ = ctx.side_door.set(door);
        }
        // Once in every turn, however full the mailbox is.
        if !ctx.waiting() && ctx.items.are_ready() {
            poll_items(actor, ctx);
            return Poll::Ready(None);
        }
        if *budget == 0 || ctx.waiting() || shared.has_orders() {
            return Poll::Ready(None);
        }
        self.idle()
    }

    /// Nothing is to be done now: looks whether anything ever will, and goes to sleep.
    fn idle(&mut self) -> Poll<Option<Exit>> {
        let Phase::Live(body) = &mut self.phase else { unreachable!("the caller has looked") };
        let shared = &self.cell.shared;
        if self.draining && !body.ctx.items.are_answering() {
            return Poll::Ready(self.nothing_came().then(|| shared.why_stopped()));
        }
        // The mailbox has parked it: from then on, who brings something wakes this actor. An order may have come just before.
        if shared.has_orders() {
            return Poll::Ready(None);
        }
        let side_door = body.ctx.side_door.get().is_some_and(|door| door.connected());
        if !self.cell.is_referenced() && body.ctx.items.is_empty() && !side_door {
            // The last reference may have been used just before it was dropped. Without one, nothing more can come.
            return Poll::Ready(self.nothing_came().then_some(Exit::Unreferenced));
        }
        playhouse_rt::ledger::waits(|| "a message".into());
        Poll::Pending
    }

    /// Whether nothing is in the mailbox. Something may be, whose sender has not come to wake this actor yet: it is taken at the next look.
    fn nothing_came(&self) -> bool {
        let nothing = self.cell.mailbox.is_empty();
        if !nothing {
            self.cell.shared.unpark();
        }
        nothing
    }

    /// Does what others want; the reason, when that was its end.
    fn obey(&mut self) -> Option<Exit> {
        let shared = &self.cell.shared;
        if matches!(self.phase, Phase::Lent(_)) {
            let orders = shared.look_at_orders();
            match orders.stop {
                Some((Manner::Now, exit)) => return Some(exit),
                // A restart with others does not wait for it: what it waits for may be one of them.
                None if orders.suspend => {}
                // The future that has the actor may be half-way: it ends first.
                _ => {
                    self.deferred = true;
                    return None;
                }
            }
        }
        let orders = shared.orders();
        if let (Some(_), Some(life)) = (&orders.stop, orders.start) {
            // It never begins, and is over with the others: whoever ordered it is told so.
            self.life = life;
        }
        match (orders.stop, &self.phase) {
            (None, _) => {}
            // It has ended before it was told to, and that reason is the better one.
            (Some(_), Phase::Parked(Some(own))) => return Some(own.clone()),
            (Some((Manner::Drained, _)), Phase::Live(_) | Phase::Build | Phase::Backoff(_)) => {
                self.cell.mailbox.seal();
                self.draining = true;
            }
            (Some((_, exit)), _) => return Some(exit),
        }
        if orders.suspend && !matches!(self.phase, Phase::Parked(_)) {
            // Before what it was doing is dropped: who asked for that is to find the reason.
            shared.note_restart();
            self.drop_body();
            self.park(None, LifeEnd::Stopped);
        }
        if let (true, Some(life), Phase::Parked(_)) = (orders.suspend, orders.start, &self.phase) {
            // A life that was to begin, and was taken back before it did.
            self.life = life;
            self.park(None, LifeEnd::Stopped);
        } else if let Some(life) = orders.start
            && matches!(self.phase, Phase::Parked(_))
            && !(life > 1 && self.cell.shared.common.planted().start_unheard)
        {
            if life > 1 {
                self.count_restart();
            }
            self.life = life;
            self.cell.shared.set_life(life);
            self.phase = Phase::Build;
        }
        None
    }

    /// The actor stopped itself, or gave itself up.
    fn gave_up(&mut self) -> Option<Exit> {
        let Phase::Live(body) = &mut self.phase else { unreachable!("the caller has looked") };
        if let Some(why) = body.ctx.failed.take() {
            self.failed(Failure::Error(why));
            return None;
        }
        if self.cell.shared.parent.is_none() {
            return Some(self.cell.shared.why_stopped());
        }
        self.drop_body();
        self.park(Some(Exit::Stopped), LifeEnd::Normal);
        None
    }

    fn park(&mut self, exit: Option<Exit>, end: LifeEnd) {
        self.phase = Phase::Parked(exit);
        self.cell.shared.report_end(self.life, end);
    }

    fn count_restart(&self) {
        let shared = &self.cell.shared;
        playhouse_rt::ledger::record("restart", || shared.name().to_string());
        playhouse_rt::reachable!("restart");
        shared.restarts.fetch_add(1, Ordering::Relaxed);
        shared.common.totals.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// This life has failed. Without a supervisor the actor's own policy decides; parked with a reason, this was the last.
    fn failed(&mut self, failure: Failure) {
        let shared = &self.cell.shared;
        shared.note_failure(failure.clone());
        match &failure {
            Failure::Panic(text) => tracing::warn!(actor = %shared.name(), panic = %text, "an actor panicked"),
            Failure::Error(text) => tracing::warn!(actor = %shared.name(), error = %text, "an actor failed"),
        }
        let was_live = matches!(self.phase, Phase::Live(_));
        if was_live {
            if self.cell.shared.parent.is_none() && self.cell.shared.common.planted().lives_overlap {
                return self.overlap();
            }
            self.drop_body();
        }
        self.phase = Phase::Nothing;
        if self.cell.shared.parent.is_some() {
            return self.park(Some(failure.clone().exit()), LifeEnd::Failed(failure));
        }
        self.phase = match self.restarts.get_or_insert_default().admit(playhouse_rt::now()) {
            Verdict::After(wait) => {
                self.count_restart();
                Phase::Backoff(Box::pin(playhouse_rt::sleep(wait)))
            }
            Verdict::Stop => Phase::Parked(Some(failure.exit())),
        };
    }

    /// See [`crate::planted::Planted::lives_overlap`].
    #[cold]
    fn overlap(&mut self) {
        let before = std::mem::replace(&mut self.phase, Phase::Nothing);
        self.count_restart();
        self.build();
        drop(before);
    }

    /// Gives the state up, in order: the hook, then the drop. A panic in them changes nothing more.
    fn drop_body(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Nothing);
        if let Phase::Lent(lent) = phase {
            // The state goes with the future that has it. No hook: it may be half-way.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(lent)));
        } else if let Phase::Live(mut body) = phase {
            if self.cell.shared.common.planted().state_kept && self.cell.shared.exit().is_none() {
                return std::mem::forget(body);
            }
            body.ctx.state = ActorState::Stopped;
            let stopped = catch_unwind(AssertUnwindSafe(|| body.actor.stopped(&mut body.ctx)));
            // Apart from the hook: two panics at once would end the process.
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(body)));
            for panic in [stopped.err(), dropped.err()].into_iter().flatten() {
                self.cell.shared.note_failure(Failure::Panic(playhouse_rt::panic_text(&*panic)));
            }
        }
    }

    fn after_panic(&mut self, text: String) {
        // Its drop may panic as well; that changes nothing. The hook is not called: nobody knows what state it would find.
        let phase = std::mem::replace(&mut self.phase, Phase::Nothing);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(phase)));
        self.failed(Failure::Panic(text));
    }

    fn finish(&mut self, exit: Exit) {
        self.finished = true;
        // First the reason, then the end of the mailbox: who finds it closed finds the reason.
        self.cell.shared.note_exit(exit.clone());
        self.cell.mailbox.seal();
        self.drop_body();
        playhouse_rt::ledger::record("stop", || format!("{}: {exit}", self.cell.shared.name()));
    }
}

impl<A: Actor<Context = Ctx<A>>> Future for Runner<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cell.shared.set_waker(task.waker());
        this.cell.shared.begin_turn();
        let _entered = playhouse_rt::ledger::enter(this.cell.shared.name().as_str());
        let began = this.cell.shared.common.timed().then(playhouse_rt::now);
        let turn = catch_unwind(AssertUnwindSafe(|| this.turn(task)));
        let exit = match turn {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(exit)) => Some(exit),
            Err(panic) => {
                this.after_panic(playhouse_rt::panic_text(&*panic));
                // What comes next is polled in the next turn.
                this.yielded = true;
                task.waker().wake_by_ref();
                None
            }
        };
        this.measure(began);
        let done = exit.is_some();
        let yielded = std::mem::take(&mut this.yielded);
        if let Some(exit) = exit {
            this.finish(exit);
        } else if !yielded {
            this.cell.shared.park();
            if this.cell.shared.has_orders() {
                task.waker().wake_by_ref();
            }
        }
        this.cell.shared.end_turn();
        if done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<A: Actor<Context = Ctx<A>>> Runner<A> {
    fn measure(&mut self, began: Option<Instant>) {
        let Phase::Live(body) = &mut self.phase else { return };
        let handled = u64::from(std::mem::take(&mut body.ctx.handled));
        let shared = &self.cell.shared;
        let busy = began.map(|began| playhouse_rt::now().saturating_duration_since(began));
        shared.note_handled(handled, busy);
        if let Some(busy) = busy
            && handled > 0
        {
            shared.common.totals.handling.record(busy / u32::try_from(handled).unwrap_or(u32::MAX));
            if let Some(waited) = self.cell.mailbox.waited(handled) {
                shared.common.totals.waiting.record(waited);
            }
        }
    }
}

impl<A: Actor<Context = Ctx<A>>> Drop for Runner<A> {
    fn drop(&mut self) {
        let shared = &self.cell.shared;
        if !self.finished {
            // Dropped while it was alive, with its thread or its node: who waits for it learns that.
            shared.note_exit(Exit::NodeStopped);
            self.cell.mailbox.seal();
        }
        // All that was the actor's goes before its end is announced; a panic on the way changes nothing.
        let phase = std::mem::replace(&mut self.phase, Phase::Nothing);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(phase)));
        for envelope in std::mem::take(&mut self.hand).into_iter().chain(self.cell.mailbox.drain()) {
            self.cell.lose(envelope);
        }
        let shared = &self.cell.shared;
        shared.common.totals.alive.fetch_sub(1, Ordering::Relaxed);
        self.system.forget(shared);
        shared.announce_end();
        if shared.parent.is_some() {
            // A life that it was to begin and never did is over as well.
            shared.report_gone(shared.orders().start.unwrap_or(self.life));
        }
    }
}
