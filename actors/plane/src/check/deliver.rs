//! What a toy node does with what the plane wants of it.

use alloc::string::ToString;

use playhouse_wire::{Incarnation, NodeName};

use super::world::{Kept, Node, World};
use crate::Payload;
use crate::ids::{Fence, ShardId, WorkerId};
use crate::plane::{PlaneEffect, PlaneEvent};
use crate::stream::{Feed, Shard};
use alloc::vec::Vec;

impl World {
    pub(super) fn carry_out(&mut self, effect: PlaneEffect) {
        match effect {
            PlaneEffect::StartWorker { id } => self.start(id),
            PlaneEffect::StopWorker { id } => {
                if let Some(node) = self.node(&id.node, id.incarnation) {
                    node.workers.remove(&id.number);
                    self.send(PlaneEvent::WorkerDown { id, reason: "stopped".to_string() });
                }
            }
            PlaneEffect::Dispatch { worker, fence, inputs, .. } => self.dispatch(worker, fence, inputs),
            PlaneEffect::OpenShard { shard, epoch, node, incarnation, window } => {
                self.open(shard, epoch, &node, incarnation, window);
            }
            PlaneEffect::Feed { shard, epoch, node, incarnation, feed } => self.feed(shard, epoch, &node, incarnation, &feed),
            PlaneEffect::CloseShard { shard, epoch, node, incarnation } => {
                if let Some(node) = self.node(&node, incarnation)
                    && node.shards.get(&shard).is_some_and(|(open, _)| *open <= epoch)
                {
                    node.shards.remove(&shard);
                }
            }
            _ => unreachable!("only what is for nodes is under way to them"),
        }
    }

    fn start(&mut self, id: WorkerId) {
        if let Some(node) = self.node(&id.node, id.incarnation) {
            node.workers.entry(id.number).or_insert(None);
            self.send(PlaneEvent::WorkerUp { id });
        }
    }

    fn dispatch(&mut self, worker: WorkerId, fence: Fence, inputs: Vec<Payload>) {
        let slot = self.node(&worker.node, worker.incarnation).and_then(|node| node.workers.get_mut(&worker.number));
        match slot {
            Some(slot @ None) => *slot = Some((fence, inputs)),
            // The message was doubled.
            Some(Some((same, _))) if *same == fence => {}
            _ => self.send(PlaneEvent::DispatchFailed { fence, worker, reason: "no idle worker of that name".to_string() }),
        }
    }

    fn open(&mut self, shard: ShardId, epoch: u32, node: &NodeName, incarnation: Incarnation, window: u64) {
        let state = self.durable.get(&shard).map(Kept::readable).cloned().unwrap_or_default();
        let Some(node) = self.node(node, incarnation) else { return self.shard_failed(shard, epoch) };
        if node.shards.get(&shard).is_none_or(|(open, _)| *open < epoch) {
            node.shards.insert(shard, (epoch, Shard::restore(window, state)));
        }
        let (open, seq) = (node.shards[&shard].0, node.shards[&shard].1.seq());
        if open == epoch {
            self.send(PlaneEvent::ShardOpened { shard, epoch, seq });
        }
    }

    fn feed(&mut self, shard: ShardId, epoch: u32, node: &NodeName, incarnation: Incarnation, feed: &Feed) {
        let open = self.node(node, incarnation).and_then(|node| node.shards.get_mut(&shard)).filter(|(open, _)| *open == epoch);
        let Some((_, owner)) = open else { return self.shard_failed(shard, epoch) };
        let Ok(checkpoint) = owner.feed(feed) else { return self.shard_failed(shard, epoch) };
        if let Some(state) = &checkpoint {
            owner.checkpointed(state.seq);
        }
        let reply = owner.reply();
        if let Some(state) = checkpoint {
            self.durable.entry(shard).or_default().save(state);
        }
        self.send(PlaneEvent::ShardFed { shard, epoch, reply });
    }

    fn shard_failed(&mut self, shard: ShardId, epoch: u32) {
        self.send(PlaneEvent::ShardFailed { shard, epoch, reason: "not open here".to_string() });
    }

    fn node(&mut self, name: &NodeName, incarnation: Incarnation) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|n| n.up && n.name == *name && n.incarnation == incarnation)
    }
}
