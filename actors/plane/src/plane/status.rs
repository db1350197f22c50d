//! What can be asked of a plane. Asking changes nothing.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use super::{JobOutcome, Plane};
use crate::Payload;
use crate::ids::{Fence, JobId, TenantId, WorkerId};
use crate::monitor::{NodeState, NodeStatus};
use crate::names::{self, Claimed, Owner};
use crate::scheduler::job::JobState;
use crate::spec::WindowResult;
use crate::stream::StreamStatus;

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// How it ended; `None` while it runs.
    pub state: Option<JobOutcome>,
    /// All its tasks.
    pub tasks: u32,
    /// Tasks that are done.
    pub done: u32,
    /// Tasks that a worker has.
    pub running: u32,
    /// Tasks that wait: for values, a worker, or the end of a back-off.
    pub waiting: u32,
    /// Tasks that failed for good.
    pub failed: u32,
    /// Tasks that will not run because another failed.
    pub skipped: u32,
    /// Attempts that were made again, for whatever reason.
    pub retries: u64,
    /// The task whose accepted attempt took longest.
    pub slowest: Option<Slowest>,
    /// Its stream, if it has one.
    pub stream: Option<StreamStatus>,
}

/// The slowest task of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slowest {
    /// What it called.
    pub function: String,
    /// Its index.
    pub task: u32,
    /// From dispatch to result.
    pub nanos: u64,
}

/// A worker and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Which.
    pub id: WorkerId,
    /// Whether it is up; else it starts or stops.
    pub up: bool,
    /// What it does.
    pub task: Option<Fence>,
}

/// What a plane counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Jobs accepted.
    pub accepted: u64,
    /// Tasks given to workers.
    pub dispatched: u64,
    /// Results accepted.
    pub completed: u64,
    /// Attempts in which the function failed.
    pub failed_attempts: u64,
    /// Attempts made again.
    pub retried: u64,
    /// Results that came too late to count.
    pub stale_results: u64,
    /// Lives of nodes that were lost.
    pub nodes_lost: u64,
}

impl Plane {
    /// How far a job is; `None`: unknown, or forgotten.
    pub fn job_status(&self, id: JobId) -> Option<JobStatus> {
        let job = self.scheduler.jobs.get(&id)?;
        let state = match &job.state {
            JobState::Running => None,
            JobState::Done => Some(JobOutcome::Done),
            JobState::Failed(reason) => Some(JobOutcome::Failed(reason.clone())),
        };
        let slowest = job.slowest.map(|(nanos, task)| {
            let function = job.tasks[task as usize].function.clone();
            Slowest { function, task, nanos }
        });
        let counts = &job.counts;
        Some(JobStatus {
            state,
            tasks: job.tasks.len() as u32,
            done: counts.done,
            running: counts.running,
            waiting: job.unfinished() - counts.running,
            failed: counts.failed,
            skipped: counts.skipped,
            retries: counts.retries,
            slowest,
            stream: self.streams.status(id),
        })
    }

    /// The values that a job gave; `None`: it is not done, or forgotten.
    pub fn result(&self, id: JobId) -> Option<Vec<Payload>> {
        let job = self.scheduler.jobs.get(&id).filter(|job| job.state == JobState::Done)?;
        Some(job.output.iter().map(|value| job.value(*value)).collect())
    }

    /// The recorded windows of a job's stream, by key and start; `None`: it has no stream, or is forgotten.
    pub fn windows(&self, id: JobId) -> Option<Vec<WindowResult>> {
        self.streams.windows(id)
    }

    /// The jobs that are known, oldest first.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.scheduler.jobs.keys().copied()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        let tally = &self.scheduler.tally;
        Counters {
            accepted: self.scheduler.accepted(self.config.first_job),
            dispatched: tally.dispatched,
            completed: tally.completed,
            failed_attempts: tally.failed_attempts,
            retried: tally.retried,
            stale_results: tally.stale_results,
            nodes_lost: self.nodes_lost,
        }
    }

    /// The nodes, lost ones among them.
    pub fn nodes(&self) -> &BTreeMap<NodeName, NodeStatus> {
        self.monitor.nodes()
    }

    /// How this life of a node is judged; `None`: never heard of. A shell tells a node that beats and is lost to join anew, with a
    /// higher incarnation.
    pub fn judge(&self, node: &NodeName, incarnation: Incarnation) -> Option<NodeState> {
        self.monitor.judge(node, incarnation)
    }

    /// The workers and what they do.
    pub fn workers(&self) -> Vec<WorkerStatus> {
        let status = |(id, up)| WorkerStatus { task: self.scheduler.slots.task_of(&id), id, up };
        self.workers.iter().map(status).collect()
    }

    /// Tasks running and tasks unfinished of a tenant; `None`: there is no such tenant.
    pub fn used(&self, tenant: &TenantId) -> Option<(u32, u32)> {
        self.scheduler.tenants.used(tenant)
    }

    /// Who owns a name of the cluster.
    pub fn owner(&self, name: &str) -> Option<Owner> {
        self.names.owner(name)
    }

    /// The names of the cluster that begin so, in order, with their owners.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Owner)> {
        self.names.under(prefix)
    }

    /// What came of a claim, asked after it was made.
    pub fn claimed(&self, node: &NodeName, incarnation: Incarnation, ticket: u64, name: &str) -> Claimed {
        self.names.claimed(&(node.clone(), incarnation), ticket, name)
    }

    /// For how long a node may believe that it owns what it owns; see [`crate::names`].
    pub fn lease(&self) -> core::time::Duration {
        names::lease(&self.config.monitor)
    }

    /// The claims by which this life of a node owns names.
    pub fn tickets(&self, node: &NodeName, incarnation: Incarnation) -> Vec<u64> {
        self.names.tickets(&(node.clone(), incarnation))
    }

    /// The latest time that was heard.
    pub fn now(&self) -> Time {
        self.now
    }
}
