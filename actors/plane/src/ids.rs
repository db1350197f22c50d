//! Names of what the plane decides about.

use alloc::string::String;
use core::fmt;

use playhouse_wire::{Incarnation, NodeName};
use serde::{Deserialize, Serialize};

/// Who a job belongs to and whose quota it uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantId(pub String);

/// A job; numbered by the plane, in the order of submission, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// Joins [`Submitted`](crate::PlaneEffect::Submitted) to its [`Submit`](crate::PlaneEvent::Submit); chosen by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Makes a submission idempotent: the same key submitted twice is one job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The client's name.
    pub client: String,
    /// The client's own number of the job.
    pub number: u64,
}

/// One attempt at one task. A result that does not carry the current fence changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The job.
    pub job: JobId,
    /// The index of the task in its job.
    pub task: u32,
    /// The attempt, from 1; it rises with every dispatch of the task.
    pub attempt: u32,
}

/// A worker: a place on a node that runs one task at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId {
    /// Where it runs.
    pub node: NodeName,
    /// In which life of that node.
    pub incarnation: Incarnation,
    /// Never used twice within an incarnation.
    pub number: u32,
}

/// A shard of a job's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The job.
    pub job: JobId,
    /// The shard's index, below the stream's number of shards.
    pub shard: u32,
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.client, self.number)
    }
}

/// `job/task#attempt`.
impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.job, self.task, self.attempt)
    }
}

/// `node#incarnation/number`.
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.node, self.incarnation, self.number)
    }
}

/// `job:shard`.
impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.job, self.shard)
    }
}
