//! The coordinator: the plane in its shell, with hands that reach the nodes.

use std::collections::BTreeMap;

use playhouse_actors::prelude::*;
use playhouse_cluster::Solo;
use playhouse_plane::limits::WORKERS_PER_NODE_MAX;
use playhouse_plane::{
    JobId, JobStatus, NodeState, Payload, Plane, PlaneEffect, PlaneEvent, RequestId, SubmitError, WindowResult,
};
use playhouse_rt::sync::oneshot;
use playhouse_wire::{Incarnation, MessageId};

use crate::agent::{AGENT, Agent};
use crate::finder::Finder;
use crate::limits::{FEED_DEADLINE, ORDER_DEADLINE, WATCHERS};
use crate::messages::{
    Beat, CloseShard, ClusterStatus, Eat, FetchResult, FetchStatus, FetchWindows, Join, OldBeat, OldJoin, OpenShard, Replan, Run,
    StartWorker, StopWorker, Submit, TaskIsDone, Watch, WhoAreYou, WorkerIsDown, WorkerIsUp, YouAreLost,
};
use crate::shard::{ShardActor, shard_name};
use crate::shell::{Hands, Happened, Shell};
use crate::worker::{Worker, worker_name};

/// The coordinator's actor.
pub type Coordinator = Shell<Solo<Plane>, PlaneHands>;

/// Its name on its node.
pub(crate) const COORDINATOR: &str = "coordinator";

/// Carries out what the plane wants done: every order is an ask with a deadline, and what came of it goes back as an event.
pub struct PlaneHands {
    finder: Finder,
    incarnation: Incarnation,
    next_request: u64,
    /// Submissions that wait for the plane's answer.
    submissions: Vec<(RequestId, oneshot::Sender<Result<JobId, SubmitError>>)>,
    watchers: Vec<Watcher>,
    replans: Vec<Replan>,
    /// Results that the plane did not count, so far.
    stale_results: u64,
    /// The last beat of each node that is not lost: its life, and its number.
    beats: BTreeMap<NodeName, (Incarnation, u64)>,
}

struct Watcher {
    watch: Watch,
    reply: oneshot::Sender<Option<JobStatus>>,
}

/// Replans that are remembered; the oldest are forgotten.
const REPLANS_KEPT: usize = 64;

impl PlaneHands {
    pub(crate) fn new(finder: Finder, incarnation: Incarnation) -> PlaneHands {
        PlaneHands {
            finder,
            incarnation,
            next_request: 0,
            submissions: Vec::new(),
            watchers: Vec::new(),
            replans: Vec::new(),
            stale_results: 0,
            beats: BTreeMap::new(),
        }
    }
}

/// Whether the order was surely not carried out and never will be; else it may have been.
fn surely_not(error: &AskError) -> bool {
    !matches!(error, AskError::Timeout | AskError::Unknown(_) | AskError::AnswerLost(_) | AskError::Undecodable(_))
}

/// Gives `order` to an actor, and what comes of it back to the plane.
fn give<A, M, R>(
    to: Option<Ref<A>>,
    order: M,
    within: Duration,
    plane: &Ref<Coordinator>,
    then: impl FnOnce(Result<R, (String, bool)>) -> Option<PlaneEvent> + Send + 'static,
) where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message<Result = R> + Send + 'static,
    R: Send + 'static,
{
    // Sent before this returns, so that orders to one actor keep the order of the plane's effects.
    let answer = to.map(|actor| actor.ask_within(order, within));
    let plane = plane.clone();
    playhouse_rt::spawn(async move {
        let result = match answer {
            Some(answer) => answer.await.map_err(|error| (error.to_string(), surely_not(&error))),
            None => Err(("no such actor on this node".into(), true)),
        };
        if let Some(event) = then(result) {
            // The plane's own mailbox: when it is full, its orders' answers wait for it.
            let _ = plane.tell_when_ready(Happened(event)).await;
        }
    });
}

impl Hands<Solo<Plane>> for PlaneHands {
    fn carry_out(&mut self, effect: PlaneEffect, plane: &Ref<Coordinator>) {
        playhouse_rt::ledger::record("effect", || summary(&effect));
        match effect {
            PlaneEffect::Submitted { request, result } => {
                if let Some(at) = self.submissions.iter().position(|(waiting, _)| *waiting == request) {
                    // A client that gave up asks again with the same key.
                    let _ = self.submissions.swap_remove(at).1.send(result);
                }
            }
            PlaneEffect::StartWorker { id } => {
                let agent = self.finder.find::<Agent>(&id.node, AGENT);
                // The node reports the worker up; an order that got lost is given again by the plane.
                give(agent, StartWorker { id: id.clone() }, ORDER_DEADLINE, plane, |result| match result {
                    Ok(Err(reason)) => Some(PlaneEvent::WorkerDown { id, reason }),
                    _ => None,
                });
            }
            PlaneEffect::StopWorker { id } => {
                let agent = self.finder.find::<Agent>(&id.node, AGENT);
                give(agent, StopWorker { id }, ORDER_DEADLINE, plane, |_| None);
            }
            PlaneEffect::Dispatch { worker, fence, function, inputs } => {
                let actor = self.finder.find::<Worker>(&worker.node, worker_name(&worker).as_str());
                let run = Run { worker: worker.clone(), fence, function, inputs };
                give(actor, run, ORDER_DEADLINE, plane, move |result| match result {
                    Ok(Ok(())) => None,
                    Ok(Err(reason)) | Err((reason, true)) => Some(PlaneEvent::DispatchFailed { fence, worker, reason }),
                    // It may run there. If it does not, its node's heartbeats say so.
                    Err((_, false)) => None,
                });
            }
            PlaneEffect::OpenShard { shard, epoch, node, incarnation, window } => {
                let agent = self.finder.find::<Agent>(&node, AGENT);
                let order = OpenShard { shard, epoch, window, coordinator: self.incarnation, incarnation };
                give(agent, order, ORDER_DEADLINE, plane, move |result| {
                    Some(match result {
                        Ok(Ok(seq)) => PlaneEvent::ShardOpened { shard, epoch, seq },
                        Ok(Err(reason)) | Err((reason, _)) => PlaneEvent::ShardFailed { shard, epoch, reason },
                    })
                });
            }
            PlaneEffect::CloseShard { shard, epoch, node, .. } => {
                let agent = self.finder.find::<Agent>(&node, AGENT);
                give(agent, CloseShard { shard, epoch }, ORDER_DEADLINE, plane, |_| None);
            }
            PlaneEffect::Feed { shard, epoch, node, feed, .. } => {
                let actor = self.finder.find::<ShardActor>(&node, shard_name(shard, epoch).as_str());
                give(actor, Eat { feed }, FEED_DEADLINE, plane, move |result| {
                    Some(match result {
                        Ok(Ok(reply)) => PlaneEvent::ShardFed { shard, epoch, reply },
                        Ok(Err(reason)) | Err((reason, _)) => PlaneEvent::ShardFailed { shard, epoch, reason },
                    })
                });
            }
            PlaneEffect::JobFinished { job, outcome } => tracing::info!(%job, ?outcome, "a job ended"),
            PlaneEffect::NodeLost { node, incarnation } => {
                tracing::warn!(%node, %incarnation, "a node is lost");
                self.beats.remove(&node);
            }
            PlaneEffect::Replanned { node, tasks, shards } => {
                playhouse_rt::reachable!("replan");
                playhouse_rt::ledger::record("replan", || format!("{node}: {tasks} tasks, {shards} shards"));
                tracing::warn!(%node, tasks, shards, "the work of a lost node was planned anew");
                if self.replans.len() == REPLANS_KEPT {
                    self.replans.remove(0);
                }
                let unix_ms = self.finder.wall_clock().as_millis().try_into().unwrap_or(u64::MAX);
                self.replans.push(Replan { node, tasks, shards, unix_ms });
            }
        }
    }

    fn changed(&mut self, plane: &Solo<Plane>) {
        let stale = plane.machine().counters().stale_results;
        if stale != std::mem::replace(&mut self.stale_results, stale) {
            playhouse_rt::reachable!("stale");
            playhouse_rt::ledger::record("stale", || format!("{stale} results came too late to count"));
        }
        for watcher in std::mem::take(&mut self.watchers) {
            match answer_now(plane.machine(), &watcher.watch) {
                Some(answer) => drop(watcher.reply.send(answer)),
                None if watcher.reply.is_closed() => {}
                None => self.watchers.push(watcher),
            }
        }
    }
}

/// The answer to a watcher, unless it still has to wait.
fn answer_now(plane: &Plane, watch: &Watch) -> Option<Option<JobStatus>> {
    let Some(status) = plane.job_status(watch.job) else { return Some(None) };
    (status.state.is_some() || status.done > watch.seen).then_some(Some(status))
}

fn summary(effect: &PlaneEffect) -> String {
    match effect {
        PlaneEffect::Submitted { request, result } => format!("submitted {} {result:?}", request.0),
        PlaneEffect::StartWorker { id } => format!("start {id}"),
        PlaneEffect::StopWorker { id } => format!("stop {id}"),
        PlaneEffect::Dispatch { worker, fence, function, .. } => format!("dispatch {fence} {function} to {worker}"),
        PlaneEffect::OpenShard { shard, epoch, node, .. } => format!("open {shard} epoch {epoch} on {node}"),
        PlaneEffect::CloseShard { shard, epoch, node, .. } => format!("close {shard} epoch {epoch} on {node}"),
        PlaneEffect::Feed { shard, epoch, node, feed, .. } => {
            format!("feed {shard} epoch {epoch} on {node}: {} events", feed.events.len())
        }
        other => format!("{other:?}"),
    }
}

impl Remote for Coordinator {
    fn protocol(protocol: &mut Protocol<Self>) {
        let version = 1;
        protocol
            .message_on::<OldJoin>(MessageId { id: 1, version }, Lane::Control)
            .message_on::<Join>(MessageId { id: 1, version: 2 }, Lane::Control)
            .message_on::<OldBeat>(MessageId { id: 2, version }, Lane::System)
            .unreliable_on::<Beat>(MessageId { id: 2, version: 2 }, Lane::System)
            .message_on::<WorkerIsUp>(MessageId { id: 3, version }, Lane::Control)
            .message_on::<WorkerIsDown>(MessageId { id: 4, version }, Lane::Control)
            .message_on::<TaskIsDone>(MessageId { id: 5, version }, Lane::Bulk)
            .message_on::<Submit>(MessageId { id: 6, version }, Lane::Bulk)
            .message_on::<Watch>(MessageId { id: 7, version }, Lane::Control)
            .message_on::<FetchResult>(MessageId { id: 8, version }, Lane::Bulk)
            .message_on::<FetchWindows>(MessageId { id: 9, version }, Lane::Bulk)
            .message_on::<FetchStatus>(MessageId { id: 10, version }, Lane::Control);
    }
}

/// Whether the message being handled comes from the life of the node that it speaks of. Nobody reports for another.
fn speaks_for(ctx: &Ctx<Coordinator>, (node, incarnation): (&NodeName, Incarnation)) -> bool {
    let same = match ctx.from() {
        Some(from) => from.node == *node && from.incarnation == incarnation,
        None => node == ctx.system().node(),
    };
    if !same {
        tracing::warn!(from = ?ctx.from(), %node, %incarnation, "a report in another node's name was ignored");
    }
    same
}

macro_rules! speaker {
    ($($message:ident: $($path:ident).+;)*) => {$(
        impl $message {
            /// The life of the node that says this.
            fn speaker(&self) -> (&NodeName, Incarnation) {
                (&self.$($path).+.node, self.$($path).+.incarnation)
            }
        }
    )*};
}

speaker! {
    WorkerIsUp: id;
    WorkerIsDown: id;
    TaskIsDone: worker;
}

macro_rules! becomes_event {
    ($($message:ident { $($field:ident),* } => $event:ident;)*) => {$(
        impl Handler<$message> for Coordinator {
            type Result = ();
            fn handle(&mut self, message: $message, ctx: &mut Ctx<Self>) {
                if speaks_for(ctx, message.speaker()) {
                    let $message { $($field),* } = message;
                    self.event(PlaneEvent::$event { $($field),* }, ctx);
                }
            }
        }
    )*};
}

becomes_event! {
    WorkerIsUp { id } => WorkerUp;
    WorkerIsDown { id, reason } => WorkerDown;
    TaskIsDone { fence, worker, outcome } => TaskDone;
}

impl Handler<Join> for Coordinator {
    type Result = Result<(), String>;

    fn handle(&mut self, Join { node, incarnation, capacity }: Join, ctx: &mut Ctx<Self>) -> Result<(), String> {
        if !speaks_for(ctx, (&node, incarnation)) {
            return Err(format!("only {node}{incarnation} itself may join as that"));
        }
        self.event(PlaneEvent::NodeUp { node: node.clone(), incarnation, capacity }, ctx);
        match self.machine().machine().judge(&node, incarnation) {
            Some(NodeState::Lost) => Err(format!("{node}{incarnation} is counted as lost; join again as a later life")),
            _ => Ok(()),
        }
    }
}

impl Handler<OldJoin> for Coordinator {
    type Result = Result<(), String>;

    fn handle(&mut self, OldJoin { node, incarnation, capacity }: OldJoin, ctx: &mut Ctx<Self>) -> Result<(), String> {
        self.handle(Join { node, incarnation, capacity }, ctx)
    }
}

impl Handler<Beat> for Coordinator {
    type Result = ();

    fn handle(&mut self, Beat { node, incarnation, number, running, workers }: Beat, ctx: &mut Ctx<Self>) {
        let beat = (incarnation, number);
        if self.hands().beats.get(&node).is_some_and(|last| *last >= beat) {
            // A later one came before it: what it says is over, also that the node lived then.
            return;
        }
        if self.beats(OldBeat { node: node.clone(), incarnation, running, workers }, ctx) {
            self.hands().beats.insert(node, beat);
        }
    }
}

impl Handler<OldBeat> for Coordinator {
    type Result = ();

    fn handle(&mut self, beat: OldBeat, ctx: &mut Ctx<Self>) {
        self.beats(beat, ctx);
    }
}

impl Coordinator {
    /// A node lives. True when it does so for the plane too.
    fn beats(&mut self, OldBeat { node, incarnation, running, workers }: OldBeat, ctx: &mut Ctx<Self>) -> bool {
        // More than a node can have is no beat of ours; each unknown number would cost an order to stop it.
        let most = WORKERS_PER_NODE_MAX as usize;
        if !speaks_for(ctx, (&node, incarnation)) || workers.len() > most || running.len() > 2 * most {
            return false;
        }
        self.event(PlaneEvent::Heartbeat { node: node.clone(), incarnation, running, workers }, ctx);
        let judged = self.machine().machine().judge(&node, incarnation);
        let agent = self.hands().finder.find::<Agent>(&node, AGENT);
        // If one of these is lost, the next beat brings another.
        match (judged, agent) {
            (Some(NodeState::Lost), Some(agent)) => drop(agent.tell(YouAreLost { incarnation })),
            (None, Some(agent)) => drop(agent.tell(WhoAreYou { incarnation })),
            (Some(NodeState::Lost) | None, None) => {}
            (Some(NodeState::Alive | NodeState::Suspect), _) => return true,
        }
        false
    }
}

impl Handler<Submit> for Coordinator {
    type Result = Later<Result<JobId, SubmitError>>;

    fn handle(&mut self, Submit { key, spec }: Submit, ctx: &mut Ctx<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        let hands = self.hands();
        hands.next_request += 1;
        let request = RequestId(hands.next_request);
        hands.submissions.push((request, reply));
        self.event(PlaneEvent::Submit { request, key, spec }, ctx);
        // The plane answers every submission in the event that brought it.
        Later::new(async move { answer.await.expect("the plane answers each submission") })
    }
}

impl Handler<Watch> for Coordinator {
    type Result = Later<Option<JobStatus>>;

    fn handle(&mut self, watch: Watch, _: &mut Ctx<Self>) -> Self::Result {
        let status = self.machine().machine().job_status(watch.job);
        if self.hands().watchers.len() >= WATCHERS || answer_now(self.machine().machine(), &watch).is_some() {
            return Later::new(std::future::ready(status));
        }
        let (reply, answer) = oneshot::channel();
        self.hands().watchers.push(Watcher { watch, reply });
        Later::new(async move { answer.await.unwrap_or(status) })
    }
}

impl Handler<FetchResult> for Coordinator {
    type Result = MessageResult<FetchResult>;

    fn handle(&mut self, fetch: FetchResult, _: &mut Ctx<Self>) -> MessageResult<FetchResult> {
        let result: Option<Vec<Payload>> = self.machine().machine().result(fetch.job);
        MessageResult(result)
    }
}

impl Handler<FetchWindows> for Coordinator {
    type Result = MessageResult<FetchWindows>;

    fn handle(&mut self, fetch: FetchWindows, _: &mut Ctx<Self>) -> MessageResult<FetchWindows> {
        let windows: Option<Vec<WindowResult>> = self.machine().machine().windows(fetch.job);
        MessageResult(windows)
    }
}

impl Handler<FetchStatus> for Coordinator {
    type Result = MessageResult<FetchStatus>;

    fn handle(&mut self, _: FetchStatus, _: &mut Ctx<Self>) -> MessageResult<FetchStatus> {
        let plane = self.machine().machine();
        let (nodes, workers, counters) = (plane.nodes().clone(), plane.workers(), plane.counters());
        let (replans, traffic) = (self.hands().replans.clone(), self.hands().finder.traffic());
        MessageResult(ClusterStatus { nodes, workers, counters, replans, traffic })
    }
}

/// A connection went down: a hint for the monitor.
pub(crate) fn link_down(plane: &Ref<Coordinator>, node: NodeName, incarnation: Incarnation) {
    // Only a hint: if there is no room for it, the silence will be noticed.
    let _ = plane.tell(Happened(PlaneEvent::LinkDown { node, incarnation }));
}
