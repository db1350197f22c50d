//! Which messages of an actor can come from other nodes, under which numbers.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use actix::{Actor, Handler, Message};
use playhouse_rt::ledger::Tag;
use playhouse_wire::{EncodeError, Incarnation, Lane, MessageId, NodeName, Priority, Trace, encode_into};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Ctx;
use crate::ask::Decode;
use crate::common::Common;
use crate::inbound::{Receive, Reception, receive_ask, receive_open, receive_tell};
use crate::passage::decode_here;
use crate::route::RawItems;
use crate::stream::Streaming;

/// An actor that other nodes may speak to.
pub trait Remote: Actor<Context = Ctx<Self>> {
    /// Lists its messages. Called once per node; the same list on both sides is what lets them talk.
    fn protocol(protocol: &mut Protocol<Self>);
}

/// The messages that an actor understands from other nodes.
///
/// A message that changes its fields gets a new version: the actor lists both for as long as nodes of both kinds live, and a node that
/// knows only the older one answers the newer with [`crate::AskError::NotUnderstood`].
pub struct Protocol<A: Actor<Context = Ctx<A>>> {
    by_type: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
    by_id: BTreeMap<MessageId, Receive<A>>,
}

/// How a message type leaves a node.
pub(crate) struct Codec<M: Message> {
    pub(crate) id: MessageId,
    pub(crate) lane: Lane,
    /// A tell of it may go as a datagram.
    pub(crate) unreliable: bool,
    /// Into this buffer, which is empty.
    pub(crate) encode: fn(&M, Vec<u8>) -> Result<Vec<u8>, EncodeError>,
    pub(crate) answers: Answers<M::Result>,
}

/// How the answers to a message come back.
pub(crate) enum Answers<R> {
    One(Decode<R>),
    Many(fn(RawItems, Arc<Common>) -> R),
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
    /// The node that sent it: shared by all messages of its connection.
    pub from: &'a Arc<Origin>,
    /// The lane that it came on.
    pub lane: Lane,
    /// Its type.
    pub id: MessageId,
    /// How urgent it is.
    pub priority: Priority,
    /// What it is part of.
    pub trace: Option<Trace>,
    /// The encoded message.
    pub payload: &'a [u8],
    /// Joins what the ledger of a simulation says of it.
    pub tag: Tag,
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
        let answers = Answers::One(decode_here);
        self.add::<M>((id, lane, false), answers, Reception::One(receive_ask::<A, M>))
    }

    /// As [`Protocol::message_on`], for a message that matters only while it is fresh: a heartbeat, a position, a level. A tell of it
    /// leaves as a datagram, before all that waits in lanes: it may be lost, come late, or come behind one that was told after it, and
    /// its sender does not learn that. What is newest is for the receiver to know: give the message a number or a time. It costs no
    /// credit; one that finds a full mailbox is lost.
    ///
    /// A tell takes its lane, with all that the lane promises, when it is too long for a datagram, when too many go at once, or until
    /// the other node has said that this actor takes it so; an ask always does.
    ///
    /// # Panics
    /// As [`Protocol::message`].
    pub fn unreliable_on<M>(&mut self, id: MessageId, lane: Lane) -> &mut Self
    where
        A: Handler<M>,
        M: Message + Serialize + DeserializeOwned + Send + 'static,
        M::Result: Serialize + DeserializeOwned + Send,
    {
        let answers = Answers::One(decode_here);
        self.add::<M>((id, lane, true), answers, Reception::One(receive_ask::<A, M>))
    }

    /// Adds message type `M`, which is answered by many items, as number `id` in version 1, on the bulk lane.
    ///
    /// # Panics
    /// As [`Protocol::message`].
    pub fn stream<M, T>(&mut self, id: u32) -> &mut Self
    where
        A: Handler<M>,
        M: Message<Result = Streaming<T>> + Serialize + DeserializeOwned + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        self.stream_on::<M, T>(MessageId { id, version: 1 }, Lane::Bulk)
    }

    /// Adds message type `M`, which is answered by many items, under a number and version, on a lane.
    ///
    /// # Panics
    /// As [`Protocol::message`].
    pub fn stream_on<M, T>(&mut self, id: MessageId, lane: Lane) -> &mut Self
    where
        A: Handler<M>,
        M: Message<Result = Streaming<T>> + Serialize + DeserializeOwned + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let answers = Answers::Many(|items, common| Streaming::remote(items, common));
        self.add::<M>((id, lane, false), answers, Reception::Many(receive_open::<A, M, T>))
    }

    fn add<M>(
        &mut self,
        (id, lane, unreliable): (MessageId, Lane, bool),
        answers: Answers<M::Result>,
        reception: Reception<A>,
    ) -> &mut Self
    where
        A: Handler<M>,
        M: Message + Serialize + DeserializeOwned + Send + 'static,
        M::Result: Send,
    {
        let codec = Codec::<M> { id, lane, unreliable, encode: |message, buffer| encode_into(message, buffer), answers };
        assert!(self.by_type.insert(TypeId::of::<M>(), Box::new(codec)).is_none(), "message {id} is in the protocol twice");
        let receive = Receive { lane, unreliable, tell: receive_tell::<A, M>, reception };
        assert!(self.by_id.insert(id, receive).is_none(), "two messages have the number {id}");
        self
    }

    pub(crate) fn codec<M: Message + 'static>(&self) -> Option<&Codec<M>> {
        self.by_type.get(&TypeId::of::<M>())?.downcast_ref()
    }

    pub(crate) fn receive(&self, id: MessageId) -> Option<&Receive<A>> {
        self.by_id.get(&id)
    }

    pub(crate) fn has_unreliable(&self) -> bool {
        self.by_id.values().any(|receive| receive.unreliable)
    }
}

impl<A: Actor<Context = Ctx<A>>> fmt::Debug for Protocol<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_id.keys()).finish()
    }
}
