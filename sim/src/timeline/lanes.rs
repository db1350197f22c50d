//! Which lane an event belongs to.

use std::collections::BTreeMap;

use super::chart::{Lane, Life, Node};

/// What happened at no node.
const WORLD: &str = "-";

/// One of a node's lanes. The order is that on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Node,
    Actor(&'a str),
    Network,
    Runtime,
}

impl Place<'_> {
    fn key(self) -> (u8, String) {
        match self {
            Place::Node => (0, String::new()),
            Place::Actor(name) => (1, name.to_string()),
            Place::Network => (2, "datagrams".into()),
            Place::Runtime => (3, "tasks, timers, disk".into()),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Numbered as they come; in the order of the page at the end.
    numbers: BTreeMap<(String, (u8, String)), usize>,
    lives: BTreeMap<String, Vec<(String, u64, Option<u64>)>>,
    addresses: BTreeMap<String, String>,
}

/// The place of a life: `a` of `a#3`.
pub(super) fn place_of(life: &str) -> &str {
    life.split('#').next().unwrap_or(life)
}

/// The address that a text begins with, without its port.
pub(super) fn ip_of(text: &str) -> Option<&str> {
    let socket = text.split(' ').next()?;
    socket.rsplit_once(':').map(|(ip, _)| ip)
}

impl Lanes {
    pub(super) fn find(&mut self, node: &str, place: Place<'_>) -> usize {
        let number = self.numbers.len();
        *self.numbers.entry((node.to_string(), place.key())).or_insert(number)
    }

    pub(super) fn begin(&mut self, life: &str, at: u64) {
        self.lives.entry(place_of(life).to_string()).or_default().push((life.to_string(), at, None));
    }

    pub(super) fn end(&mut self, life: &str, at: u64) {
        let lives = self.lives.get_mut(place_of(life));
        if let Some((_, _, end)) = lives.and_then(|lives| lives.last_mut()).filter(|(name, ..)| name == life) {
            *end = Some(at);
        }
    }

    pub(super) fn address(&mut self, ip: &str, life: &str) {
        if life != WORLD && !self.addresses.contains_key(ip) {
            self.addresses.insert(ip.to_string(), place_of(life).to_string());
        }
    }

    pub(super) fn of_address(&self, ip: &str) -> Option<String> {
        self.addresses.get(ip).cloned()
    }

    /// The nodes, the lanes in the order of the page, and for each lane's number its place among them.
    pub(super) fn finish(self, end: u64) -> (Vec<Node>, Vec<Lane>, Vec<usize>) {
        let Lanes { mut numbers, lives, addresses } = self;
        // The node's own lane leads the others, even when nothing happened in it.
        for place in numbers.keys().map(|(place, _)| place.clone()).collect::<Vec<_>>() {
            let number = numbers.len();
            numbers.entry((place, Place::Node.key())).or_insert(number);
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut lanes = Vec::with_capacity(numbers.len());
        let mut order = vec![0; numbers.len()];
        for ((place, (rank, name)), number) in numbers {
            let shown = if place == WORLD { "world" } else { &place };
            if nodes.last().is_none_or(|node| node.name != shown) {
                let lives = lives.get(&place).into_iter().flatten();
                let lives = lives.map(|(name, from, to)| Life { name: name.clone(), from: *from, to: to.unwrap_or(end) });
                let addresses = addresses.iter().filter(|(_, owner)| **owner == place).map(|(ip, _)| ip.clone());
                nodes.push(Node { name: shown.to_string(), lives: lives.collect(), addresses: addresses.collect() });
            }
            order[number] = lanes.len();
            lanes.push(Lane { node: nodes.len() - 1, name, actor: rank == 1 });
        }
        (nodes, lanes, order)
    }
}
