//! Between connections and actors: packets in, packets out.
//!
//! Nothing waits here without a bound. A tell waits for room in a mailbox within the credit that its sender was granted for that actor,
//! and that its node has for all of them, so no lane is ever held up; a stream's items wait at its reader within the room that the reader granted; asks, streams and watches are counted.

mod calls;
mod conn;
mod datagrams;
mod flow;
mod inflow;
mod items;
mod served;
mod way;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use playhouse_actors::{Arrival, Door, Exit, Origin, System};
use playhouse_net::{Peer, Receiver};
use playhouse_rt::ledger::Tag;
use playhouse_wire::packet::error_text;
use playhouse_wire::{Incarnation, Lane, NodeName, Packet, Parcel, RemoteError};

use crate::limits::INBOUND_DEADLINE;
use crate::status::PeerStatus;
use conn::Conn;
use inflow::Inflow;

pub(crate) use way::{Roads, Way};

/// Hears of connections: the peer, its life, and whether it came up or went down.
pub(crate) type Listener = Box<dyn Fn(&NodeName, Incarnation, bool) + Send + Sync>;

/// A door that was looked for: found, or why not.
type Opened = Result<Door, RemoteError>;

/// Why a call is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// Too many are open.
    Full,
    /// One of that number is.
    Twice,
    /// The connection has ended.
    Over,
}

/// The other node breaks the rules: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BadPeer(&'static str);

/// Locks. What a panicking holder left is taken as it is: every change under our locks is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Cuts an exit's text to what may cross the wire.
fn short(exit: Exit) -> Exit {
    match exit {
        Exit::Panicked(text) => Exit::Panicked(error_text(text)),
        Exit::Failed(text) => Exit::Failed(error_text(text)),
        Exit::Linked(text) => Exit::Linked(error_text(text)),
        Exit::NodeLost(text) => Exit::NodeLost(error_text(text)),
        short => short,
    }
}

fn arrival<'a>(from: &'a Arc<Origin>, lane: Lane, parcel: &Parcel<'a>, tag: Tag) -> Arrival<'a> {
    let Parcel { message: id, priority, trace, payload, .. } = *parcel;
    Arrival { from, lane, id, priority, trace, payload, tag }
}

/// What receives from all peers.
pub(crate) struct Inbox {
    system: System,
    listeners: Mutex<Vec<Arc<Listener>>>,
    conns: Mutex<BTreeMap<NodeName, Arc<Conn>>>,
    /// The next call's number.
    numbers: Arc<AtomicU64>,
}

/// Where the last message of a batch went: most go to the same actor.
struct To {
    name: Bytes,
    door: Opened,
    inflow: Option<Arc<Inflow>>,
    /// Some of its messages may come as datagrams.
    unreliable: bool,
}

impl Inbox {
    pub(crate) fn new(system: System) -> Inbox {
        Inbox { system, listeners: Mutex::default(), conns: Mutex::default(), numbers: Arc::default() }
    }

    pub(crate) fn listen(&self, listener: Listener) {
        lock(&self.listeners).push(Arc::new(listener));
    }

    fn announce(&self, peer: &Peer, up: bool) {
        // Called outside the lock: a listener may send.
        let listeners = lock(&self.listeners).clone();
        for listener in listeners {
            listener(peer.node(), peer.incarnation(), up);
        }
    }

    /// What goes on through a connection that is up. `is_live` looks whether it still is: one may be found before its `up` comes.
    fn conn(&self, peer: &Peer, is_live: impl FnOnce() -> bool) -> Option<Arc<Conn>> {
        let known = lock(&self.conns).get(peer.node()).filter(|conn| conn.peer == *peer).cloned();
        known.or_else(|| {
            let conn = self.entry(peer);
            if is_live() {
                return Some(conn);
            }
            // Its `down` may have come before there was anything to take away.
            self.remove(peer, "the connection ended");
            None
        })
    }

    fn entry(&self, peer: &Peer) -> Arc<Conn> {
        let mut conns = lock(&self.conns);
        if let Some(conn) = conns.get(peer.node()).filter(|conn| conn.peer == *peer) {
            return conn.clone();
        }
        let conn = Arc::new(Conn::new(peer, self.numbers.clone()));
        conns.insert(peer.node().clone(), conn.clone());
        conn
    }

    fn remove(&self, peer: &Peer, reason: &str) {
        let conn = {
            let mut conns = lock(&self.conns);
            let is_it = conns.get(peer.node()).is_some_and(|conn| conn.peer == *peer);
            is_it.then(|| conns.remove(peer.node())).flatten()
        };
        if let Some(conn) = conn {
            conn.end(reason);
        }
    }

    fn conns(&self) -> Vec<Arc<Conn>> {
        lock(&self.conns).values().cloned().collect()
    }

    /// Waits until all that was asked of this node is answered.
    pub(crate) async fn settled(&self) {
        for conn in self.conns() {
            playhouse_rt::select! {
                () = conn.served.settled() => {}
                () = conn.over() => {}
            }
        }
    }

    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        let status = |conn: Arc<Conn>| PeerStatus {
            node: conn.origin.node.clone(),
            incarnation: conn.origin.incarnation,
            address: conn.peer.remote_addr(),
            rtt: conn.peer.rtt(),
            calls: conn.calls.len(),
            served: conn.served.len(),
            told: conn.flows.used(),
            waiting: conn.inflows.waiting(),
            datagrams: conn.datagrams.counts(),
        };
        self.conns().into_iter().map(status).collect()
    }

    fn receive_all(&self, conn: &Arc<Conn>, lane: Lane, batch: Vec<Bytes>) {
        // Within one batch only: between batches an actor may have ended and another may have its name.
        let mut last = None;
        let _reading = self.system.reading();
        for message in batch {
            if let Err(BadPeer(why)) = self.receive(conn, lane, &message, &mut last) {
                tracing::warn!(peer = %conn.origin.node, why, "the peer breaks the rules");
                // In a simulation all nodes are of this build, unless a test has one that is not; so scenarios judge it, not the code.
                playhouse_rt::reachable!("bad-peer");
                conn.peer.close(why);
                // Nothing that it says counts any more.
                return;
            }
        }
    }

    fn receive(&self, conn: &Arc<Conn>, lane: Lane, message: &Bytes, last: &mut Option<To>) -> Result<(), BadPeer> {
        let within = |ms: u32| Duration::from_millis(u64::from(ms)).min(INBOUND_DEADLINE);
        match Packet::decode(message) {
            Ok(Packet::Tell(parcel)) => {
                let to = self.door(message, parcel.to, last);
                if to.unreliable {
                    datagrams::came_on_lane(conn, &to.door, message, &parcel);
                }
                if to.inflow.is_none() {
                    to.inflow = conn.inflows.find(conn, lane, parcel.to)?;
                }
                inflow::take(conn, &self.system, to.inflow.as_ref(), lane, (message, conn.arrived(lane)), &parcel, &to.door)?;
            }
            // As with a mailbox here: nobody overtakes those who wait, and a question does not wait.
            Ok(Packet::Ask { call, parcel, .. } | Packet::Open { call, parcel, .. })
                if conn.inflows.wait_for(lane, parcel.to) =>
            {
                let _ = conn.arrived(lane);
                conn.post(lane, &Packet::Failed { call, error: RemoteError::Full });
            }
            Ok(Packet::Ask { call, deadline_ms, parcel }) => {
                let to = self.door(message, parcel.to, last);
                let arrival = arrival(&conn.origin, lane, &parcel, conn.arrived(lane));
                served::ask(conn, &self.system, &to.door, call, &arrival, within(deadline_ms))?;
            }
            Ok(Packet::Open { call, deadline_ms, window, parcel }) => {
                let to = self.door(message, parcel.to, last);
                let arrival = arrival(&conn.origin, lane, &parcel, conn.arrived(lane));
                served::stream(conn, &self.system, &to.door, (call, window), &arrival, within(deadline_ms))?;
            }
            Ok(Packet::Reply { call, payload }) => conn.calls.reply(call, message.slice_ref(payload)),
            Ok(Packet::Failed { call, error }) => conn.calls.failed(call, error),
            Ok(Packet::Item { call, payload }) => {
                if let Some((items, bytes)) = conn.calls.item(call, message.slice_ref(payload))? {
                    conn.post(Lane::System, &Packet::More { call, items, bytes: bytes as u64 });
                }
            }
            Ok(Packet::Done { call }) => conn.calls.done(call),
            Ok(Packet::More { call, items, bytes }) => conn.served.more(call, items, bytes)?,
            Ok(Packet::Cancel { call }) => conn.served.cancel(call),
            Ok(Packet::Watch { call, to, link }) => served::watch(conn, self.system.door(to), call, to, link)?,
            Ok(Packet::Ended { call, exit }) => conn.calls.ended(call, exit),
            Ok(Packet::Stop { to, exit }) => {
                if let Ok(door) = self.system.door(to)
                    && !door.stop(exit)
                {
                    tracing::warn!(peer = %conn.origin.node, actor = to, "an actor that must not be stopped from elsewhere was to be");
                }
            }
            Ok(Packet::Credit { to, lane, bytes }) => {
                conn.flows.grant(lane, to, bytes)?;
                conn.granted();
            }
            // It is said in a datagram, for nodes that do not know it; here it means the same.
            Ok(Packet::Datagrams { to, message, may }) => conn.datagrams.note(to, message, may),
            Err(error) => {
                tracing::warn!(peer = %conn.origin.node, %error, "a message was no packet");
                return Err(BadPeer("a message was no packet"));
            }
        }
        Ok(())
    }

    fn door<'a>(&self, message: &Bytes, to: &str, last: &'a mut Option<To>) -> &'a mut To {
        if last.as_ref().is_none_or(|last| last.name != to.as_bytes()) {
            *last = None;
        }
        let find = || {
            let door = self.system.door(to);
            let unreliable = door.as_ref().is_ok_and(Door::has_unreliable);
            To { name: message.slice_ref(to.as_bytes()), door, inflow: None, unreliable }
        };
        last.get_or_insert_with(find)
    }
}

impl Receiver for Inbox {
    fn up(&self, peer: &Peer) {
        playhouse_rt::ledger::record("link", || format!("{}{} up", peer.node(), peer.incarnation()));
        self.entry(peer).start();
        self.announce(peer, true);
    }

    fn down(&self, peer: &Peer, reason: &str) {
        playhouse_rt::ledger::record("link", || format!("{}{} down: {reason}", peer.node(), peer.incarnation()));
        self.remove(peer, reason);
        self.announce(peer, false);
    }

    fn messages<'a>(&'a self, peer: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        // A lane is always read on: behind what cannot be taken now may lie the answer that lets it be taken.
        if let Some(conn) = self.conn(peer, || true) {
            self.receive_all(&conn, lane, batch);
        }
        Box::pin(std::future::ready(()))
    }

    fn datagram(&self, peer: &Peer, bytes: Bytes) {
        if let Some(conn) = self.conn(peer, || true) {
            datagrams::receive(&conn, &self.system, &bytes);
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox of {}", self.system.node())
    }
}
