//! Which workers there should be, and which there are.
//!
//! The cluster wants a fixed number of workers, spread evenly over its alive nodes. One that is gone is replaced, with a new
//! number. When a node joins, idle workers move to it until the spread is even; busy ones are left alone.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use crate::ids::WorkerId;
use crate::limits::{MISSES_MAX, WORKERS_PER_NODE_MAX};

/// How many of `missing` workers start on each node, given how many each has and how many more it can take: always on the emptiest
/// one that has room, earlier ones first.
pub fn spread(missing: u32, nodes: &[(u32, u32)]) -> Vec<u32> {
    let mut starts: Vec<u32> = nodes.iter().map(|_| 0).collect();
    for _ in 0..missing {
        let with_room = (0..nodes.len()).filter(|i| starts[*i] < nodes[*i].1);
        let Some(emptiest) = with_room.min_by_key(|i| nodes[*i].0 + starts[*i]) else { break };
        starts[emptiest] += 1;
    }
    starts
}

/// What the plane wants of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkersEffect {
    Start(WorkerId),
    Stop(WorkerId),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    /// It is told to start; told again at this time.
    Starting(Time),
    /// It is up since this time; so many successive heartbeats did not name it.
    Up(Time, u8),
    /// It is told to stop; told again at this time. So many successive heartbeats did not name it.
    Stopping(Time, u8),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    incarnation: Incarnation,
    capacity: u32,
    /// Whether it may be told to start more.
    alive: bool,
    /// It is about to leave.
    draining: bool,
    next_number: u32,
    workers: BTreeMap<u32, State>,
}

impl Node {
    /// Workers that are there to stay.
    fn staying(&self) -> u32 {
        if self.draining {
            return 0;
        }
        self.workers.values().filter(|s| !matches!(s, State::Stopping(..))).count() as u32
    }

    /// How many more it can take. A worker that stops still takes its place.
    fn room(&self) -> u32 {
        if self.alive { self.capacity.saturating_sub(self.workers.len() as u32) } else { 0 }
    }
}

/// The workers of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Workers {
    wanted: u32,
    start_timeout: Duration,
    nodes: BTreeMap<NodeName, Node>,
    /// When a start or stop is told again.
    due: BTreeSet<(Time, NodeName, u32)>,
    /// A node joined since the spread was last found even.
    uneven: bool,
    /// Workers or room for them came or went since it was last looked whether some are missing.
    changed: bool,
}

impl Workers {
    pub(crate) fn new(wanted: u32, start_timeout: Duration) -> Self {
        Self { wanted, start_timeout, nodes: BTreeMap::new(), due: BTreeSet::new(), uneven: false, changed: false }
    }

    /// The node is alive, and offers `capacity`.
    pub(crate) fn node_alive(&mut self, node: &NodeName, incarnation: Incarnation, capacity: u32) {
        let fresh = || Node { incarnation, capacity: 0, alive: true, draining: false, next_number: 1, workers: BTreeMap::new() };
        let known = self.nodes.entry(node.clone()).or_insert_with(fresh);
        assert_eq!(known.incarnation, incarnation, "the life of {node} before was lost first");
        known.alive = true;
        self.changed = true;
        let capacity = capacity.min(WORKERS_PER_NODE_MAX);
        self.uneven |= capacity > known.capacity;
        known.capacity = capacity;
    }

    pub(crate) fn node_suspect(&mut self, node: &NodeName) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.alive = false;
        }
    }

    /// The node is about to leave: others are to be there for its workers.
    pub(crate) fn node_drains(&mut self, node: &NodeName) {
        if let Some(known) = self.nodes.get_mut(node) {
            (known.alive, known.draining) = (false, true);
            self.changed = true;
        }
    }

    /// The node and its workers are gone.
    pub(crate) fn node_lost(&mut self, node: &NodeName) {
        if let Some(known) = self.nodes.remove(node) {
            self.changed = true;
            for (number, state) in known.workers {
                self.unwait(node, number, &state);
            }
        }
    }

    /// A worker reports up. False: it is not one that is to start, so nothing changes.
    pub(crate) fn up(&mut self, now: Time, id: &WorkerId) -> bool {
        match self.state(id) {
            Some(state @ State::Starting(_)) => {
                let before = core::mem::replace(state, State::Up(now, 0));
                self.unwait(&id.node, id.number, &before);
                true
            }
            // Reported twice; or told to stop meanwhile; or of a life that is lost.
            _ => false,
        }
    }

    /// A worker is gone. False: it was not known.
    pub(crate) fn down(&mut self, id: &WorkerId) -> bool {
        let Some(node) = self.nodes.get_mut(&id.node).filter(|n| n.incarnation == id.incarnation) else { return false };
        let Some(state) = node.workers.remove(&id.number) else { return false };
        self.unwait(&id.node, id.number, &state);
        self.changed = true;
        true
    }

    /// What the node says it has. Gives the workers that are up after all, and those that are gone.
    ///
    /// A worker counts as gone when it came up longer than `grace` ago and some successive heartbeats do not name it.
    pub(crate) fn reconcile(
        &mut self,
        now: Time,
        grace: Duration,
        node: &NodeName,
        numbers: &[u32],
        out: &mut Vec<WorkersEffect>,
    ) -> (Vec<WorkerId>, Vec<WorkerId>) {
        let (mut up, mut gone) = (Vec::new(), Vec::new());
        let Some(known) = self.nodes.get_mut(node) else { return (up, gone) };
        let named: BTreeSet<u32> = numbers.iter().copied().collect();
        let id = |number| WorkerId { node: node.clone(), incarnation: known.incarnation, number };
        for (number, state) in &mut known.workers {
            let is_named = named.contains(number);
            match state {
                // Its report was lost.
                State::Starting(_) if is_named => up.push(id(*number)),
                // It is told again in its time.
                State::Starting(_) => {}
                // Beats that were under way when it came up, of which there may be several, do not name it.
                State::Up(since, _) if !is_named && now.since(*since) <= grace => {}
                State::Up(_, misses) | State::Stopping(_, misses) => {
                    *misses = if is_named { 0 } else { *misses + 1 };
                    if *misses >= MISSES_MAX {
                        gone.push(id(*number));
                    }
                }
            }
        }
        // A worker that was given up, and is there all the same: a duplicate start may have crossed its end.
        out.extend(named.iter().filter(|n| !known.workers.contains_key(n)).map(|n| WorkersEffect::Stop(id(*n))));
        up.iter().for_each(|id| assert!(self.up(now, id), "it was starting"));
        gone.iter().for_each(|id| assert!(self.down(id), "it was known"));
        (up, gone)
    }

    /// Whether [`Workers::reconcile`] would change anything.
    pub(crate) fn is_news(&self, now: Time, grace: Duration, node: &NodeName, numbers: &[u32]) -> bool {
        let Some(known) = self.nodes.get(node) else { return false };
        let named: BTreeSet<u32> = numbers.iter().copied().collect();
        let news = |(number, state): (&u32, &State)| match (state, named.contains(number)) {
            (State::Starting(_), is_named) => is_named,
            (State::Up(_, misses) | State::Stopping(_, misses), true) => *misses > 0,
            (State::Up(since, _), false) => now.since(*since) > grace,
            (State::Stopping(..), false) => true,
        };
        named.iter().any(|number| !known.workers.contains_key(number)) || known.workers.iter().any(news)
    }

    /// Starts what is missing, on the emptiest nodes.
    pub(crate) fn fill(&mut self, now: Time, out: &mut Vec<WorkersEffect>) {
        if !core::mem::take(&mut self.changed) {
            return;
        }
        let staying: u32 = self.nodes.values().map(Node::staying).sum();
        if staying >= self.wanted {
            return;
        }
        let nodes: Vec<_> = self.nodes.values().map(|n| (n.staying(), n.room())).collect();
        let names: Vec<_> = self.nodes.keys().cloned().collect();
        for (name, starts) in names.iter().zip(spread(self.wanted - staying, &nodes)) {
            (0..starts).for_each(|_| self.start(now, name, out));
        }
    }

    /// Moves idle workers to emptier nodes, after a join. `take_idle` gives an idle worker of a node, which gets no task any more.
    pub(crate) fn rebalance(
        &mut self,
        now: Time,
        mut take_idle: impl FnMut(&NodeName) -> Option<u32>,
        out: &mut Vec<WorkersEffect>,
    ) {
        while self.uneven {
            let emptiest = self.nodes.iter().filter(|(_, n)| n.room() > 0).map(|(name, n)| (n.staying(), name)).min();
            let Some((least, to)) = emptiest.map(|(n, name)| (n, name.clone())) else { break };
            let mut fuller: Vec<_> =
                self.nodes.iter().map(|(name, n)| (n.staying(), name.clone())).filter(|(n, _)| *n > least + 1).collect();
            if fuller.is_empty() {
                self.uneven = false;
                break;
            }
            fuller.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            // All are busy: looked at again when something has happened.
            let Some((from, number)) = fuller.into_iter().find_map(|(_, name)| take_idle(&name).map(|n| (name, n))) else {
                break;
            };
            self.stop(now, &from, number, out);
            self.start(now, &to, out);
        }
    }

    /// Whether [`Workers::rebalance`] has something to look for.
    pub(crate) fn is_uneven(&self) -> bool {
        self.uneven
    }

    /// Tells again what was not answered in its time.
    pub(crate) fn tick(&mut self, now: Time, out: &mut Vec<WorkersEffect>) {
        self.tell_until(now, now, out);
    }

    /// Tells again all that was not answered.
    pub(crate) fn tell_again(&mut self, now: Time, out: &mut Vec<WorkersEffect>) {
        self.tell_until(Time::MAX, now, out);
    }

    /// Tells again what is due until then.
    fn tell_until(&mut self, until: Time, now: Time, out: &mut Vec<WorkersEffect>) {
        let mut told = Vec::new();
        while let Some((due, node, number)) = self.due.first().cloned()
            && due <= until
        {
            self.due.pop_first();
            let again = now + self.start_timeout;
            let id = WorkerId { incarnation: self.nodes[&node].incarnation, node: node.clone(), number };
            match self.state(&id) {
                Some(State::Starting(at)) => {
                    *at = again;
                    out.push(WorkersEffect::Start(id));
                }
                Some(State::Stopping(at, _)) => {
                    *at = again;
                    out.push(WorkersEffect::Stop(id));
                }
                _ => unreachable!("only what was told is waited for"),
            }
            told.push((again, node, number));
        }
        self.due.extend(told);
    }

    pub(crate) fn wakes_at(&self) -> Option<Time> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// All workers, and whether each is up.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, bool)> {
        self.nodes.iter().flat_map(|(name, node)| {
            let id = |number| WorkerId { node: name.clone(), incarnation: node.incarnation, number };
            node.workers.iter().map(move |(number, state)| (id(*number), matches!(state, State::Up(..))))
        })
    }

    fn start(&mut self, now: Time, node: &NodeName, out: &mut Vec<WorkersEffect>) {
        let again = now + self.start_timeout;
        let Some(known) = self.nodes.get_mut(node) else { unreachable!("{node} is known") };
        let number = known.next_number;
        known.next_number += 1;
        known.workers.insert(number, State::Starting(again));
        out.push(WorkersEffect::Start(WorkerId { node: node.clone(), incarnation: known.incarnation, number }));
        self.due.insert((again, node.clone(), number));
    }

    fn stop(&mut self, now: Time, node: &NodeName, number: u32, out: &mut Vec<WorkersEffect>) {
        let again = now + self.start_timeout;
        let Some(known) = self.nodes.get_mut(node) else { unreachable!("{node} is known") };
        let before = known.workers.insert(number, State::Stopping(again, 0));
        assert!(matches!(before, Some(State::Up(..))), "an idle worker is up");
        out.push(WorkersEffect::Stop(WorkerId { node: node.clone(), incarnation: known.incarnation, number }));
        self.due.insert((again, node.clone(), number));
    }

    fn state(&mut self, id: &WorkerId) -> Option<&mut State> {
        let node = self.nodes.get_mut(&id.node).filter(|n| n.incarnation == id.incarnation)?;
        node.workers.get_mut(&id.number)
    }

    fn unwait(&mut self, node: &NodeName, number: u32, state: &State) {
        if let State::Starting(at) | State::Stopping(at, _) = state {
            assert!(self.due.remove(&(*at, node.clone(), number)), "what was told is waited for");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn workers_are_spread_evenly_within_capacities() {
        type Row = (u32, &'static [(u32, u32)], &'static [u32]);
        let table: &[Row] = &[
            (0, &[(0, 4), (0, 4)], &[0, 0]),
            (5, &[], &[]),
            (5, &[(0, 4), (0, 4)], &[3, 2]),
            (6, &[(0, 1), (0, 4), (0, 4)], &[1, 3, 2]),
            (9, &[(0, 2), (0, 2)], &[2, 2]),
            (3, &[(0, 0), (0, 8), (0, 0)], &[0, 3, 0]),
            (3, &[(3, 8), (1, 8), (9, 8)], &[1, 2, 0]),
            (2, &[(2, 2), (1, 0)], &[2, 0]),
        ];
        for (missing, nodes, expected) in table {
            assert_eq!(spread(*missing, nodes), *expected, "{missing} over {nodes:?}");
        }
    }
}
