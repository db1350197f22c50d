//! The whole control plane: its parts, and how what one concludes reaches the others.

mod event;
mod results;
mod status;

use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

pub use event::{JobOutcome, PlaneEffect, PlaneEvent};
pub use status::{Counters, JobStatus, Slowest, WorkerStatus};

use crate::config::PlaneConfig;
use crate::ids::{Fence, JobId, JobKey, RequestId, WorkerId};
use crate::limits::MISSES_MAX;
use crate::machine::Machine;
use crate::monitor::{Monitor, MonitorEffect, MonitorEvent, NodeState};
use crate::names::{Names, given_away_after};
use crate::scheduler::Scheduler;
use crate::scheduler::job::JobState;
use crate::spec::{JobSpec, SubmitError};
use crate::stream::{Streams, StreamsEffect};
use crate::tenant::Tenants;
use crate::workers::{Workers, WorkersEffect};

/// The control plane. Serialisable as a whole, so that a replica can be brought up from a snapshot.
///
/// ```
/// use playhouse_plane::{JobId, JobKey, JobSpec, Machine, Plane, PlaneConfig, PlaneEffect, PlaneEvent, RequestId, TenantId};
/// use playhouse_wire::Time;
///
/// let mut plane = Plane::new(PlaneConfig::default());
/// let mut effects = Vec::new();
/// let spec = JobSpec { tenant: TenantId("default".into()), tasks: vec![], stream: None, output: vec![] };
/// let key = JobKey { client: "me".into(), number: 1 };
/// plane.on(Time::ZERO, PlaneEvent::Submit { request: RequestId(7), key, spec }, &mut effects);
/// assert_eq!(effects[0], PlaneEffect::Submitted { request: RequestId(7), result: Ok(JobId(1)) });
/// assert!(matches!(effects[1], PlaneEffect::JobFinished { job: JobId(1), .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plane {
    pub(crate) config: PlaneConfig,
    /// The latest time that was heard. A new leader's clock may lie behind the old one's; time here does not.
    now: Time,
    monitor: Monitor,
    pub(crate) workers: Workers,
    pub(crate) scheduler: Scheduler,
    streams: Streams,
    nodes_lost: u64,
    pub(crate) names: Names,
}

impl Plane {
    /// A plane that knows no node and no job.
    pub fn new(config: PlaneConfig) -> Self {
        let mut monitor = config.monitor;
        if config.planted.late_timeout {
            monitor.lost_after = Duration::from_secs(15);
        }
        Self {
            now: Time::ZERO,
            monitor: Monitor::new(monitor),
            workers: Workers::new(config.workers, config.start_timeout),
            scheduler: Scheduler::new(Tenants::new(&config.tenants), config.first_job, config.planted),
            streams: Streams::new(config.planted),
            nodes_lost: 0,
            names: Names::new(given_away_after(&config.monitor), config.first_job),
            config,
        }
    }

    /// Tells this plane from others whose jobs have the same numbers: the number of its first job.
    pub fn origin(&self) -> u64 {
        self.config.first_job
    }

    /// How often nodes are to beat.
    pub fn beat_every(&self) -> Duration {
        self.config.monitor.beat_every
    }

    fn submit(&mut self, request: RequestId, key: JobKey, spec: JobSpec, effects: &mut Vec<PlaneEffect>) {
        let stream = spec.stream;
        let result = self.scheduler.submit(key, spec);
        if let (Ok((job, true)), Some(stream)) = (&result, stream) {
            self.streams.open(*job, stream, self.scheduler.jobs[job].floor());
        }
        let result: Result<JobId, SubmitError> = result.map(|(job, _)| job);
        effects.push(PlaneEffect::Submitted { request, result });
    }

    fn monitor(&mut self, event: MonitorEvent, effects: &mut Vec<PlaneEffect>) {
        let mut concluded = Vec::new();
        self.monitor.on(self.now, event, &mut concluded);
        self.conclude(concluded, effects);
    }

    fn conclude(&mut self, concluded: Vec<MonitorEffect>, effects: &mut Vec<PlaneEffect>) {
        for effect in concluded {
            match effect {
                // It beats on until it has left.
                MonitorEffect::Alive(node, _) if self.monitor.nodes()[&node].draining => {}
                MonitorEffect::Alive(node, incarnation) => {
                    let capacity = self.monitor.nodes()[&node].capacity;
                    self.workers.node_alive(&node, incarnation, capacity);
                    self.scheduler.slots.set_open(&node, incarnation, true);
                    if capacity > 0 {
                        self.streams.node_open(&node, incarnation);
                    }
                }
                MonitorEffect::Suspect(node, incarnation) => {
                    self.workers.node_suspect(&node);
                    self.scheduler.slots.set_open(&node, incarnation, false);
                    self.streams.node_shut(&node);
                }
                MonitorEffect::Lost(node, incarnation) => self.lose_node(node, incarnation, effects),
            }
        }
    }

    fn lose_node(&mut self, node: NodeName, incarnation: Incarnation, effects: &mut Vec<PlaneEffect>) {
        self.nodes_lost += 1;
        self.workers.node_lost(&node);
        let mut tasks = 0;
        for (worker, busy) in self.scheduler.slots.remove_node(&node) {
            tasks += u32::from(self.scheduler.lose(self.now, &worker, &busy, "its node was lost"));
        }
        if self.config.planted.loss_runs_all_again {
            self.scheduler.run_all_again();
        }
        let shards = self.streams.node_lost(&node, incarnation);
        effects.push(PlaneEffect::NodeLost { node: node.clone(), incarnation });
        effects.push(PlaneEffect::Replanned { node, tasks, shards });
    }

    /// Its tasks go on to their end; new ones, its shards, and workers for those that it had, go elsewhere.
    fn drain(&mut self, node: &NodeName, incarnation: Incarnation) {
        if self.monitor.drain(node, incarnation) {
            self.workers.node_drains(node);
            self.scheduler.slots.set_open(node, incarnation, self.config.planted.drain_forgotten);
            self.streams.node_lost(node, incarnation);
            if self.config.planted.drain_hands_over {
                let busy = self.scheduler.slots.busy().filter(|(worker, _)| worker.node == *node);
                let busy: Vec<_> = busy.map(|(worker, busy)| (worker, busy.fence)).collect();
                busy.iter().for_each(|(worker, fence)| self.take_back(worker, *fence, "its node drains"));
            }
        }
    }

    fn heartbeat(
        &mut self,
        node: NodeName,
        incarnation: Incarnation,
        running: &[Fence],
        workers: &[u32],
        effects: &mut Vec<PlaneEffect>,
    ) {
        self.monitor(MonitorEvent::Beat { node: node.clone(), incarnation }, effects);
        if self.monitor.judge(&node, incarnation) != Some(NodeState::Alive) {
            // A life that is lost: what it says it does was given to others.
            return;
        }
        let mut wanted = Vec::new();
        let grace = self.config.monitor.beat_every * 2;
        let (up, gone) = self.workers.reconcile(self.now, grace, &node, workers, &mut wanted);
        up.iter().for_each(|worker| self.scheduler.slots.add(worker));
        gone.iter().for_each(|worker| self.lose_worker(worker, "its worker vanished"));
        self.want_workers(wanted, effects);
        let mut patience = (grace, MISSES_MAX);
        if self.config.planted.heartbeats_erase_allocations {
            patience = (Duration::ZERO, 1);
        }
        for (worker, fence) in self.scheduler.slots.reconcile(self.now, &node, running, patience) {
            self.take_back(&worker, fence, "its worker does not know it");
        }
    }

    /// Whether a [`PlaneEvent::Heartbeat`] would change more than the time at which the node was last heard. Else it is enough to tell of it
    /// in [`PlaneEvent::Heard`]: so nodes that go on as they are cost the log nothing.
    pub fn is_news(&self, now: Time, node: &NodeName, incarnation: Incarnation, running: &[Fence], workers: &[u32]) -> bool {
        let (now, grace) = (self.now.max(now), self.config.monitor.beat_every * 2);
        let grace_of_tasks = if self.config.planted.heartbeats_erase_allocations { Duration::ZERO } else { grace };
        if self.config.planted.news_unheard {
            return self.monitor.judge(node, incarnation) != Some(NodeState::Alive);
        }
        self.monitor.judge(node, incarnation) != Some(NodeState::Alive)
            || self.workers.is_news(now, grace, node, workers)
            || self.scheduler.slots.is_news(now, grace_of_tasks, node, running)
    }

    fn worker_down(&mut self, worker: &WorkerId, reason: &str) {
        // Of an earlier life, or reported twice.
        if self.workers.down(worker) {
            self.lose_worker(worker, reason);
        }
    }

    fn lose_worker(&mut self, worker: &WorkerId, reason: &str) {
        if let Some(busy) = self.scheduler.slots.remove(worker) {
            self.scheduler.lose(self.now, worker, &busy, reason);
        }
    }

    /// The worker never got this attempt, or has lost it.
    fn take_back(&mut self, worker: &WorkerId, fence: Fence, reason: &str) {
        let is_current = self.scheduler.current(worker, fence).is_some();
        if self.scheduler.release(worker, fence).is_some() && is_current {
            self.scheduler.lose_attempt(self.now, fence, reason);
        }
    }

    /// Nobody knows which of the leader's last orders were given before it went: those that are not answered are given again. A dispatch
    /// is not: whether it arrived is told by the heartbeats of its node.
    fn take_over(&mut self, effects: &mut Vec<PlaneEffect>) {
        self.monitor.forgive(self.now);
        self.names.forgive(self.now);
        let (mut wanted, mut opened) = (Vec::new(), Vec::new());
        self.workers.tell_again(self.now, &mut wanted);
        self.want_workers(wanted, effects);
        self.streams.open_again(self.now, &mut opened);
        want_shards(opened, effects);
    }

    /// Does all that has become possible: ends jobs, starts workers, dispatches, feeds.
    fn settle(&mut self, effects: &mut Vec<PlaneEffect>) {
        self.end_jobs(effects);
        let mut wanted = Vec::new();
        self.workers.fill(self.now, &mut wanted);
        if self.workers.is_uneven() {
            let slots = &mut self.scheduler.slots;
            self.workers.rebalance(self.now, |node| slots.take_idle(node), &mut wanted);
        }
        self.want_workers(wanted, effects);
        let mut dispatches = Vec::new();
        self.scheduler.dispatch(self.now, |job| self.streams.wants_pause(job), &mut dispatches);
        effects.extend(dispatches.into_iter().map(|d| PlaneEffect::Dispatch {
            worker: d.worker,
            fence: d.fence,
            function: d.function,
            inputs: d.inputs,
        }));
        // A task that cannot be dispatched fails its job.
        self.end_jobs(effects);
        let mut feeds = Vec::new();
        self.streams.pump(self.now, &mut feeds);
        want_shards(feeds, effects);
    }

    fn end_jobs(&mut self, effects: &mut Vec<PlaneEffect>) {
        for (job, reason) in self.streams.take_broken() {
            if self.scheduler.jobs.get(&job).is_some_and(|j| j.is_running()) {
                self.scheduler.fail_job(job, None, reason);
            }
        }
        let mut touched = self.scheduler.take_touched();
        touched.append(&mut self.streams.take_touched());
        for id in touched {
            let Some(job) = self.scheduler.jobs.get(&id) else { continue };
            let outcome = match &job.state {
                JobState::Done => continue,
                JobState::Failed(reason) => JobOutcome::Failed(reason.clone()),
                JobState::Running if job.unfinished() > 0 || !self.streams.is_complete(id) => continue,
                JobState::Running => {
                    self.scheduler.succeed(id);
                    JobOutcome::Done
                }
            };
            let mut closed = Vec::new();
            self.streams.close(id, &mut closed);
            want_shards(closed, effects);
            effects.push(PlaneEffect::JobFinished { job: id, outcome });
            if let Some(oldest) = self.scheduler.announced(id) {
                self.streams.forget(oldest);
            }
        }
    }

    fn want_workers(&self, wanted: Vec<WorkersEffect>, effects: &mut Vec<PlaneEffect>) {
        effects.extend(wanted.into_iter().map(|effect| match effect {
            WorkersEffect::Start(id) => PlaneEffect::StartWorker { id },
            WorkersEffect::Stop(id) => PlaneEffect::StopWorker { id },
        }));
    }
}

impl Machine for Plane {
    type Event = PlaneEvent;
    type Effect = PlaneEffect;

    fn on(&mut self, now: Time, event: PlaneEvent, effects: &mut Vec<PlaneEffect>) {
        self.now = self.now.max(now);
        match event {
            PlaneEvent::NodeUp { node, incarnation, capacity } => {
                self.monitor(MonitorEvent::Up { node, incarnation, capacity }, effects);
            }
            PlaneEvent::Heartbeat { node, incarnation, running, workers } => {
                self.heartbeat(node, incarnation, &running, &workers, effects);
            }
            PlaneEvent::LinkDown { node, incarnation } => self.monitor(MonitorEvent::LinkDown { node, incarnation }, effects),
            PlaneEvent::TookOver => self.take_over(effects),
            PlaneEvent::Submit { request, key, spec } => self.submit(request, key, spec, effects),
            PlaneEvent::WorkerUp { id } => {
                if self.workers.up(self.now, &id) {
                    self.scheduler.slots.add(&id);
                }
            }
            PlaneEvent::WorkerDown { id, reason } => self.worker_down(&id, &reason),
            PlaneEvent::TaskDone { fence, worker, outcome } => self.task_done(fence, &worker, outcome),
            PlaneEvent::DispatchFailed { fence, worker, reason } => {
                self.take_back(&worker, fence, &reason);
                // Else it would be offered the same task again at once, and again, until the next heartbeat says how it is.
                self.monitor(MonitorEvent::LinkDown { node: worker.node, incarnation: worker.incarnation }, effects);
            }
            PlaneEvent::ShardOpened { shard, epoch, seq } => self.streams.opened(shard, epoch, seq),
            PlaneEvent::ShardFed { shard, epoch, reply } => self.streams.fed(shard, epoch, reply),
            PlaneEvent::NodeDrains { node, incarnation } => self.drain(&node, incarnation),
            PlaneEvent::NodeLeaves { node, incarnation } => {
                let mut concluded = Vec::new();
                self.monitor.leave(&node, incarnation, &mut concluded);
                self.conclude(concluded, effects);
            }
            PlaneEvent::ShardFailed { shard, epoch, reason } => self.streams.failed(self.now, shard, epoch, &reason),
            PlaneEvent::ClaimNames { node, incarnation, address, claims } => {
                self.names.claim(self.now, &(node, incarnation), address, claims);
            }
            PlaneEvent::KeepNames { node, incarnation, number, upto, tickets } => {
                self.names.keep(self.now, &(node, incarnation), number, upto, &tickets);
            }
            PlaneEvent::ReleaseNames { node, incarnation, tickets } => self.names.release(&(node, incarnation), &tickets),
            PlaneEvent::Heard { beats } => {
                for (node, incarnation, at) in beats {
                    self.monitor.heard_at(&node, incarnation, at.min(self.now));
                }
            }
        }
        self.settle(effects);
    }

    fn tick(&mut self, now: Time, effects: &mut Vec<PlaneEffect>) {
        self.now = self.now.max(now);
        let mut concluded = Vec::new();
        self.monitor.tick(self.now, &mut concluded);
        self.conclude(concluded, effects);
        let freed = self.names.tick(self.now).into_iter();
        effects.extend(freed.map(|(node, incarnation, names)| PlaneEffect::NamesFreed { node, incarnation, names }));
        self.scheduler.tick(self.now);
        let mut wanted = Vec::new();
        self.workers.tick(self.now, &mut wanted);
        self.want_workers(wanted, effects);
        let mut opened = Vec::new();
        self.streams.tick(self.now, &mut opened);
        want_shards(opened, effects);
        self.settle(effects);
    }

    fn wakes_at(&self) -> Option<Time> {
        let times = [self.monitor.wakes_at(), self.scheduler.wakes_at(), self.workers.wakes_at(), self.streams.wakes_at()];
        times.into_iter().chain([self.names.wakes_at()]).flatten().min()
    }
}

fn want_shards(wanted: Vec<StreamsEffect>, effects: &mut Vec<PlaneEffect>) {
    effects.extend(wanted.into_iter().map(|effect| match effect {
        StreamsEffect::Open { shard, epoch, owner: (node, incarnation), window } => {
            PlaneEffect::OpenShard { shard, epoch, node, incarnation, window }
        }
        StreamsEffect::Close { shard, epoch, owner: (node, incarnation) } => {
            PlaneEffect::CloseShard { shard, epoch, node, incarnation }
        }
        StreamsEffect::Feed { shard, epoch, owner: (node, incarnation), feed } => {
            PlaneEffect::Feed { shard, epoch, node, incarnation, feed }
        }
    }));
}
