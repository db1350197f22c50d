//! What the nodes of a cluster say to each other about tasks, workers and shards. Numbers and versions are fixed in the actors'
//! protocols; a change here needs a new version there.

use std::collections::BTreeMap;

use playhouse_actors::prelude::*;
use playhouse_plane::{
    Counters, Feed, Fence, JobId, JobKey, JobSpec, JobStatus, NodeStatus, Payload, ShardId, ShardReply, SubmitError, TaskOutput,
    WindowResult, WorkerId, WorkerStatus,
};
use playhouse_wire::Incarnation;
use serde::{Deserialize, Serialize};

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
    // To the coordinator.

    /// A node offers its workers. Refused when this life of it is counted as lost. A coordinator that answers it takes [`Beat`]s.
    Join { node: NodeName, incarnation: Incarnation, capacity: u32 } -> Result<(), String>;
    /// A node lives. Each has a higher number than the one before; one that comes late changes nothing.
    Beat { node: NodeName, incarnation: Incarnation, number: u64, running: Vec<Fence>, workers: Vec<u32> } -> ();
    /// [`Join`] as nodes of version 0.1.0 say it, and understand it.
    OldJoin { node: NodeName, incarnation: Incarnation, capacity: u32 } -> Result<(), String>;
    /// [`Beat`] of those nodes: none is lost or comes late.
    OldBeat { node: NodeName, incarnation: Incarnation, running: Vec<Fence>, workers: Vec<u32> } -> ();
    /// A worker is up.
    WorkerIsUp { id: WorkerId } -> ();
    /// A worker is gone.
    WorkerIsDown { id: WorkerId, reason: String } -> ();
    /// A task was run.
    TaskIsDone { fence: Fence, worker: WorkerId, outcome: Result<TaskOutput, String> } -> ();
    /// A client wants a job done.
    Submit { key: JobKey, spec: JobSpec } -> Result<JobId, SubmitError>;
    /// How far is a job? Answered when more than `seen` of its tasks are done, or it has ended.
    Watch { job: JobId, seen: u32 } -> Option<JobStatus>;
    /// What did a job give?
    FetchResult { job: JobId } -> Option<Vec<Payload>>;
    /// What did a job's stream give?
    FetchWindows { job: JobId } -> Option<Vec<WindowResult>>;
    /// How is the cluster?
    FetchStatus {} -> ClusterStatus;

    // To a node's agent.

    /// Start a worker.
    StartWorker { id: WorkerId } -> Result<(), String>;
    /// Stop a worker.
    StopWorker { id: WorkerId } -> Result<(), String>;
    /// Restore a shard; gives the number of the last event that it knows.
    OpenShard { shard: ShardId, epoch: u32, window: u64, coordinator: Incarnation, incarnation: Incarnation } -> Result<u64, String>;
    /// Drop a shard.
    CloseShard { shard: ShardId, epoch: u32 } -> ();

    /// This life of the node is counted as lost: whatever it still does counts for nothing.
    YouAreLost { incarnation: Incarnation } -> ();
    /// The coordinator does not know this life of the node: it began a life of its own meanwhile.
    WhoAreYou { incarnation: Incarnation } -> ();

    // To a worker.

    /// Run a task. Answered when it is accepted, not when it is done.
    Run { worker: WorkerId, fence: Fence, function: String, inputs: Vec<Payload> } -> Result<(), String>;

    // To a shard.

    /// Take events.
    Eat { feed: Feed } -> Result<ShardReply, String>;
}

/// What the coordinator knows of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
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
