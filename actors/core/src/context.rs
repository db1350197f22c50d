//! The context that users' actors run on.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::{Envelope as ActixEnvelope, Mailbox as ActixMailbox, ToEnvelope};
use actix::fut::{ActorFuture, ActorFutureExt, wrap_future};
use actix::{Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle};
use playhouse_rt::sync::{mpsc, oneshot};

use crate::mailbox::Envelope;
use crate::shared::Shared;
use crate::{Exit, Origin, Ref, System};

pub(crate) type Work<A> = Pin<Box<dyn ActorFuture<A, Output = ()>>>;

/// The context of an actor: its timers, its futures, its own reference and its node's [`System`].
///
/// An actor says `type Context = Ctx<Self>;`. It is actix's `AsyncContext`, with what misleads there set right: `wait` keeps the order
/// of the calls, timers are those of the node, and nothing can be started outside a [`System`].
pub struct Ctx<A: Actor<Context = Ctx<A>>> {
    system: System,
    shared: Arc<Shared>,
    mailbox: mpsc::WeakSender<Envelope<A>>,
    pub(crate) state: ActorState,
    pub(crate) waits: VecDeque<Work<A>>,
    pub(crate) items: Vec<(SpawnHandle, Work<A>)>,
    pub(crate) cancelled: Vec<SpawnHandle>,
    last_handle: SpawnHandle,
    /// Who sent the message that is being handled.
    pub(crate) from: Option<Origin>,
    /// For `address()` only; see there.
    pub(crate) side_door: OnceCell<ActixMailbox<A>>,
}

impl<A: Actor<Context = Ctx<A>>> Ctx<A> {
    pub(crate) fn new(system: System, shared: Arc<Shared>, mailbox: mpsc::WeakSender<Envelope<A>>) -> Ctx<A> {
        Ctx {
            system,
            shared,
            mailbox,
            state: ActorState::Started,
            waits: VecDeque::new(),
            items: Vec::new(),
            cancelled: Vec::new(),
            last_handle: SpawnHandle::default(),
            from: None,
            side_door: OnceCell::new(),
        }
    }

    /// After a panic: nothing of the former state remains.
    pub(crate) fn reset(&mut self) {
        self.state = ActorState::Started;
        self.waits.clear();
        self.items.clear();
        self.cancelled.clear();
        self.from = None;
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A reference to this actor. When nobody else holds one any more, messages to it are refused as gone: the actor ends when its
    /// futures are done.
    pub fn me(&self) -> Ref<A> {
        let mailbox = self.mailbox.upgrade().unwrap_or_else(|| crate::mailbox::channel(1).0);
        Ref::local(mailbox, self.shared.clone())
    }

    /// The node that the message being handled came from, as its certificate proved. `None` for a message of this node, and outside a
    /// handler (in a timer or a future).
    pub fn from(&self) -> Option<&Origin> {
        self.from.as_ref()
    }

    /// The system that this actor lives in.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Stops this actor as a failure of its own, with a reason that those who ask it will read.
    pub fn stop_because(&mut self, exit: Exit) {
        self.shared.stop(exit);
        self.stop();
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
        self.side_door.get_or_init(ActixMailbox::default).address()
    }

    fn spawn<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.last_handle = self.last_handle.next();
        self.items.push((self.last_handle, Box::pin(future)));
        self.last_handle
    }

    /// Handles no message until `future` is done. Several run one after the other, in the order of the calls.
    fn wait<F>(&mut self, future: F)
    where
        F: ActorFuture<A, Output = ()> + 'static,
    {
        self.waits.push_back(Box::pin(future));
    }

    fn waiting(&self) -> bool {
        !self.waits.is_empty() || !matches!(self.state, ActorState::Started | ActorState::Running)
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.cancelled.push(handle);
        true
    }

    fn run_later<F>(&mut self, after: Duration, work: F) -> SpawnHandle
    where
        F: FnOnce(&mut A, &mut A::Context) + 'static,
    {
        self.spawn(
            wrap_future::<_, A>(playhouse_rt::sleep(after)).map(move |(), actor: &mut A, ctx: &mut Ctx<A>| work(actor, ctx)),
        )
    }

    fn run_interval<F>(&mut self, every: Duration, work: F) -> SpawnHandle
    where
        F: FnMut(&mut A, &mut A::Context) + 'static,
    {
        // A period of zero would never let anything else happen.
        let every = every.max(Duration::from_millis(1));
        self.spawn(Every { sleep: Box::pin(playhouse_rt::sleep(every)), every, work })
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
            this.sleep.as_mut().reset(playhouse_rt::now() + this.every);
        }
        std::task::Poll::Pending
    }
}
