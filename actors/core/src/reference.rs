//! References to actors: the same calls, wherever the actor lives.

mod patient;

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use actix::{Actor, Handler, Message};
use playhouse_rt::ledger::Tag;
use playhouse_rt::sync::oneshot;
use playhouse_wire::{ActorName, EncodeError, NodeName, Priority};

use crate::Ctx;
use crate::ask::Ask;
use crate::common::Common;
use crate::deliver::{Dropped, Envelope, Sent, short_name};
use crate::error::{AskError, Exit, TellError};
use crate::letters::{DeadLetter, Letter};
use crate::limits::{ASK_DEADLINE, SCRATCH_MAX};
use crate::mailbox::{Mailbox, Overflow, Refused};
use crate::protocol::{Answers, Codec, Protocol};
use crate::route::{Outgoing, Route, RouteError};
use crate::scope::Scope;
use crate::shared::{Life, Manner, Shared};
use crate::watch::{Place, Watching};

/// All of an actor that outlives its lives: what references and the runner share.
pub(crate) struct Cell<A: Actor<Context = Ctx<A>>> {
    pub(crate) shared: Shared,
    pub(crate) mailbox: Mailbox<Envelope<A>>,
    /// Whether other nodes may stop it.
    pub(crate) stoppable: bool,
    /// References to it.
    references: AtomicUsize,
}

impl<A: Actor<Context = Ctx<A>>> Cell<A> {
    pub(crate) fn new(shared: Shared, mailbox: Mailbox<Envelope<A>>, stoppable: bool) -> Cell<A> {
        Cell { shared, mailbox, stoppable, references: AtomicUsize::new(0) }
    }

    pub(crate) fn is_referenced(&self) -> bool {
        self.references.load(Ordering::SeqCst) > 0
    }

    /// Where an ask is told that its mailbox dropped it, if that may happen.
    pub(crate) fn may_drop(&self) -> Option<Dropped> {
        matches!(self.mailbox.overflow(), Overflow::DropOldest | Overflow::DropNewest).then(Dropped::default)
    }

    /// Puts a message into the mailbox, by its policy, and lets the actor know.
    pub(crate) fn push<M>(&self, priority: Priority, sent: Box<Sent<M>>) -> Result<(), (Refused, Box<Sent<M>>)>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.push_silently(priority, sent)?;
        self.shared.wake();
        Ok(())
    }

    /// As [`Cell::push`], for a caller who wakes the actor later.
    pub(crate) fn push_silently<M>(&self, priority: Priority, sent: Box<Sent<M>>) -> Result<(), (Refused, Box<Sent<M>>)>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let common = &self.shared.common;
        match self.mailbox.push(priority, sent, |sent| sent, common.timed()) {
            Ok(None) => Ok(()),
            Ok(Some(gone)) => {
                self.dead_letter(&gone, "the mailbox was full, and its policy is to drop");
                // Before the drop: who asked is to find the reason.
                gone.note_dropped();
                // What it holds is its author's, and may panic; the one who sends now is not to blame.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(gone)));
                Ok(())
            }
            Err((why, sent)) => Err((why, sent)),
        }
    }

    /// Drops a message that nobody will handle.
    pub(crate) fn lose(&self, envelope: Envelope<A>) {
        self.shared.common.totals.lost.fetch_add(1, Ordering::Relaxed);
        if !self.shared.common.planted().silent_loss {
            self.dead_letter(&envelope, "the actor ended before it was handled");
        }
        // What it holds is its author's, and may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(envelope)));
    }

    pub(crate) fn dead_letter(&self, envelope: &Envelope<A>, why: &str) {
        envelope.tag().record("lost", || format!("{} to {}: {why}", envelope.kind(), self.shared.name()));
        self.shared.common.letters.post(|| DeadLetter {
            to: self.shared.name().clone(),
            message: Letter::Type(envelope.kind()),
            from: envelope.from().map(|from| from.node.clone()),
            why: why.to_string(),
        });
    }
}

impl<A: Actor<Context = Ctx<A>>> Life for Cell<A> {
    fn shared(&self) -> &Shared {
        &self.shared
    }
    fn depth(&self) -> usize {
        self.mailbox.depth()
    }
    fn bound(&self) -> usize {
        self.mailbox.bound()
    }
}

/// A reference to an actor, on this node or on another one: the same calls, the same errors. Cheap to clone. A value like any other: it
/// may stand in a message, also to another node (see [`crate::Remote`]).
///
/// Messages from one sender through one reference arrive in order, at most once.
pub struct Ref<A: Actor<Context = Ctx<A>>> {
    way: Way<A>,
    priority: Priority,
}

enum Way<A: Actor<Context = Ctx<A>>> {
    Local(Counted<A>),
    Remote(Arc<Target<A>>),
}

/// A counted reference to the cell: when the last one goes, the actor looks whether it is still needed.
struct Counted<A: Actor<Context = Ctx<A>>>(Arc<Cell<A>>);

impl<A: Actor<Context = Ctx<A>>> Counted<A> {
    fn new(cell: Arc<Cell<A>>) -> Counted<A> {
        cell.references.fetch_add(1, Ordering::SeqCst);
        Counted(cell)
    }
}

impl<A: Actor<Context = Ctx<A>>> Deref for Counted<A> {
    type Target = Arc<Cell<A>>;
    fn deref(&self) -> &Arc<Cell<A>> {
        &self.0
    }
}

impl<A: Actor<Context = Ctx<A>>> Drop for Counted<A> {
    fn drop(&mut self) {
        if self.0.references.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.shared.wake();
        }
    }
}

struct Target<A: Actor<Context = Ctx<A>>> {
    route: Arc<dyn Route>,
    name: ActorName,
    protocol: Arc<Protocol<A>>,
    common: Arc<Common>,
}

impl<A: Actor<Context = Ctx<A>>> Ref<A> {
    pub(crate) fn to_cell(cell: Arc<Cell<A>>) -> Ref<A> {
        Ref { way: Way::Local(Counted::new(cell)), priority: Priority::Normal }
    }

    pub(crate) fn remote(route: Arc<dyn Route>, name: ActorName, protocol: Arc<Protocol<A>>, common: Arc<Common>) -> Ref<A> {
        Ref { way: Way::Remote(Arc::new(Target { route, name, protocol, common })), priority: Priority::Normal }
    }

    pub(crate) fn cell(&self) -> Option<&Arc<Cell<A>>> {
        match &self.way {
            Way::Local(cell) => Some(cell),
            Way::Remote(_) => None,
        }
    }

    pub(crate) fn place(&self) -> Place {
        match &self.way {
            Way::Local(cell) => Place::Here(cell.0.clone()),
            Way::Remote(target) => Place::There(target.route.clone(), target.name.clone()),
        }
    }

    pub(crate) fn planted(&self) -> crate::Planted {
        match &self.way {
            Way::Local(cell) => cell.shared.common.planted(),
            Way::Remote(target) => target.common.planted(),
        }
    }

    /// The actor's name on its node.
    pub fn name(&self) -> &ActorName {
        match &self.way {
            Way::Local(cell) => cell.shared.name(),
            Way::Remote(target) => &target.name,
        }
    }

    /// The other node, if the actor does not live here.
    pub fn remote_node(&self) -> Option<&NodeName> {
        match &self.way {
            Way::Local(_) => None,
            Way::Remote(target) => Some(target.route.node()),
        }
    }

    /// The same reference, whose messages are more or less urgent: a mailbox gives out the more urgent first. Between two priorities there
    /// is no order of sending; within one it holds.
    pub fn with_priority(&self, priority: Priority) -> Ref<A> {
        let priority = if self.planted().urgency_ignored { self.priority } else { priority };
        Ref { priority, ..self.clone() }
    }

    /// Sends `message` one way.
    ///
    /// # Errors
    /// The message comes back when the mailbox is full (unless its policy is to drop, see [`Overflow`]), the actor gone, its node
    /// unreachable, or (for another node) when the message is not in the actor's [`Protocol`]. To another node, `Ok` says that the
    /// message is on its way, not that it arrives.
    pub fn tell<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match &self.way {
            Way::Local(cell) => {
                let sent = Sent::tell(message, &cell.shared.common, cell.shared.name());
                cell.push(self.priority, sent).map_err(|(why, sent)| {
                    sent.tag.record("given-back", || format!("{why:?}"));
                    match why {
                        Refused::Full => TellError::Full(sent.message),
                        Refused::Closed => TellError::Gone(sent.message),
                    }
                })
            }
            Way::Remote(target) => target.tell(message, self.priority),
        }
    }

    /// Sends `message` one way, and waits while the mailbox is full: the actor's pace becomes the caller's, also from another node. Those
    /// who wait are served in order.
    ///
    /// # Errors
    /// As [`Ref::tell`]; `Full` only when the actor's policy is [`Overflow::Refuse`]. Cancel-safe: when the wait is dropped, nothing was
    /// sent.
    pub async fn tell_when_ready<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match &self.way {
            Way::Local(cell) => {
                let message = match self.tell(message) {
                    Err(TellError::Full(message)) if cell.mailbox.overflow() == Overflow::Wait => message,
                    done => return done,
                };
                let mut place = cell.mailbox.place();
                let lost = cell.shared.common.planted().wake_up_lost;
                let placed = std::future::poll_fn(|cx| {
                    let cx = &mut if lost { Context::from_waker(Waker::noop()) } else { Context::from_waker(cx.waker()) };
                    Pin::new(&mut place).poll(cx)
                });
                if !placed.await {
                    return Err(TellError::Gone(message));
                }
                let common = &cell.shared.common;
                let sent = Sent::tell(message, common, cell.shared.name());
                place.put(self.priority, sent, |sent| sent, common.timed()).map_err(|sent| TellError::Gone(sent.message))?;
                cell.shared.wake();
                Ok(())
            }
            Way::Remote(target) => {
                let mut message = message;
                loop {
                    message = match target.tell(message, self.priority) {
                        Err(TellError::Full(message)) => message,
                        done => return done,
                    };
                    let Some(codec) = target.protocol.codec::<M>() else { return Err(TellError::Unsendable(message)) };
                    target.route.ready(codec.lane, &target.name).await;
                }
            }
        }
    }

    /// Sends `message` and gives its answer, which must come within five seconds, or within what is left to the asker of the message that
    /// is being handled, if that is less. The message is sent at once, before the answer is waited for. Cancel-safe: to drop the answer
    /// is to give up, and the actor learns it.
    ///
    /// # Errors
    /// See [`AskError`]: each says what may have happened to the message.
    pub fn ask<M>(&self, message: M) -> Ask<M::Result>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.ask_within(message, ASK_DEADLINE)
    }

    /// As [`Ref::ask`], with a deadline of its own.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask_within<M>(&self, message: M, within: Duration) -> Ask<M::Result>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let scope = Scope::current();
        let asked = playhouse_rt::now();
        let mut deadline = crate::ask::after(asked, within);
        if let Some(outer) = scope.deadline {
            deadline = deadline.min(outer);
        }
        match &self.way {
            Way::Local(cell) => {
                // Before the message is sent: a panic that it causes must count.
                let before = (cell.shared.failures(), cell.may_drop());
                let (reply, answer) = oneshot::channel();
                let (common, name) = (&*cell.shared.common, cell.shared.name());
                let sent = Sent::ask(message, reply, deadline, (common, name), scope).may_be_dropped(&before.1);
                let tag = sent.tag;
                match cell.push(self.priority, sent) {
                    Ok(()) => Ask::local(answer, cell.0.clone(), before, deadline).tagged(tag),
                    Err((Refused::Full, _)) => Ask::failed(AskError::Full).tagged(tag),
                    Err((Refused::Closed, _)) => Ask::failed(cell.gone()).tagged(tag),
                }
            }
            Way::Remote(target) => target.ask(&message, self.priority, (asked, deadline), scope),
        }
    }

    /// Asks the actor to stop. Overtakes the messages in its mailbox; they are dropped, and those who asked learn it. An actor of another
    /// node must allow it (see [`crate::SpawnOptions::stoppable`]).
    pub fn stop(&self) {
        match &self.way {
            Way::Local(cell) => cell.shared.stop(Manner::Soon, Exit::Stopped),
            Way::Remote(target) => target.route.stop(&target.name, Exit::Stopped),
        }
    }

    /// Lets the actor handle what is in its mailbox now, take nothing more, and then stop. Only here: to another node it is
    /// [`Ref::stop`].
    pub fn drain(&self) {
        match &self.way {
            Way::Local(cell) => {
                let planted = cell.shared.common.planted();
                if !planted.told_after_drain {
                    cell.mailbox.seal();
                }
                cell.shared.stop(if planted.drain_drops { Manner::Soon } else { Manner::Drained }, Exit::Stopped);
            }
            Way::Remote(_) => self.stop(),
        }
    }

    /// Waits until the actor is no more, here or on another node, and gives the reason; [`Exit::NodeLost`] when the connection to its
    /// node ends. Cancel-safe.
    pub async fn ended(&self) -> Exit {
        match &self.way {
            Way::Local(cell) => cell.shared.ended().await,
            Way::Remote(target) => target.route.watch(&target.name, None).await,
        }
    }

    /// As [`Ref::ended`], without keeping the actor referenced.
    pub(crate) fn ended_owned(&self) -> Watching {
        match &self.way {
            Way::Local(cell) => {
                let cell = cell.0.clone();
                Box::pin(async move { cell.shared.ended().await })
            }
            Way::Remote(target) => target.route.watch(&target.name, None),
        }
    }

    /// Messages in the mailbox now; 0 for an actor on another node.
    pub fn depth(&self) -> usize {
        self.cell().map_or(0, |cell| cell.mailbox.depth())
    }
}

impl<A: Actor<Context = Ctx<A>>> Cell<A> {
    pub(crate) fn gone(&self) -> AskError {
        AskError::Gone(self.shared.exit().unwrap_or(Exit::Stopped).to_string())
    }
}

thread_local! {
    /// Where this thread's last message was encoded.
    static SCRATCH: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
}

/// An empty buffer, most often with room for a message.
fn scratch() -> Vec<u8> {
    SCRATCH.take()
}

/// Keeps a buffer for the next message, unless it has grown large.
fn keep(mut buffer: Vec<u8>) {
    if buffer.capacity() <= SCRATCH_MAX {
        buffer.clear();
        SCRATCH.set(buffer);
    }
}

impl<A: Actor<Context = Ctx<A>>> Target<A> {
    fn tag<M>(&self, kind: &'static str) -> Tag {
        Tag::sent(kind, || format!("{} to {}@{}", short_name::<M>(), self.name, self.route.node()))
    }

    fn tell<M>(&self, message: M, priority: Priority) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
    {
        let Some(codec) = self.protocol.codec::<M>() else { return Err(TellError::Unsendable(message)) };
        let Ok(payload) = (codec.encode)(&message, scratch()) else { return Err(TellError::Unsendable(message)) };
        let trace = self.common.trace(Scope::current().trace);
        let tag = self.tag::<M>("tell");
        let Codec { id, lane, unreliable, .. } = *codec;
        let outgoing = Outgoing { lane, unreliable, to: &self.name, id, priority, trace, payload: &payload, tag };
        let told = self.route.tell(&outgoing);
        keep(payload);
        if let Err(error) = &told {
            tag.record("given-back", || format!("{error:?}"));
        }
        told.map_err(|error| match error {
            RouteError::Full => TellError::Full(message),
            RouteError::TooLong(_) => TellError::Unsendable(message),
            RouteError::Unreachable(_) => TellError::Unreachable(message),
        })
    }

    fn ask<M>(&self, message: &M, priority: Priority, (asked, deadline): (Instant, Instant), scope: Scope) -> Ask<M::Result>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
    {
        let Some(codec) = self.protocol.codec::<M>() else {
            return Ask::failed(AskError::NotInProtocol(std::any::type_name::<M>()));
        };
        let payload = match (codec.encode)(message, scratch()) {
            Ok(payload) => payload,
            Err(error) => return Ask::failed(AskError::Unsendable(error)),
        };
        let trace = self.common.trace(scope.trace);
        let tag = self.tag::<M>("ask");
        let Codec { id, lane, unreliable, .. } = *codec;
        let outgoing = Outgoing { lane, unreliable, to: &self.name, id, priority, trace, payload: &payload, tag };
        let within = deadline.saturating_duration_since(asked);
        let failed = |error| match error {
            RouteError::Full => AskError::Full,
            RouteError::TooLong(length) => AskError::Unsendable(EncodeError::Long(length)),
            RouteError::Unreachable(why) => AskError::Unreachable(why),
        };
        match &codec.answers {
            Answers::One(decode) => {
                let (reply, answer) = oneshot::channel();
                match self.route.ask(&outgoing, within, reply) {
                    Ok(call) => Ask::remote(answer, *decode, self.route.clone(), call, self.common.clone(), deadline).tagged(tag),
                    Err(error) => Ask::failed(failed(error)).tagged(tag),
                }
            }
            Answers::Many(items) => match self.route.open(&outgoing, within) {
                Ok(raw) => Ask::ready(items(raw, self.common.clone())),
                Err(error) => Ask::failed(failed(error)),
            },
        }
    }
}

impl<A: Actor<Context = Ctx<A>>> Clone for Ref<A> {
    fn clone(&self) -> Ref<A> {
        let way = match &self.way {
            Way::Local(cell) => Way::Local(Counted::new(cell.0.clone())),
            Way::Remote(target) => Way::Remote(target.clone()),
        };
        Ref { way, priority: self.priority }
    }
}

impl<A: Actor<Context = Ctx<A>>> PartialEq for Ref<A> {
    /// Whether they lead to the same actor: the same one here, or the same name on the same other node.
    fn eq(&self, other: &Ref<A>) -> bool {
        match (&self.way, &other.way) {
            (Way::Local(one), Way::Local(other)) => Arc::ptr_eq(one, other),
            (Way::Remote(one), Way::Remote(other)) => one.name == other.name && one.route.node() == other.route.node(),
            _ => false,
        }
    }
}

impl<A: Actor<Context = Ctx<A>>> Eq for Ref<A> {}

impl<A: Actor<Context = Ctx<A>>> fmt::Debug for Ref<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remote_node() {
            None => write!(f, "Ref({})", self.name()),
            Some(node) => write!(f, "Ref({}@{node})", self.name()),
        }
    }
}
