//! The way to other nodes, as whoever has connections provides it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use playhouse_rt::ledger::Tag;
use playhouse_rt::sync::oneshot;
use playhouse_wire::{ActorName, Exit, Lane, MessageId, NodeName, Priority, Trace};

use crate::AskError;
use crate::watch::Watching;

/// A message on its way to another node.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The lane that it takes.
    pub lane: Lane,
    /// A tell may go as a datagram instead, if the other node takes it so.
    pub unreliable: bool,
    /// The actor's name there.
    pub to: &'a ActorName,
    /// Its type.
    pub id: MessageId,
    /// How urgent it is.
    pub priority: Priority,
    /// What it is part of.
    pub trace: Option<Trace>,
    /// The encoded message.
    pub payload: &'a [u8],
    /// Joins what the ledger of a simulation says of it; the route says by which way it [leaves](Tag::leaves).
    pub tag: Tag,
}

/// The way to one other node; whoever has connections provides it.
pub trait Route: Send + Sync + fmt::Debug {
    /// Where it leads.
    fn node(&self) -> &NodeName;

    /// Puts a message on its way.
    ///
    /// # Errors
    /// When it was not sent.
    fn tell(&self, message: &Outgoing<'_>) -> Result<(), RouteError>;

    /// Waits until a tell on this lane to this actor, which was refused as [`RouteError::Full`], may succeed; or cannot, because there is
    /// no connection.
    fn ready<'a>(&'a self, lane: Lane, to: &'a ActorName) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Puts a question on its way. The answer, or why there is none, goes to `reply`. Gives a number to cancel it by.
    ///
    /// # Errors
    /// When it was not sent; `reply` is dropped then.
    fn ask(
        &self,
        message: &Outgoing<'_>,
        within: Duration,
        reply: oneshot::Sender<Result<Bytes, AskError>>,
    ) -> Result<u64, RouteError>;

    /// The answer to this ask is not wanted any more. One that has been answered changes nothing.
    fn cancel(&self, call: u64);

    /// Puts a question with many answers on its way.
    ///
    /// # Errors
    /// When it was not sent.
    fn open(&self, message: &Outgoing<'_>, within: Duration) -> Result<RawItems, RouteError>;

    /// Watches an actor. With `link`, the name of an actor of this node, the actor there is stopped when the connection ends while it is
    /// watched.
    fn watch(&self, to: &ActorName, link: Option<&ActorName>) -> Watching;

    /// Stops an actor, if it allows that.
    fn stop(&self, to: &ActorName, exit: Exit);
}

/// The encoded answers to one question, as they come. Dropped, no more are wanted.
pub type RawItems = Pin<Box<dyn PollItems>>;

/// Encoded answers that come one by one.
pub trait PollItems: Send {
    /// The next one; `None` after the last, an error when there should have been more.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AskError>>>;
}

/// A message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The lane's queue is full, or the actor's node has granted no more.
    #[error("the lane is full")]
    Full,
    /// There is no connection.
    #[error("{0}")]
    Unreachable(String),
    /// So many bytes are more than the lane carries in one message.
    #[error("{0} bytes are too long for the lane")]
    TooLong(usize),
}
