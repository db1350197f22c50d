//! The agent: one actor on each node that offers workers. Starts and stops workers, opens shards, and tells the coordinator that the
//! node lives.

use std::collections::BTreeMap;

use playhouse_actors::prelude::*;
use playhouse_plane::{MonitorConfig, ShardId, WorkerId};
use playhouse_wire::{Incarnation, MessageId};

use crate::calls::CallNews;
use crate::ground::{Ground, HeldCall, NoPlace};
use crate::limits::{BEAT_MIN, BEATS};
use crate::messages::{
    Beat, CloseShard, Join, OpenShard, RunHere, StartWorker, StopWorker, WhoAreYou, WorkerIsDown, WorkerIsUp, YouAreLost,
};
use crate::report::report;
use crate::shard::{self, ShardActor};
use crate::worker::{Worker, worker_name};

/// Its name on its node.
pub(crate) const AGENT: &str = "agent";

pub(crate) struct Agent {
    ground: Ground,
    capacity: u32,
    /// As the coordinator that leads wants it.
    beat_every: Duration,
    beats: SpawnHandle,
    /// The coordinator that leads has answered our join, since it leads and since the last connection to it came up.
    joined: bool,
    /// Of the last beat.
    number: u64,
    joining: bool,
    workers: BTreeMap<u32, Ref<Worker>>,
    shards: BTreeMap<ShardId, (u32, Ref<ShardActor>)>,
    /// Shards whose checkpoints are being read, with their epochs.
    opening: BTreeMap<ShardId, u32>,
}

impl Agent {
    pub(crate) fn new(ground: Ground, capacity: u32) -> Agent {
        let (workers, shards, opening) = Default::default();
        let (joined, joining) = (false, false);
        let (beat_every, beats) = (MonitorConfig::default().beat_every, SpawnHandle::default());
        Agent { ground, capacity, beat_every, beats, joined, number: 0, joining, workers, shards, opening }
    }

    fn beat(&mut self, ctx: &mut Ctx<Self>) {
        if !self.joined {
            return self.join(ctx);
        }
        if playhouse_rt::buggify!("skipped-beat", 0.3) {
            return;
        }
        let Ground { node, incarnation, coordinators, roster, .. } = &self.ground;
        let (node, incarnation) = (node.clone(), *incarnation);
        let running = roster.all();
        let workers = self.workers.keys().copied().collect();
        self.number += 1;
        // A beat that cannot be sent is not repeated: the next one says the same.
        if let Some(coordinator) = coordinators.leader() {
            let _ = coordinator.tell(Beat { node, incarnation, number: self.number, running, workers });
        }
    }

    /// Offers its workers to the coordinator that leads.
    fn join(&mut self, ctx: &mut Ctx<Self>) {
        if std::mem::replace(&mut self.joining, true) {
            return;
        }
        let Ground { node, incarnation, coordinators, .. } = self.ground.clone();
        let (capacity, within) = (self.capacity, self.beat_every.max(Duration::from_secs(1)));
        let answer = async move {
            let answer = coordinators.ask(Join { node, incarnation, capacity }, within, None).await;
            (answer, coordinators.guess())
        };
        ctx.spawn(answer.into_actor(self).map(|(answer, leader), agent: &mut Agent, ctx| {
            agent.joining = false;
            match answer {
                // Another one leads by now: it is to hear of the workers, too.
                Ok(Ok(_)) if agent.ground.coordinators.guess() != leader => agent.join(ctx),
                Ok(Ok(every)) => {
                    agent.joined = true;
                    if every != agent.beat_every {
                        agent.beat_every(every, ctx);
                    }
                    agent.beat(ctx);
                }
                Ok(Err(reason)) => agent.give_up(&reason, ctx),
                Err(error) => tracing::debug!(%error, "joining failed; the next beat tries again"),
            }
        }));
    }

    /// Beats so often from now on.
    fn beat_every(&mut self, every: Duration, ctx: &mut Ctx<Self>) {
        ctx.cancel_future(self.beats);
        self.beat_every = every.max(BEAT_MIN);
        self.beats = ctx.run_interval(self.beat_every / BEATS, |agent, ctx| agent.beat(ctx));
    }

    /// Ends: the node's owner starts a later life of it.
    fn give_up(&mut self, reason: &str, ctx: &mut Ctx<Self>) {
        tracing::warn!(%reason, "this life of the node is over");
        let _ = self.ground.over.set(reason.to_string());
        for worker in self.workers.values() {
            worker.stop();
        }
        for (_, shard) in self.shards.values() {
            shard.stop();
        }
        ctx.stop();
    }

    /// Joins each coordinator that comes to lead.
    fn follow(&self, ctx: &mut Ctx<Self>) {
        let coordinators = self.ground.coordinators.clone();
        let changed = async move {
            let seen = coordinators.guess();
            coordinators.changed(&seen).await
        };
        ctx.spawn(changed.into_actor(self).map(|_, agent: &mut Agent, ctx| {
            agent.joined = false;
            agent.join(ctx);
            agent.follow(ctx);
        }));
    }

    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// A place for a call of this life of the node.
    pub(crate) fn admit_call(&self, incarnation: Incarnation) -> Result<HeldCall, CallNews> {
        let Ground { node, incarnation: own, roster, .. } = &self.ground;
        if incarnation != *own {
            return Err(CallNews::Elsewhere(format!("this is {node}{own}")));
        }
        roster.add_call(self.capacity).map_err(|none| match none {
            NoPlace::Full => CallNews::Busy,
            NoPlace::Closed => CallNews::Elsewhere(format!("{node} leaves")),
        })
    }

    fn report_up(&self, id: WorkerId, ctx: &mut Ctx<Self>) {
        let coordinators = self.ground.coordinators.clone();
        ctx.spawn(
            async move {
                // A report that can never succeed is a bug of this crate, and the plane will start the worker again.
                drop(report(&coordinators, WorkerIsUp { id }).await);
            }
            .into_actor(self),
        );
    }
}

impl Actor for Agent {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.join(ctx);
        self.follow(ctx);
        self.beat_every(self.beat_every, ctx);
    }
}

impl Remote for Agent {
    fn protocol(protocol: &mut Protocol<Self>) {
        let version = 2;
        protocol
            .message_on::<StartWorker>(MessageId { id: 1, version }, Lane::Control)
            .message_on::<StopWorker>(MessageId { id: 2, version }, Lane::Control)
            .message_on::<OpenShard>(MessageId { id: 3, version }, Lane::Control)
            .message_on::<CloseShard>(MessageId { id: 4, version }, Lane::Control)
            .message_on::<YouAreLost>(MessageId { id: 5, version }, Lane::Control)
            .message_on::<WhoAreYou>(MessageId { id: 6, version }, Lane::Control)
            .stream_on::<RunHere, CallNews>(MessageId { id: 7, version: 1 }, Lane::Bulk);
    }
}

/// A connection to a node came up or went down.
pub(crate) struct PeerLink {
    pub(crate) node: NodeName,
    pub(crate) up: bool,
}

impl Message for PeerLink {
    type Result = ();
}

impl Handler<PeerLink> for Agent {
    type Result = ();

    fn handle(&mut self, PeerLink { node, up }: PeerLink, ctx: &mut Ctx<Self>) {
        if node == self.ground.coordinators.guess() {
            self.joined = false;
            if up {
                self.join(ctx);
            }
        }
    }
}

impl Handler<StartWorker> for Agent {
    type Result = MessageResult<StartWorker>;

    fn handle(&mut self, StartWorker { term, id }: StartWorker, ctx: &mut Ctx<Self>) -> MessageResult<StartWorker> {
        if let Err(reason) = self.ground.is_order(ctx, term) {
            return MessageResult(Err(reason));
        }
        if id.incarnation != self.ground.incarnation {
            return MessageResult(Err(format!("this is {}{}", self.ground.node, self.ground.incarnation)));
        }
        if !self.workers.contains_key(&id.number) {
            let (ground, of_worker) = (self.ground.clone(), id.clone());
            let name = worker_name(&id);
            let worker =
                ctx.system().spawn_remote(name, SpawnOptions { stoppable: false, ..SpawnOptions::default() }, move || {
                    Worker::new(ground.clone(), of_worker.clone())
                });
            let worker = match worker {
                Ok(worker) => worker,
                Err(taken) => return MessageResult(Err(taken.to_string())),
            };
            self.workers.insert(id.number, worker.clone());
            let (coordinators, gone) = (self.ground.coordinators.clone(), id.clone());
            let end = async move {
                let exit = worker.ended().await;
                (exit, gone, coordinators)
            };
            ctx.spawn(end.into_actor(self).map(|(exit, id, coordinators), agent: &mut Agent, ctx: &mut Ctx<Agent>| {
                agent.workers.remove(&id.number);
                let down = WorkerIsDown { id, reason: exit.to_string() };
                ctx.spawn(async move { drop(report(&coordinators, down).await) }.into_actor(agent));
            }));
        }
        self.report_up(id, ctx);
        MessageResult(Ok(()))
    }
}

impl Handler<StopWorker> for Agent {
    type Result = MessageResult<StopWorker>;

    fn handle(&mut self, StopWorker { term, id }: StopWorker, ctx: &mut Ctx<Self>) -> MessageResult<StopWorker> {
        if let Err(reason) = self.ground.is_order(ctx, term) {
            return MessageResult(Err(reason));
        }
        match self.workers.get(&id.number).filter(|_| id.incarnation == self.ground.incarnation) {
            // Its end is reported when it has ended.
            Some(worker) => worker.stop(),
            None => {
                let coordinators = self.ground.coordinators.clone();
                let down = WorkerIsDown { id, reason: "it was not there".into() };
                ctx.spawn(async move { drop(report(&coordinators, down).await) }.into_actor(self));
            }
        }
        MessageResult(Ok(()))
    }
}

impl Handler<OpenShard> for Agent {
    type Result = ResponseActFuture<Self, Result<u64, String>>;

    fn handle(&mut self, open: OpenShard, ctx: &mut Ctx<Self>) -> Self::Result {
        let (ground, epoch, shard) = (self.ground.clone(), open.epoch, open.shard);
        if let Err(reason) = ground.is_order(ctx, open.term) {
            return Box::pin(async { Err(reason) }.into_actor(self));
        }
        if open.incarnation != ground.incarnation {
            let reason = format!("this is {}{}", ground.node, ground.incarnation);
            return Box::pin(async { Err(reason) }.into_actor(self));
        }
        if let Some((open_epoch, _)) = self.shards.get(&shard)
            && *open_epoch >= epoch
        {
            let reason = format!("shard {shard} is open with epoch {open_epoch}");
            return Box::pin(async { Err(reason) }.into_actor(self));
        }
        if let Some((_, former)) = self.shards.remove(&shard) {
            former.stop();
        }
        self.opening.insert(shard, epoch);
        let restored = async move { shard::restore(&ground, &open).await };
        Box::pin(restored.into_actor(self).map(move |restored, agent: &mut Agent, ctx: &mut Ctx<Agent>| {
            // Closed, or opened again with a higher epoch, while it was being read.
            if agent.opening.get(&shard) != Some(&epoch) {
                return Err(format!("shard {shard} is not wanted with epoch {epoch} any more"));
            }
            agent.opening.remove(&shard);
            let restored = restored?;
            let seq = restored.seq();
            let actor = restored.start(ctx.system())?;
            if let Some((_, former)) = agent.shards.insert(shard, (epoch, actor)) {
                former.stop();
            }
            Ok(seq)
        }))
    }
}

impl Handler<CloseShard> for Agent {
    type Result = ();

    fn handle(&mut self, CloseShard { term, shard, epoch }: CloseShard, ctx: &mut Ctx<Self>) {
        if self.ground.is_order(ctx, term).is_err() {
            return;
        }
        if self.opening.get(&shard).is_some_and(|opening| *opening <= epoch) {
            self.opening.remove(&shard);
        }
        if self.shards.get(&shard).is_some_and(|(open, _)| *open <= epoch)
            && let Some((_, actor)) = self.shards.remove(&shard)
        {
            actor.stop();
        }
    }
}

impl Handler<WhoAreYou> for Agent {
    type Result = ();

    fn handle(&mut self, ask: WhoAreYou, ctx: &mut Ctx<Self>) {
        if ask.incarnation == self.ground.incarnation && self.ground.is_order(ctx, ask.term).is_ok() {
            self.joined = false;
            self.join(ctx);
        }
    }
}

impl Handler<YouAreLost> for Agent {
    type Result = ();

    fn handle(&mut self, lost: YouAreLost, ctx: &mut Ctx<Self>) {
        if lost.incarnation == self.ground.incarnation && self.ground.is_order(ctx, lost.term).is_ok() {
            self.give_up("the cluster counts it as lost, as nothing was heard of it for too long", ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use playhouse_plane::monitor::{Monitor, MonitorEffect, MonitorEvent};
    use playhouse_plane::{Machine, MonitorConfig};
    use playhouse_wire::Time;

    use super::*;

    /// How often a node that lives for a virtual day is suspected and lost, when its beats arrive so long after its start.
    fn suspected(config: MonitorConfig, mut beats: Vec<Duration>) -> (usize, usize) {
        beats.sort_unstable();
        let node = NodeName::new("node").unwrap();
        let (mut monitor, mut effects) = (Monitor::new(config), Vec::new());
        for at in beats.into_iter().map(|at| Time::ZERO + at) {
            while let Some(due) = monitor.wakes_at().filter(|due| *due < at) {
                monitor.tick(due, &mut effects);
            }
            monitor.on(at, MonitorEvent::Beat { node: node.clone(), incarnation: Incarnation(1) }, &mut effects);
        }
        let count = |is: fn(&MonitorEffect) -> bool| effects.iter().filter(|effect| is(effect)).count();
        (count(|e| matches!(e, MonitorEffect::Suspect(..))), count(|e| matches!(e, MonitorEffect::Lost(..))))
    }

    #[test]
    fn beats_that_may_be_lost_are_not_suspected_more_often_than_those_of_a_lane() {
        let config = MonitorConfig::default();
        let day = 24 * 60 * 60 * 1000 / config.beat_every.as_millis() as u32;
        let mut random = playhouse_rt::Random::new(7, "beats");
        for loss in [0.05, 0.2] {
            let mut path = || Duration::from_micros(random.between(500, 20_000));
            let mut dice = playhouse_rt::Random::new(8, "loss");
            // Each is sent again after 40 ms, then twice that, and so on: about what QUIC does where nothing else is under way.
            let mut on_lane = Vec::new();
            for n in 0..day {
                let (mut at, mut wait) = (config.beat_every * n, Duration::from_millis(40));
                while dice.chance(loss) {
                    (at, wait) = (at + wait, wait * 2);
                }
                on_lane.push(at + path());
            }
            let every = |span: Duration, dice: &mut playhouse_rt::Random, path: &mut dyn FnMut() -> Duration| {
                let count = (config.beat_every * day).as_nanos() / span.as_nanos();
                (0..count as u32).filter(|_| !dice.chance(loss)).map(|n| span * n + path()).collect::<Vec<_>>()
            };
            let (lane, lane_lost) = suspected(config, on_lane);
            let (often, lost) = suspected(config, every(config.beat_every / BEATS, &mut dice, &mut path));
            let (once, once_lost) = suspected(config, every(config.beat_every, &mut dice, &mut path));
            assert!(often <= lane && lost <= lane_lost, "loss {loss}: {often} and {lost}, on a lane {lane} and {lane_lost}");
            // One that is lost is suspected no more: once a day at least, where the others never are.
            assert!(once_lost > lost || once > 100 * often.max(1), "one a span is too few: {once}");
            assert!(loss > 0.1 || lost == 0, "{lost}");
        }
    }
}
