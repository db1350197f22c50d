//! One connection, from its `up` to its `down`, and all that goes on through it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use playhouse_actors::{Origin, RouteError};
use playhouse_net::limits::MESSAGE_WEIGHT;
use playhouse_net::{Peer, SendError};
use playhouse_rt::ledger::Tag;
use playhouse_rt::sync::{Notify, Semaphore};
use playhouse_wire::{CallId, Lane, NodeName, Packet};

use super::calls::Calls;
use super::datagrams::Datagrams;
use super::flow::Flows;
use super::inflow::Inflows;
use super::lock;
use super::served::Served;
use crate::limits::OUTBOX;

pub(crate) struct Conn {
    pub(crate) peer: Peer,
    pub(crate) origin: Arc<Origin>,
    /// What is asked from here.
    pub(crate) calls: Calls,
    /// What is asked from there.
    pub(crate) served: Served,
    /// What is told from here.
    pub(crate) flows: Flows,
    /// What is told from there.
    pub(crate) inflows: Inflows,
    pub(crate) datagrams: Datagrams,
    /// Small packets that must arrive and found no room in their lane: no lane waits for another.
    outboxes: [Outbox; 4],
    /// Bytes that wait in all of them, each packet with its [`MESSAGE_WEIGHT`].
    boxed: AtomicUsize,
    lanes: [Gate; 4],
    /// Credit came.
    granted: Notify,
    /// Who waits until anything may be told at all.
    turn: Semaphore,
    over: OnceLock<String>,
    ended: Notify,
}

/// Those who wait for room in a lane.
struct Gate {
    /// One after the other.
    turn: Semaphore,
    /// The length of the message that found none.
    refused: AtomicUsize,
}

#[derive(Default)]
struct Outbox {
    packets: Mutex<VecDeque<Bytes>>,
    filled: Notify,
}

impl Conn {
    pub(crate) fn new(peer: &Peer, numbers: Arc<AtomicU64>) -> Conn {
        Conn {
            peer: peer.clone(),
            origin: Arc::new(Origin { node: peer.node().clone(), incarnation: peer.incarnation() }),
            calls: Calls::new(numbers),
            served: Served::default(),
            flows: Flows::default(),
            inflows: Inflows::default(),
            datagrams: Datagrams::default(),
            outboxes: Default::default(),
            boxed: AtomicUsize::new(0),
            lanes: [(); 4].map(|()| Gate { turn: Semaphore::new(1), refused: AtomicUsize::new(0) }),
            granted: Notify::new(),
            turn: Semaphore::new(1),
            over: OnceLock::new(),
            ended: Notify::new(),
        }
    }

    /// Starts what works beside the receiver. Once, within the runtime.
    pub(crate) fn start(self: &Arc<Conn>) {
        for lane in Lane::ALL {
            playhouse_rt::spawn(empty(self.clone(), lane));
        }
    }

    /// A message for an actor left by this lane.
    pub(crate) fn left(&self, lane: Lane, tag: Tag, own: &NodeName) {
        tag.leaves(|| format!("{:?} {lane:?} {own}", self.peer.number()));
    }

    /// A message for an actor came by this lane. Exact, as a lane keeps its order.
    pub(crate) fn arrived(&self, lane: Lane) -> Tag {
        Tag::arrived(|| format!("{:?} {lane:?} {}", self.peer.number(), self.origin.node))
    }

    /// The connection ended.
    pub(crate) fn end(&self, reason: &str) {
        let _ = self.over.set(reason.to_string());
        self.ended.notify_waiters();
        self.granted.notify_waiters();
        for outbox in &self.outboxes {
            outbox.filled.notify_one();
        }
        self.flows.end();
        self.served.end();
        self.calls.end(reason);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// Why it ended.
    pub(crate) fn reason(&self) -> &str {
        self.over.get().map_or("", String::as_str)
    }

    /// Waits until it has ended.
    pub(crate) async fn over(&self) {
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        if !self.is_over() {
            ended.await;
        }
    }

    /// Puts a packet on its way, if its lane has room now.
    pub(crate) fn send(&self, lane: Lane, packet: &Packet<'_>) -> Result<(), RouteError> {
        self.peer.try_send(lane, packet.encode().into()).map_err(|error| self.unsent(lane, error))
    }

    /// As [`Conn::send`], for a short packet: encoded into `scratch`, which is kept for the next one.
    pub(crate) fn send_short(&self, lane: Lane, packet: &Packet<'_>, scratch: &mut Vec<u8>) -> Result<(), RouteError> {
        scratch.clear();
        packet.encode_into(scratch);
        self.peer.try_send_copy(lane, scratch).map_err(|error| self.unsent(lane, error))
    }

    fn unsent(&self, lane: Lane, error: SendError) -> RouteError {
        match error {
            SendError::Full(message) => {
                self.lanes[lane as usize].refused.store(message.len(), Relaxed);
                RouteError::Full
            }
            SendError::Closed(_) => RouteError::Unreachable(format!("the connection to {} ended", self.origin.node)),
            SendError::TooLong(message) => RouteError::TooLong(message.len()),
        }
    }

    /// Waits until the message that found no room in this lane may find some, or the connection has ended.
    pub(crate) async fn room(&self, lane: Lane) {
        let gate = &self.lanes[lane as usize];
        let _turn = gate.turn.acquire().await;
        self.peer.room(lane, gate.refused.load(Relaxed)).await;
    }

    /// Credit came for some actor.
    pub(crate) fn granted(&self) {
        self.granted.notify_waiters();
    }

    /// Waits until credit comes for some actor, or the connection has ended.
    pub(crate) async fn grant(&self, needed: impl Fn() -> bool) {
        let mut granted = std::pin::pin!(self.granted.notified());
        granted.as_mut().enable();
        if needed() && !self.is_over() {
            granted.await;
        }
    }

    /// Waits until something may be told to some actor, or the connection has ended.
    pub(crate) async fn credit(&self) {
        if self.flows.are_full() {
            // One after the other: each may use up what came.
            let _turn = self.turn.acquire().await;
            while self.flows.are_full() && !self.is_over() {
                self.grant(|| self.flows.are_full()).await;
            }
        }
    }

    /// Puts a small packet on its way, now or as soon as its lane has room. False when the connection has ended.
    pub(crate) fn post(&self, lane: Lane, packet: &Packet<'_>) -> bool {
        let outbox = &self.outboxes[lane as usize];
        let mut packets = lock(&outbox.packets);
        let mut message = Bytes::from(packet.encode());
        // Order holds: nothing overtakes what waits.
        if packets.is_empty() {
            match self.peer.try_send(lane, message) {
                Ok(()) => return true,
                Err(SendError::Full(back)) => message = back,
                Err(SendError::Closed(_)) => return false,
                Err(SendError::TooLong(_)) => unreachable!("what is posted is small"),
            }
        }
        let weight = message.len() + MESSAGE_WEIGHT;
        let count = |boxed| Some(boxed + weight).filter(|boxed| *boxed <= OUTBOX);
        if self.boxed.fetch_update(Relaxed, Relaxed, count).is_err() {
            self.peer.close("the peer does not read what it asked for");
            return false;
        }
        packets.push_back(message);
        drop(packets);
        outbox.filled.notify_one();
        true
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn cancel(&self, call: CallId) {
        if let Some(lane) = self.calls.forget(call) {
            let cancel = Packet::Cancel { call };
            if lane != Lane::System {
                // A stop waits behind no data. If it comes before the question, it is for a call that nobody knows, and does nothing...
                self.post(Lane::System, &cancel);
            }
            // ...but this one comes behind it, on the same lane.
            self.post(lane, &cancel);
        }
    }
}

/// Sends what waits in the outbox of a lane, until the connection ends.
async fn empty(conn: Arc<Conn>, lane: Lane) {
    let outbox = &conn.outboxes[lane as usize];
    loop {
        // It stays in the box until it is sent, so that nothing overtakes it.
        let next = lock(&outbox.packets).front().cloned();
        match next {
            Some(message) => {
                let weight = message.len() + MESSAGE_WEIGHT;
                if conn.peer.send(lane, message).await.is_err() {
                    return;
                }
                lock(&outbox.packets).pop_front();
                conn.boxed.fetch_sub(weight, Relaxed);
            }
            None if conn.is_over() => return,
            None => outbox.filled.notified().await,
        }
    }
}
