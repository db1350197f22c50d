//! The task log: what became of jobs and tasks, as each coordinator writes it beside its journal.
//!
//! What is written depends on the commands that the coordinators have agreed on, and on nothing else: so the log is the same at each of them,
//! and so is the hash chain over it, whose end they agree on, too.

use std::path::{Path, PathBuf};

use playhouse_cluster::Scribe;
use playhouse_plane::{Counters, JobId, JobOutcome, Plane, PlaneEffect, PlaneEvent, TaskOutput};
use playhouse_rt::Disk;
use playhouse_store::annals::{self, Item, digest};
use playhouse_wire::{Incarnation, NodeName, Time, decode, encode};
use serde::{Deserialize, Serialize};

pub use playhouse_plane::{Fence, JobKey, WorkerId};
pub use playhouse_store::annals::{Broken, Found, Link};

use crate::limits::TOLD_TEXT_MAX;

/// The name of the task log's folder within that of a coordinator.
const FOLDER: &str = "tasks";

/// The folder of the task log of the coordinator whose folder this is.
pub fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// A record of the task log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When, by the plane's time: since the cluster began, without what passed while nobody led.
    pub time: Time,
    /// What happened.
    pub what: What,
}

/// What happened. Its encoding may only grow by variants at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A cluster began, whose first job has this number.
    Began {
        /// The number.
        first_job: u64,
    },
    /// A job was accepted.
    Submitted {
        /// Its number.
        job: JobId,
        /// Whose it is.
        key: JobKey,
        /// Of which tenant.
        tenant: String,
        /// How many tasks it has.
        tasks: u32,
    },
    /// An attempt at a task was given to a worker.
    Dispatched {
        /// The attempt.
        fence: Fence,
        /// What is called.
        function: String,
        /// By whom.
        worker: WorkerId,
    },
    /// A result was accepted.
    Done {
        /// The attempt.
        fence: Fence,
        /// Whose result.
        worker: WorkerId,
        /// SHA-256 over what the function gave: each value, with its length in eight bytes (little-endian) before it, and then the events that
        /// it emitted, in their encoding.
        digest: Link,
    },
    /// A function failed, or gave what its task does not say.
    Failed {
        /// The attempt.
        fence: Fence,
        /// Whose.
        worker: WorkerId,
        /// Why.
        reason: String,
    },
    /// An attempt came to nothing, and nobody is to blame: it was not delivered, or there was no room for its events.
    Again {
        /// The attempt.
        fence: Fence,
        /// Whose.
        worker: WorkerId,
        /// Why.
        reason: String,
    },
    /// A result came too late, or twice: it changed nothing.
    Stale {
        /// The attempt.
        fence: Fence,
        /// Whose result.
        worker: WorkerId,
    },
    /// A job has come to its end.
    Ended {
        /// Which.
        job: JobId,
        /// Why it failed; `None`: it is done.
        failed: Option<String>,
    },
    /// A life of a node is lost.
    NodeLost {
        /// Its name.
        node: NodeName,
        /// Its life.
        incarnation: Incarnation,
        /// How many of its tasks run again.
        tasks: u32,
        /// How many of its shards are opened elsewhere.
        shards: u32,
    },
}

impl What {
    /// What kind of thing it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            What::Began { .. } => "began",
            What::Submitted { .. } => "submitted",
            What::Dispatched { .. } => "dispatched",
            What::Done { .. } => "done",
            What::Failed { .. } => "failed",
            What::Again { .. } => "again",
            What::Stale { .. } => "stale",
            What::Ended { .. } => "ended",
            What::NodeLost { .. } => "node-lost",
        }
    }

    /// The job that it is about.
    pub fn job(&self) -> Option<JobId> {
        match self {
            What::Submitted { job, .. } | What::Ended { job, .. } => Some(*job),
            What::Dispatched { fence, .. }
            | What::Done { fence, .. }
            | What::Failed { fence, .. }
            | What::Again { fence, .. }
            | What::Stale { fence, .. } => Some(fence.job),
            What::Began { .. } | What::NodeLost { .. } => None,
        }
    }
}

/// Something in a task log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The record with this number.
    Told(u64, Told),
    /// A record that a newer version has written.
    Unknown(u64),
    /// Records that this coordinator has not, from and to: it was behind, and was given the state without the way to it; or they were lost.
    Gap(u64, u64),
}

/// Reads the task log in `folder`, oldest record first, and checks all of it. Blocks.
///
/// # Errors
/// The first thing that is not as it was written; `see` has seen all before it.
pub fn read(disk: &Disk, folder: &Path, mut see: impl FnMut(Line)) -> Result<Found, Broken> {
    annals::read(disk, folder, |item| {
        see(match item {
            Item::Record(number, bytes) => decode(bytes).map_or(Line::Unknown(number), |told| Line::Told(number, told)),
            Item::Gap(from, to) => Line::Gap(from, to),
        });
    })
}

/// Writes the task log of a plane.
#[derive(Debug, Default)]
pub(crate) struct TaskScribe(Option<Heard>);

/// What the plane is about to hear, and what it had counted before.
#[derive(Debug)]
struct Heard {
    before: Counters,
    what: Event,
}

#[derive(Debug)]
enum Event {
    Submit { key: JobKey, tenant: String, tasks: u32 },
    TaskDone { fence: Fence, worker: WorkerId, outcome: Result<Link, String> },
    DispatchFailed { fence: Fence, worker: WorkerId, reason: String },
}

impl Heard {
    /// What it has come to, as the counters say.
    fn became(self, after: Counters, effects: &[PlaneEffect]) -> Option<What> {
        let before = self.before;
        Some(match self.what {
            Event::Submit { key, tenant, tasks } => {
                let answered = effects.iter().find_map(|effect| match effect {
                    PlaneEffect::Submitted { result: Ok(job), .. } => Some(*job),
                    _ => None,
                });
                // The same submission may have come before.
                let job = answered.filter(|_| after.accepted > before.accepted)?;
                What::Submitted { job, key, tenant, tasks }
            }
            Event::TaskDone { fence, worker, .. } if after.stale_results > before.stale_results => What::Stale { fence, worker },
            Event::TaskDone { fence, worker, outcome: Ok(digest) } if after.completed > before.completed => {
                What::Done { fence, worker, digest }
            }
            Event::TaskDone { fence, worker, outcome } if after.failed_attempts > before.failed_attempts => {
                let reason = outcome.err().unwrap_or_else(|| "it gave what its task does not say".into());
                What::Failed { fence, worker, reason }
            }
            Event::TaskDone { fence, worker, .. } => What::Again { fence, worker, reason: "no room for its events".into() },
            Event::DispatchFailed { .. } if after.retried == before.retried => return None,
            Event::DispatchFailed { fence, worker, reason } => What::Again { fence, worker, reason },
        })
    }
}

impl Scribe<Plane> for TaskScribe {
    fn begins(&mut self, plane: &Plane, now: Time) -> Vec<Vec<u8>> {
        vec![record(now, What::Began { first_job: plane.origin() })]
    }

    fn hears(&mut self, plane: &Plane, event: &PlaneEvent) {
        let what = match event {
            PlaneEvent::Submit { key, spec, .. } => {
                let (tenant, tasks) = (cut(&spec.tenant.0), u32::try_from(spec.tasks.len()).unwrap_or(u32::MAX));
                Event::Submit { key: JobKey { client: cut(&key.client), number: key.number }, tenant, tasks }
            }
            PlaneEvent::TaskDone { fence, worker, outcome } => {
                let outcome = outcome.as_ref().map(digest_of).map_err(|reason| cut(reason));
                Event::TaskDone { fence: *fence, worker: worker.clone(), outcome }
            }
            PlaneEvent::DispatchFailed { fence, worker, reason } => {
                Event::DispatchFailed { fence: *fence, worker: worker.clone(), reason: cut(reason) }
            }
            // The rest, heartbeats above all, is told by its effects, if it has any.
            _ => return,
        };
        self.0 = Some(Heard { before: plane.counters(), what });
    }

    fn tells(&mut self, plane: &Plane, now: Time, effects: &[PlaneEffect]) -> Vec<Vec<u8>> {
        let heard = self.0.take().and_then(|heard| heard.became(plane.counters(), effects));
        let led_to = effects.iter().filter_map(|effect| {
            Some(match effect {
                PlaneEffect::Dispatch { worker, fence, function, .. } => {
                    What::Dispatched { fence: *fence, function: cut(function), worker: worker.clone() }
                }
                PlaneEffect::JobFinished { job, outcome } => What::Ended {
                    job: *job,
                    failed: match outcome {
                        JobOutcome::Done => None,
                        JobOutcome::Failed(reason) => Some(cut(reason)),
                    },
                },
                PlaneEffect::NodeLost { node, incarnation } => {
                    let again = effects.iter().find_map(|effect| match effect {
                        PlaneEffect::Replanned { node: of, tasks, shards } if of == node => Some((*tasks, *shards)),
                        _ => None,
                    });
                    let (tasks, shards) = again.unwrap_or_default();
                    What::NodeLost { node: node.clone(), incarnation: *incarnation, tasks, shards }
                }
                _ => return None,
            })
        });
        heard.into_iter().chain(led_to).map(|what| record(now, what)).collect()
    }
}

fn record(time: Time, what: What) -> Vec<u8> {
    encode(&Told { time, what }).unwrap_or_else(|error| unreachable!("a record is short: {error}"))
}

/// Over each value, with its length in eight bytes before it, and then the events.
fn digest_of(output: &TaskOutput) -> Link {
    let lengths: Vec<[u8; 8]> = output.values.iter().map(|value| (value.len() as u64).to_le_bytes()).collect();
    // They came in a message, so they are short enough.
    let events = encode(&output.events).unwrap_or_default();
    let values = lengths.iter().zip(&output.values).flat_map(|(length, value)| [&length[..], &value[..]]);
    digest(&values.chain([&events[..]]).collect::<Vec<_>>())
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TOLD_TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}

#[cfg(test)]
mod tests {
    use playhouse_plane::{Input, JobSpec, Machine, PlaneConfig, RequestId, TaskSpec, TenantId};

    use super::*;

    /// A plane, and what is told of it.
    struct Story {
        plane: Plane,
        scribe: TaskScribe,
        now: Time,
        last: Vec<PlaneEffect>,
    }

    impl Story {
        fn hears(&mut self, event: PlaneEvent) -> Vec<What> {
            self.scribe.hears(&self.plane, &event);
            self.last.clear();
            self.plane.on(self.now, event, &mut self.last);
            self.told()
        }

        fn told(&mut self) -> Vec<What> {
            let records = self.scribe.tells(&self.plane, self.now, &self.last);
            records.iter().map(|record| decode::<Told>(record).unwrap().what).collect()
        }

        fn kinds(&mut self, event: PlaneEvent) -> Vec<&'static str> {
            self.hears(event).iter().map(What::kind).collect()
        }

        /// The attempt that was dispatched last, and to whom.
        fn dispatched(&self) -> (Fence, WorkerId) {
            let dispatch = self.last.iter().find_map(|effect| match effect {
                PlaneEffect::Dispatch { fence, worker, .. } => Some((*fence, worker.clone())),
                _ => None,
            });
            dispatch.unwrap()
        }
    }

    fn submit(number: u64) -> PlaneEvent {
        let task = TaskSpec {
            function: "f".into(),
            inputs: vec![Input::Literal(vec![7].into())],
            outputs: 1,
            max_attempts: 2,
            event_floor: None,
        };
        let spec = JobSpec { tenant: TenantId("default".into()), tasks: vec![task], stream: None, output: vec![] };
        PlaneEvent::Submit { request: RequestId(number), key: JobKey { client: "me".into(), number }, spec }
    }

    #[test]
    fn each_thing_is_told_once_as_what_it_was() {
        let plane = Plane::new(PlaneConfig { workers: 1, ..PlaneConfig::default() });
        let mut story = Story { plane, scribe: TaskScribe::default(), now: Time::ZERO, last: Vec::new() };
        let (node, incarnation) = (NodeName::new("w").unwrap(), Incarnation(3));
        assert!(story.hears(PlaneEvent::NodeUp { node: node.clone(), incarnation, capacity: 1 }).is_empty());
        let id = story.last.iter().find_map(|effect| match effect {
            PlaneEffect::StartWorker { id } => Some(id.clone()),
            _ => None,
        });
        let id = id.unwrap();
        assert!(story.hears(PlaneEvent::WorkerUp { id: id.clone() }).is_empty());
        assert_eq!(story.kinds(submit(1)), ["submitted", "dispatched"]);
        let (first, worker) = story.dispatched();
        assert!(story.hears(submit(1)).is_empty(), "the same submission");
        let undelivered = PlaneEvent::DispatchFailed { fence: first, worker: worker.clone(), reason: "gone".into() };
        assert_eq!(story.kinds(undelivered.clone())[0], "again");
        assert!(story.hears(undelivered).is_empty(), "said twice");
        // It is dispatched again when its node is heard of.
        let beat = PlaneEvent::Heartbeat { node: node.clone(), incarnation, running: vec![], workers: vec![id.number] };
        assert_eq!(story.kinds(beat.clone()), ["dispatched"]);
        let (second, _) = story.dispatched();
        let done = |fence, outcome| PlaneEvent::TaskDone { fence, worker: worker.clone(), outcome };
        let output = TaskOutput { values: vec![vec![1, 2].into()], events: vec![] };
        assert_eq!(story.kinds(done(first, Ok(output.clone()))), ["stale"]);
        let failed = story.hears(done(second, Err("no".repeat(TOLD_TEXT_MAX))));
        assert!(matches!(&failed[..], [What::Failed { reason, .. }] if reason.len() == TOLD_TEXT_MAX), "{failed:?}");
        story.now = Time::ZERO + std::time::Duration::from_millis(500);
        story.last.clear();
        story.plane.tick(story.now, &mut story.last);
        assert_eq!(story.told().iter().map(What::kind).collect::<Vec<_>>(), ["dispatched"]);
        let (third, _) = story.dispatched();
        let ends = story.hears(done(third, Ok(output)));
        // As anybody can compute it from the value.
        let of_value = digest(&[&2_u64.to_le_bytes(), &[1, 2], &[0]]);
        assert!(
            matches!(&ends[..], [What::Done { digest, .. }, What::Ended { failed: None, .. }] if *digest == of_value),
            "{ends:?}"
        );
        assert_eq!(story.kinds(submit(2)), ["submitted", "dispatched"]);
        let leaves = PlaneEvent::NodeLeaves { node, incarnation };
        let lost = story.hears(leaves);
        assert!(matches!(&lost[..], [What::NodeLost { tasks: 1, shards: 0, .. }]), "{lost:?}");
        assert!(story.hears(beat).is_empty());
    }
}
