//! Which nodes live, judged by their heartbeats.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use crate::config::MonitorConfig;
use crate::limits::NODES_MAX;
use crate::machine::Machine;

/// How a node is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeState {
    /// It beats.
    Alive,
    /// It was silent for a while, or a link to it went down. It gets no new work.
    Suspect,
    /// It was silent for too long, or lives again as a later incarnation. It stays lost: what comes back of it is ignored until
    /// it joins with a higher incarnation.
    Lost,
}

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its latest life.
    pub incarnation: Incarnation,
    /// How many workers it offers to run; zero until it said so.
    pub capacity: u32,
    /// How it is judged.
    pub state: NodeState,
    /// When it was last heard.
    pub last_beat: Time,
    /// It is about to leave: it gets no new work, also when it beats.
    pub draining: bool,
}

/// What a monitor hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorEvent {
    /// The node joined, or says its capacity anew.
    Up {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// How many workers it offers to run.
        capacity: u32,
    },
    /// The node is alive.
    Beat {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A hint that the node cannot be reached.
    LinkDown {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
    },
}

/// What a monitor concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorEffect {
    /// The node is new, was suspect and beats again, or told another capacity.
    Alive(NodeName, Incarnation),
    /// The node should get no new work.
    Suspect(NodeName, Incarnation),
    /// The work of this life of the node is to be done elsewhere.
    Lost(NodeName, Incarnation),
}

/// Judges nodes by their heartbeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    config: MonitorConfig,
    nodes: BTreeMap<NodeName, NodeStatus>,
    /// When a node's state changes if nothing is heard of it; an entry for each node that is not lost.
    due: BTreeSet<(Time, NodeName)>,
}

impl Monitor {
    /// Knows no node yet.
    ///
    /// # Panics
    /// When a node would be lost before it is suspect.
    pub fn new(config: MonitorConfig) -> Self {
        assert!(config.suspect_after <= config.lost_after, "a node is suspect before it is lost");
        Self { config, nodes: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// The nodes by name, lost ones among them.
    pub fn nodes(&self) -> &BTreeMap<NodeName, NodeStatus> {
        &self.nodes
    }

    /// How this life of the node is judged; `None` when it was never heard of. An earlier life is lost.
    pub fn judge(&self, node: &NodeName, incarnation: Incarnation) -> Option<NodeState> {
        let status = self.nodes.get(node)?;
        match incarnation.cmp(&status.incarnation) {
            core::cmp::Ordering::Less => Some(NodeState::Lost),
            core::cmp::Ordering::Equal => Some(status.state),
            core::cmp::Ordering::Greater => None,
        }
    }

    /// Counts every node that is not lost as heard now: the listener itself was deaf for a while (another leader took over).
    pub fn forgive(&mut self, now: Time) {
        let names: Vec<_> = self.due.iter().map(|(_, node)| node.clone()).collect();
        for node in names {
            self.update(&node, |status| status.last_beat = now);
        }
    }

    /// A life of the node was heard then, and there is nothing new about it.
    pub fn heard_at(&mut self, node: &NodeName, incarnation: Incarnation, at: Time) {
        let lives = matches!(self.judge(node, incarnation), Some(NodeState::Alive | NodeState::Suspect));
        if lives && self.nodes[node].last_beat < at {
            self.update(node, |status| status.last_beat = at);
        }
    }

    /// A life of a node was heard.
    fn heard(
        &mut self,
        now: Time,
        node: &NodeName,
        incarnation: Incarnation,
        capacity: Option<u32>,
        out: &mut Vec<MonitorEffect>,
    ) {
        match self.nodes.get(node) {
            // An earlier life speaks through a slow link, or a lost one comes back: its work was given away.
            Some(old) if incarnation < old.incarnation => return,
            Some(old) if incarnation == old.incarnation && old.state == NodeState::Lost => return,
            Some(old) if incarnation == old.incarnation => {
                let news = old.state != NodeState::Alive || capacity.is_some_and(|c| c != old.capacity);
                self.update(node, |status| {
                    status.state = NodeState::Alive;
                    status.last_beat = now;
                    status.capacity = capacity.unwrap_or(status.capacity);
                });
                if news {
                    out.push(MonitorEffect::Alive(node.clone(), incarnation));
                }
                return;
            }
            Some(_) => self.lose(node, out),
            None => {
                if self.nodes.len() >= NODES_MAX && !self.forget_one() {
                    return;
                }
            }
        }
        let status =
            NodeStatus { incarnation, capacity: capacity.unwrap_or(0), state: NodeState::Alive, last_beat: now, draining: false };
        self.due.insert((now + self.config.suspect_after, node.clone()));
        self.nodes.insert(node.clone(), status);
        out.push(MonitorEffect::Alive(node.clone(), incarnation));
    }

    /// This life of the node is about to leave. False: it is not one that lives.
    pub fn drain(&mut self, node: &NodeName, incarnation: Incarnation) -> bool {
        let lives = matches!(self.judge(node, incarnation), Some(NodeState::Alive | NodeState::Suspect));
        if lives {
            self.update(node, |status| status.draining = true);
        }
        lives
    }

    /// This life of the node has left: nothing of it is waited for.
    pub fn leave(&mut self, node: &NodeName, incarnation: Incarnation, out: &mut Vec<MonitorEffect>) {
        if matches!(self.judge(node, incarnation), Some(NodeState::Alive | NodeState::Suspect)) {
            self.lose(node, out);
        }
    }

    fn lose(&mut self, node: &NodeName, out: &mut Vec<MonitorEffect>) {
        let incarnation = self.nodes[node].incarnation;
        if self.nodes[node].state != NodeState::Lost {
            self.update(node, |status| status.state = NodeState::Lost);
            out.push(MonitorEffect::Lost(node.clone(), incarnation));
        }
    }

    /// Changes a node and its place in the order of what is due.
    fn update(&mut self, node: &NodeName, change: impl FnOnce(&mut NodeStatus)) {
        let Some(status) = self.nodes.get_mut(node) else { unreachable!("{node} is known") };
        if let Some(due) = due(&self.config, status) {
            assert!(self.due.remove(&(due, node.clone())), "{node} is waited for");
        }
        change(status);
        if let Some(due) = due(&self.config, status) {
            self.due.insert((due, node.clone()));
        }
    }

    fn forget_one(&mut self) -> bool {
        let lost = self.nodes.iter().filter(|(_, s)| s.state == NodeState::Lost);
        let oldest = lost.min_by_key(|(_, s)| s.last_beat).map(|(name, _)| name.clone());
        oldest.is_some_and(|name| self.nodes.remove(&name).is_some())
    }
}

impl Machine for Monitor {
    type Event = MonitorEvent;
    type Effect = MonitorEffect;

    fn on(&mut self, now: Time, event: MonitorEvent, effects: &mut Vec<MonitorEffect>) {
        match event {
            MonitorEvent::Up { node, incarnation, capacity } => {
                self.heard(now, &node, incarnation, Some(capacity), effects);
            }
            MonitorEvent::Beat { node, incarnation } => {
                self.heard(now, &node, incarnation, None, effects);
            }
            MonitorEvent::LinkDown { node, incarnation } => {
                // A link to an earlier life, or to one that is suspect or lost already, says nothing new.
                if self.judge(&node, incarnation) == Some(NodeState::Alive) {
                    self.update(&node, |status| status.state = NodeState::Suspect);
                    effects.push(MonitorEffect::Suspect(node, incarnation));
                }
            }
        }
    }

    fn tick(&mut self, now: Time, effects: &mut Vec<MonitorEffect>) {
        while let Some((due, node)) = self.due.first().cloned()
            && due <= now
        {
            let status = &self.nodes[&node];
            if status.state == NodeState::Suspect {
                self.lose(&node, effects);
            } else {
                effects.push(MonitorEffect::Suspect(node.clone(), status.incarnation));
                self.update(&node, |status| status.state = NodeState::Suspect);
            }
        }
    }

    fn wakes_at(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }
}

fn due(config: &MonitorConfig, status: &NodeStatus) -> Option<Time> {
    match status.state {
        NodeState::Alive => Some(status.last_beat + config.suspect_after),
        NodeState::Suspect => Some(status.last_beat + config.lost_after),
        NodeState::Lost => None,
    }
}
