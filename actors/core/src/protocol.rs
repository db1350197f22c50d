//! Which messages of an actor can come from other nodes, under which numbers.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use actix::{Actor, Handler, Message};
use bytes::Bytes;
use playhouse_rt::sync::oneshot;
use playhouse_wire::packet::error_text;
use playhouse_wire::{ActorName, DecodeError, EncodeError, Incarnation, Lane, MessageId, NodeName, RemoteError, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{AskError, TellError};
use crate::{Ctx, Ref};

/// An actor that other nodes may speak to.
pub trait Remote: Actor<Context = Ctx<Self>> {
    /// Lists its messages. Called once per node; the same list on both sides is what lets them talk.
    fn protocol(protocol: &mut Protocol<Self>);
}

/// The messages that an actor understands from other nodes.
pub struct Protocol<A: Actor<Context = Ctx<A>>> {
    by_type: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
    by_id: BTreeMap<MessageId, Receive<A>>,
}

/// How a message type leaves a node.
pub(crate) struct Codec<M: Message> {
    pub(crate) id: MessageId,
    pub(crate) lane: Lane,
    pub(crate) encode: fn(&M) -> Result<Vec<u8>, EncodeError>,
    pub(crate) decode_result: fn(&[u8]) -> Result<M::Result, DecodeError>,
}

/// The node that a message came from, as its certificate proved. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub node: NodeName,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

/// A message from another node, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The node that sent it.
    pub from: &'a Origin,
    /// The lane that it came on.
    pub lane: Lane,
    /// Its type.
    pub id: MessageId,
    /// The encoded message.
    pub payload: &'a [u8],
}

/// The encoded answer, later.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, RemoteError>> + Send>>;

type ReceiveTell<A> = fn(&Ref<A>, &[u8], &Origin) -> Result<(), RemoteError>;
type ReceiveAsk<A> = fn(&Ref<A>, &[u8], &Origin, Duration) -> Result<Answer, RemoteError>;

/// How a message type enters a node.
struct Receive<A: Actor<Context = Ctx<A>>> {
    lane: Lane,
    tell: ReceiveTell<A>,
    ask: ReceiveAsk<A>,
}

impl<A: Actor<Context = Ctx<A>>> Protocol<A> {
    pub(crate) fn of() -> Protocol<A>
    where
        A: Remote,
    {
        let mut protocol = Protocol { by_type: BTreeMap::new(), by_id: BTreeMap::new() };
        A::protocol(&mut protocol);
        protocol
    }

    /// Adds message type `M` as number `id` in version 1, on the data lane.
    ///
    /// # Panics
    /// When the number or the type is there already: two messages would be mistaken for each other.
    pub fn message<M>(&mut self, id: u32) -> &mut Self
    where
        A: Handler<M>,
        M: Message + Serialize + DeserializeOwned + Send + 'static,
        M::Result: Serialize + DeserializeOwned + Send,
    {
        self.message_on::<M>(MessageId { id, version: 1 }, Lane::Data)
    }

    /// Adds message type `M` under a number and version, on a lane.
    ///
    /// # Panics
    /// As [`Protocol::message`].
    pub fn message_on<M>(&mut self, id: MessageId, lane: Lane) -> &mut Self
    where
        A: Handler<M>,
        M: Message + Serialize + DeserializeOwned + Send + 'static,
        M::Result: Serialize + DeserializeOwned + Send,
    {
        let codec = Codec::<M> { id, lane, encode: |message| encode(message), decode_result: |bytes| decode(bytes) };
        assert!(self.by_type.insert(TypeId::of::<M>(), Box::new(codec)).is_none(), "message {id} is in the protocol twice");
        let receive = Receive { lane, tell: receive_tell::<A, M>, ask: receive_ask::<A, M> };
        assert!(self.by_id.insert(id, receive).is_none(), "two messages have the number {id}");
        self
    }

    pub(crate) fn codec<M: Message + 'static>(&self) -> Option<&Codec<M>> {
        self.by_type.get(&TypeId::of::<M>())?.downcast_ref()
    }
}

fn receive_tell<A, M>(actor: &Ref<A>, payload: &[u8], from: &Origin) -> Result<(), RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + DeserializeOwned + Send + 'static,
    M::Result: Send,
{
    let message: M = decode(payload).map_err(|e| RemoteError::Undecodable(error_text(e.to_string())))?;
    actor.tell_from(message, Some(from.clone())).map_err(|error| match error {
        TellError::Full(_) => RemoteError::Full,
        other => RemoteError::Gone(other.to_string()),
    })
}

fn receive_ask<A, M>(actor: &Ref<A>, payload: &[u8], from: &Origin, within: Duration) -> Result<Answer, RemoteError>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + DeserializeOwned + Send + 'static,
    M::Result: Serialize + Send,
{
    let message: M = decode(payload).map_err(|e| RemoteError::Undecodable(error_text(e.to_string())))?;
    let answer = actor.ask_from(message, within, Some(from.clone()));
    Ok(Box::pin(async move {
        let answer = answer.await.map_err(AskError::into_remote)?;
        encode(&answer).map_err(|e| RemoteError::Unsendable(error_text(e.to_string())))
    }))
}

/// An actor of any type, as the network sees it.
pub(crate) trait Inbound: Send + Sync {
    fn tell(&self, arrival: &Arrival<'_>) -> Result<(), RemoteError>;
    fn ask(&self, arrival: &Arrival<'_>, within: Duration) -> Result<Answer, RemoteError>;
}

pub(crate) struct Published<A: Actor<Context = Ctx<A>>> {
    pub(crate) actor: Ref<A>,
    pub(crate) protocol: std::sync::Arc<Protocol<A>>,
}

impl<A: Actor<Context = Ctx<A>>> Published<A> {
    /// How the message enters, if it is part of the protocol and came on its lane: each lane has limits of its own.
    fn receive(&self, arrival: &Arrival<'_>) -> Result<&Receive<A>, RemoteError> {
        let receive = self.protocol.by_id.get(&arrival.id).filter(|receive| receive.lane == arrival.lane);
        receive.ok_or(RemoteError::UnknownMessage(arrival.id))
    }
}

impl<A: Actor<Context = Ctx<A>>> Inbound for Published<A> {
    fn tell(&self, arrival: &Arrival<'_>) -> Result<(), RemoteError> {
        (self.receive(arrival)?.tell)(&self.actor, arrival.payload, arrival.from)
    }

    fn ask(&self, arrival: &Arrival<'_>, within: Duration) -> Result<Answer, RemoteError> {
        (self.receive(arrival)?.ask)(&self.actor, arrival.payload, arrival.from, within)
    }
}

/// The way to one other node; whoever has connections provides it.
pub trait Route: Send + Sync + fmt::Debug {
    /// Where it leads.
    fn node(&self) -> &NodeName;

    /// Puts a message on its way.
    ///
    /// # Errors
    /// When it was not sent.
    fn tell(&self, lane: Lane, to: &ActorName, id: MessageId, payload: &[u8]) -> Result<(), RouteError>;

    /// Puts a question on its way. The answer, or why there is none, goes to `reply`.
    ///
    /// # Errors
    /// When it was not sent; `reply` is dropped then.
    fn ask(
        &self,
        lane: Lane,
        to: &ActorName,
        id: MessageId,
        payload: &[u8],
        within: Duration,
        reply: oneshot::Sender<Result<Bytes, AskError>>,
    ) -> Result<(), RouteError>;
}

/// A message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The lane's queue is full.
    #[error("the lane is full")]
    Full,
    /// There is no connection.
    #[error("{0}")]
    Unreachable(String),
    /// So many bytes are more than the lane carries in one message.
    #[error("{0} bytes are too long for the lane")]
    TooLong(usize),
}
