//! Tells that may be lost, as datagrams: they wait behind nothing, and use no credit.
//!
//! A tell takes its lane until the other node has said that it takes it so, for this message and this actor. It says that whenever one
//! comes on the lane that could have come as a datagram; in a datagram of its own, which a node of before drops unread. So a node, and a
//! program, that knows nothing of all this gets every message on its lane, as ever.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use playhouse_actors::{Outgoing, System, Taken};
use playhouse_net::limits::DATAGRAM_MAX;
use playhouse_rt::Instant;
use playhouse_wire::{ActorName, MessageId, Packet, Parcel, RemoteError};

use super::conn::Conn;
use super::{Opened, arrival, lock};
use crate::limits::{DATAGRAM_ACTORS, DATAGRAM_WORDS_EVERY};
use crate::status::DatagramCounts;

/// The datagrams of one connection.
#[derive(Default)]
pub(crate) struct Datagrams {
    /// What the other node takes.
    taken: Mutex<BTreeSet<(ActorName, MessageId)>>,
    /// When the other node was told last what is taken here.
    told: Mutex<Option<Instant>>,
    sent: AtomicU64,
    received: AtomicU64,
    refused: AtomicU64,
}

impl Datagrams {
    pub(crate) fn counts(&self) -> DatagramCounts {
        let get = |count: &AtomicU64| count.load(Relaxed);
        DatagramCounts { sent: get(&self.sent), received: get(&self.received), refused: get(&self.refused) }
    }

    /// The other node said what it takes.
    pub(crate) fn note(&self, to: &str, message: MessageId, may: bool) {
        let Ok(to) = ActorName::new(to) else { return };
        let mut taken = lock(&self.taken);
        if !may {
            taken.remove(&(to, message));
            return;
        }
        // Most may be of actors that are gone. Those that are told something still are heard of again, from the lane.
        if taken.len() >= DATAGRAM_ACTORS && !taken.contains(&(to.clone(), message)) {
            taken.clear();
        }
        taken.insert((to, message));
    }

    fn takes(&self, to: &ActorName, message: MessageId) -> bool {
        lock(&self.taken).contains(&(to.clone(), message))
    }

    /// Whether the other node may be told something now: not as often as it likes.
    fn may_say(&self, now: Instant) -> bool {
        let mut told = lock(&self.told);
        let may = told.is_none_or(|told| now.saturating_duration_since(told) >= DATAGRAM_WORDS_EVERY);
        if may {
            *told = Some(now);
        }
        may
    }
}

/// Sends a tell as a datagram; false when it must take its lane.
pub(crate) fn tell(conn: &Conn, message: &Outgoing<'_>, packet: &Packet<'_>) -> bool {
    if message.payload.len() > DATAGRAM_MAX || !conn.datagrams.takes(message.to, message.id) {
        return false;
    }
    // Whatever the reason is for which it cannot leave so: the lane says what is to be said about it.
    let sent = conn.peer.try_send_datagram(packet.encode().into()).is_ok();
    if sent {
        conn.datagrams.sent.fetch_add(1, Relaxed);
    }
    sent
}

/// A tell to an actor with such messages came on its lane.
pub(crate) fn came_on_lane(conn: &Conn, door: &Opened, message: &Bytes, parcel: &Parcel<'_>) {
    let may = || door.as_ref().is_ok_and(|door| door.unreliable(parcel.message).is_some());
    if message.len() <= DATAGRAM_MAX && may() {
        say(conn, parcel, true);
    }
}

/// What was to be said and is not, is said when the next one comes.
fn say(conn: &Conn, parcel: &Parcel<'_>, may: bool) {
    if conn.datagrams.may_say(playhouse_rt::now()) {
        let word = Packet::Datagrams { to: parcel.to, message: parcel.message, may };
        let _ = conn.peer.try_send_datagram(word.encode().into());
    }
}

/// Takes a datagram of the other node. Whatever is in it, the connection lives on: a later node may have more to say so.
pub(crate) fn receive(conn: &Conn, system: &System, bytes: &Bytes) {
    match Packet::decode(bytes) {
        Ok(Packet::Tell(parcel)) => {
            let door = system.door(parcel.to);
            let lane = door.as_ref().ok().and_then(|door| door.unreliable(parcel.message));
            let Some(lane) = lane else {
                conn.datagrams.refused.fetch_add(1, Relaxed);
                tracing::debug!(peer = %conn.origin.node, to = parcel.to, id = %parcel.message, "a tell must not come as a datagram");
                // Perhaps another actor has the name now, and takes it on the lane.
                return say(conn, &parcel, false);
            };
            conn.datagrams.received.fetch_add(1, Relaxed);
            let arrived = arrival(&conn.origin, lane, &parcel, playhouse_rt::ledger::Tag::default());
            // It must not wait: no credit bounds how many would.
            if let Ok(Taken::Waits(_)) = system.receive_tell(parcel.to, &door, &arrived) {
                system.undelivered(parcel.to, &arrived, &RemoteError::Full);
            }
        }
        Ok(Packet::Datagrams { to, message, may }) => conn.datagrams.note(to, message, may),
        Ok(_) | Err(_) => {
            conn.datagrams.refused.fetch_add(1, Relaxed);
            tracing::debug!(peer = %conn.origin.node, "a datagram was no tell");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u32) -> MessageId {
        MessageId { id, version: 1 }
    }

    #[test]
    fn what_the_other_node_takes_is_bounded_and_can_be_taken_back() {
        let datagrams = Datagrams::default();
        let any = ActorName::new("any").unwrap();
        assert!(!datagrams.takes(&any, message(0)));
        let full = DATAGRAM_ACTORS as u32;
        for id in (0..full).chain([0, full - 1]) {
            datagrams.note("any", message(id), true);
        }
        assert!(datagrams.takes(&any, message(0)) && datagrams.takes(&any, message(full - 1)));
        datagrams.note("any", message(full), true);
        assert!(datagrams.takes(&any, message(full)), "what is new is not shut out by what is old");
        assert!(!datagrams.takes(&any, message(0)), "it is heard of again when it is told something");
        for id in [0, 1] {
            datagrams.note("any", message(id), true);
        }
        datagrams.note("any", message(0), false);
        datagrams.note("no name, for it is empty or long", message(9), true);
        assert!(!datagrams.takes(&any, message(0)) && datagrams.takes(&any, message(1)));
    }

    #[test]
    fn words_have_their_pace() {
        let (datagrams, now) = (Datagrams::default(), playhouse_rt::now());
        assert!(datagrams.may_say(now) && !datagrams.may_say(now));
        assert!(!datagrams.may_say(now + DATAGRAM_WORDS_EVERY / 2) && datagrams.may_say(now + DATAGRAM_WORDS_EVERY));
    }
}
