//! Between connections and actors: packets in, packets out.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use playhouse_actors::{Route, RouteError, System};
use playhouse_net::{Endpoint, Peer, Receiver, SendError};
use playhouse_wire::limits::DEADLINE_MAX;
use playhouse_wire::{ActorName, CallId, Incarnation, Lane, MessageId, NodeName, Packet, RemoteError};

use crate::calls::{Calls, Reply};
use crate::limits::INBOUND_ASKS;

/// Hears of connections: the peer, its life, and whether it came up or went down.
pub(crate) type Listener = Box<dyn Fn(&NodeName, Incarnation, bool) + Send + Sync>;

/// What receives from all peers.
pub(crate) struct Inbox {
    system: System,
    pub(crate) calls: Calls,
    listeners: Mutex<Vec<Arc<Listener>>>,
    open_asks: Arc<AtomicUsize>,
    /// Packets that could not be read or answered.
    pub(crate) garbage: AtomicU64,
}

impl Inbox {
    pub(crate) fn new(system: System) -> Inbox {
        Inbox {
            system,
            calls: Calls::default(),
            listeners: Mutex::default(),
            open_asks: Arc::default(),
            garbage: AtomicU64::new(0),
        }
    }

    pub(crate) fn listen(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(listener));
    }

    fn announce(&self, peer: &Peer, up: bool) {
        // Called outside the lock: a listener may send.
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener(peer.node(), peer.incarnation(), up);
        }
    }

    fn receive(&self, peer: &Peer, lane: Lane, message: &Bytes) {
        match Packet::decode(message) {
            // Undeliverable tells are counted by the system; nobody waits for them.
            Ok(Packet::Tell { to, message, payload }) => drop(self.system.receive_tell(to, message, payload)),
            Ok(Packet::Ask { call, to, message, deadline_ms, payload }) => {
                let within = Duration::from_millis(u64::from(deadline_ms));
                self.answer(peer, lane, call, to, message, payload, within);
            }
            Ok(Packet::Reply { call, payload }) => self.calls.answer(peer, call, Ok(message.slice_ref(payload))),
            Ok(Packet::Failed { call, error }) => self.calls.answer(peer, call, Err(error)),
            Err(error) => {
                self.garbage.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(peer = %peer.node(), %error, "a message was no packet");
                peer.close("a message was no packet");
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one packet")]
    fn answer(&self, peer: &Peer, lane: Lane, call: CallId, to: &str, id: MessageId, payload: &[u8], within: Duration) {
        let failed = |error| {
            // If even this finds no room, the asker's deadline answers.
            drop(peer.try_send(lane, Packet::Failed { call, error }.encode().into()));
        };
        if self.open_asks.load(Ordering::Relaxed) >= INBOUND_ASKS {
            return failed(RemoteError::Full);
        }
        let answer = match self.system.receive_ask(to, id, payload, within) {
            Ok(answer) => answer,
            Err(error) => return failed(error),
        };
        self.open_asks.fetch_add(1, Ordering::Relaxed);
        let (peer, open_asks) = (peer.clone(), self.open_asks.clone());
        playhouse_rt::spawn(async move {
            let packet = match answer.await {
                Ok(payload) => Packet::Reply { call, payload: &payload }.encode(),
                Err(error) => Packet::Failed { call, error }.encode(),
            };
            open_asks.fetch_sub(1, Ordering::Relaxed);
            if let Err(SendError::TooLong(packet)) = peer.send(lane, packet.into()).await {
                let error = RemoteError::Unsendable(format!("{} bytes are too long for its lane", packet.len()));
                drop(peer.send(lane, Packet::Failed { call, error }.encode().into()).await);
            }
        });
    }
}

impl Receiver for Inbox {
    fn up(&self, peer: &Peer) {
        playhouse_rt::ledger::record("link", || format!("{}{} up", peer.node(), peer.incarnation()));
        self.announce(peer, true);
    }

    fn down(&self, peer: &Peer, reason: &str) {
        playhouse_rt::ledger::record("link", || format!("{}{} down: {reason}", peer.node(), peer.incarnation()));
        self.calls.lost(peer, reason);
        self.announce(peer, false);
    }

    fn messages<'a>(&'a self, peer: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        for message in &batch {
            self.receive(peer, lane, message);
        }
        Box::pin(std::future::ready(()))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox of {}", self.system.node())
    }
}

/// The way to another node through its connection, whichever that is at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) node: NodeName,
    pub(crate) endpoint: Endpoint,
    pub(crate) inbox: Arc<Inbox>,
}

impl Way {
    fn peer(&self) -> Result<Peer, RouteError> {
        self.endpoint.peer(&self.node).ok_or_else(|| {
            let why = self.endpoint.last_error(&self.node);
            RouteError::Unreachable(why.unwrap_or_else(|| format!("no connection to {}", self.node)))
        })
    }

    fn send(&self, peer: &Peer, lane: Lane, packet: &Packet<'_>) -> Result<(), RouteError> {
        peer.try_send(lane, packet.encode().into()).map_err(|error| match error {
            SendError::Full(_) => RouteError::Full,
            SendError::Closed(_) => RouteError::Unreachable(format!("the connection to {} ended", self.node)),
            SendError::TooLong(message) => {
                RouteError::Unreachable(format!("a message of {} bytes is too long for the {lane:?} lane", message.len()))
            }
        })
    }
}

impl Route for Way {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn tell(&self, lane: Lane, to: &ActorName, message: MessageId, payload: &[u8]) -> Result<(), RouteError> {
        self.send(&self.peer()?, lane, &Packet::Tell { to: to.as_str(), message, payload })
    }

    fn ask(
        &self,
        lane: Lane,
        to: &ActorName,
        message: MessageId,
        payload: &[u8],
        within: Duration,
        reply: Reply,
    ) -> Result<(), RouteError> {
        let peer = self.peer()?;
        let deadline_ms = within.min(DEADLINE_MAX).as_millis().try_into().unwrap_or(u32::MAX);
        let call = self.inbox.calls.open(&peer, to, reply).ok_or(RouteError::Full)?;
        let sent = self.send(&peer, lane, &Packet::Ask { call, to: to.as_str(), message, deadline_ms, payload });
        if sent.is_err() {
            self.inbox.calls.forget(call);
        }
        sent
    }
}
