//! What the nodes of a cluster say to each other about tasks, workers and shards. Numbers and versions are fixed in the actors'
//! protocols; a change here needs a new version there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use playhouse_actors::prelude::*;
use playhouse_plane::{
    Claimed, Counters, Feed, Fence, JobId, JobKey, JobSpec, JobStatus, NodeStatus, Owner, Payload, PlaneEffect, ShardId,
    ShardReply, SubmitError, TaskOutput, WindowResult, WorkerId, WorkerStatus,
};
use playhouse_wire::Incarnation;
use serde::{Deserialize, Serialize};

use crate::calls::CallNews;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? } -> $result:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
        impl Message for $name {
            type Result = $result;
        }
    )*};
}

messages! {
    // To a coordinator. The one that leads answers; any other one says who does.

    /// A node offers its workers. Refused when this life of it is counted as lost.
    Join { node: NodeName, incarnation: Incarnation, capacity: u32 } -> Led<Result<Duration, String>>;
    /// A node lives. Each has a higher number than the one before; one that comes late changes nothing.
    Beat { node: NodeName, incarnation: Incarnation, number: u64, running: Vec<Fence>, workers: Vec<u32> } -> ();
    /// A worker is up.
    WorkerIsUp { id: WorkerId } -> Led<()>;
    /// A worker is gone.
    WorkerIsDown { id: WorkerId, reason: String } -> Led<()>;
    /// A task was run.
    TaskIsDone { fence: Fence, worker: WorkerId, outcome: Result<TaskOutput, String> } -> Led<()>;
    /// A node is about to leave.
    Drains { node: NodeName, incarnation: Incarnation } -> Led<()>;
    /// A node leaves.
    Leaves { node: NodeName, incarnation: Incarnation } -> Led<()>;
    /// A node is to leave, says an operator.
    DrainNode { node: NodeName } -> Led<Result<(), String>>;
    /// A client wants a job done.
    Submit { key: JobKey, spec: JobSpec } -> Led<Result<JobId, SubmitError>>;
    /// How far is a job? Answered when more than `seen` of its tasks are done, or it has ended.
    Watch { job: JobId, seen: u32 } -> Led<Option<JobStatus>>;
    /// What did a job give?
    FetchResult { job: JobId } -> Led<Option<Vec<Payload>>>;
    /// What did a job's stream give?
    FetchWindows { job: JobId } -> Led<Option<Vec<WindowResult>>>;
    /// Which nodes take calls?
    FetchPlaces {} -> Led<Vec<Place>>;
    /// How is the cluster?
    FetchStatus {} -> Led<ClusterStatus>;
    /// A node is to be a coordinator.
    Enrol { node: NodeName, address: SocketAddr } -> Led<Result<(), String>>;
    /// A coordinator is to be one no more.
    Dismiss { node: NodeName } -> Led<Result<(), String>>;
    /// How does this coordinator stand?
    FetchStanding {} -> CoordinatorStatus;
    /// How was the cluster, as this coordinator knows? It may be behind.
    FetchStale {} -> Option<ClusterStatus>;

    // To a coordinator, about names of the cluster.

    /// A node claims names, each by a number of its own. Gives how long they are its own, and what came of each.
    ClaimNames { node: NodeName, incarnation: Incarnation, address: String, claims: Vec<(u64, String)> }
        -> Led<(Duration, Vec<Claimed>)>;
    /// A node says which of its claims up to the number `upto` it holds. Gives how long they are its own, and which are.
    KeepNames { node: NodeName, incarnation: Incarnation, number: u64, upto: u64, tickets: Vec<u64> }
        -> Led<(Duration, Vec<u64>)>;
    /// A node gives up claims.
    ReleaseNames { node: NodeName, incarnation: Incarnation, tickets: Vec<u64> } -> Led<()>;
    /// Who owns a name?
    FetchOwner { name: String } -> Led<Option<Owner>>;
    /// Which names begin so, and who owns them?
    FetchNames { prefix: String } -> Led<Vec<(String, Owner)>>;

    // To every node.

    /// This coordinator leads, in this term; these are all.
    Leads { term: u64, coordinators: Vec<(NodeName, SocketAddr)> } -> ();
    /// Who are the coordinators, as far as the node knows?
    FetchCoordinators {} -> Vec<(NodeName, SocketAddr)>;

    // To a node's agent. Orders carry the leader's term: one of an earlier term is refused.

    /// Start a worker.
    StartWorker { term: u64, id: WorkerId } -> Result<(), String>;
    /// Stop a worker.
    StopWorker { term: u64, id: WorkerId } -> Result<(), String>;
    /// Restore a shard; gives the number of the last event that it knows.
    OpenShard { term: u64, shard: ShardId, epoch: u32, window: u64, origin: u64, incarnation: Incarnation } -> Result<u64, String>;
    /// Drop a shard.
    CloseShard { term: u64, shard: ShardId, epoch: u32 } -> ();

    /// This life of the node is counted as lost: whatever it still does counts for nothing.
    YouAreLost { term: u64, incarnation: Incarnation } -> ();
    /// The coordinator does not know this life of the node.
    WhoAreYou { term: u64, incarnation: Incarnation } -> ();

    /// Run a function, once, for whoever asks.
    RunHere { incarnation: Incarnation, function: String, argument: Payload } -> Streaming<CallNews>;

    // To a worker.

    /// Run a task. Answered when it is accepted, not when it is done.
    Run { term: u64, worker: WorkerId, fence: Fence, function: String, inputs: Vec<Payload> } -> Result<(), String>;

    // To a shard.

    /// Take events.
    Eat { term: u64, feed: Feed } -> Result<ShardReply, String>;
}

/// What the coordinator that leads answers; the others say where to ask.
pub(crate) type Led<T> = Result<T, NotTaken>;

/// This coordinator does not lead, or has no room for more, or leads no more and does not know what became of it. Ask again: every
/// message to a coordinator may come twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotTaken {
    /// Who leads, as far as it knows, and where that one listens.
    pub(crate) leader: Option<NodeName>,
    pub(crate) address: Option<SocketAddr>,
    /// In which term.
    pub(crate) term: u64,
}

/// A node that takes calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) node: NodeName,
    pub(crate) incarnation: Incarnation,
    /// `None` for the one that says this, to which whoever asked has a connection, and for one that it has none to itself.
    pub(crate) address: Option<SocketAddr>,
}

/// Whoever sends this does not lead, and was taken for the one that does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instead(pub(crate) NotTaken);

impl Message for Instead {
    type Result = ();
}

/// What the coordinator knows of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The coordinator that this is from.
    pub coordinator: CoordinatorStatus,
    /// The number of the cluster's first job. Its jobs are numbered one by one from there.
    pub first_job: JobId,
    /// The nodes by name, lost ones among them.
    pub nodes: BTreeMap<NodeName, NodeStatus>,
    /// The workers.
    pub workers: Vec<WorkerStatus>,
    /// What was counted.
    pub counters: Counters,
    /// What was planned anew after the loss of a node.
    pub replans: Vec<Replan>,
    /// What went over the coordinator's connections.
    pub traffic: Traffic,
}

/// How a coordinator stands among the others, at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorStatus {
    /// Its name.
    pub name: NodeName,
    /// Whether it leads, as far as it knows: it may have been voted out.
    pub leads: bool,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeName>,
    /// The term: it rises with each election.
    pub term: u64,
    /// The coordinators that vote.
    pub voters: Vec<String>,
    /// Whether these are about to change, and no majority has that on its disks yet. Until then those decide who vote before and after it:
    /// wait for it before another coordinator is stopped.
    pub is_changing: bool,
    /// Why it takes no part, if it takes none; or why it does not follow any more.
    pub waits: Option<String>,
    /// How many commands it has applied.
    pub applied: u64,
    /// Of all that it knows then, in what [`crate::Client::stale_status`] gives: two coordinators that have applied the same know the same.
    pub digest: Option<u64>,
}

/// What went over a node's connections since its start, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Messages of all lanes.
    pub messages: u64,
    /// Bytes of datagrams, QUIC's own included.
    pub bytes: u64,
    /// Peers that were refused.
    pub refused: u64,
}

/// What was planned anew after the loss of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replan {
    /// The lost node.
    pub node: NodeName,
    /// Its tasks that were planned anew.
    pub tasks: u32,
    /// Its shards that were given to others.
    pub shards: u32,
    /// When, by the coordinator's wall clock: milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

/// For the ledger.
pub(crate) fn summary(effect: &PlaneEffect) -> String {
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
