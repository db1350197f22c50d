//! What a node has counted: a snapshot, as plain data.

use std::net::SocketAddr;
use std::time::Duration;

use playhouse_actors::Distribution;
use playhouse_net::{Peer, RefusalKind, Stats};
use playhouse_wire::{ActorName, Incarnation, Lane, NodeName};
use serde::{Deserialize, Serialize};

/// What a node has counted since its start, and how it is now. See [`crate::Node::metrics`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The node.
    pub node: NodeName,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it has been running.
    pub uptime: Duration,
    /// Actors alive now, supervisors not counted.
    pub alive: u64,
    /// Actors started.
    pub spawned: u64,
    /// Panics of actors.
    pub panics: u64,
    /// Actors built anew after a panic.
    pub restarts: u64,
    /// Asks that were given up before they were handled.
    pub expired: u64,
    /// Messages that waited in a mailbox when its actor ended.
    pub lost: u64,
    /// Messages that no actor handled and whose sender was not told.
    pub dead_letters: u64,
    /// Actors by kind, in the order of the kinds' names.
    pub kinds: Vec<KindFigures>,
    /// Actors that were not looked at for `kinds`: the youngest beyond [`crate::limits::ACTORS_LOOKED_AT`].
    pub not_looked_at: u64,
    /// How long messages waited in mailboxes: a sample, of the time when times were taken.
    pub wait: Histogram,
    /// How long messages were handled, of the time when times were taken.
    pub handle: Histogram,
    /// Its connections, in the order of their nodes' names.
    pub peers: Vec<PeerFigures>,
    /// Connections that `peers` leaves out: those beyond [`crate::limits::PEERS_SHOWN`].
    pub peers_left_out: u64,
    /// Messages by lane, most urgent lane first.
    pub lanes: Vec<LaneFigures>,
    /// Connections that were made.
    pub connections: u64,
    /// Bytes of datagrams sent, QUIC's own included, over all connections.
    pub bytes_sent: u64,
    /// The same, received.
    pub bytes_received: u64,
    /// Peers that were refused, by kind: all kinds, in a fixed order.
    pub refusals: Vec<(String, u64)>,
}

impl Metrics {
    /// Messages handled, by all kinds of actors.
    pub fn handled(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.handled).sum()
    }

    /// Peers that were refused, for whatever reason.
    pub fn refused(&self) -> u64 {
        self.refusals.iter().map(|(_, count)| count).sum()
    }
}

/// Actors of one kind: the last part of their type's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindFigures {
    /// The kind; [`OTHER_KINDS`] for all beyond [`crate::limits::KINDS`].
    pub kind: String,
    /// Actors alive.
    pub actors: u64,
    /// Messages that wait for them.
    pub depth: u64,
    /// Messages that wait for the one with the most.
    pub depth_max: u64,
    /// Messages handled, never fewer than before. An actor that lived and ended between two looks is not in it.
    pub handled: u64,
    /// How often those alive were built anew.
    pub restarts: u64,
}

/// The kind of actors that are not counted by their own.
pub const OTHER_KINDS: &str = "(other)";

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFigures {
    /// The node at the other end.
    pub node: NodeName,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// Where it is.
    pub address: SocketAddr,
    /// How long the connection has lasted.
    pub age: Duration,
    /// The present estimate of a round trip.
    pub rtt: Duration,
    /// Bytes of datagrams sent on it.
    pub bytes_sent: u64,
    /// The same, received.
    pub bytes_received: u64,
    /// Packets sent on the present path.
    pub packets_sent: u64,
    /// Those among them that were found lost.
    pub packets_lost: u64,
    /// How often the path was found full.
    pub congestion_events: u64,
}

impl PeerFigures {
    pub(crate) fn of(peer: &Peer) -> PeerFigures {
        let health = peer.health();
        PeerFigures {
            node: peer.node().clone(),
            incarnation: peer.incarnation(),
            address: health.remote_addr,
            age: health.age,
            rtt: health.rtt,
            bytes_sent: health.bytes_sent,
            bytes_received: health.bytes_received,
            packets_sent: health.sent_packets,
            packets_lost: health.lost_packets,
            congestion_events: health.congestion_events,
        }
    }
}

/// One lane of all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneFigures {
    /// Which.
    pub lane: Lane,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
}

pub(crate) fn lanes(stats: &Stats) -> Vec<LaneFigures> {
    Lane::ALL.map(|lane| LaneFigures { lane, sent: stats.sent(lane), received: stats.received(lane) }).into()
}

pub(crate) fn refusals(stats: &Stats) -> Vec<(String, u64)> {
    RefusalKind::ALL.iter().map(|kind| (snake(&format!("{kind:?}")), stats.refused(*kind))).collect()
}

/// `DialOnly` as `dial_only`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// One actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorFigures {
    /// Its name.
    pub name: ActorName,
    /// The last part of its type.
    pub kind: String,
    /// Messages that wait for it.
    pub depth: u64,
    /// How many may.
    pub bound: u64,
    /// Messages that it has handled.
    pub handled: u64,
    /// Messages that it handled in a second, of late; `None` until it was looked at twice.
    pub rate: Option<f64>,
    /// The share of the time that it was running, of late; `None` until it was looked at twice.
    pub busy: Option<f64>,
    /// How often it was built anew.
    pub restarts: u32,
}

/// How long something took, many times: counts, in buckets that double.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The upper end of each bucket, and how many cases fell into it. The last one has no end in truth.
    pub buckets: Vec<(Duration, u64)>,
}

impl From<&Distribution> for Histogram {
    fn from(distribution: &Distribution) -> Histogram {
        Histogram { buckets: distribution.buckets().collect() }
    }
}

impl Histogram {
    /// How many cases.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// So long it took at most in `per_mille` of a thousand cases: the upper end of the bucket, hence up to twice the truth. `None`
    /// when nothing was measured.
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let wanted = (self.count() * per_mille.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|(end, count)| {
            seen += count;
            (seen >= wanted).then_some(*end)
        })
    }

    /// The cases since `former` was taken.
    pub fn since(&self, former: &Histogram) -> Histogram {
        let before = |end: &Duration| former.buckets.iter().find(|(former, _)| former == end).map_or(0, |(_, count)| *count);
        Histogram { buckets: self.buckets.iter().map(|(end, count)| (*end, count.saturating_sub(before(end)))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_difference() {
        let at = |counts: [u64; 3]| Histogram { buckets: [1, 2, 4].map(Duration::from_secs).into_iter().zip(counts).collect() };
        let (former, now) = (at([9, 0, 1]), at([9, 3, 2]));
        assert_eq!(now.since(&former), at([0, 3, 1]));
        assert_eq!(now.since(&former).quantile(750), Some(Duration::from_secs(2)));
        assert_eq!(now.since(&former).quantile(751), Some(Duration::from_secs(4)));
        assert_eq!(now.since(&now).quantile(1000), None, "nothing was measured in between");
    }

    #[test]
    fn labels_are_snakes() {
        assert_eq!(["Tls", "DialOnly"].map(snake), ["tls", "dial_only"]);
    }
}
