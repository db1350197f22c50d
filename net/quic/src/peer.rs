//! One life of one connection to another node, as its users see it.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use playhouse_rt::{Instant, now};
use playhouse_wire::{Incarnation, Lane, NodeName};
use quinn::{Connection, VarInt};

use crate::datagram::{self, Budget, DatagramError};
use crate::health::{self, Health};
use crate::limits::{COPY_MAX, DATAGRAM_BURST, LANES};
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

    /// A datagram that the peer sent with [`Peer::try_send_datagram`]; between `up` and `down`, in no order with messages. Must not
    /// take long: meanwhile later ones wait in a buffer of [`crate::limits::DATAGRAM_BUFFER`] bytes, and are dropped when it is full.
    fn datagram(&self, peer: &Peer, bytes: Bytes) {
        let _ = (peer, bytes);
    }
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
    since: Instant,
    wire: Mutex<Wire>,
    /// Datagrams that may still be sent.
    budget: Mutex<Budget>,
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

/// A peer that somebody keeps must not keep the socket, so only figures stay of a connection that is gone.
enum Wire {
    Live(Connection),
    Gone(Health),
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

    /// A number that both ends of this connection know, and that no other connection has: made of its keys (RFC 5705). None when the
    /// connection is gone.
    pub fn number(&self) -> Option<u64> {
        let Wire::Live(connection) = &*lock(&self.0.wire) else { return None };
        let mut number = [0; 8];
        connection.export_keying_material(&mut number, b"EXPERIMENTAL playhouse connection number", b"").ok()?;
        Some(u64::from_le_bytes(number))
    }

    /// The peer's address now, or at the end. It may change while the connection goes on: nodes behind a NAT are moved, and
    /// [`crate::Endpoint::rebind`] moves.
    pub fn remote_addr(&self) -> SocketAddr {
        match &*lock(&self.0.wire) {
            Wire::Live(connection) => connection.remote_address(),
            Wire::Gone(health) => health.remote_addr,
        }
    }

    /// How the connection fares, or fared at its end.
    pub fn health(&self) -> Health {
        match &*lock(&self.0.wire) {
            Wire::Live(connection) => health::of(connection, self.0.since),
            Wire::Gone(health) => *health,
        }
    }

    /// The present estimate of a round trip; zero when the connection is gone.
    pub fn rtt(&self) -> Duration {
        match &*lock(&self.0.wire) {
            Wire::Live(connection) => connection.rtt(),
            Wire::Gone(_) => Duration::ZERO,
        }
    }

    /// Queues `message` if its lane has room now. Messages of one sender on one lane arrive in order, or the connection ends.
    ///
    /// # Errors
    /// When there is no room, the connection has ended, or the message is too long for the lane: gives the message back.
    pub fn try_send(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        self.0.queue(lane).try_push(message)
    }

    /// As [`Peer::try_send`], for a message that the caller keeps: a short one costs no allocation.
    ///
    /// # Errors
    /// As [`Peer::try_send`].
    pub fn try_send_copy(&self, lane: Lane, message: &[u8]) -> Result<(), SendError> {
        if message.len() <= COPY_MAX {
            self.0.queue(lane).try_push_copy(message)
        } else {
            self.try_send(lane, Bytes::copy_from_slice(message))
        }
    }

    /// Queues `message` as soon as its lane has room; senders are served in the order in which they began to wait. Cancel-safe: a
    /// dropped future has sent nothing.
    ///
    /// # Errors
    /// When the connection ends meanwhile or the message is too long for the lane: gives the message back.
    pub async fn send(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        self.0.queue(lane).push(message).await
    }

    /// Sends `bytes` as a datagram: before all that waits in lanes, once, and without a promise that it arrives. Never waits. When
    /// the path has no room, the oldest datagrams that have not left are dropped (see [`crate::limits::DATAGRAM_BUFFER`]).
    ///
    /// # Errors
    /// When it is too long, one too many, or cannot be sent on this connection: gives the bytes back.
    pub fn try_send_datagram(&self, bytes: Bytes) -> Result<(), DatagramError> {
        match &*lock(&self.0.wire) {
            Wire::Live(connection) if !self.0.has_ended() => {
                datagram::send(connection, &mut lock(&self.0.budget), bytes)?;
                self.0.counters.unreliable_sent();
                Ok(())
            }
            _ => Err(DatagramError::Closed(bytes)),
        }
    }

    /// Waits until a message of this length may find room in the lane, or the connection has ended. It takes no room: of several who
    /// wait here for one lane, let one wait at a time, or they pass the room on to each other.
    pub async fn room(&self, lane: Lane, length: usize) {
        self.0.queue(lane).room(length).await;
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
        write!(f, "{} {} at {}", self.0.node, self.0.incarnation, self.remote_addr())
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
            since: now(),
            wire: Mutex::new(Wire::Live(connection.clone())),
            budget: Mutex::new(Budget::new(DATAGRAM_BURST, now())),
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
        if let Wire::Live(connection) = &*lock(&self.wire) {
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
        let mut wire = lock(&self.wire);
        if let Wire::Live(connection) = &*wire {
            *wire = Wire::Gone(health::of(connection, self.since));
        }
        drop(wire);
        self.queues.iter().for_each(Queue::clear);
    }
}
