//! What a node knows of its peers.

use std::net::SocketAddr;
use std::time::Duration;

use playhouse_wire::{Incarnation, NodeName};

/// What is known now of a node that this one has a connection to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its name.
    pub node: NodeName,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// Where it was when the connection began.
    pub address: SocketAddr,
    /// The present estimate of a round trip.
    pub rtt: Duration,
    /// Asks, streams and watches from here that have not ended.
    pub calls: usize,
    /// Asks, streams and watches from there that have not ended.
    pub served: usize,
    /// Bytes of tells from here whose credit has not come back.
    pub told: usize,
    /// Bytes of tells from there that wait for room in mailboxes.
    pub waiting: usize,
    /// Tells as datagrams.
    pub datagrams: DatagramCounts,
}

/// Tells that went over one connection as datagrams; see [`playhouse_actors::Protocol::unreliable_on`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramCounts {
    /// Sent from here. Some may be lost.
    pub sent: u64,
    /// Came, and an actor here was told.
    pub received: u64,
    /// Came, and were dropped: they were no tell, or no actor here takes that message as a datagram.
    pub refused: u64,
}
