//! One life of one connection to another node, as its users see it.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use playhouse_wire::{Incarnation, Lane, NodeName};
use quinn::{Connection, VarInt};

use crate::limits::LANES;
use crate::queue::{Queue, SendError};
use crate::refusal::{GOODBYE, Refusal, cut};
use crate::signal::{Signal, lock};
use crate::stats::Counters;

/// What an endpoint tells the floor above. Its calls for one connection come one after the other, those of
/// [`Receiver::messages`] one after the other per lane.
///
/// A receiver must not own its [`crate::Endpoint`] (hold it weakly, or beside): the endpoint owns the receiver.
pub trait Receiver: Send + Sync + 'static {
    /// A connection is up: both sides have proven who they are. Comes before its first message.
    fn up(&self, peer: &Peer);

    /// The connection is gone. Comes after its last message, exactly once for each [`Receiver::up`].
    fn down(&self, peer: &Peer, reason: &str);

    /// Messages of one lane, in order. The lane is not read on until the future is done: that is the back-pressure. When the
    /// connection ends meanwhile, the future has [`crate::limits::DRAIN_MAX`] to finish and is dropped then.
    fn messages<'a>(&'a self, peer: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// A connection to another node, from its `up` to its `down`. Clones are the same connection; a later connection to the same node
/// is another peer.
#[derive(Clone)]
pub struct Peer(pub(crate) Arc<Link>);

/// Which side dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialler {
    Us,
    Them,
}

/// What a connection consists of; shared by its peers and tasks.
pub(crate) struct Link {
    pub(crate) node: NodeName,
    pub(crate) incarnation: Incarnation,
    pub(crate) dialler: Dialler,
    remote: SocketAddr,
    /// Taken out when the connection is gone: a peer that somebody keeps must not keep the socket.
    connection: Mutex<Option<Connection>>,
    queues: [Queue; LANES],
    /// The lanes that the peer has opened, a bit for each.
    pub(crate) opened: AtomicU8,
    /// Why it ended: the first word counts.
    reason: OnceLock<String>,
    /// To be closed as soon as all that is queued has arrived.
    pub(crate) goodbye: Signal,
    /// The receiver knows of it, or is being told.
    pub(crate) up: AtomicBool,
    /// The receiver knows that it is gone, or never knew of it.
    pub(crate) gone: Signal,
    pub(crate) counters: Arc<Counters>,
}

impl Peer {
    /// The node at the other end, as its certificate proves.
    pub fn node(&self) -> &NodeName {
        &self.0.node
    }

    /// Which life of that node.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// The address at which the connection began.
    pub fn remote_addr(&self) -> SocketAddr {
        self.0.remote
    }

    /// The present estimate of a round trip; zero when the connection is gone.
    pub fn rtt(&self) -> Duration {
        lock(&self.0.connection).as_ref().map_or(Duration::ZERO, Connection::rtt)
    }

    /// Queues `message` if its lane has room now. Messages of one sender on one lane arrive in order, or the connection ends.
    ///
    /// # Errors
    /// When there is no room, the connection has ended, or the message is too long for the lane: gives the message back.
    pub fn try_send(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        self.0.queue(lane).try_push(message)
    }

    /// Queues `message` as soon as its lane has room; senders are served in the order in which they began to wait. Cancel-safe: a
    /// dropped future has sent nothing.
    ///
    /// # Errors
    /// When the connection ends meanwhile or the message is too long for the lane: gives the message back.
    pub async fn send(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        self.0.queue(lane).push(message).await
    }

    /// Ends the connection at once, without waiting for what is queued. The peer is told `reason`.
    pub fn close(&self, reason: &str) {
        self.0.end(GOODBYE, reason);
    }

    /// Waits until the connection is gone and the receiver knows; why it went.
    pub async fn closed(&self) -> String {
        self.0.gone.wait().await;
        self.0.reason().to_string()
    }
}

impl PartialEq for Peer {
    /// Whether it is the same connection.
    fn eq(&self, other: &Peer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.0.node, self.0.incarnation, self.0.remote)
    }
}

impl Link {
    pub(crate) fn new(
        connection: &Connection,
        (node, incarnation): (NodeName, Incarnation),
        dialler: Dialler,
        counters: Arc<Counters>,
    ) -> Link {
        Link {
            node,
            incarnation,
            dialler,
            remote: connection.remote_address(),
            connection: Mutex::new(Some(connection.clone())),
            queues: Lane::ALL.map(Queue::new),
            opened: AtomicU8::new(1 << Lane::System as u8),
            reason: OnceLock::new(),
            goodbye: Signal::default(),
            up: AtomicBool::new(false),
            gone: Signal::default(),
            counters,
        }
    }

    pub(crate) fn queue(&self, lane: Lane) -> &Queue {
        &self.queues[lane as usize]
    }

    /// Whether messages may be sent on it: the receiver knows of it, and it has not ended.
    pub(crate) fn is_live(&self) -> bool {
        self.up.load(Ordering::SeqCst) && self.reason.get().is_none()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.reason.get().is_some()
    }

    pub(crate) fn reason(&self) -> &str {
        self.reason.get().map_or("", String::as_str)
    }

    /// Ends it at once. Only the first reason counts.
    pub(crate) fn end(&self, code: VarInt, reason: &str) {
        let _ = self.reason.set(cut(reason));
        self.queues.iter().for_each(Queue::close);
        if let Some(connection) = &*lock(&self.connection) {
            connection.close(code, self.reason().as_bytes());
        }
    }

    /// Ends it because the peer broke the rules.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        if !self.has_ended() {
            tracing::warn!(peer = %self.node, %refusal, "connection ended");
            self.counters.refused(refusal.kind());
        }
        self.end(refusal.code(), &refusal.to_string());
    }

    /// Takes no more messages, and ends it once those queued have arrived.
    pub(crate) fn say_goodbye(&self, reason: &str) {
        if self.reason.set(cut(reason)).is_ok() {
            self.queues.iter().for_each(Queue::close);
        }
        self.goodbye.set();
    }

    /// Lets go of the connection and of what was never written.
    pub(crate) fn release(&self) {
        lock(&self.connection).take();
        self.queues.iter().for_each(Queue::clear);
    }
}
