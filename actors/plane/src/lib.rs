//! The control plane's decisions: who runs where, who may, what next. Nothing here sends, sleeps, reads a clock or rolls dice.
//!
//! Every decision maker is a [`Machine`]: time and events come in as arguments, effects leave as values, and the same inputs give
//! the same effects on every machine that applies them. [`Plane`] composes them: [`monitor`] says which nodes live, `workers` who
//! is started where, `tenant` who may, `scheduler` what runs next, `streams` who owns which shard, [`names`] who owns which name. [`Shard`] is the one that runs
//! on the nodes: the keyed windows of one shard.
//!
//! What it refuses: to know of sockets, actors or disks; to retry what it was not told about (the shell reports what could not be
//! delivered); to trust an answer without its fence. A message that is late, foreign or stale is filtered; what only a bug could
//! do is asserted. [`Plane`] is `Serialize`, so a snapshot of it is a value too.
#![no_std]
extern crate alloc;

pub mod config;
pub mod ids;
pub mod limits;
mod machine;
pub mod monitor;
pub mod names;
mod plane;
mod scheduler;
pub mod spec;
pub mod stream;
mod tenant;
mod workers;

#[doc(hidden)]
pub mod check;

pub use bytes::Bytes as Payload;
pub use config::{MonitorConfig, PlaneConfig, Planted, Quota};
pub use ids::{Fence, JobId, JobKey, RequestId, ShardId, TenantId, WorkerId};
pub use machine::Machine;
pub use monitor::{NodeState, NodeStatus};
pub use names::{Claimed, Owner};
pub use plane::{Counters, JobOutcome, JobStatus, Plane, PlaneEffect, PlaneEvent, Slowest, WorkerStatus};
pub use scheduler::backoff;
pub use spec::{Input, JobSpec, StreamEvent, StreamSpec, SubmitError, TaskOutput, TaskSpec, ValueRef, WindowResult};
pub use stream::{Feed, FeedError, Shard, ShardReply, ShardState, ShardStatus, StreamStatus, shard_of};
pub use tenant::{QuotaExceeded, QuotaLimit};
pub use workers::spread;
