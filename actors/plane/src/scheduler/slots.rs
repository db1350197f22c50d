//! Which workers are idle, and what the others do.
//!
//! A worker is busy from the dispatch until its answer, or until it is known not to run it: also when the result does not matter
//! any more. So no worker ever has two tasks.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use crate::ids::{Fence, TenantId, WorkerId};

/// What a busy worker does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Busy {
    pub(crate) fence: Fence,
    pub(crate) tenant: TenantId,
    pub(crate) since: Time,
    /// Successive heartbeats that did not name the task.
    misses: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NodeSlots {
    incarnation: Incarnation,
    /// Whether it may get new tasks.
    open: bool,
    idle: BTreeSet<u32>,
    busy: BTreeMap<u32, Busy>,
}

/// The workers that are up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slots {
    nodes: BTreeMap<NodeName, NodeSlots>,
}

impl Slots {
    /// The node may, or may not, get new tasks.
    pub(crate) fn set_open(&mut self, node: &NodeName, incarnation: Incarnation, open: bool) {
        let fresh = || NodeSlots { incarnation, open, idle: BTreeSet::new(), busy: BTreeMap::new() };
        let slots = self.nodes.entry(node.clone()).or_insert_with(fresh);
        assert_eq!(slots.incarnation, incarnation, "the life of {node} before was lost first");
        slots.open = open;
    }

    /// Forgets the node; gives what its workers did.
    pub(crate) fn remove_node(&mut self, node: &NodeName) -> Vec<(WorkerId, Busy)> {
        let Some(slots) = self.nodes.remove(node) else { return Vec::new() };
        let id = |number| WorkerId { node: node.clone(), incarnation: slots.incarnation, number };
        slots.busy.into_iter().map(|(number, busy)| (id(number), busy)).collect()
    }

    /// A worker came up.
    pub(crate) fn add(&mut self, id: &WorkerId) {
        let Some(slots) = self.slots(id) else { unreachable!("{id} is up on a node that is known") };
        assert!(!slots.busy.contains_key(&id.number) && slots.idle.insert(id.number), "{id} came up once");
    }

    /// A worker is gone; gives what it did.
    pub(crate) fn remove(&mut self, id: &WorkerId) -> Option<Busy> {
        let slots = self.slots(id)?;
        slots.idle.remove(&id.number);
        slots.busy.remove(&id.number)
    }

    /// An idle worker of the node, which is taken out.
    pub(crate) fn take_idle(&mut self, node: &NodeName) -> Option<u32> {
        self.nodes.get_mut(node)?.idle.pop_last()
    }

    /// An idle worker of the node with the lowest share of busy ones; of equal nodes the first by name.
    pub(crate) fn pick(&self) -> Option<WorkerId> {
        let mut best: Option<(u64, u64, WorkerId)> = None;
        for (name, slots) in self.nodes.iter().filter(|(_, s)| s.open) {
            let Some(number) = slots.idle.first() else { continue };
            let (busy, total) = (slots.busy.len() as u64, (slots.busy.len() + slots.idle.len()) as u64);
            if best.as_ref().is_none_or(|(b, t, _)| busy * t < b * total) {
                let id = WorkerId { node: name.clone(), incarnation: slots.incarnation, number: *number };
                best = Some((busy, total, id));
            }
        }
        best.map(|(_, _, id)| id)
    }

    /// The worker gets the task.
    pub(crate) fn occupy(&mut self, id: &WorkerId, fence: Fence, tenant: TenantId, since: Time) {
        let Some(slots) = self.slots(id) else { unreachable!("{id} was picked") };
        assert!(slots.idle.remove(&id.number), "{id} has a task already");
        slots.busy.insert(id.number, Busy { fence, tenant, since, misses: 0 });
    }

    /// The worker has answered for this attempt, or never got it. `None`: it does something else by now.
    pub(crate) fn free(&mut self, id: &WorkerId, fence: Fence) -> Option<Busy> {
        let slots = self.slots(id)?;
        if slots.busy.get(&id.number)?.fence != fence {
            return None;
        }
        slots.idle.insert(id.number);
        slots.busy.remove(&id.number)
    }

    /// What the node says it runs. Gives the workers that do not run what they were given.
    ///
    /// A task counts as missing when it was dispatched longer than `grace` ago and so many successive heartbeats do not name it.
    pub(crate) fn reconcile(
        &mut self,
        now: Time,
        node: &NodeName,
        running: &[Fence],
        (grace, misses): (Duration, u8),
    ) -> Vec<(WorkerId, Fence)> {
        let Some(slots) = self.nodes.get_mut(node) else { return Vec::new() };
        let running: BTreeSet<Fence> = running.iter().copied().collect();
        let mut missing = Vec::new();
        for (number, busy) in &mut slots.busy {
            if running.contains(&busy.fence) {
                busy.misses = 0;
            } else if now.since(busy.since) > grace {
                busy.misses += 1;
                if busy.misses >= misses {
                    let id = WorkerId { node: node.clone(), incarnation: slots.incarnation, number: *number };
                    missing.push((id, busy.fence));
                }
            }
        }
        missing
    }

    /// Whether [`Slots::reconcile`] would change anything.
    pub(crate) fn is_news(&self, now: Time, grace: Duration, node: &NodeName, running: &[Fence]) -> bool {
        let Some(slots) = self.nodes.get(node) else { return false };
        let running: BTreeSet<Fence> = running.iter().copied().collect();
        slots.busy.values().any(|busy| match running.contains(&busy.fence) {
            true => busy.misses > 0,
            false => now.since(busy.since) > grace,
        })
    }

    /// The busy workers and what each does.
    pub(crate) fn busy(&self) -> impl Iterator<Item = (WorkerId, &Busy)> {
        self.nodes.iter().flat_map(|(name, slots)| {
            let id = |number| WorkerId { node: name.clone(), incarnation: slots.incarnation, number };
            slots.busy.iter().map(move |(number, busy)| (id(*number), busy))
        })
    }

    /// What this worker does.
    pub(crate) fn task_of(&self, id: &WorkerId) -> Option<Fence> {
        let slots = self.nodes.get(&id.node).filter(|s| s.incarnation == id.incarnation)?;
        slots.busy.get(&id.number).map(|busy| busy.fence)
    }

    fn slots(&mut self, id: &WorkerId) -> Option<&mut NodeSlots> {
        self.nodes.get_mut(&id.node).filter(|s| s.incarnation == id.incarnation)
    }
}
