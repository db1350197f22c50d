//! Three nodes, the messages under way, and the faults.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::{Incarnation, NodeName, Time};

use super::{invariants, jobs};
use crate::config::{PlaneConfig, Planted, Quota};
use crate::ids::{Fence, JobId, JobKey, RequestId, ShardId, TenantId};
use crate::machine::Machine;
use crate::monitor::NodeState;
use crate::names::{self, Claimed};
use crate::plane::{JobOutcome, Plane, PlaneEffect, PlaneEvent};
use crate::spec::JobSpec;
use crate::stream::{Shard, ShardState};
use crate::{Payload, WorkerId};

/// After the faults stop, all must be done within this time.
const HEALED_WITHIN: Duration = Duration::from_secs(120);
/// Few enough that none is forgotten.
const JOBS: usize = 8;
/// Messages under way in either direction; one more is lost.
const MESSAGES: usize = 512;

pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) incarnation: Incarnation,
    pub(super) up: bool,
    /// What each worker does.
    pub(super) workers: BTreeMap<u32, Option<(Fence, Vec<Payload>)>>,
    pub(super) shards: BTreeMap<ShardId, (u32, Shard)>,
    pub(super) claims: Claims,
}

/// What a node knows of its names.
#[derive(Default)]
pub(super) struct Claims {
    tickets: u64,
    words: u64,
    /// What it believes to own, by ticket: the name and the fence.
    pub(super) held: BTreeMap<u64, (String, u64)>,
    /// It stops by then.
    until: Time,
}

impl Claims {
    /// What it may act in the name of.
    pub(super) fn held_at(&self, now: Time) -> impl Iterator<Item = &(String, u64)> {
        self.held.values().filter(move |_| now < self.until)
    }
}

/// The two newest checkpoints of a shard.
#[derive(Default)]
pub(super) struct Kept {
    newest: ShardState,
    before: ShardState,
    /// Whether the newest can't be read, or the one before it; never both.
    damaged: [bool; 2],
}

impl Kept {
    pub(super) fn readable(&self) -> &ShardState {
        if self.damaged[0] { &self.before } else { &self.newest }
    }

    pub(super) fn save(&mut self, state: ShardState) {
        // An owner that was given up still writes; what is further on stays.
        if state.seq >= self.readable().seq {
            self.before = core::mem::replace(&mut self.newest, state);
            self.damaged = [false, self.damaged[0]];
        }
    }
}

pub(super) struct World {
    pub(super) plane: Plane,
    pub(super) now: Time,
    pub(super) nodes: Vec<Node>,
    pub(super) to_nodes: Vec<PlaneEffect>,
    pub(super) to_plane: Vec<PlaneEvent>,
    /// The checkpoints.
    pub(super) durable: BTreeMap<ShardId, Kept>,
    pub(super) jobs: BTreeMap<JobId, JobSpec>,
    pub(super) finished: BTreeMap<JobId, JobOutcome>,
    /// The highest that was granted.
    fence: u64,
    /// Beats that told nothing new, since the plane last woke.
    heard: BTreeMap<NodeName, (Incarnation, Time)>,
}

impl World {
    pub(super) fn new(planted: Planted) -> Self {
        let tenants = [(TenantId("default".to_string()), Quota { slots: 3, queued: 30 })].into();
        let plane = Plane::new(PlaneConfig { workers: 4, tenants, planted, ..PlaneConfig::default() });
        let node = |name: &str| Node {
            name: NodeName::new(name).unwrap_or_else(|_| unreachable!("it is a name")),
            incarnation: Incarnation(0),
            up: false,
            workers: BTreeMap::new(),
            shards: BTreeMap::new(),
            claims: Claims::default(),
        };
        let nodes = ["a", "b", "c"].map(node).into();
        let mut world = Self {
            plane,
            now: Time::ZERO,
            nodes,
            to_nodes: Vec::new(),
            to_plane: Vec::new(),
            durable: BTreeMap::new(),
            jobs: BTreeMap::new(),
            finished: BTreeMap::new(),
            fence: 0,
            heard: BTreeMap::new(),
        };
        (0..3).for_each(|node| world.restart(node));
        world
    }

    pub(super) fn deliver_to_node(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.to_nodes.len()) {
            let effect = self.to_nodes.remove(at);
            self.carry_out(effect);
        }
    }

    pub(super) fn double_to_node(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.to_nodes.len()) {
            self.carry_out(self.to_nodes[at].clone());
        }
    }

    pub(super) fn drop_to_node(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.to_nodes.len()) {
            self.to_nodes.remove(at);
        }
    }

    pub(super) fn deliver_to_plane(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.to_plane.len()) {
            let event = self.to_plane.remove(at);
            self.tell(event);
        }
    }

    pub(super) fn double_to_plane(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.to_plane.len()) {
            self.tell(self.to_plane[at].clone());
        }
    }

    pub(super) fn drop_to_plane(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.to_plane.len()) {
            self.to_plane.remove(at);
        }
    }

    /// A disk damages the newest checkpoint of a shard, when the one before it is good.
    pub(super) fn damage(&mut self, arg: usize) {
        if let Some(at) = index(arg, self.durable.len())
            && let Some(kept) = self.durable.values_mut().nth(at)
            && !kept.damaged[1]
        {
            kept.damaged[0] = true;
        }
    }

    /// Lets time pass, with the plane awake whenever it wants to be.
    pub(super) fn advance(&mut self, millis: u64) {
        let target = self.now + Duration::from_millis(millis);
        while let Some(due) = self.plane.wakes_at().filter(|due| *due <= target) {
            self.now = self.now.max(due);
            let mut effects = Vec::new();
            let heard = core::mem::take(&mut self.heard).into_iter();
            let beats = heard.map(|(node, (incarnation, at))| (node, incarnation, at)).collect();
            self.plane.on(self.now, PlaneEvent::Heard { beats }, &mut effects);
            assert!(effects.is_empty(), "beats without news: {effects:?}");
            self.plane.tick(self.now, &mut effects);
            self.absorb(effects);
            assert!(self.plane.wakes_at().is_none_or(|next| next > self.now), "what was due at {} is due still", self.now);
        }
        self.now = target;
    }

    /// A heartbeat sets out. A node that hears that it is lost joins anew.
    pub(super) fn beat(&mut self, arg: usize) {
        let at = arg % self.nodes.len();
        let node = &self.nodes[at];
        if !node.up {
            return;
        }
        if self.plane.judge(&node.name, node.incarnation) == Some(NodeState::Lost) {
            return self.restart(at);
        }
        let running = node.workers.values().flatten().map(|(fence, _)| *fence).collect();
        let workers = node.workers.keys().copied().collect();
        let (name, incarnation) = (node.name.clone(), node.incarnation);
        self.send(PlaneEvent::Heartbeat { node: name, incarnation, running, workers });
    }

    pub(super) fn crash(&mut self, arg: usize) {
        let at = arg % self.nodes.len();
        let node = &mut self.nodes[at];
        node.up = false;
        node.workers.clear();
        node.shards.clear();
        node.claims = Claims::default();
    }

    /// A node says that it is about to leave, or (it was lucky) has left, and what it had in hand with it.
    pub(super) fn drain(&mut self, arg: usize) {
        let at = arg % self.nodes.len();
        let node = &self.nodes[at];
        let (name, incarnation) = (node.name.clone(), node.incarnation);
        if (arg / self.nodes.len()).is_multiple_of(2) {
            return self.tell(PlaneEvent::NodeDrains { node: name, incarnation });
        }
        self.crash(at);
        self.tell(PlaneEvent::NodeLeaves { node: name, incarnation });
    }

    /// A node starts, after a crash or without one, as its next life.
    pub(super) fn restart(&mut self, arg: usize) {
        self.crash(arg);
        let at = arg % self.nodes.len();
        let node = &mut self.nodes[at];
        node.up = true;
        node.incarnation.0 += 1;
        let up = PlaneEvent::NodeUp { node: node.name.clone(), incarnation: node.incarnation, capacity: 2 };
        self.tell(up);
    }

    /// A node claims a name, and hears what came of it at once, or never.
    pub(super) fn claim(&mut self, arg: usize) {
        let Some((at, node, incarnation)) = self.alive(arg) else { return };
        let now = self.now;
        self.nodes[at].claims.tickets += 1;
        let ticket = self.nodes[at].claims.tickets;
        let name = format!("name {}", arg / 3 % 4);
        let claims = [(ticket, name.clone())].into();
        self.tell(PlaneEvent::ClaimNames { node: node.clone(), incarnation, address: String::new(), claims });
        let claimed = self.plane.claimed(&node, incarnation, ticket, &name);
        if let (Claimed::Granted(fence), true) = (claimed, arg < 128) {
            assert!(fence > self.fence, "fence {fence} after {}", self.fence);
            self.fence = fence;
            let claims = &mut self.nodes[at].claims;
            if now >= claims.until {
                claims.held.clear();
            }
            claims.held.insert(ticket, (name, fence));
            claims.until = now + names::lease(&self.plane.config.monitor);
        }
    }

    /// A node says what it holds: at once, or late and perhaps in another order.
    pub(super) fn keep(&mut self, arg: usize) {
        let Some((at, node, incarnation)) = self.alive(arg) else { return };
        let now = self.now;
        let claims = &mut self.nodes[at].claims;
        if now >= claims.until {
            claims.held.clear();
        }
        claims.words += 1;
        let (number, upto, tickets) = (claims.words, claims.tickets, claims.held.keys().copied().collect());
        let keep = PlaneEvent::KeepNames { node: node.clone(), incarnation, number, upto, tickets };
        if arg >= 128 {
            return self.send(keep);
        }
        self.tell(keep);
        let kept = self.plane.tickets(&node, incarnation);
        let lease = names::lease(&self.plane.config.monitor);
        let claims = &mut self.nodes[at].claims;
        claims.held.retain(|ticket, _| kept.contains(ticket));
        claims.until = now + lease;
    }

    /// A node gives up a name.
    pub(super) fn release(&mut self, arg: usize) {
        let Some((at, node, incarnation)) = self.alive(arg) else { return };
        if let Some((ticket, _)) = self.nodes[at].claims.held.pop_first() {
            self.send(PlaneEvent::ReleaseNames { node, incarnation, tickets: [ticket].into() });
        }
    }

    fn alive(&self, arg: usize) -> Option<(usize, NodeName, Incarnation)> {
        let at = arg % self.nodes.len();
        let node = &self.nodes[at];
        node.up.then(|| (at, node.name.clone(), node.incarnation))
    }

    /// A function returns, well or not.
    pub(super) fn complete(&mut self, arg: usize, well: bool) {
        let busy = |node: &Node| node.workers.iter().filter(|(_, task)| task.is_some()).map(|(n, _)| *n).collect::<Vec<_>>();
        let all: Vec<_> = self.nodes.iter().enumerate().flat_map(|(i, n)| busy(n).into_iter().map(move |w| (i, w))).collect();
        let Some(at) = index(arg, all.len()) else { return };
        let (node, number) = all[at];
        let node = &mut self.nodes[node];
        let Some((fence, inputs)) = node.workers.get_mut(&number).and_then(Option::take) else { return };
        let worker = WorkerId { node: node.name.clone(), incarnation: node.incarnation, number };
        let outcome = if well { Ok(jobs::run(&self.jobs[&fence.job], fence.task, &inputs)) } else { Err("injected".to_string()) };
        self.send(PlaneEvent::TaskDone { fence, worker, outcome });
    }

    pub(super) fn submit(&mut self, arg: usize) {
        let number = (self.jobs.len() as u64).min(JOBS as u64 - 1);
        let spec = jobs::spec(arg);
        let key = JobKey { client: "check".to_string(), number };
        let mut effects = Vec::new();
        self.plane.on(self.now, PlaneEvent::Submit { request: RequestId(number), key, spec: spec.clone() }, &mut effects);
        if let Some(PlaneEffect::Submitted { result: Ok(job), .. }) = effects.first() {
            self.jobs.entry(*job).or_insert(spec);
        }
        self.absorb(effects);
    }

    pub(super) fn link_down(&mut self, arg: usize) {
        let node = &self.nodes[arg % self.nodes.len()];
        self.tell(PlaneEvent::LinkDown { node: node.name.clone(), incarnation: node.incarnation });
    }

    /// Another leader takes over: what the one before had not yet sent is never sent.
    pub(super) fn take_over(&mut self, arg: usize) {
        self.to_nodes.truncate(arg % (self.to_nodes.len() + 1));
        self.tell(PlaneEvent::TookOver);
    }

    /// The plane is replaced by what its snapshot holds.
    pub(super) fn snapshot(&mut self) {
        let bytes =
            playhouse_wire::encode(&self.plane).unwrap_or_else(|e| unreachable!("a plane is made of encodable parts: {e}"));
        let again: Plane = playhouse_wire::decode(&bytes).unwrap_or_else(|e| unreachable!("it was encoded here: {e}"));
        assert!(again == self.plane, "a snapshot holds all of a plane");
        self.plane = again;
    }

    /// The faults stop. All jobs come to their end, and to the right one.
    pub(super) fn heal(&mut self) {
        let until = self.now + HEALED_WITHIN;
        // Who was about to leave leaves, and comes back.
        let drains = |node: &Node| self.plane.nodes().get(&node.name).is_some_and(|status| status.draining);
        let away: Vec<usize> = (0..self.nodes.len()).filter(|n| !self.nodes[*n].up || drains(&self.nodes[*n])).collect();
        away.into_iter().for_each(|n| self.restart(n));
        let mut rounds = 0;
        while self.finished.len() < self.jobs.len() {
            assert!(self.now < until, "stuck: {:?}", self.unfinished());
            if rounds % 10 == 0 {
                (0..self.nodes.len()).for_each(|node| self.beat(node));
            }
            rounds += 1;
            while !(self.to_nodes.is_empty() && self.to_plane.is_empty()) {
                self.deliver_to_node(0);
                self.deliver_to_plane(0);
            }
            (0..MESSAGES).for_each(|_| self.complete(0, true));
            self.advance(50);
            invariants::hold(self);
        }
        invariants::hold_at_the_end(self);
    }

    pub(super) fn send(&mut self, event: PlaneEvent) {
        if self.to_plane.len() < MESSAGES {
            self.to_plane.push(event);
        }
    }

    fn tell(&mut self, event: PlaneEvent) {
        let mut effects = Vec::new();
        if let PlaneEvent::Heartbeat { node, incarnation, running, workers } = &event
            && !self.plane.is_news(self.now, node, *incarnation, running, workers)
        {
            return self.hear(node.clone(), *incarnation, event);
        }
        self.plane.on(self.now, event, &mut effects);
        self.absorb(effects);
    }

    /// A beat that tells nothing new is told with the others, before the plane wakes. It would have come to the same.
    fn hear(&mut self, node: NodeName, incarnation: Incarnation, beat: PlaneEvent) {
        let (mut told, mut heard, mut effects) = (self.plane.clone(), self.plane.clone(), Vec::new());
        told.on(self.now, beat, &mut effects);
        heard.on(self.now, PlaneEvent::Heard { beats: [(node.clone(), incarnation, self.now)].into() }, &mut effects);
        assert!(told == heard && effects.is_empty(), "a beat of {node}{incarnation} was no news, and changes more: {effects:?}");
        self.heard.insert(node, (incarnation, self.now));
    }

    fn absorb(&mut self, effects: Vec<PlaneEffect>) {
        for effect in effects {
            match effect {
                PlaneEffect::JobFinished { job, outcome } => {
                    assert!(self.finished.insert(job, outcome).is_none(), "job {job} finished twice");
                }
                PlaneEffect::Submitted { .. }
                | PlaneEffect::NodeLost { .. }
                | PlaneEffect::Replanned { .. }
                | PlaneEffect::NamesFreed { .. } => {}
                effect if self.to_nodes.len() < MESSAGES => self.to_nodes.push(effect),
                _ => {}
            }
        }
    }

    fn unfinished(&self) -> Vec<alloc::string::String> {
        let open = self.jobs.keys().filter(|job| !self.finished.contains_key(job));
        open.map(|job| format!("job {job}: {:?}", self.plane.job_status(*job))).collect()
    }
}

fn index(arg: usize, len: usize) -> Option<usize> {
    arg.checked_rem(len)
}
