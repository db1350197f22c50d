//! What a plane hears and what it wants done.

use alloc::string::String;
use alloc::vec::Vec;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use crate::Payload;
use crate::ids::{Fence, JobId, JobKey, RequestId, ShardId, WorkerId};
use crate::spec::{JobSpec, SubmitError, TaskOutput};
use crate::stream::{Feed, ShardReply};

/// What a plane hears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PlaneEvent {
    /// A node joined, or says its capacity anew. A life that is lost cannot join again.
    NodeUp {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// How many workers it offers to run.
        capacity: u32,
    },
    /// A node is alive.
    Heartbeat {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// What its workers do. A task belongs to it from the receipt of its dispatch until its result was delivered.
        running: Vec<Fence>,
        /// The numbers of its workers.
        workers: Vec<u32>,
    },
    /// A hint that a node cannot be reached.
    LinkDown {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
    },
    /// Another leader applies from here on: for a while nobody listened to heartbeats, so silence before now means nothing.
    TookOver,
    /// A client wants a job done.
    Submit {
        /// Comes back with the answer.
        request: RequestId,
        /// The same key is the same job.
        key: JobKey,
        /// The job.
        spec: JobSpec,
    },
    /// A worker is up.
    WorkerUp {
        /// Which.
        id: WorkerId,
    },
    /// A worker is gone.
    WorkerDown {
        /// Which.
        id: WorkerId,
        /// Why.
        reason: String,
    },
    /// A worker has run a task.
    TaskDone {
        /// The attempt.
        fence: Fence,
        /// The worker.
        worker: WorkerId,
        /// What the function gave back, or its error or panic.
        outcome: Result<TaskOutput, String>,
    },
    /// A dispatch was not delivered: the worker does not run it and never will.
    DispatchFailed {
        /// The attempt.
        fence: Fence,
        /// The worker.
        worker: WorkerId,
        /// Why.
        reason: String,
    },
    /// A node has opened a shard.
    ShardOpened {
        /// Which.
        shard: ShardId,
        /// From its opening.
        epoch: u32,
        /// All events up to this number are in the checkpoint that it was restored from; 0 without one.
        seq: u64,
    },
    /// A node has applied a feed.
    ShardFed {
        /// Which.
        shard: ShardId,
        /// From its opening.
        epoch: u32,
        /// What [`Shard::reply`](crate::Shard::reply) says.
        reply: ShardReply,
    },
    /// A shard could not be opened or fed, or its owner could not be reached.
    ShardFailed {
        /// Which.
        shard: ShardId,
        /// From its opening.
        epoch: u32,
        /// Why.
        reason: String,
    },
    /// A node is about to leave: it gets no new work, and what it does not have to keep goes elsewhere.
    NodeDrains {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A node leaves. What it still had in hand is planned anew at once.
    NodeLeaves {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A node claims names of the cluster. See [`Plane::claimed`](crate::Plane::claimed) for what came of it.
    ClaimNames {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// Where it listens.
        address: String,
        /// A number that no other claim of this life has, and the name.
        claims: Vec<(u64, String)>,
    },
    /// A node says which claims it holds.
    KeepNames {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// Higher than in what it said before.
        number: u64,
        /// The highest number of a claim that it knows of.
        upto: u64,
        /// Those of them that it holds.
        tickets: Vec<u64>,
    },
    /// A node gives up claims.
    ReleaseNames {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// The claims.
        tickets: Vec<u64>,
    },
    /// These lives of nodes beat, each last at this time, and [nothing was new](crate::Plane::is_news) in that. To be told before a tick:
    /// it judges who was silent.
    Heard {
        /// A life of a node, and when.
        beats: Vec<(NodeName, Incarnation, Time)>,
    },
}

/// What a plane wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PlaneEffect {
    /// The answer to a submission.
    Submitted {
        /// That of the submission.
        request: RequestId,
        /// The job's number, or why it was refused.
        result: Result<JobId, SubmitError>,
    },
    /// Start a worker. May come again for one that is up: then report it up again.
    StartWorker {
        /// Which.
        id: WorkerId,
    },
    /// Stop a worker. May come again, also for one that is gone: then report it down again.
    StopWorker {
        /// Which.
        id: WorkerId,
    },
    /// Give a task to a worker.
    Dispatch {
        /// The worker.
        worker: WorkerId,
        /// The attempt.
        fence: Fence,
        /// What to call.
        function: String,
        /// With which arguments.
        inputs: Vec<Payload>,
    },
    /// Restore a shard from its latest checkpoint and report it open. A shard that is open with a lower epoch is dropped first.
    OpenShard {
        /// Which.
        shard: ShardId,
        /// The fence of what is said about it from now on.
        epoch: u32,
        /// Who is to own it.
        node: NodeName,
        /// In which life.
        incarnation: Incarnation,
        /// The length of its windows, in nanoseconds.
        window: u64,
    },
    /// A shard is not needed any more; drop it unless it is open with a higher epoch. Best effort.
    CloseShard {
        /// Which.
        shard: ShardId,
        /// Of its last opening.
        epoch: u32,
        /// Who owns it.
        node: NodeName,
        /// In which life.
        incarnation: Incarnation,
    },
    /// Feed a shard.
    Feed {
        /// Which.
        shard: ShardId,
        /// From its opening.
        epoch: u32,
        /// Who owns it.
        node: NodeName,
        /// In which life.
        incarnation: Incarnation,
        /// For [`Shard::feed`](crate::Shard::feed).
        feed: Feed,
    },
    /// A job has come to its end. Said once.
    JobFinished {
        /// Which.
        job: JobId,
        /// How.
        outcome: JobOutcome,
    },
    /// For information: a life of a node is lost.
    NodeLost {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
    },
    /// For information: what a lost node had is planned anew.
    Replanned {
        /// The lost node.
        node: NodeName,
        /// How many of its tasks.
        tasks: u32,
        /// How many of its shards.
        shards: u32,
    },
    /// For information: a node was silent for too long, and owns no names any more.
    NamesFreed {
        /// The node.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// How many it owned.
        names: u32,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobOutcome {
    /// All tasks are done, and its stream is complete.
    Done,
    /// It cannot succeed, and why.
    Failed(String),
}
