//! How a connection fares, in figures.

use std::net::SocketAddr;
use std::time::Duration;

use playhouse_rt::{Instant, now};
use quinn::Connection;

/// How a connection fares at one moment. Counts are since its handshake began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The peer's address now: it may have moved since the connection began.
    pub remote_addr: SocketAddr,
    /// How long ago the connection was admitted.
    pub age: Duration,
    /// The present estimate of a round trip.
    pub rtt: Duration,
    /// Bytes that may be under way at once before the path counts as full.
    pub cwnd: u64,
    /// How often the path showed that it was full, or lost what it carried.
    pub congestion_events: u64,
    /// Packets sent on the present path.
    pub sent_packets: u64,
    /// Packets among them that were found lost. What they carried of lanes was sent again.
    pub lost_packets: u64,
    /// The largest datagram that the path is known to carry, in bytes.
    pub current_mtu: u16,
    /// Bytes in the UDP datagrams sent.
    pub bytes_sent: u64,
    /// Bytes in the UDP datagrams received.
    pub bytes_received: u64,
    /// Datagrams of [`crate::Peer::try_send_datagram`] that left this node. Fewer than were taken, when newer ones displaced older ones.
    pub datagrams_sent: u64,
    /// Such datagrams that arrived, also those beyond what is given to the receiver.
    pub datagrams_received: u64,
}

/// The present figures of a connection that was admitted at `since`.
pub(crate) fn of(connection: &Connection, since: Instant) -> Health {
    let stats = connection.stats();
    Health {
        remote_addr: connection.remote_address(),
        age: now().saturating_duration_since(since),
        rtt: stats.path.rtt,
        cwnd: stats.path.cwnd,
        congestion_events: stats.path.congestion_events,
        sent_packets: stats.path.sent_packets,
        lost_packets: stats.path.lost_packets,
        current_mtu: stats.path.current_mtu,
        bytes_sent: stats.udp_tx.bytes,
        bytes_received: stats.udp_rx.bytes,
        datagrams_sent: stats.frame_tx.datagram,
        datagrams_received: stats.frame_rx.datagram,
    }
}
