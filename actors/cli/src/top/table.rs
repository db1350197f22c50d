//! What is shown, as lines and as JSON.

use std::time::Duration;

use playhouse::{ActorFigures, Metrics, NodeName, Sort};
use serde_json::{Value, json};

use super::Seen;
use crate::text::{Paint, bytes, number, tame};

/// Everything that was seen.
pub(super) struct View<'a> {
    pub(super) nodes: Vec<(&'a NodeName, &'a Seen)>,
    pub(super) by: &'static str,
    pub(super) sort: Sort,
    pub(super) tree: bool,
}

/// One line. Its width is that of its text.
pub(super) struct Line {
    pub(super) text: String,
    look: Look,
}

#[derive(Clone, Copy)]
enum Look {
    Plain,
    Head,
    Bad,
}

impl Line {
    pub(super) fn painted(&self, paint: Paint) -> String {
        match self.look {
            Look::Plain => self.text.clone(),
            Look::Head => paint.bold(&self.text),
            Look::Bad => paint.verdict(false, &self.text),
        }
    }
}

enum Row {
    Cells(Vec<String>),
    /// A first cell, and a sentence in place of the others.
    Bad(String, String),
}

/// Connections that are shown on a terminal.
const LINKS_SHOWN: usize = 6;

/// Dead letters that are shown on a terminal.
const LETTERS_SHOWN: usize = 3;

/// Columns of names are cut to so many characters.
const NAME_SHOWN: usize = 40;

impl View<'_> {
    /// No line is longer than `width`. Of actors at most `actors` are named; with a `height`, so many that all the rest finds room.
    pub(super) fn lines(&self, width: usize, height: Option<usize>, actors: usize) -> Vec<Line> {
        let answered = || self.nodes.iter().filter(|(_, seen)| seen.error.is_none()).filter_map(|(_, seen)| seen.latest.as_ref());
        let alive = answered().map(|latest| latest.metrics.alive).sum();
        let keys = if height.is_some() { "   (q quits, s sorts, t tree)" } else { "" };
        let of = if answered().count() == self.nodes.len() { String::new() } else { format!(" of {}", self.nodes.len()) };
        let nodes = if self.nodes.len() == 1 { "node" } else { "nodes" };
        let title = format!("{}{of} {nodes}, {} actors, sorted by {}{keys}", answered().count(), number(alive), self.by);
        let mut lines = vec![Line { text: cut(&title, width), look: Look::Head }, blank()];
        lines.extend(table(width, &NODE, self.nodes.iter().map(|(name, seen)| node_row(name, seen)).collect()));

        let mut below = Vec::new();
        let links: Vec<Row> = answered().flat_map(|latest| links(&latest.metrics)).collect();
        if !links.is_empty() {
            let shown = if height.is_some() { LINKS_SHOWN } else { links.len() };
            let more = links.len().saturating_sub(shown);
            below.push(blank());
            below.extend(table(width, &LINK, links.into_iter().take(shown).collect()));
            below.extend((more > 0).then(|| Line { text: cut(&format!("and {more} more"), width), look: Look::Plain }));
        }
        let letters: Vec<String> = answered()
            .flat_map(|latest| latest.dead_letters.iter().map(|letter| format!("{}: {}", latest.metrics.node, tame(letter))))
            .collect();
        if !letters.is_empty() {
            below.push(blank());
            below.push(Line { text: cut("LAST DEAD LETTERS", width), look: Look::Head });
            let skip = if height.is_some() { letters.len().saturating_sub(LETTERS_SHOWN) } else { 0 };
            below.extend(letters[skip..].iter().map(|letter| Line { text: cut(letter, width), look: Look::Plain }));
        }

        lines.push(blank());
        let room = height.map_or(usize::MAX, |height| height.saturating_sub(lines.len() + below.len()));
        if self.tree {
            for latest in answered() {
                lines.push(Line { text: cut(&format!("TREE OF {}", latest.metrics.node), width), look: Look::Head });
                let tree = latest.tree.as_deref().unwrap_or_default().lines();
                lines.extend(tree.map(|line| Line { text: cut(&tame(line), width), look: Look::Plain }));
            }
            return lines.into_iter().chain(below).collect();
        }
        let rows = self.actors().into_iter().take(actors.min(room.saturating_sub(1))).map(actor_row).collect();
        lines.extend(table(width, &ACTOR, rows));
        lines.extend(below);
        lines
    }

    /// The actors of all nodes that answered, sorted.
    fn actors(&self) -> Vec<(&NodeName, &ActorFigures)> {
        let mut actors: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, seen)| seen.error.is_none())
            .flat_map(|(name, seen)| {
                seen.latest.iter().flat_map(move |latest| latest.actors.iter().map(move |actor| (*name, actor)))
            })
            .collect();
        let key = |actor: &ActorFigures| match self.sort {
            Sort::Depth => actor.depth as f64,
            Sort::Rate => actor.rate.unwrap_or_default(),
            Sort::Busy => actor.busy.unwrap_or_default(),
            Sort::Restarts => f64::from(actor.restarts),
            Sort::Handled => actor.handled as f64,
        };
        actors.sort_by(|a, b| key(b.1).total_cmp(&key(a.1)).then_with(|| (&a.1.name, a.0).cmp(&(&b.1.name, b.0))));
        actors
    }

    pub(super) fn json(&self, actors: usize) -> Value {
        let nodes: Vec<Value> = self.nodes.iter().map(|(name, seen)| node_json(name, seen)).collect();
        let actors: Vec<Value> = self.actors().into_iter().take(actors).map(|(node, actor)| actor_json(node, actor)).collect();
        json!({ "nodes": nodes, "actors": actors })
    }
}

fn blank() -> Line {
    Line { text: String::new(), look: Look::Plain }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).take(width).collect()
}

const NODE: [&str; 11] =
    ["NODE", "UP", "ACTORS", "MSG/S", "WAIT p99", "HANDLE p99", "PANICS", "DEAD LETTERS", "IN/S", "OUT/S", "REFUSED"];

const ACTOR: [&str; 8] = ["ACTOR", "NODE", "KIND", "DEPTH", "MSG/S", "BUSY", "HANDLED", "RESTARTS"];

const LINK: [&str; 6] = ["LINK", "RTT", "SENT", "RECEIVED", "LOST PACKETS", "AGE"];

/// What happened since the look before, per second.
fn per_second(seen: &Seen, count: fn(&Metrics) -> u64) -> Option<f64> {
    let (now, former) = (&seen.latest.as_ref()?.metrics, seen.former.as_ref()?);
    let span = now.uptime.saturating_sub(former.uptime).as_secs_f64();
    (span > 0.0).then(|| count(now).saturating_sub(count(former)) as f64 / span)
}

fn quantiles(seen: &Seen, per_mille: u64) -> (Option<Duration>, Option<Duration>) {
    let Some(latest) = &seen.latest else { return (None, None) };
    let (now, former) = (&latest.metrics, seen.former.as_ref());
    let none = playhouse::Histogram::default();
    let (wait, handle) = former.map_or((&none, &none), |former| (&former.wait, &former.handle));
    (now.wait.since(wait).quantile(per_mille), now.handle.since(handle).quantile(per_mille))
}

fn node_row(name: &NodeName, seen: &Seen) -> Row {
    let Some(latest) = seen.latest.as_ref().filter(|_| seen.error.is_none()) else {
        let why = seen.error.as_deref().unwrap_or("it was not asked yet");
        let was = if seen.latest.is_some() { "lost" } else { "not reached" };
        return Row::Bad(name.to_string(), format!("{was}: {}", tame(why)));
    };
    let m = &latest.metrics;
    let (wait, handle) = quantiles(seen, 990);
    let rate = |count| per_second(seen, count).map_or("-".into(), |rate| number(rate.round() as u64));
    let volume = |count| per_second(seen, count).map_or("-".into(), |rate| bytes(rate.round() as u64));
    Row::Cells(vec![
        name.to_string(),
        length(m.uptime),
        number(m.alive),
        rate(Metrics::handled),
        wait.map_or("-".into(), short),
        handle.map_or("-".into(), short),
        number(m.panics),
        number(m.dead_letters),
        volume(|m| m.bytes_received),
        volume(|m| m.bytes_sent),
        number(m.refused()),
    ])
}

fn actor_row((node, actor): (&NodeName, &ActorFigures)) -> Row {
    Row::Cells(vec![
        actor.name.to_string(),
        node.to_string(),
        tame(&actor.kind),
        format!("{}/{}", actor.depth, actor.bound),
        actor.rate.map_or("-".into(), |rate| number(rate.round() as u64)),
        actor.busy.map_or("-".into(), |busy| format!("{:.1} %", busy * 100.0)),
        number(actor.handled),
        number(actor.restarts.into()),
    ])
}

fn links(metrics: &Metrics) -> Vec<Row> {
    let row = |peer: &playhouse::PeerFigures| {
        Row::Cells(vec![
            format!("{} - {}", metrics.node, peer.node),
            short(peer.rtt),
            bytes(peer.bytes_sent),
            bytes(peer.bytes_received),
            number(peer.packets_lost),
            length(peer.age),
        ])
    };
    metrics.peers.iter().map(row).collect()
}

/// As many columns as find room. Names stand left, figures right.
fn table(width: usize, head: &[&str], rows: Vec<Row>) -> Vec<Line> {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        let cells = match row {
            Row::Cells(cells) => &cells[..],
            Row::Bad(name, _) => std::slice::from_ref(name),
        };
        for (column, cell) in cells.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count()).min(NAME_SHOWN);
        }
    }
    let mut used = 0;
    let columns = widths.iter().take_while(|column| {
        used += **column + 2;
        used - 2 <= width
    });
    // One at least, and if it must be cut.
    let columns = columns.count().max(1);
    let names = head.iter().take_while(|cell| matches!(**cell, "NODE" | "ACTOR" | "KIND" | "LINK")).count();
    let line = |cells: Vec<String>| {
        let cells = cells.iter().take(columns).enumerate().map(|(column, cell)| {
            let (cell, width) = (cut(cell, NAME_SHOWN), widths[column]);
            if column < names { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cut(cells.collect::<Vec<_>>().join("  ").trim_end(), width)
    };
    let mut lines = vec![Line { text: line(head.iter().map(ToString::to_string).collect()), look: Look::Head }];
    for row in rows {
        lines.push(match row {
            Row::Cells(cells) => Line { text: line(cells), look: Look::Plain },
            Row::Bad(name, why) => {
                let first = widths[0];
                Line { text: cut(&format!("{:<first$}  {why}", cut(&name, NAME_SHOWN)), width), look: Look::Bad }
            }
        });
    }
    lines
}

/// A short time, to three digits.
fn short(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match time.as_nanos() {
        0..1_000 => (nanos, "ns"),
        1_000..1_000_000 => (nanos / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    if value < 10.0 && unit != "ns" { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A long time, by its two largest units.
fn length(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        s @ 3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        s => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

fn node_json(name: &NodeName, seen: &Seen) -> Value {
    let address = seen.address.map(|address| address.to_string());
    let Some(latest) = seen.latest.as_ref().filter(|_| seen.error.is_none()) else {
        let lost = seen.latest.is_some();
        return json!({ "node": name.as_str(), "address": address, "error": seen.error, "lost": lost });
    };
    let m = &latest.metrics;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let ((wait50, handle50), (wait99, handle99)) = (quantiles(seen, 500), quantiles(seen, 990));
    let kinds: Vec<Value> = m
        .kinds
        .iter()
        .map(|kind| {
            json!({ "kind": kind.kind, "actors": kind.actors, "depth": kind.depth, "depth_max": kind.depth_max, "handled": kind.handled })
        })
        .collect();
    let peers: Vec<Value> = m
        .peers
        .iter()
        .map(|peer| {
            json!({
                "node": peer.node.as_str(),
                "address": peer.address.to_string(),
                "rtt": peer.rtt.as_secs_f64(),
                "age": peer.age.as_secs_f64(),
                "bytes_sent": peer.bytes_sent,
                "bytes_received": peer.bytes_received,
                "packets_lost": peer.packets_lost,
            })
        })
        .collect();
    let refusals: serde_json::Map<String, Value> =
        m.refusals.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.clone(), (*count).into())).collect();
    json!({
        "node": name.as_str(),
        "address": m.address.to_string(),
        "error": null,
        "incarnation": m.incarnation.0,
        "uptime": m.uptime.as_secs_f64(),
        "alive": m.alive,
        "spawned": m.spawned,
        "panics": m.panics,
        "restarts": m.restarts,
        "expired": m.expired,
        "lost_messages": m.lost,
        "dead_letters": m.dead_letters,
        "last_dead_letters": latest.dead_letters,
        "handled": m.handled(),
        "rate": per_second(seen, Metrics::handled),
        "wait_p50": seconds(wait50),
        "wait_p99": seconds(wait99),
        "handle_p50": seconds(handle50),
        "handle_p99": seconds(handle99),
        "bytes_sent": m.bytes_sent,
        "bytes_received": m.bytes_received,
        "refused": m.refused(),
        "refusals": refusals,
        "kinds": kinds,
        "peers": peers,
        "tree": latest.tree,
    })
}

fn actor_json(node: &NodeName, actor: &ActorFigures) -> Value {
    json!({
        "node": node.as_str(),
        "name": actor.name.as_str(),
        "kind": actor.kind,
        "depth": actor.depth,
        "bound": actor.bound,
        "handled": actor.handled,
        "rate": actor.rate,
        "busy": actor.busy,
        "restarts": actor.restarts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_whatever_the_width() {
        let rows = || {
            vec![
                Row::Cells(["a-name", "5s", "1,000"].map(String::from).into()),
                Row::Bad("b".into(), "not reached: a long story\u{2026}".into()),
            ]
        };
        for width in 0..40 {
            let lines = table(width, &["NODE", "UP", "ACTORS"], rows());
            assert!(lines.iter().all(|line| line.text.chars().count() <= width), "{width}");
        }
        let texts: Vec<_> = table(80, &["NODE", "UP", "ACTORS"], rows()).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["NODE    UP  ACTORS", "a-name  5s   1,000", "b       not reached: a long story\u{2026}"]);
        let narrow: Vec<_> = table(12, &["NODE", "UP", "ACTORS"], rows()).into_iter().map(|line| line.text).collect();
        assert_eq!(narrow, ["NODE    UP", "a-name  5s", "b       not\u{2026}"], "a column that finds no room is left out");
    }

    #[test]
    fn times_are_short() {
        let nanos = [7, 1_500, 81_920, 2_000_000, 12_000_000_000].map(Duration::from_nanos);
        assert_eq!(nanos.map(short), ["7 ns", "1.5 us", "82 us", "2.0 ms", "12 s"]);
        assert_eq!([9, 61, 3_660, 90_000].map(|s| length(Duration::from_secs(s))), ["9s", "1m01s", "1h01m", "1d01h"]);
    }
}
