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
}
