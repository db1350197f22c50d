//! A run to be seen: what the ledger says, as one page with a lane per node and actor, arrows, and bands for faults.
//!
//! [`Timeline`] eats the ledger's lines and gives a [`Chart`]; [`page`] puts that into a page that needs nothing else, neither a network
//! nor a server. Nothing here knows the simulation: lines in, text out.

mod chart;
mod faults;
mod lanes;
mod page;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use chart::{Arrows, Band, Chart, Events, Flag, Lane, Life, Node, Run};
pub use page::page;

use chart::ArrowKind;
use faults::Faults;
use lanes::{Lanes, Place, ip_of, place_of};

/// The most events that a page shows; of a longer run it shows the beginning, and says so.
pub const EVENTS_MAX: usize = 1_000_000;

/// The longest text of one event, in bytes; what is longer is cut.
pub const TEXT_MAX: usize = 2_000;

/// A line of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Virtual nanoseconds since the start.
    pub at: u64,
    /// The life of a node that did it (`name#life`); `-` for the world.
    pub node: &'a str,
    /// The actor whose code did it; empty when it was none.
    pub actor: &'a str,
    /// A short word.
    pub kind: &'a str,
    /// The rest.
    pub detail: &'a str,
}

/// Builds a [`Chart`] line by line.
#[derive(Debug, Default)]
pub struct Timeline {
    events: Events,
    arrows: Arrows,
    kinds: Table,
    strings: Table,
    lanes: Lanes,
    faults: Faults,
    /// The last event of each message.
    tags: BTreeMap<u64, usize>,
    /// The event that sent each datagram.
    datagrams: BTreeMap<u64, usize>,
    breach: Option<usize>,
    last: u64,
    total: u64,
}

/// Each text once.
#[derive(Debug, Default)]
struct Table {
    // Not a hash map: making one draws on the entropy of the simulation that is being looked at.
    numbers: BTreeMap<String, usize>,
}

impl Table {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len();
        self.numbers.insert(text.to_string(), number);
        number
    }

    fn texts(self) -> Vec<String> {
        let mut texts = vec![String::new(); self.numbers.len()];
        for (text, number) in self.numbers {
            texts[number] = text;
        }
        texts
    }
}

impl Timeline {
    /// Nothing has happened yet.
    pub fn new() -> Timeline {
        Timeline::default()
    }

    /// The next line.
    pub fn add(&mut self, entry: &Entry<'_>) {
        self.total += 1;
        let number = self.events.len();
        if number >= EVENTS_MAX {
            return;
        }
        let (tag, detail) = tag_of(entry);
        self.learn(entry, number);
        let lane = self.lane(entry, detail);
        self.join(entry, tag, number);
        let kind = self.kinds.number(entry.kind);
        let text = self.strings.number(&readable(entry.kind, detail));
        self.events.push(entry.at - self.last.min(entry.at), lane, kind, text);
        self.last = entry.at.max(self.last);
    }

    /// Nodes, addresses and faults.
    fn learn(&mut self, entry: &Entry<'_>, number: usize) {
        let Entry { at, kind, detail, .. } = *entry;
        match kind {
            "start" => {
                self.lanes.begin(detail, at);
                self.faults.up(place_of(detail), at);
            }
            "kill" => {
                self.lanes.end(detail, at);
                self.faults.down(place_of(detail), at, number);
            }
            "send" => {
                if let Some(ip) = ip_of(detail) {
                    self.lanes.address(ip, entry.node);
                }
            }
            "cut" => self.faults.cut(detail, at, number),
            "mend" => self.faults.mend(detail, at),
            "fault" => self.faults.planned(detail, at, number),
            "breach" => drop(self.breach.get_or_insert(number)),
            _ => {}
        }
    }

    fn lane(&mut self, entry: &Entry<'_>, detail: &str) -> usize {
        let Entry { node, actor, kind, .. } = *entry;
        match kind {
            "start" | "kill" => self.lanes.find(place_of(detail), Place::Node),
            "send" => self.lanes.find(place_of(node), Place::Network),
            "arrive" => {
                let to = detail.split(" > ").nth(1).and_then(ip_of);
                let to = to.and_then(|ip| self.lanes.of_address(ip)).unwrap_or_else(|| place_of(node).to_string());
                self.lanes.find(&to, Place::Network)
            }
            "timer" | "task" | "disk" => self.lanes.find(place_of(node), Place::Runtime),
            "spawn" => self.lanes.find(place_of(node), Place::Actor(detail)),
            // Where it was to go, whoever noticed.
            "lost" => match detail.split_once("to ").and_then(|(_, rest)| rest.split_once(": ")) {
                Some((name, _)) => self.lanes.find(place_of(node), Place::Actor(name)),
                None => self.lanes.find(place_of(node), Place::Node),
            },
            "stop" | "restart" | "message" if actor.is_empty() => {
                let name = detail.split([':', ' ']).next().unwrap_or_default();
                self.lanes.find(place_of(node), Place::Actor(name))
            }
            _ if actor.is_empty() => self.lanes.find(place_of(node), Place::Node),
            _ => self.lanes.find(place_of(node), Place::Actor(actor)),
        }
    }

    /// Draws the arrows that end at this event.
    fn join(&mut self, entry: &Entry<'_>, tag: Option<u64>, number: usize) {
        if let Some(tag) = tag
            && let Some(from) = self.tags.insert(tag, number)
        {
            let kind = if matches!(entry.kind, "answer" | "no-answer") { ArrowKind::Answer } else { ArrowKind::Message };
            self.arrows.push(from, number, kind);
        }
        match entry.kind {
            "send" => drop(datagram_of(entry.detail).map(|datagram| self.datagrams.insert(datagram, number))),
            "arrive" => {
                if let Some(from) = datagram_of(entry.detail).and_then(|datagram| self.datagrams.get(&datagram)) {
                    self.arrows.push(*from, number, ArrowKind::Datagram);
                }
            }
            _ => {}
        }
    }

    /// How many lines there were, also those that were too many.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many lines were too many to be shown.
    pub fn left_out(&self) -> u64 {
        self.total - self.events.len() as u64
    }

    /// All of it. `verdict` is what the run's report says: null when all held.
    pub fn finish(self, run: Run, verdict: serde_json::Value) -> Chart {
        let left_out = self.left_out();
        let flagged = self.breach.or_else(|| (!verdict.is_null()).then(|| self.events.len().checked_sub(1)).flatten());
        let (nodes, lanes, order) = self.lanes.finish(self.last);
        let mut events = self.events;
        events.lane.iter_mut().for_each(|lane| *lane = order[*lane]);
        let bands = self.faults.finish(self.last, &nodes);
        Chart {
            run,
            verdict,
            flag: flagged.map(|event| Flag { event, seen_at_once: self.breach.is_some() }),
            kinds: self.kinds.texts(),
            strings: self.strings.texts(),
            nodes,
            lanes,
            events,
            arrows: self.arrows,
            bands,
            end: self.last,
            left_out,
        }
    }
}

/// The number that joins lines about a message, and the rest of the line.
fn tag_of<'a>(entry: &Entry<'a>) -> (Option<u64>, &'a str) {
    let parts = entry.detail.strip_prefix('#').map(|rest| rest.split_once(' ').unwrap_or((rest, "")));
    let parsed = parts.and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
    parsed.map_or((None, entry.detail), |(tag, rest)| (Some(tag), rest))
}

fn datagram_of(detail: &str) -> Option<u64> {
    detail.split(' ').find_map(|word| word.strip_prefix('#'))?.parse().ok()
}

/// What the page shows of a line. The hash of a datagram tells people nothing.
fn readable(kind: &str, detail: &str) -> String {
    let is_hash = |word: &&str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut text = match kind {
        "send" => detail.split(' ').filter(|word| !is_hash(word)).collect::<Vec<_>>().join(" "),
        _ => detail.to_string(),
    };
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
