//! What joins two events, as far as the ledger says.
//!
//! | event | what led to it |
//! |---|---|
//! | a message is handled, lost, not answered | its sending; and a fault of their way, or of one of the nodes, that was at work meanwhile (perhaps) |
//! | an answer comes | what the actor that was asked did last before it answered (perhaps), and the handling of the question |
//! | what an actor does | the message that it handles; what it sends, also the decision (`effect`) just before |
//! | what another task does | what it did before; its first act, who started the task |
//! | a node's first act | its start |
//! | a node's start | the end of its fault, and what befell its disk before |
//! | power loss, what befalls a disk | the fault of the plan |
//! | a connection's end | the last fault of one of the two nodes (perhaps) |
//! | a decision | the decisions before it in the same turn, and a fault of a node that it names (perhaps) |
//! | how an actor handles a message | any message that it handled before, any decision (perhaps, and far) |
//! | the judge sees a breach | what a client let it see last |

use std::collections::{BTreeMap, BTreeSet};

use super::Event;
use super::paths::Cause;

/// As recorded.
const SURE: u64 = 1;

/// It fits, and is not recorded.
const PERHAPS: u64 = 4;

/// What an actor remembers, nobody knows: only if nothing else leads there.
const REMEMBERED: u64 = 100;

/// What a task says after what it heard: so it was, but who asks again and again says nothing by it.
const NEXT: u64 = 30;

/// Of what befell a disk before its node came back, the last ones.
const DISK_MAX: usize = 16;

/// What led to what.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// For each event; behind them, for each message, what its actor remembers then.
    pub(super) causes: Vec<Vec<Cause>>,
    /// Where faults of the plan begin.
    pub(super) faults: Vec<usize>,
    /// Where nodes' first lives begin.
    pub(super) begins: Vec<usize>,
}

#[derive(Debug)]
struct Fault {
    begin: usize,
    end: Option<usize>,
    nodes: Vec<String>,
    disk: bool,
}

#[derive(Debug)]
struct Sent {
    at: usize,
    /// Where it was handled.
    message: Option<usize>,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Reader<'a> {
    links: Links,
    faults: BTreeMap<&'a str, Fault>,
    sent: BTreeMap<u64, Sent>,
    /// Where each task began, which of them no task of a node began, and what each did last.
    begun: BTreeMap<u64, usize>,
    by_the_world: BTreeSet<usize>,
    last: BTreeMap<u64, usize>,
    /// Of each life and actor: all that it did, the message that it handles, its last decision on that.
    acts: BTreeMap<(&'a str, &'a str), Vec<usize>>,
    handles: BTreeMap<(&'a str, &'a str), usize>,
    decided: BTreeMap<(&'a str, &'a str), usize>,
    spawned: BTreeMap<(&'a str, &'a str), usize>,
    /// Where each life started, and the last start or end of each place.
    started: BTreeMap<&'a str, usize>,
    turned: BTreeMap<&'a str, usize>,
    /// What befell each place's disk.
    sick: BTreeMap<&'a str, Vec<usize>>,
    /// Answers that left each life, by the task that gave them.
    answered: BTreeMap<&'a str, Vec<usize>>,
    seen: Option<usize>,
    /// Of each life and actor: what it remembers.
    remembers: BTreeMap<(&'a str, &'a str), usize>,
}

fn place_of(life: &str) -> &str {
    life.split('#').next().unwrap_or(life)
}

fn tag_of(detail: &str) -> Option<(u64, &str)> {
    let (number, rest) = detail.strip_prefix('#')?.split_once(' ').unwrap_or((detail.get(1..)?, ""));
    Some((number.parse().ok()?, rest))
}

impl Links {
    pub(super) fn of(events: &[Event]) -> Links {
        let mut reader = Reader::default();
        reader.links.causes = vec![Vec::new(); events.len()];
        for at in 0..events.len() {
            reader.read(events, at);
        }
        reader.links
    }
}

impl<'a> Reader<'a> {
    fn link(&mut self, to: usize, from: Option<usize>, cost: u64) {
        if let Some(from) = from.filter(|from| *from != to) {
            self.links.causes[to].push((from, cost, [SURE, NEXT].contains(&cost)));
        }
    }

    fn read(&mut self, events: &'a [Event], at: usize) {
        let event = &events[at];
        let (life, place) = (event.node.as_str(), place_of(&event.node));
        match event.kind {
            "fault" => self.fault(event, at),
            "start" => {
                let of = place_of(&event.detail);
                let ends = self.faults.values().filter(|fault| fault.nodes.iter().any(|node| node == of));
                let before = self.turned.get(of).copied().or(ends.filter_map(|fault| fault.end).max());
                if before.is_none() {
                    self.links.begins.push(at);
                }
                self.link(at, before, SURE);
                let sick = self.sick.remove(of).unwrap_or_default();
                sick.into_iter().rev().take(DISK_MAX).for_each(|sick| self.link(at, Some(sick), PERHAPS));
                self.started.insert(&event.detail, at);
                self.turned.insert(of, at);
            }
            "kill" => {
                let of = place_of(&event.detail);
                let fault = self.latest(|fault| fault.nodes.iter().any(|node| node == of) && !fault.disk);
                self.link(at, fault, SURE);
                self.turned.insert(of, at);
            }
            "message" | "lost" | "no-answer" | "given-back" => self.arrives(events, at),
            "answer" => self.answer(events, at),
            "breach" if place == "-" => self.link(at, self.seen, SURE),
            _ => {
                if event.kind == "disk"
                    && let Some((_, of)) = event.detail.split(": ").next().and_then(|words| words.split_once(" of "))
                {
                    let fault = self.latest(|fault| fault.disk && fault.nodes.iter().any(|node| node == of));
                    self.link(at, fault, SURE);
                    self.sick.entry(of).or_default().push(at);
                }
                if event.kind == "link" && event.detail.contains(" down: ") {
                    let peer = event.detail.split(' ').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
                    let peer = peer.trim_end_matches('#');
                    let fault = self.latest(|fault| !fault.disk && fault.nodes.iter().any(|node| node == place || node == peer));
                    self.link(at, fault, PERHAPS);
                }
                if event.kind == "effect" {
                    self.decides(events, at);
                }
                self.follows(event, at);
            }
        }
        self.note(event, at, life);
    }

    /// What is known after this event.
    fn note(&mut self, event: &'a Event, at: usize, life: &'a str) {
        let who = (life, event.actor.as_str());
        match event.kind {
            "begin" => {
                let task = event.detail.split(' ').nth(1).and_then(|task| task.parse().ok());
                task.map(|task: u64| self.begun.insert(task, at));
                if life == "-" {
                    self.by_the_world.insert(at);
                }
            }
            "spawn" => drop(self.spawned.insert((life, &event.detail), at)),
            "seen" => self.seen = Some(at),
            "tell" | "ask" => {
                if let Some((tag, _)) = tag_of(&event.detail) {
                    self.sent.insert(tag, Sent { at, message: None });
                }
            }
            "effect" => drop(self.decided.insert(who, at)),
            _ => {}
        }
        if !event.actor.is_empty() {
            self.acts.entry(who).or_default().push(at);
        }
        self.last.insert(event.task, at);
    }

    fn fault(&mut self, event: &'a Event, at: usize) {
        let mut words = event.detail.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("begin"), Some(number), text) => {
                let text = text.unwrap_or_default();
                let nodes = text.rsplit_once(" on ").map(|(_, nodes)| nodes.split(',').map(str::to_string).collect());
                let disk = text.contains("'s disk");
                self.faults.insert(number, Fault { begin: at, end: None, nodes: nodes.unwrap_or_default(), disk });
                self.links.faults.push(at);
            }
            (Some("end"), Some(number), None) => {
                let begin = self.faults.get_mut(number).map(|fault| {
                    fault.end = Some(at);
                    fault.begin
                });
                self.link(at, begin, SURE);
            }
            // What the world does about it, at once.
            _ => self.link(at, self.latest(|_| true), SURE),
        }
    }

    /// The fault that began last.
    fn latest(&self, is: impl Fn(&Fault) -> bool) -> Option<usize> {
        self.faults.values().filter(|fault| is(fault)).map(|fault| fault.begin).max()
    }

    /// A message came to an actor, or did not.
    fn arrives(&mut self, events: &'a [Event], at: usize) {
        let event = &events[at];
        let Some((tag, rest)) = tag_of(&event.detail) else { return self.follows(event, at) };
        if let Some(sent) = self.sent.get(&tag) {
            let (sent, from) = (sent.at, place_of(&events[sent.at].node).to_string());
            self.link(at, Some(sent), SURE);
            let to = match events[sent].detail.rsplit_once('@') {
                Some((_, to)) => to.to_string(),
                None => from.clone(),
            };
            // Of a link, both ends; of a node, one of them.
            let is_on_the_way = |fault: &Fault| fault.nodes.iter().all(|node| *node == from || *node == to);
            let between = |fault: &Fault| {
                fault.end.is_none_or(|end| end > sent) && !fault.disk && !fault.nodes.is_empty() && is_on_the_way(fault)
            };
            self.link(at, self.latest(between), PERHAPS);
        }
        if event.kind != "message" {
            return;
        }
        let actor = rest.split(' ').next().unwrap_or_default();
        let who = (event.node.as_str(), actor);
        if let Some(sent) = self.sent.get_mut(&tag) {
            sent.message = Some(at);
        }
        self.link(at, self.remembers.get(&who).copied(), REMEMBERED);
        self.remember(who, at);
        self.handles.insert(who, at);
        self.decided.remove(&who);
    }

    /// From now on the actor remembers this, too.
    fn remember(&mut self, who: (&'a str, &'a str), at: usize) {
        let now = self.links.causes.len();
        let before = self.remembers.insert(who, now);
        self.links.causes.push([at].into_iter().chain(before).map(|from| (from, 0, false)).collect());
    }

    /// An actor decides something: in one turn with what it decided before, or because of a node that is not as it should be.
    fn decides(&mut self, events: &'a [Event], at: usize) {
        let event = &events[at];
        let before = self.decided.get(&(event.node.as_str(), event.actor.as_str())).copied();
        self.link(at, before.filter(|before| events[*before].at == event.at), PERHAPS);
        let names = |node: &String| event.detail.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == node);
        let fault = self.latest(|fault| fault.end.is_none() && !fault.disk && fault.nodes.iter().any(names));
        self.link(at, fault, PERHAPS);
        self.remember((&event.node, &event.actor), at);
    }

    /// An answer came, or leaves.
    fn answer(&mut self, events: &'a [Event], at: usize) {
        let event = &events[at];
        let Some((tag, _)) = tag_of(&event.detail) else {
            // It leaves for another node: to whom is not recorded.
            return self.answered.entry(&event.node).or_default().push(at);
        };
        let Some(Sent { at: asked, message: Some(message) }) = self.sent.get(&tag) else { return };
        let (asked, message) = (*asked, *message);
        let (life, actor) = (events[message].node.as_str(), tag_of(&events[message].detail).map_or("", |(_, rest)| rest));
        let actor = actor.split(' ').next().unwrap_or_default();
        // By which task it left: one that began while the question came.
        let is_its = |task: u64| self.begun.get(&task).is_some_and(|begun| (asked..=message).contains(begun));
        let left = self.answered.get(life).and_then(|left| left.iter().rev().find(|left| is_its(events[**left].task)));
        let until = left.copied().unwrap_or(at);
        let acts = self.acts.get(&(life, actor));
        let did = acts.and_then(|acts| acts[..acts.partition_point(|act| *act < until)].last()).copied();
        self.link(at, did.filter(|did| *did > message), PERHAPS);
        self.link(at, Some(message), SURE);
    }

    /// What follows from what the same actor, or the same task, did before.
    fn follows(&mut self, event: &'a Event, at: usize) {
        let (life, who) = (event.node.as_str(), (event.node.as_str(), event.actor.as_str()));
        if !event.actor.is_empty() {
            if let Some(handled) = self.handles.get(&who).copied() {
                let decided = self.decided.get(&who).copied().filter(|_| matches!(event.kind, "tell" | "ask"));
                return self.link(at, decided.or(Some(handled)), SURE);
            }
            if let Some(spawned) = self.spawned.get(&who).copied() {
                return self.link(at, Some(spawned), SURE);
            }
        }
        if life == "-" {
            return;
        }
        if let Some(last) = self.last.get(&event.task).copied().filter(|_| event.task != 0) {
            return self.link(at, Some(last), if matches!(event.kind, "tell" | "ask") { NEXT } else { SURE });
        }
        // The first that this task does. What nobody on the node began, began with the node.
        let by = self.begun.get(&event.task).filter(|begun| !self.by_the_world.contains(begun)).copied();
        self.link(at, by.or(self.started.get(life).copied()), SURE);
    }
}
