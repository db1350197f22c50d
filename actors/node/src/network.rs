//! Between connections and actors: packets in, packets out.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use playhouse_actors::{Arrival, Door, Origin, Outgoing, RawItems, Route, RouteError, System, Watching};
use playhouse_net::{Endpoint, Peer, Receiver, SendError};
use playhouse_wire::limits::DEADLINE_MAX;
use playhouse_wire::{ActorName, CallId, Exit, Incarnation, Lane, NodeName, Packet, Parcel, RemoteError};

use crate::calls::{Calls, Reply};
use crate::limits::{INBOUND_ASKS, INBOUND_DEADLINE};

/// Hears of connections: the peer, its life, and whether it came up or went down.
pub(crate) type Listener = Box<dyn Fn(&NodeName, Incarnation, bool) + Send + Sync>;

/// What receives from all peers.
pub(crate) struct Inbox {
    system: System,
    pub(crate) calls: Calls,
    listeners: Mutex<Vec<Arc<Listener>>>,
    open_asks: OpenAsks,
}

impl Inbox {
    pub(crate) fn new(system: System) -> Inbox {
        Inbox { system, calls: Calls::default(), listeners: Mutex::default(), open_asks: OpenAsks::default() }
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

    /// Takes one message. `last` is the door that the one before it went through: most go through the same.
    fn receive(&self, peer: &Peer, from: &Origin, lane: Lane, message: &Bytes, last: &mut Option<(Bytes, Opened)>) {
        match Packet::decode(message) {
            Ok(Packet::Tell(parcel)) => {
                let door = self.door(message, parcel.to, last);
                // Undeliverable tells are counted by the system; nobody waits for them.
                drop(self.system.receive_tell(parcel.to, door, &arrival(from, lane, &parcel)));
            }
            Ok(Packet::Ask { call, deadline_ms, parcel }) => {
                let within = Duration::from_millis(u64::from(deadline_ms)).min(INBOUND_DEADLINE);
                let door = self.door(message, parcel.to, last);
                self.answer(peer, call, door, &arrival(from, lane, &parcel), within);
            }
            Ok(Packet::Reply { call, payload }) => self.calls.answer(peer, call, Ok(message.slice_ref(payload))),
            Ok(Packet::Failed { call, error }) => self.calls.answer(peer, call, Err(error)),
            Ok(_) => peer.close("not understood yet"),
            Err(error) => {
                tracing::warn!(peer = %peer.node(), %error, "a message was no packet");
                peer.close("a message was no packet");
            }
        }
    }

    fn door<'a>(&self, message: &Bytes, to: &str, last: &'a mut Option<(Bytes, Opened)>) -> &'a Opened {
        if last.as_ref().is_none_or(|(name, _)| name != to.as_bytes()) {
            *last = None;
        }
        let (_, door) = last.get_or_insert_with(|| (message.slice_ref(to.as_bytes()), self.system.door(to)));
        door
    }

    fn answer(&self, peer: &Peer, call: CallId, door: &Opened, arrival: &Arrival<'_>, within: Duration) {
        let lane = arrival.lane;
        let failed = |error| {
            // If even this finds no room, the asker's deadline answers.
            drop(peer.try_send(lane, Packet::Failed { call, error }.encode().into()));
        };
        let Some(place) = Place::take(&self.open_asks, peer.node()) else { return failed(RemoteError::Full) };
        let answer = match self.system.receive_ask(door, arrival, within) {
            Ok(answer) => answer,
            Err(error) => return failed(error),
        };
        let peer = peer.clone();
        playhouse_rt::spawn(async move {
            let packet = match answer.await {
                Ok(payload) => Packet::Reply { call, payload: &payload }.encode(),
                Err(error) => Packet::Failed { call, error }.encode(),
            };
            if let Err(SendError::TooLong(packet)) = peer.send(lane, packet.into()).await {
                let error = RemoteError::Unsendable(format!("{} bytes are too long for its lane", packet.len()));
                drop(peer.send(lane, Packet::Failed { call, error }.encode().into()).await);
            }
            // Until here: an answer that its asker does not read counts as open.
            drop(place);
        });
    }
}

/// A door that was looked for: found, or why not.
type Opened = Result<Door, RemoteError>;

type OpenAsks = Arc<Mutex<BTreeMap<NodeName, usize>>>;

/// One of the [`INBOUND_ASKS`] places of a peer; free again when dropped.
struct Place {
    open: OpenAsks,
    peer: NodeName,
}

impl Place {
    fn take(open: &OpenAsks, peer: &NodeName) -> Option<Place> {
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer.clone()).or_default();
        (*count < INBOUND_ASKS).then(|| {
            *count += 1;
            Place { open: open.clone(), peer: peer.clone() }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
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
        let from = Origin { node: peer.node().clone(), incarnation: peer.incarnation() };
        // Within one batch only: between batches an actor may have ended and another may have its name.
        let mut last = None;
        for message in &batch {
            self.receive(peer, &from, lane, message, &mut last);
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
            SendError::TooLong(message) => RouteError::TooLong(message.len()),
        })
    }
}

impl Route for Way {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn tell(&self, message: &Outgoing<'_>) -> Result<(), RouteError> {
        self.send(&self.peer()?, message.lane, &Packet::Tell(parcel(message)))
    }

    fn ready<'a>(&'a self, _: Lane, _: &'a ActorName) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(playhouse_rt::sleep(Duration::from_millis(1)))
    }

    fn ask(&self, message: &Outgoing<'_>, within: Duration, reply: Reply) -> Result<u64, RouteError> {
        let peer = self.peer()?;
        let deadline_ms = within.min(DEADLINE_MAX).as_millis().try_into().unwrap_or(u32::MAX);
        let call = self.inbox.calls.open(&peer, message.to, reply).ok_or(RouteError::Full)?;
        let sent = self.send(&peer, message.lane, &Packet::Ask { call, deadline_ms, parcel: parcel(message) });
        if sent.is_err() {
            self.inbox.calls.forget(call);
        }
        sent.map(|()| call.0)
    }

    fn cancel(&self, call: u64) {
        self.inbox.calls.forget(CallId(call));
    }

    fn open(&self, _: &Outgoing<'_>, _: Duration) -> Result<RawItems, RouteError> {
        Err(RouteError::Unreachable("streams do not cross nodes yet".into()))
    }

    fn watch(&self, _: &ActorName, _: Option<&ActorName>) -> Watching {
        Box::pin(std::future::ready(Exit::NodeLost("watches do not cross nodes yet".into())))
    }

    fn stop(&self, _: &ActorName, _: Exit) {}
}

fn parcel<'a>(message: &Outgoing<'a>) -> Parcel<'a> {
    let Outgoing { to, id, priority, trace, payload, .. } = *message;
    Parcel { to: to.as_str(), message: id, priority, trace, payload }
}

fn arrival<'a>(from: &'a Origin, lane: Lane, parcel: &Parcel<'a>) -> Arrival<'a> {
    let Parcel { message: id, priority, trace, payload, .. } = *parcel;
    Arrival { from, lane, id, priority, trace, payload }
}
