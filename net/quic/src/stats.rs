//! What an endpoint has done so far, in numbers.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use playhouse_wire::Lane;

use crate::limits::LANES;
use crate::refusal::RefusalKind;

/// What an endpoint has done since it was bound, over all its connections, also ended ones and handshakes that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes in the datagrams sent.
    pub bytes_sent: u64,
    /// Bytes in the datagrams received.
    pub bytes_received: u64,
    /// Connections that got through both hellos.
    pub connections: u64,
    /// Datagrams of [`crate::Peer::try_send_datagram`] that were taken. Some of them may never have left: see [`crate::Health`].
    pub unreliable_sent: u64,
    /// Such datagrams that the receiver was given.
    pub unreliable_received: u64,
    sent: [u64; LANES],
    received: [u64; LANES],
    refused: [u64; RefusalKind::ALL.len()],
}

impl Stats {
    /// Messages of this lane handed to QUIC. The last ones before a connection ends may not have arrived.
    pub fn sent(&self, lane: Lane) -> u64 {
        self.sent[lane as usize]
    }

    /// Messages of this lane that the receiver was given.
    pub fn received(&self, lane: Lane) -> u64 {
        self.received[lane as usize]
    }

    /// Peers that this endpoint refused, by kind, whoever dialled.
    pub fn refused(&self, kind: RefusalKind) -> u64 {
        self.refused[kind as usize]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) datagrams_sent: AtomicU64,
    pub(crate) datagrams_received: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) connections: AtomicU64,
    unreliable_sent: AtomicU64,
    unreliable_received: AtomicU64,
    sent: [AtomicU64; LANES],
    received: [AtomicU64; LANES],
    refused: [AtomicU64; RefusalKind::ALL.len()],
}

impl Counters {
    pub(crate) fn sent(&self, lane: Lane, messages: u64) {
        self.sent[lane as usize].fetch_add(messages, Relaxed);
    }

    pub(crate) fn received(&self, lane: Lane, messages: u64) {
        self.received[lane as usize].fetch_add(messages, Relaxed);
    }

    pub(crate) fn unreliable_sent(&self) {
        self.unreliable_sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn unreliable_received(&self) {
        self.unreliable_received.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, kind: RefusalKind) {
        self.refused[kind as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            datagrams_sent: self.datagrams_sent.load(Relaxed),
            datagrams_received: self.datagrams_received.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            connections: self.connections.load(Relaxed),
            unreliable_sent: self.unreliable_sent.load(Relaxed),
            unreliable_received: self.unreliable_received.load(Relaxed),
            sent: std::array::from_fn(|lane| self.sent[lane].load(Relaxed)),
            received: std::array::from_fn(|lane| self.received[lane].load(Relaxed)),
            refused: std::array::from_fn(|kind| self.refused[kind].load(Relaxed)),
        }
    }
}
