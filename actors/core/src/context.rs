//! The context that users' actors run on.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::{Envelope as ActixEnvelope, Mailbox as ActixMailbox, ToEnvelope};
use actix::fut::{ActorFuture, ActorFutureExt, wrap_future};
use actix::{Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle, WeakAddr};
use playhouse_rt::Lost;
use playhouse_rt::sync::oneshot;

use crate::exclusive::{Lend, lend};
use crate::items::{Items, Work};
use crate::reference::Cell;
use crate::scope::Scope;
use crate::shared::{Manner, Shared};
use crate::watch::Down;
use crate::{Exit, Origin, Ref, System};

/// The context of an actor: its timers, its futures, its own reference and its node's [`System`].
///
/// An actor says `type Context = Ctx<Self>;`. It is actix's `AsyncContext`, with what misleads there set right: `wait` keeps the order
/// of the calls, timers are those of the node, and nothing can be started outside a [`System`].
pub struct Ctx<A: Actor<Context = Ctx<A>>> {
    system: System,
    cell: Arc<Cell<A>>,
    pub(crate) state: ActorState,
    /// Why it gave itself up.
    pub(crate) failed: Option<String>,
    pub(crate) waits: VecDeque<Wait<A>>,
    pub(crate) items: Items<A>,
    /// The call that is running answers somebody: what it leaves behind inherits the deadline.
    pub(crate) answering: bool,
    /// Messages handled in this turn.
    pub(crate) handled: u32,
    /// Who sent the message that is being handled.
    pub(crate) from: Option<Arc<Origin>>,
    /// What is called after some messages.
    pub(crate) tally: Option<Box<Tally<A>>>,
    /// For `address()` only; see there.
    pub(crate) side_door: OnceCell<ActixMailbox<A>>,
    /// The side door's address while it is being polled, and so not in its place.
    pub(crate) door_in_use: Option<WeakAddr<A>>,
}

type Call<A> = Box<dyn FnMut(&mut A, &mut Ctx<A>)>;

/// See [`Ctx::run_each`].
pub(crate) struct Tally<A: Actor<Context = Ctx<A>>> {
    each: u32,
    left: u32,
    work: Call<A>,
}

/// What the actor waits for before it handles another message.
pub(crate) enum Wait<A: Actor<Context = Ctx<A>>> {
    Beside(Work<A>, Scope),
    Exclusive(Lend<A>),
}

impl<A: Actor<Context = Ctx<A>>> Ctx<A> {
    pub(crate) fn new(system: System, cell: Arc<Cell<A>>) -> Ctx<A> {
        Ctx {
            system,
            cell,
            state: ActorState::Started,
            failed: None,
            waits: VecDeque::new(),
            items: Items::new(),
            answering: false,
            handled: 0,
            from: None,
            tally: None,
            side_door: OnceCell::new(),
            door_in_use: None,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.cell.shared
    }

    /// A reference to this actor.
    pub fn me(&self) -> Ref<A> {
        Ref::to_cell(self.cell.clone())
    }

    /// The node that the message being handled came from, as its certificate proved. `None` for a message of this node, and outside a
    /// handler (in a timer or a future).
    pub fn from(&self) -> Option<&Origin> {
        self.from.as_deref()
    }

    /// The system that this actor lives in.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Gives this life of the actor up, as a panic would, but by its own word: whoever supervises it decides whether it is built anew.
    /// Takes effect when the present call returns.
    pub fn fail(&mut self, why: impl Display) {
        self.failed.get_or_insert_with(|| why.to_string());
        self.state = ActorState::Stopping;
    }

    /// Ends this actor for good, with a reason that those who ask or watch it will read.
    pub fn stop_because(&mut self, exit: Exit) {
        self.cell.shared.stop(Manner::Soon, exit);
    }

    /// Runs `work` before any other message is handled and any timer fires; it has the actor for itself, also between its waits. Several
    /// run one after the other, in the order of the calls.
    pub fn exclusively<F>(&mut self, work: F)
    where
        F: AsyncFnOnce(&mut A, &mut Ctx<A>) + 'static,
    {
        let scope = self.scope_for_items();
        self.waits.push_back(Wait::Exclusive(lend(work, scope, |()| ())));
    }

    pub(crate) fn lend(&mut self, lend: Lend<A>) {
        self.waits.push_back(Wait::Exclusive(lend));
    }

    /// Watches `other`, here or on another node: `then` is called exactly once, when `other` is no more or its node is lost; at once, if
    /// that is so already. A restart by its supervisor is not the end of an actor. [`AsyncContext::cancel_future`] ends the watch; so
    /// does the end of this actor, or of this life of it.
    pub fn watch<B, F>(&mut self, other: &Ref<B>, then: F) -> SpawnHandle
    where
        B: Actor<Context = Ctx<B>>,
        F: FnOnce(&mut A, Down, &mut Ctx<A>) + 'static,
    {
        let (name, node) = (other.name().clone(), other.remote_node().cloned());
        let ended = other.ended_owned();
        self.spawn_free(wrap_future::<_, A>(ended).map(move |exit, actor: &mut A, ctx: &mut Ctx<A>| {
            if ctx.shared().common.planted().notice_forgotten {
                return;
            }
            then(actor, Down { name, node, exit }, ctx);
        }))
    }

    /// Ties this actor and `other` together, here or on another node: when one ends otherwise than by a stop (see [`Exit::is_normal`]),
    /// or the connection between them is lost, the other one ends with [`Exit::Linked`]. For the life of both.
    pub fn link<B>(&mut self, other: &Ref<B>)
    where
        B: Actor<Context = Ctx<B>>,
    {
        if !self.shared().common.planted().link_forgotten {
            crate::watch::link(&self.me(), other);
        }
    }

    /// Runs work that blocks or burns the processor on a thread of the system's bounded pool, and calls `then` with its result: as
    /// with a message, nothing else of the actor runs at that time. When the pool is busy the work waits for its turn. The end of the
    /// actor takes back work that has not begun; what has begun runs to its end and its result is dropped.
    pub fn offload<T, W, F>(&mut self, work: W, then: F) -> SpawnHandle
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
        F: FnOnce(&mut A, Result<T, Lost>, &mut Ctx<A>) + 'static,
    {
        let mut pool = self.system.blocking().clone();
        if self.shared().common.planted().pool_over_its_bound {
            pool = playhouse_rt::Blocking::new(1);
        }
        let work = wrap_future::<_, A>(async move { pool.run(work).await });
        self.spawn(work.map(|result, actor: &mut A, ctx: &mut Ctx<A>| then(actor, result, ctx)))
    }

    /// Sends a copy of `message` to this actor each `every` (at least a millisecond), past the mailbox, until cancelled.
    pub fn notify_interval<M>(&mut self, message: M, every: Duration) -> SpawnHandle
    where
        A: Handler<M>,
        M: Message + Clone + 'static,
    {
        self.run_interval(every, move |_, ctx| ctx.notify(message.clone()))
    }

    /// Calls `work` after each `count` messages (at least one) of the mailbox, for the rest of this life; in place of what was to be called
    /// so before. An async handler may then be under way.
    pub fn run_each<F>(&mut self, count: u32, work: F)
    where
        F: FnMut(&mut A, &mut Ctx<A>) + 'static,
    {
        let each = count.max(1);
        self.tally = Some(Box::new(Tally { each, left: each, work: Box::new(work) }));
    }

    pub(crate) fn count_one(&mut self, actor: &mut A) {
        let Some(tally) = &mut self.tally else { return };
        tally.left -= 1;
        if tally.left > 0 {
            return;
        }
        // Out of its place while it runs: it may set another one.
        let Some(mut tally) = self.tally.take() else { return };
        tally.left = tally.each;
        (tally.work)(actor, self);
        self.tally.get_or_insert(tally);
    }

    fn scope_for_items(&self) -> Scope {
        let scope = Scope::current();
        if self.answering { scope } else { scope.without_deadline() }
    }

    /// For what answers nobody: timers and watches.
    fn spawn_free<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.items.add(Box::pin(future), Scope::NONE, || self.cell.shared.waker())
    }
}

impl<A: Actor<Context = Ctx<A>>> ActorContext for Ctx<A> {
    fn stop(&mut self) {
        if matches!(self.state, ActorState::Started | ActorState::Running) {
            self.state = ActorState::Stopping;
        }
    }

    fn terminate(&mut self) {
        self.state = ActorState::Stopped;
    }

    fn state(&self) -> ActorState {
        self.state
    }
}

impl<A: Actor<Context = Ctx<A>>> AsyncContext<A> for Ctx<A> {
    /// An actix address, for code that wants one. **It is a side door**: its messages are not bounded and not counted. Use
    /// [`Ctx::me`].
    fn address(&self) -> Addr<A> {
        let in_use = if self.side_door.get().is_none() { self.door_in_use.as_ref().and_then(WeakAddr::upgrade) } else { None };
        in_use.unwrap_or_else(|| self.side_door.get_or_init(ActixMailbox::default).address())
    }

    fn spawn<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        let scope = self.scope_for_items();
        self.items.add(Box::pin(future), scope, || self.cell.shared.waker())
    }

    /// Handles no message until `future` is done. Several run one after the other, in the order of the calls.
    fn wait<F>(&mut self, future: F)
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        let scope = self.scope_for_items();
        self.waits.push_back(Wait::Beside(Box::pin(future), scope));
    }

    fn waiting(&self) -> bool {
        !self.waits.is_empty() || !matches!(self.state, ActorState::Started | ActorState::Running)
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        if self.shared().common.planted().timer_after_cancel {
            return true;
        }
        self.items.cancel(handle)
    }

    fn run_later<F>(&mut self, after: Duration, work: F) -> SpawnHandle
    where
        F: FnOnce(&mut A, &mut A::Context) + 'static,
    {
        let after = if self.shared().common.planted().timer_early { after * 7 / 8 } else { after };
        self.spawn_free(
            wrap_future::<_, A>(playhouse_rt::sleep(after)).map(move |(), actor: &mut A, ctx: &mut Ctx<A>| work(actor, ctx)),
        )
    }

    fn run_interval<F>(&mut self, every: Duration, work: F) -> SpawnHandle
    where
        F: FnMut(&mut A, &mut A::Context) + 'static,
    {
        // A period of zero would never let anything else happen.
        let every = every.max(Duration::from_millis(1));
        self.spawn_free(Every { sleep: Box::pin(playhouse_rt::sleep(every)), every, work })
    }

    fn notify_later<M>(&mut self, message: M, after: Duration) -> SpawnHandle
    where
        A: Handler<M>,
        M: Message + 'static,
    {
        self.run_later(after, move |_, ctx| ctx.notify(message))
    }
}

impl<A, M> ToEnvelope<A, M> for Ctx<A>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn pack(message: M, reply: Option<oneshot::Sender<M::Result>>) -> ActixEnvelope<A> {
        ActixEnvelope::new(message, reply)
    }
}

struct Every<F> {
    sleep: Pin<Box<playhouse_rt::Sleep>>,
    every: Duration,
    work: F,
}

impl<F> Unpin for Every<F> {}

impl<A, F> ActorFuture<A> for Every<F>
where
    A: Actor<Context = Ctx<A>>,
    F: FnMut(&mut A, &mut Ctx<A>) + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, ctx: &mut Ctx<A>, task: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let this = self.get_mut();
        while this.sleep.as_mut().poll(task).is_ready() {
            (this.work)(actor, ctx);
            // From now, not from the deadline: after a long pause there is one tick, not many.
            let bunches = ctx.shared().common.planted().interval_bunches;
            let from = if bunches { this.sleep.deadline() } else { playhouse_rt::now() };
            this.sleep.as_mut().reset(from + this.every);
        }
        std::task::Poll::Pending
    }
}
