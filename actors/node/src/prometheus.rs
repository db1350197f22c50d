//! A node's metrics as the text that Prometheus reads (format 0.0.4).
//!
//! How many lines there are is bounded, whatever actors are called: they are counted by kind, of which
//! [`crate::limits::KINDS`] are told apart.

use std::fmt::Write;
use std::time::Duration;

use crate::metrics::{Histogram, KindFigures, Metrics, PeerFigures, snake};

/// What [`text`] gives, for the header of an answer over HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics as text. Each line has the label `node`.
///
/// Counters of a connection (`playhouse_peer_…`) begin at 0 with each connection. The histograms have no `_sum`: nodes do not measure it.
pub fn text(metrics: &Metrics) -> String {
    let mut page = Page { text: String::new(), node: label("node", metrics.node.as_str()) };
    let m = metrics;
    page.family("uptime_seconds", GAUGE, "How long the node has been running.", [("".into(), seconds(m.uptime))]);
    page.family("incarnation", GAUGE, "Which life of the node this is.", [("".into(), m.incarnation.0.to_string())]);
    page.one("actors_alive", GAUGE, "Actors alive.", m.alive);
    page.one("actors_spawned_total", COUNTER, "Actors started.", m.spawned);
    page.one("panics_total", COUNTER, "Panics of actors.", m.panics);
    page.one("restarts_total", COUNTER, "Actors built anew after a panic.", m.restarts);
    page.one("asks_expired_total", COUNTER, "Asks that were given up before they were handled.", m.expired);
    page.one("messages_lost_total", COUNTER, "Messages that waited in a mailbox when its actor ended.", m.lost);
    page.one("dead_letters_total", COUNTER, "Messages that no actor handled and whose sender was not told.", m.dead_letters);
    page.kinds("actors", GAUGE, "Actors alive, by kind.", m, |kind| kind.actors);
    page.kinds("mailbox_messages", GAUGE, "Messages that wait for actors of a kind.", m, |kind| kind.depth);
    page.kinds("mailbox_messages_max", GAUGE, "Messages that wait for the actor with the most of them.", m, |kind| {
        kind.depth_max
    });
    page.kinds("messages_handled_total", COUNTER, "Messages that actors of a kind have handled.", m, |kind| kind.handled);
    page.one("actors_not_looked_at", GAUGE, "Actors that are in none of the figures by kind.", m.not_looked_at);
    page.histogram("message_wait_seconds", "How long messages waited in mailboxes; a sample.", &m.wait);
    page.histogram("message_handle_seconds", "How long messages were handled.", &m.handle);
    page.peers("peer_rtt_seconds", GAUGE, "The estimate of a round trip.", m, |peer| seconds(peer.rtt));
    page.peers("peer_sent_bytes_total", COUNTER, "Bytes sent on the present connection.", m, |peer| peer.bytes_sent.to_string());
    page.peers("peer_received_bytes_total", COUNTER, "Bytes received on the present connection.", m, |peer| {
        peer.bytes_received.to_string()
    });
    page.peers("peer_lost_packets_total", COUNTER, "Packets lost on the present path.", m, |peer| peer.packets_lost.to_string());
    page.peers("peer_congestion_events_total", COUNTER, "How often the path was full.", m, |peer| {
        peer.congestion_events.to_string()
    });
    page.one("peers_left_out", GAUGE, "Connections that have no lines of their own.", m.peers_left_out);
    page.one("connections_total", COUNTER, "Connections that were made.", m.connections);
    page.one("sent_bytes_total", COUNTER, "Bytes sent over all connections.", m.bytes_sent);
    page.one("received_bytes_total", COUNTER, "Bytes received over all connections.", m.bytes_received);
    let lanes = |pick: fn(&crate::LaneFigures) -> u64| {
        m.lanes.iter().map(move |lane| (label("lane", &snake(&format!("{:?}", lane.lane))), pick(lane).to_string()))
    };
    page.family("lane_sent_messages_total", COUNTER, "Messages sent, by lane.", lanes(|lane| lane.sent));
    page.family("lane_received_messages_total", COUNTER, "Messages received, by lane.", lanes(|lane| lane.received));
    let refusals = m.refusals.iter().map(|(kind, count)| (label("kind", kind), count.to_string()));
    page.family("refusals_total", COUNTER, "Peers that were refused, by kind.", refusals);
    page.text
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

struct Page {
    text: String,
    node: String,
}

impl Page {
    /// A metric and its lines: further labels, and a value.
    fn family(&mut self, name: &str, kind: &str, help: &str, lines: impl IntoIterator<Item = (String, String)>) {
        self.head(name, kind, help);
        for (labels, value) in lines {
            self.line(name, &labels, &value);
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help, [(String::new(), value.to_string())]);
    }

    fn kinds(&mut self, name: &str, kind: &str, help: &str, metrics: &Metrics, pick: fn(&KindFigures) -> u64) {
        let lines = metrics.kinds.iter().map(|figures| (label("kind", &figures.kind), pick(figures).to_string()));
        self.family(name, kind, help, lines);
    }

    fn peers(&mut self, name: &str, kind: &str, help: &str, metrics: &Metrics, pick: fn(&PeerFigures) -> String) {
        let lines = metrics.peers.iter().map(|figures| (label("peer", figures.node.as_str()), pick(figures)));
        self.family(name, kind, help, lines);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let mut seen = 0;
        for (index, (end, count)) in histogram.buckets.iter().enumerate() {
            seen += count;
            let end = if index + 1 == histogram.buckets.len() { "+Inf".to_string() } else { seconds(*end) };
            self.line(&format!("{name}_bucket"), &label("le", &end), &seen.to_string());
        }
        self.line(&format!("{name}_count"), "", &seen.to_string());
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP playhouse_{name} {help}\n# TYPE playhouse_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = writeln!(self.text, "playhouse_{name}{{{}{comma}{labels}}} {value}", self.node);
    }
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

fn label(name: &str, value: &str) -> String {
    let mut text = format!("{name}=\"");
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use playhouse_wire::{Incarnation, NodeName};

    use super::*;

    fn metrics() -> Metrics {
        Metrics {
            node: NodeName::new("a").unwrap(),
            incarnation: Incarnation(7),
            address: "127.0.0.1:1".parse().unwrap(),
            uptime: Duration::from_millis(1500),
            alive: 3,
            spawned: 4,
            panics: 0,
            restarts: 0,
            expired: 0,
            lost: 0,
            dead_letters: 5,
            kinds: vec![KindFigures { kind: "A\"\\\nB".into(), actors: 3, depth: 9, depth_max: 8, handled: 7, restarts: 0 }],
            not_looked_at: 0,
            wait: Histogram {
                buckets: vec![(Duration::from_nanos(2), 1), (Duration::from_nanos(4), 0), (Duration::from_nanos(8), 2)],
            },
            handle: Histogram::default(),
            peers: vec![],
            peers_left_out: 0,
            lanes: vec![],
            connections: 0,
            bytes_sent: 0,
            bytes_received: 0,
            refusals: vec![("tls".into(), 2)],
        }
    }

    #[test]
    fn lines_are_what_prometheus_reads() {
        let text = text(&metrics());
        for line in [
            "# TYPE playhouse_uptime_seconds gauge",
            "playhouse_uptime_seconds{node=\"a\"} 1.5",
            "playhouse_actors{node=\"a\",kind=\"A\\\"\\\\\\nB\"} 3",
            "playhouse_mailbox_messages{node=\"a\",kind=\"A\\\"\\\\\\nB\"} 9",
            "playhouse_dead_letters_total{node=\"a\"} 5",
            "# TYPE playhouse_message_wait_seconds histogram",
            "playhouse_message_wait_seconds_bucket{node=\"a\",le=\"0.000000002\"} 1",
            "playhouse_message_wait_seconds_bucket{node=\"a\",le=\"+Inf\"} 3",
            "playhouse_message_wait_seconds_count{node=\"a\"} 3",
            "playhouse_refusals_total{node=\"a\",kind=\"tls\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn every_metric_has_one_head_and_its_lines_follow_it() {
        let text = text(&metrics());
        let mut heads = std::collections::BTreeSet::new();
        let mut current = "";
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                current = head.split(' ').next().unwrap();
                assert!(heads.insert(current), "{current} twice");
            } else if !line.starts_with('#') {
                assert!(line.starts_with(current), "{line} stands under {current}");
            }
        }
        assert!(text.ends_with('\n') && heads.len() > 20);
    }
}
