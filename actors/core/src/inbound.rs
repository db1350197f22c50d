//! Messages of other nodes enter here: decoded, judged, put into the mailbox of the actor that they are for.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix::{Actor, Handler, Message};
use playhouse_rt::sync::oneshot;
use playhouse_wire::packet::error_text;
use playhouse_wire::{Exit, Lane, MessageId, Priority, RemoteError, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ask::{Ask, after};
use crate::deliver::Sent;
use crate::mailbox::{Overflow, Refused};
use crate::passage::{decode_here, wake_later};
use crate::protocol::{Arrival, Protocol};
use crate::reference::Cell;
use crate::shared::Manner;
use crate::stream::Streaming;
use crate::watch::Watching;
use crate::{Ctx, Ref};

/// The encoded answer, later. Dropped, it is not wanted any more.
pub type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, RemoteError>> + Send>>;

/// Encoded answers that come one by one. Dropped, no more are wanted.
pub type Answers = Pin<Box<dyn PollAnswers>>;

/// The encoded answers of an actor here to a question of another node.
pub trait PollAnswers: Send {
    /// The next one; `None` after the last, an error when there should have been more.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>, RemoteError>>>;
}

/// What became of a tell of another node.
pub enum Taken {
    /// It is in the mailbox, or was dropped by the mailbox's policy.
    Done,
    /// The mailbox is full, and the actor's policy is that senders wait: done when the message has its place, or the actor is no more.
    /// Whoever holds this holds the message, and keeps the order of one sender's messages.
    Waits(Pin<Box<dyn Future<Output = Result<(), RemoteError>> + Send>>),
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Taken::Done => "Done",
            Taken::Waits(_) => "Waits",
        })
    }
}

type ReceiveTell<A> = fn(&Ref<A>, &Arrival<'_>) -> Result<Taken, RemoteError>;
type ReceiveAsk<A> = fn(&Ref<A>, &Arrival<'_>, Duration) -> Result<Answer, RemoteError>;
type ReceiveOpen<A> = fn(&Ref<A>, &Arrival<'_>, Duration) -> Result<Answers, RemoteError>;

/// How a message type enters a node.
pub(crate) struct Receive<A: Actor<Context = Ctx<A>>> {
    pub(crate) lane: Lane,
    /// A tell of it may come as a datagram.
    pub(crate) unreliable: bool,
    pub(crate) tell: ReceiveTell<A>,
    pub(crate) reception: Reception<A>,
}

/// How it is answered.
pub(crate) enum Reception<A: Actor<Context = Ctx<A>>> {
    One(ReceiveAsk<A>),
    Many(ReceiveOpen<A>),
}

fn local<A: Actor<Context = Ctx<A>>>(actor: &Ref<A>) -> &Arc<Cell<A>> {
    actor.cell().expect("what is published lives here")
}

fn read<A, M>(actor: &Ref<A>, payload: &[u8]) -> Result<M, RemoteError>
where
    A: Actor<Context = Ctx<A>>,
    M: DeserializeOwned,
{
    let read = || decode_here(&local(actor).shared.common, payload).map_err(|e| e.to_string());
    // Whoever wrote the type's `Deserialize` wrote it for this actor; the connection is everybody's.
    let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(panicked("decoding", &*panic)));
    read.map_err(|why| RemoteError::Undecodable(error_text(why)))
}

/// As [`read`], the other way.
fn write<T: Serialize>(answer: T) -> Result<Vec<u8>, RemoteError> {
    let write = move || encode(&answer).map_err(|e| e.to_string());
    let write = catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|panic| Err(panicked("encoding", &*panic)));
    write.map_err(|why| RemoteError::Unsendable(error_text(why)))
}

fn panicked(what: &str, panic: &(dyn Any + Send)) -> String {
    format!("{what} it panicked: {}", playhouse_rt::panic_text(panic))
}

/// Drops a message that was refused: what it holds is its author's, and may panic.
fn discard<M>(message: M) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(message)));
}

fn gone<A: Actor<Context = Ctx<A>>>(cell: &Cell<A>) -> RemoteError {
    RemoteError::Gone(error_text(cell.shared.exit().unwrap_or(Exit::Stopped).to_string()))
}

pub(crate) fn receive_tell<A, M>(actor: &Ref<A>, arrival: &Arrival<'_>) -> Result<Taken, RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + DeserializeOwned + Send + 'static,
    M::Result: Send,
{
    let message: M = read(actor, arrival.payload)?;
    let cell = local(actor);
    let sent = Sent::told(message, arrival);
    match cell.push_silently(arrival.priority, sent) {
        Ok(()) => {
            wake_later(cell);
            Ok(Taken::Done)
        }
        Err((Refused::Closed, sent)) => {
            discard(sent);
            Err(gone(cell))
        }
        Err((Refused::Full, sent)) if cell.mailbox.overflow() != Overflow::Wait => {
            discard(sent);
            Err(RemoteError::Full)
        }
        Err((Refused::Full, sent)) => Ok(Taken::Waits(Box::pin(wait(cell.clone(), arrival.priority, sent)))),
    }
}

async fn wait<A, M>(cell: Arc<Cell<A>>, priority: Priority, sent: Box<Sent<M>>) -> Result<(), RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    let mut place = cell.mailbox.place();
    if !(&mut place).await {
        return Err(gone(&cell));
    }
    place.put(priority, sent, |sent| sent, cell.shared.common.timed()).map_err(|sent| {
        discard(sent);
        gone(&cell)
    })?;
    cell.shared.wake();
    Ok(())
}

/// Asks for another node: as [`Ref::ask_within`], but the message's origin and trace are what the other node said.
fn ask<A, M>(actor: &Ref<A>, arrival: &Arrival<'_>, within: Duration) -> Result<Ask<M::Result>, RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + DeserializeOwned + Send + 'static,
    M::Result: Send,
{
    let message: M = read(actor, arrival.payload)?;
    let cell = local(actor);
    let before = (cell.shared.failures(), cell.may_drop());
    let deadline = after(playhouse_rt::now(), within);
    let (reply, answer) = oneshot::channel();
    let sent = Sent::asked(message, reply, deadline, arrival).may_be_dropped(&before.1);
    match cell.push(arrival.priority, sent) {
        Ok(()) => Ok(Ask::local(answer, cell.clone(), before, deadline)),
        Err((why, sent)) => {
            discard(sent);
            Err(if why == Refused::Full { RemoteError::Full } else { gone(cell) })
        }
    }
}

pub(crate) fn receive_ask<A, M>(actor: &Ref<A>, arrival: &Arrival<'_>, within: Duration) -> Result<Answer, RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + DeserializeOwned + Send + 'static,
    M::Result: Serialize + Send,
{
    let answer = ask::<A, M>(actor, arrival, within)?;
    Ok(Box::pin(async move {
        let answer = answer.await.map_err(crate::AskError::into_remote)?;
        write(answer)
    }))
}

pub(crate) fn receive_open<A, M, T>(actor: &Ref<A>, arrival: &Arrival<'_>, within: Duration) -> Result<Answers, RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message<Result = Streaming<T>> + DeserializeOwned + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    Ok(Box::pin(Opened::Asked(ask::<A, M>(actor, arrival, within)?)))
}

/// First the stream, then its items.
enum Opened<T> {
    Asked(Ask<Streaming<T>>),
    Open(Streaming<T>),
}

impl<T> Unpin for Opened<T> {}

impl<T: Serialize + DeserializeOwned + Send + 'static> PollAnswers for Opened<T> {
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>, RemoteError>>> {
        loop {
            match &mut *self {
                Opened::Asked(ask) => match Pin::new(ask).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into_remote()))),
                    Poll::Ready(Ok(items)) => *self = Opened::Open(items),
                },
                Opened::Open(items) => {
                    return items.poll_next(cx).map(|next| match next {
                        Ok(Some(item)) => Some(write(item)),
                        Ok(None) => None,
                        Err(error) => Some(Err(error.into_remote())),
                    });
                }
            }
        }
    }
}

/// An actor of any type, as the network sees it.
pub(crate) trait Inbound: Send + Sync {
    fn tell(&self, arrival: &Arrival<'_>) -> Result<Taken, RemoteError>;
    fn ask(&self, arrival: &Arrival<'_>, within: Duration) -> Result<Answer, RemoteError>;
    fn open(&self, arrival: &Arrival<'_>, within: Duration) -> Result<Answers, RemoteError>;
    /// The lane of a message whose tells may come as datagrams.
    fn unreliable(&self, id: MessageId) -> Option<Lane>;
    /// Whether there is such a message.
    fn has_unreliable(&self) -> bool;
    fn ended(&self) -> Watching;
    /// False when the actor does not allow it.
    fn stop(&self, exit: Exit) -> bool;
    /// The actor's number: it has a name for itself only while it lives.
    fn number(&self) -> u64;
    /// A `Ref<A>`.
    fn reference(&self) -> &(dyn Any + Send + Sync);
}

pub(crate) struct Published<A: Actor<Context = Ctx<A>>> {
    pub(crate) actor: Ref<A>,
    pub(crate) protocol: Arc<Protocol<A>>,
}

impl<A: Actor<Context = Ctx<A>>> Published<A> {
    /// How the message enters, if it is part of the protocol and came on its lane: each lane has limits of its own.
    fn receive(&self, arrival: &Arrival<'_>) -> Result<&Receive<A>, RemoteError> {
        let receive = self.protocol.receive(arrival.id).filter(|receive| receive.lane == arrival.lane);
        receive.ok_or(RemoteError::UnknownMessage(arrival.id))
    }
}

impl<A: Actor<Context = Ctx<A>>> Inbound for Published<A> {
    fn tell(&self, arrival: &Arrival<'_>) -> Result<Taken, RemoteError> {
        (self.receive(arrival)?.tell)(&self.actor, arrival)
    }

    fn ask(&self, arrival: &Arrival<'_>, within: Duration) -> Result<Answer, RemoteError> {
        match &self.receive(arrival)?.reception {
            Reception::One(ask) => ask(&self.actor, arrival, within),
            // The asker's program takes it for another kind of message.
            Reception::Many(_) => Err(RemoteError::UnknownMessage(arrival.id)),
        }
    }

    fn open(&self, arrival: &Arrival<'_>, within: Duration) -> Result<Answers, RemoteError> {
        match &self.receive(arrival)?.reception {
            Reception::Many(open) => open(&self.actor, arrival, within),
            Reception::One(_) => Err(RemoteError::UnknownMessage(arrival.id)),
        }
    }

    fn unreliable(&self, id: MessageId) -> Option<Lane> {
        self.protocol.receive(id).filter(|receive| receive.unreliable).map(|receive| receive.lane)
    }

    fn has_unreliable(&self) -> bool {
        self.protocol.has_unreliable()
    }

    fn ended(&self) -> Watching {
        self.actor.ended_owned()
    }

    fn stop(&self, exit: Exit) -> bool {
        let cell = local(&self.actor);
        if cell.stoppable {
            cell.shared.stop(Manner::Soon, exit);
        }
        cell.stoppable
    }

    fn number(&self) -> u64 {
        local(&self.actor).shared.number
    }

    fn reference(&self) -> &(dyn Any + Send + Sync) {
        &self.actor
    }
}

/// Where messages of other nodes enter an actor; see [`crate::System::door`]. Cheap to clone.
#[derive(Clone)]
pub struct Door(pub(crate) Arc<dyn Inbound>);

impl Door {
    /// The lane of a message whose tells may come as datagrams; `None` when they must not. See [`crate::Protocol::unreliable_on`].
    pub fn unreliable(&self, id: MessageId) -> Option<Lane> {
        self.0.unreliable(id)
    }

    /// Whether the actor has such a message at all.
    pub fn has_unreliable(&self) -> bool {
        self.0.has_unreliable()
    }

    /// Waits until the actor is no more. Cancel-safe.
    pub fn ended(&self) -> Watching {
        self.0.ended()
    }

    /// Stops the actor with this reason; false when it does not allow that.
    pub fn stop(&self, exit: Exit) -> bool {
        self.0.stop(exit)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

impl PartialEq for Door {
    /// Whether they lead to the same actor.
    fn eq(&self, other: &Door) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
