//! A coordinator: the plane in its shell, with hands that reach the nodes. Several have the plane; the one that leads has the hands.

use std::collections::BTreeMap;

use playhouse_actors::prelude::*;
use playhouse_cluster::{Group, Replica, Standing};
use playhouse_plane::limits::WORKERS_PER_NODE_MAX;
use playhouse_plane::{
    JobId, JobStatus, NodeState, NodeStatus, Payload, Plane, PlaneConfig, PlaneEffect, PlaneEvent, RequestId, SubmitError,
    WindowResult,
};
use playhouse_rt::sync::oneshot;
use playhouse_wire::{Incarnation, MessageId, Time};

use crate::agent::{AGENT, Agent};
use crate::coordinators::{Coordinators, FOLLOWER, Follower};
use crate::finder::Finder;
use crate::limits::{FEED_DEADLINE, ORDER_DEADLINE, WATCHERS};
use crate::messages::{
    Beat, CloseShard, ClusterStatus, CoordinatorStatus, Dismiss, DrainNode, Drains, Eat, Enrol, FetchPlaces, FetchResult,
    FetchStale, FetchStanding, FetchStatus, FetchWindows, Join, Leads, Leaves, Led, OpenShard, Replan, Run, StopWorker, Submit,
    TaskIsDone, Watch, WhoAreYou, WorkerIsDown, WorkerIsUp, YouAreLost, summary,
};
use crate::shard::{ShardActor, shard_name};
use crate::shell::{Hands, Happened, Shell};
use crate::starts::Starts;
use crate::worker::{Worker, worker_name};

/// The coordinator's actor.
pub type Coordinator = Shell<Plane, PlaneHands>;

/// Its name on its node.
pub(crate) const COORDINATOR: &str = "coordinator";

/// Carries out what the plane wants done: every order is an ask with a deadline, and what came of it goes back as an event.
pub struct PlaneHands {
    pub(crate) finder: Finder,
    pub(crate) coordinators: Coordinators,
    group: Group<Replica<Plane>>,
    /// What a new cluster begins with.
    config: PlaneConfig,
    /// The term in which it leads.
    term: u64,
    /// Tells the lives of a cluster apart, where its jobs have the same numbers.
    origin: u64,
    next_request: u64,
    /// Submissions that wait for the plane's answer.
    submissions: Vec<(RequestId, oneshot::Sender<Result<JobId, SubmitError>>)>,
    watchers: Vec<Watcher>,
    replans: Vec<Replan>,
    /// Results that the plane did not count, so far.
    stale_results: u64,
    starts: Starts,
    /// Which of many nodes whoever asks next is told of.
    pub(crate) turn: usize,
    /// The last beat of each node that is not lost.
    beats: BTreeMap<NodeName, LastBeat>,
}

struct LastBeat {
    incarnation: Incarnation,
    number: u64,
    /// When it came, in the plane's time.
    at: Time,
}

struct Watcher {
    watch: Watch,
    reply: oneshot::Sender<Led<Option<JobStatus>>>,
}

/// Replans that are remembered; the oldest are forgotten.
const REPLANS_KEPT: usize = 64;

impl PlaneHands {
    pub(crate) fn new(
        finder: Finder,
        coordinators: Coordinators,
        group: Group<Replica<Plane>>,
        config: PlaneConfig,
    ) -> PlaneHands {
        PlaneHands {
            finder,
            coordinators,
            group,
            config,
            term: 0,
            origin: 0,
            next_request: 0,
            submissions: Vec::new(),
            watchers: Vec::new(),
            replans: Vec::new(),
            stale_results: 0,
            starts: Starts::default(),
            turn: 0,
            beats: BTreeMap::new(),
        }
    }

    /// Tells all nodes that this coordinator leads, and who the others are. Those that it has no connection to hear it when they have one.
    pub(crate) fn announce_to_all(&self) {
        let members = self.group.members();
        let listed = members.iter().filter_map(|member| Some((NodeName::new(&member.name).ok()?, member.address.parse().ok()?)));
        self.coordinators.are(&listed.collect::<Vec<_>>());
        let own = self.finder.system.node();
        let peers = self.finder.roads.endpoint.peers();
        peers.iter().map(|peer| peer.node()).chain([own]).for_each(|node| self.announce(node));
    }

    /// Tells a node that this coordinator leads. If that is lost, the node finds out when it asks another one.
    fn announce(&self, node: &NodeName) {
        if let Some(follower) = self.finder.find::<Follower>(node, FOLLOWER) {
            let _ = follower.tell(Leads { term: self.term, coordinators: self.coordinators.list() });
        }
    }
}

/// Whether the order was surely not carried out and never will be; else it may have been.
pub(crate) fn surely_not(error: &AskError) -> bool {
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

impl Hands<Plane> for PlaneHands {
    fn carry_out(&mut self, effect: PlaneEffect, term: u64, plane: &Ref<Coordinator>) {
        playhouse_rt::ledger::record("effect", || summary(&effect));
        match effect {
            PlaneEffect::Submitted { request, result } => {
                if let Some(at) = self.submissions.iter().position(|(waiting, _)| *waiting == request) {
                    // A client that gave up asks again with the same key.
                    let _ = self.submissions.swap_remove(at).1.send(result);
                }
            }
            PlaneEffect::StartWorker { id } => self.starts.start(id, &self.finder, term, plane),
            PlaneEffect::StopWorker { id } => {
                self.starts.forget(&id);
                let agent = self.finder.find::<Agent>(&id.node, AGENT);
                give(agent, StopWorker { term, id }, ORDER_DEADLINE, plane, |_| None);
            }
            PlaneEffect::Dispatch { worker, fence, function, inputs } => {
                let actor = self.finder.find::<Worker>(&worker.node, worker_name(&worker).as_str());
                let run = Run { term, worker: worker.clone(), fence, function, inputs };
                give(actor, run, ORDER_DEADLINE, plane, move |result| match result {
                    Ok(Ok(())) => None,
                    Ok(Err(reason)) | Err((reason, true)) => Some(PlaneEvent::DispatchFailed { fence, worker, reason }),
                    // It may run there. If it does not, its node's heartbeats say so.
                    Err((_, false)) => None,
                });
            }
            PlaneEffect::OpenShard { shard, epoch, node, incarnation, window } => {
                let agent = self.finder.find::<Agent>(&node, AGENT);
                let order = OpenShard { term, shard, epoch, window, origin: self.origin, incarnation };
                give(agent, order, ORDER_DEADLINE, plane, move |result| {
                    Some(match result {
                        Ok(Ok(seq)) => PlaneEvent::ShardOpened { shard, epoch, seq },
                        Ok(Err(reason)) | Err((reason, _)) => PlaneEvent::ShardFailed { shard, epoch, reason },
                    })
                });
            }
            PlaneEffect::CloseShard { shard, epoch, node, .. } => {
                let agent = self.finder.find::<Agent>(&node, AGENT);
                give(agent, CloseShard { term, shard, epoch }, ORDER_DEADLINE, plane, |_| None);
            }
            PlaneEffect::Feed { shard, epoch, node, feed, .. } => {
                let actor = self.finder.find::<ShardActor>(&node, shard_name(shard, epoch).as_str());
                give(actor, Eat { term, feed }, FEED_DEADLINE, plane, move |result| {
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
                self.starts.forget_node(&node);
            }
            PlaneEffect::NamesFreed { node, incarnation, names } => {
                tracing::warn!(%node, %incarnation, names, "a node was silent for too long: its names are free");
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

    fn before_tick(&self, plane: &Plane) -> Option<PlaneEvent> {
        // What was told and is not agreed on is told again.
        let untold = |node: &NodeName, last: &LastBeat| plane.nodes().get(node).is_some_and(|status| status.last_beat < last.at);
        let news = self.beats.iter().filter(|(node, last)| untold(node, last));
        let mut beats: Vec<_> = news.map(|(node, last)| (node.clone(), last.incarnation, last.at)).collect();
        if self.config.planted.beats_claimed {
            let now = Time::ZERO + Duration::from_secs(1 << 32);
            beats = plane.nodes().iter().map(|(node, status)| (node.clone(), status.incarnation, now)).collect();
        }
        (!beats.is_empty()).then_some(PlaneEvent::Heard { beats })
    }

    fn begin(&self) -> Plane {
        Plane::new(self.config.clone())
    }

    fn takes_over(&mut self, term: u64, plane: &Plane) -> PlaneEvent {
        (self.term, self.origin) = (term, plane.origin());
        self.beats.clear();
        self.stale_results = plane.counters().stale_results;
        self.announce_to_all();
        PlaneEvent::TookOver
    }

    fn leads_on(&mut self) {
        // One that is back at another address is let in by the group itself.
        self.announce_to_all();
    }

    fn steps_down(&mut self) {
        // Whoever waits for these hears that this is not the leader, and asks another one.
        self.submissions.clear();
        self.watchers.clear();
        self.starts.forget_all();
    }

    fn changed(&mut self, plane: &Plane) {
        let stale = plane.counters().stale_results;
        if stale != std::mem::replace(&mut self.stale_results, stale) {
            playhouse_rt::reachable!("stale");
            playhouse_rt::ledger::record("stale", || format!("{stale} results came too late to count"));
        }
        for watcher in std::mem::take(&mut self.watchers) {
            match answer_now(plane, &watcher.watch) {
                Some(answer) => drop(watcher.reply.send(Ok(answer))),
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

impl Remote for Coordinator {
    fn protocol(protocol: &mut Protocol<Self>) {
        let version = 2;
        protocol
            .message_on::<Join>(MessageId { id: 1, version: 3 }, Lane::Control)
            .unreliable_on::<Beat>(MessageId { id: 2, version }, Lane::System)
            .message_on::<WorkerIsUp>(MessageId { id: 3, version }, Lane::Control)
            .message_on::<WorkerIsDown>(MessageId { id: 4, version }, Lane::Control)
            .message_on::<TaskIsDone>(MessageId { id: 5, version }, Lane::Bulk)
            .message_on::<Submit>(MessageId { id: 6, version }, Lane::Bulk)
            .message_on::<Watch>(MessageId { id: 7, version }, Lane::Control)
            .message_on::<FetchResult>(MessageId { id: 8, version }, Lane::Bulk)
            .message_on::<FetchWindows>(MessageId { id: 9, version }, Lane::Bulk)
            .message_on::<FetchStatus>(MessageId { id: 10, version: 3 }, Lane::Control)
            .message_on::<FetchStale>(MessageId { id: 11, version: 2 }, Lane::Control)
            .message_on::<Enrol>(MessageId { id: 12, version: 1 }, Lane::Control)
            .message_on::<Dismiss>(MessageId { id: 13, version: 1 }, Lane::Control)
            .message_on::<Drains>(MessageId { id: 14, version: 1 }, Lane::Control)
            .message_on::<Leaves>(MessageId { id: 15, version: 1 }, Lane::Control)
            .message_on::<DrainNode>(MessageId { id: 16, version: 1 }, Lane::Control)
            .message_on::<FetchStanding>(MessageId { id: 17, version: 2 }, Lane::Control)
            .message_on::<FetchPlaces>(MessageId { id: 18, version: 1 }, Lane::Control);
        crate::registry::protocol(protocol);
    }
}

/// Whether the message being handled comes from the life of the node that it speaks of. Nobody reports for another.
pub(crate) fn speaks_for(ctx: &Ctx<Coordinator>, (node, incarnation): (&NodeName, Incarnation)) -> bool {
    let same = match ctx.from() {
        Some(from) => from.node == *node && from.incarnation == incarnation,
        None => node == ctx.system().node(),
    };
    if !same {
        tracing::warn!(from = ?ctx.from(), %node, %incarnation, "a report in another node's name was ignored");
    }
    same
}

impl Drains {
    fn speaker(&self) -> (&NodeName, Incarnation) {
        (&self.node, self.incarnation)
    }
}

impl Leaves {
    fn speaker(&self) -> (&NodeName, Incarnation) {
        (&self.node, self.incarnation)
    }
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
            type Result = Later<Led<()>>;
            fn handle(&mut self, message: $message, ctx: &mut Ctx<Self>) -> Self::Result {
                if !speaks_for(ctx, message.speaker()) {
                    return Later::new(std::future::ready(Ok(())));
                }
                let $message { $($field),* } = message;
                Later::new(self.take(PlaneEvent::$event { $($field),* }, ctx, |_| ()))
            }
        }
    )*};
}

becomes_event! {
    WorkerIsUp { id } => WorkerUp;
    WorkerIsDown { id, reason } => WorkerDown;
    TaskIsDone { fence, worker, outcome } => TaskDone;
    Drains { node, incarnation } => NodeDrains;
    Leaves { node, incarnation } => NodeLeaves;
}

impl Handler<Join> for Coordinator {
    type Result = Later<Led<Result<Duration, String>>>;

    fn handle(&mut self, Join { node, incarnation, capacity }: Join, ctx: &mut Ctx<Self>) -> Self::Result {
        if !speaks_for(ctx, (&node, incarnation)) {
            let refused = Err(format!("only {node}{incarnation} itself may join as that"));
            return Later::new(std::future::ready(Ok(refused)));
        }
        let up = PlaneEvent::NodeUp { node: node.clone(), incarnation, capacity };
        Later::new(self.take(up, ctx, move |plane| match plane.judge(&node, incarnation) {
            Some(NodeState::Lost) => Err(match plane.nodes().get(&node) {
                Some(status) if status.incarnation > incarnation => format!(
                    "the cluster knows {}, which is a later life than {incarnation}: either two processes have this name, or the clock of their \
                     host went back between their starts. A life that begins when the clock has caught up is taken",
                    status.incarnation
                ),
                _ => "the cluster counts it as lost; it may join again as a later life".into(),
            }),
            _ => Ok(plane.beat_every()),
        }))
    }
}

impl Handler<DrainNode> for Coordinator {
    type Result = Later<Led<Result<(), String>>>;

    fn handle(&mut self, DrainNode { node }: DrainNode, ctx: &mut Ctx<Self>) -> Self::Result {
        let lives = |status: &NodeStatus| status.state != NodeState::Lost;
        let life = self.look(|plane| plane.nodes().get(&node).filter(|status| lives(status)).map(|status| status.incarnation));
        match life {
            Some(None) => Later::new(std::future::ready(Ok(Err(format!("no node called {node} offers workers here"))))),
            Some(Some(incarnation)) => {
                let drains = PlaneEvent::NodeDrains { node: node.clone(), incarnation };
                Later::new(self.take(drains, ctx, move |plane| match plane.nodes().get(&node) {
                    Some(status) if status.draining && status.incarnation == incarnation => Ok(()),
                    _ => Err(format!("{node} has gone, or come back, meanwhile")),
                }))
            }
            None => Later::new(std::future::ready(Err(self.not_taken()))),
        }
    }
}

impl Handler<Beat> for Coordinator {
    type Result = ();

    fn handle(&mut self, Beat { node, incarnation, number, running, workers }: Beat, ctx: &mut Ctx<Self>) {
        let (Some(term), Some(now)) = (self.leads(), self.now()) else {
            if speaks_for(ctx, (&node, incarnation)) {
                let instead = self.not_taken();
                self.hands().coordinators.send_on(&node, instead);
            }
            return;
        };
        // More than a node can have is no beat of ours; each unknown number would cost an order to stop it.
        let most = WORKERS_PER_NODE_MAX as usize;
        if !speaks_for(ctx, (&node, incarnation)) || workers.len() > most || running.len() > 2 * most {
            return;
        }
        if self.hands().beats.get(&node).is_some_and(|last| (last.incarnation, last.number) >= (incarnation, number)) {
            // A later one came before it: what it says is over, also that the node lived then.
            return;
        }
        let look = |plane: &Plane| (plane.judge(&node, incarnation), plane.is_news(now, &node, incarnation, &running, &workers));
        let (judged, is_news) = self.look(look).unwrap_or_default();
        if let Some(NodeState::Alive | NodeState::Suspect) = judged {
            self.hands().beats.insert(node.clone(), LastBeat { incarnation, number, at: now });
            // If there is no room for its news, the next one says the same; that it lives is told with the others.
            if !is_news || !self.has_room() {
                return;
            }
            return self.event(PlaneEvent::Heartbeat { node, incarnation, running, workers }, ctx);
        }
        // If one of these is lost, the next beat brings another.
        match (judged, self.hands().finder.find::<Agent>(&node, AGENT)) {
            (Some(_), Some(agent)) => drop(agent.tell(YouAreLost { term, incarnation })),
            (None, Some(agent)) => drop(agent.tell(WhoAreYou { term, incarnation })),
            (_, None) => {}
        }
    }
}

impl Handler<Submit> for Coordinator {
    type Result = Later<Led<Result<JobId, SubmitError>>>;

    fn handle(&mut self, Submit { key, spec }: Submit, ctx: &mut Ctx<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        let known = self.look(|plane| plane.origin() + plane.counters().accepted);
        let early = known.filter(|_| self.planted().answers_before_agreement && self.leads().is_some());
        let hands = self.hands();
        if let Some(next) = early {
            let early = JobId(next + hands.submissions.len() as u64);
            hands.next_request += 1;
            let request = RequestId(hands.next_request);
            hands.submissions.push((request, reply));
            self.event(PlaneEvent::Submit { request, key, spec }, ctx);
            return Later::new(std::future::ready(Ok(Ok(early))));
        }
        hands.next_request += 1;
        let request = RequestId(hands.next_request);
        // Those that nobody waits for: their clients went, or were sent elsewhere.
        hands.submissions.retain(|(_, reply)| !reply.is_closed());
        hands.submissions.push((request, reply));
        let taken = self.take(PlaneEvent::Submit { request, key, spec }, ctx, |_| ());
        let instead = self.not_taken();
        // The plane answers every submission in the event that brought it.
        Later::new(async move {
            taken.await?;
            answer.await.map_err(|_| instead)
        })
    }
}

impl Handler<Watch> for Coordinator {
    type Result = Later<Led<Option<JobStatus>>>;

    fn handle(&mut self, watch: Watch, _: &mut Ctx<Self>) -> Self::Result {
        let job = watch.job;
        let waits = self.leads().is_some() && self.look(|plane| answer_now(plane, &watch).is_none()) == Some(true);
        if !waits || self.hands().watchers.len() >= WATCHERS {
            return Later::new(self.fresh(move |plane| plane.job_status(job)));
        }
        let (reply, answer) = oneshot::channel();
        self.hands().watchers.push(Watcher { watch, reply });
        let instead = self.not_taken();
        Later::new(async move { answer.await.unwrap_or(Err(instead)) })
    }
}

impl Handler<FetchResult> for Coordinator {
    type Result = Later<Led<Option<Vec<Payload>>>>;

    fn handle(&mut self, fetch: FetchResult, _: &mut Ctx<Self>) -> Self::Result {
        Later::new(self.fresh(move |plane| plane.result(fetch.job)))
    }
}

impl Handler<FetchWindows> for Coordinator {
    type Result = Later<Led<Option<Vec<WindowResult>>>>;

    fn handle(&mut self, fetch: FetchWindows, _: &mut Ctx<Self>) -> Self::Result {
        Later::new(self.fresh(move |plane| plane.windows(fetch.job)))
    }
}

impl Coordinator {
    /// What this coordinator knows, beside the plane.
    fn status_of(&mut self) -> impl FnOnce(&Replica<Plane>) -> Option<ClusterStatus> + 'static {
        let (group, replans) = (self.group().clone(), self.hands().replans.clone());
        let traffic = self.hands().finder.traffic();
        move |replica| {
            let plane = replica.machine()?;
            let coordinator = coordinator_status(&group, replica);
            let (nodes, workers, counters) = (plane.nodes().clone(), plane.workers(), plane.counters());
            let first_job = JobId(plane.origin());
            Some(ClusterStatus { coordinator, first_job, nodes, workers, counters, replans, traffic })
        }
    }
}

/// How a coordinator stands, and what its copy of the plane is like.
pub(crate) fn coordinator_status(group: &Group<Replica<Plane>>, replica: &Replica<Plane>) -> CoordinatorStatus {
    let Standing { leader, term, voters, leads, is_changing, .. } = group.standing();
    let leader = leader.and_then(|name| NodeName::new(&name).ok());
    let (name, applied) = (group.name().clone(), replica.applied());
    let ended = || replica.fault().map(str::to_string).or_else(|| group.fault());
    let waits = ended().or_else(|| group.waits().map(|waits| waits.to_string()));
    CoordinatorStatus { name, leads, leader, term, voters, is_changing, waits, applied, digest: None }
}

impl Handler<FetchStatus> for Coordinator {
    type Result = Later<Led<ClusterStatus>>;

    fn handle(&mut self, _: FetchStatus, _: &mut Ctx<Self>) -> Self::Result {
        let (status, instead) = (self.status_of(), self.not_taken());
        let fresh = self.fresh_copy(status);
        Later::new(async move { fresh.await?.ok_or(instead) })
    }
}

impl Handler<FetchStale> for Coordinator {
    type Result = MessageResult<FetchStale>;

    fn handle(&mut self, _: FetchStale, _: &mut Ctx<Self>) -> MessageResult<FetchStale> {
        let status = self.status_of();
        MessageResult(self.group().read(|replica| {
            let mut status = status(replica)?;
            status.coordinator.digest = Some(replica.digest());
            Some(status)
        }))
    }
}

impl Handler<FetchStanding> for Coordinator {
    type Result = MessageResult<FetchStanding>;

    fn handle(&mut self, _: FetchStanding, _: &mut Ctx<Self>) -> MessageResult<FetchStanding> {
        let group = self.group();
        MessageResult(group.read(|replica| coordinator_status(group, replica)))
    }
}

/// A connection came up or went down.
pub(crate) struct Link {
    pub(crate) node: NodeName,
    pub(crate) incarnation: Incarnation,
    pub(crate) up: bool,
}

impl Message for Link {
    type Result = ();
}

impl Handler<Link> for Coordinator {
    type Result = ();

    fn handle(&mut self, Link { node, incarnation, up }: Link, ctx: &mut Ctx<Self>) {
        match up {
            true if self.leads().is_some() => self.hands().announce(&node),
            true => {}
            // A hint for the monitor.
            false if self.has_room() => self.event(PlaneEvent::LinkDown { node, incarnation }, ctx),
            false => {}
        }
    }
}
