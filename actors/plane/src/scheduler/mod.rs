//! What runs next, and what becomes of a result.

mod backoff;
pub(crate) mod job;
pub(crate) mod slots;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::Time;
use serde::{Deserialize, Serialize};

pub use backoff::backoff;

use crate::Payload;
use crate::config::Planted;
use crate::ids::{Fence, JobId, JobKey, WorkerId};
use crate::limits::{DISPATCH_MAX, FINISHED_MAX, JOBS_MAX, KEYS_MAX, LOST_MAX, REASON_MAX, VALUES_MAX};
use crate::spec::{Input, JobSpec, SubmitError, validate, validate_name};
use crate::tenant::Tenants;
use job::{Job, JobState, Task, TaskState};
use slots::{Busy, Slots};

/// A task goes to a worker.
pub(crate) struct Dispatch {
    pub(crate) worker: WorkerId,
    pub(crate) fence: Fence,
    pub(crate) function: String,
    pub(crate) inputs: Vec<Payload>,
}

/// What the scheduler counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) dispatched: u64,
    pub(crate) completed: u64,
    pub(crate) failed_attempts: u64,
    pub(crate) retried: u64,
    pub(crate) stale_results: u64,
}

/// The jobs, and the workers that run their tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scheduler {
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) slots: Slots,
    pub(crate) tenants: Tenants,
    pub(crate) tally: Tally,
    next_job: u64,
    keys: BTreeMap<JobKey, JobId>,
    /// The keys, oldest first.
    key_order: VecDeque<JobKey>,
    /// The jobs that ended, oldest first.
    finished: VecDeque<JobId>,
    /// Jobs that have ready tasks.
    ready: BTreeSet<JobId>,
    backing_off: BTreeSet<(Time, JobId, u32)>,
    /// Jobs that may have come to their end since it was last asked.
    touched: BTreeSet<JobId>,
    planted: Planted,
}

impl Scheduler {
    pub(crate) fn new(tenants: Tenants, first_job: u64, planted: Planted) -> Self {
        Self {
            jobs: BTreeMap::new(),
            slots: Slots::default(),
            tenants,
            tally: Tally::default(),
            next_job: first_job,
            keys: BTreeMap::new(),
            key_order: VecDeque::new(),
            finished: VecDeque::new(),
            ready: BTreeSet::new(),
            backing_off: BTreeSet::new(),
            touched: BTreeSet::new(),
            planted,
        }
    }

    /// Accepts a job. The number, and whether it is new.
    pub(crate) fn submit(&mut self, key: JobKey, spec: JobSpec) -> Result<(JobId, bool), SubmitError> {
        if let Some(job) = self.keys.get(&key) {
            return Ok((*job, false));
        }
        validate_name(&key.client)?;
        validate(&spec)?;
        if self.jobs.len() - self.finished.len() >= JOBS_MAX {
            return Err(SubmitError::TooManyJobs);
        }
        self.tenants.admit(&spec.tenant, spec.tasks.len() as u32)?;
        let id = JobId(self.next_job);
        self.next_job += 1;
        if self.key_order.len() >= KEYS_MAX
            && let Some(oldest) = self.key_order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.key_order.push_back(key.clone());
        self.keys.insert(key, id);
        let job = Job::new(spec);
        if job.has_ready() {
            self.ready.insert(id);
        }
        self.jobs.insert(id, job);
        self.touched.insert(id);
        Ok((id, true))
    }

    /// How many jobs were accepted, if the first one had this number.
    pub(crate) fn accepted(&self, first: u64) -> u64 {
        self.next_job - first
    }

    /// Gives ready tasks to idle workers, in the order of jobs and of tasks within them. A job whose tenant has no slot free, or
    /// whose stream is behind, does not hold up the others.
    pub(crate) fn dispatch(&mut self, now: Time, is_paused: impl Fn(JobId) -> bool, out: &mut Vec<Dispatch>) {
        while !self.ready.is_empty() {
            let Some(worker) = self.slots.pick() else { return };
            let Some((id, task)) = self.ready.iter().find_map(|id| {
                let job = &self.jobs[id];
                if !self.tenants.may_run(&job.tenant) {
                    return None;
                }
                job.next_ready(!job.ready_with_events.is_empty() && is_paused(*id)).map(|task| (*id, task))
            }) else {
                return;
            };
            let job = self.job_mut(id);
            let inputs = job.inputs(task);
            let bytes: usize = inputs.iter().map(Payload::len).sum();
            if bytes > DISPATCH_MAX {
                let reason = format!("its inputs take {bytes} bytes, more than a message may have ({DISPATCH_MAX})");
                self.fail_task(id, task, &reason);
                continue;
            }
            job.ready.remove(&task);
            job.ready_with_events.remove(&task);
            job.counts.running += 1;
            let entry = &mut job.tasks[task as usize];
            entry.attempt += 1;
            entry.state = TaskState::Running(worker.clone());
            let fence = Fence { job: id, task, attempt: entry.attempt };
            let (function, tenant) = (entry.function.clone(), job.tenant.clone());
            if !job.has_ready() {
                self.ready.remove(&id);
            }
            self.tenants.started(&tenant);
            self.slots.occupy(&worker, fence, tenant, now);
            self.tally.dispatched += 1;
            out.push(Dispatch { worker, fence, function, inputs });
        }
    }

    /// The worker is done with this attempt, whatever came of it. Since when it had it, if it did.
    pub(crate) fn release(&mut self, worker: &WorkerId, fence: Fence) -> Option<Time> {
        let busy = self.slots.free(worker, fence)?;
        self.tenants.stopped(&busy.tenant);
        Some(busy.since)
    }

    /// The task, when this attempt at it is the current one.
    pub(crate) fn current(&self, worker: &WorkerId, fence: Fence) -> Option<&Task> {
        let task = self.jobs.get(&fence.job)?.tasks.get(fence.task as usize)?;
        let is_current = task.attempt == fence.attempt && matches!(&task.state, TaskState::Running(w) if w == worker);
        is_current.then_some(task)
    }

    /// Accepts the result of the current attempt.
    pub(crate) fn complete(&mut self, now: Time, since: Time, fence: Fence, values: Vec<Payload>) {
        self.tally.completed += 1;
        let keeps = self.planted.loss_runs_all_again;
        let job = self.job_mut(fence.job);
        let inputs = keeps.then(|| job.inputs(fence.task));
        job.complete(fence.task, values);
        if let Some(inputs) = inputs {
            job.tasks[fence.task as usize].inputs = inputs.into_iter().map(Input::Literal).collect();
        }
        let nanos = now.since(since).as_nanos() as u64;
        if job.slowest.is_none_or(|(longest, _)| nanos > longest) {
            job.slowest = Some((nanos, fence.task));
        }
        let (tenant, bytes, has_ready) = (job.tenant.clone(), job.value_bytes, job.has_ready());
        self.tenants.release(&tenant, 1);
        if has_ready {
            self.ready.insert(fence.job);
        }
        self.touched.insert(fence.job);
        if bytes > VALUES_MAX {
            self.fail_job(fence.job, None, format!("its values take {bytes} bytes, more than {VALUES_MAX}"));
        }
    }

    /// The function failed in the current attempt: again after a wait, unless that was the last.
    pub(crate) fn fail_attempt(&mut self, now: Time, fence: Fence, reason: &str) {
        self.tally.failed_attempts += 1;
        let task = self.task_mut(fence);
        task.failures += 1;
        if task.failures >= task.max_attempts {
            let reason = format!("failed {} times, at last: {}", task.failures, cut(reason));
            self.fail_task(fence.job, fence.task, &reason);
        } else {
            let wait = backoff(task.failures);
            self.put_back(now, fence, Some(wait));
        }
    }

    /// The current attempt came to nothing, and the function is not to blame.
    pub(crate) fn lose_attempt(&mut self, now: Time, fence: Fence, reason: &str) {
        let task = self.task_mut(fence);
        task.lost += 1;
        if task.lost > LOST_MAX {
            let reason = format!("was lost {} times, at last: {}", task.lost, cut(reason));
            self.fail_task(fence.job, fence.task, &reason);
        } else {
            self.put_back(now, fence, None);
        }
    }

    /// The current attempt is made again, after a wait or at once.
    pub(crate) fn put_back(&mut self, now: Time, fence: Fence, wait: Option<Duration>) {
        if self.planted.failed_recorded_as_done {
            let outputs = self.task_mut(fence).outputs.len();
            return self.complete(now, now, fence, vec![Payload::default(); outputs]);
        }
        self.tally.retried += 1;
        let job = self.job_mut(fence.job);
        job.counts.retries += 1;
        job.counts.running -= 1;
        if let Some(wait) = wait {
            job.tasks[fence.task as usize].state = TaskState::BackingOff(now + wait);
            self.backing_off.insert((now + wait, fence.job, fence.task));
        } else {
            job.make_ready(fence.task);
            self.ready.insert(fence.job);
        }
    }

    /// What a worker that is gone did. True: its task runs again, or has failed for it.
    pub(crate) fn lose(&mut self, now: Time, worker: &WorkerId, busy: &Busy, reason: &str) -> bool {
        self.tenants.stopped(&busy.tenant);
        // A task of a job that has failed meanwhile is nobody's any more.
        let is_current = self.current(worker, busy.fence).is_some();
        if is_current {
            self.lose_attempt(now, busy.fence, reason);
        }
        is_current
    }

    /// See [`Planted::loss_runs_all_again`].
    #[cold]
    pub(crate) fn run_all_again(&mut self) {
        for (id, job) in self.jobs.iter_mut().filter(|(_, job)| job.is_running()) {
            if job.counts.done > 0 && self.tenants.admit(&job.tenant, job.counts.done).is_ok() {
                job.undo();
                self.ready.insert(*id);
            }
        }
    }

    /// Ends a job that cannot succeed.
    pub(crate) fn fail_job(&mut self, id: JobId, task: Option<u32>, reason: String) {
        let job = self.job_mut(id);
        assert!(job.is_running(), "job {id} ends once");
        let (tenant, unfinished) = (job.tenant.clone(), job.unfinished());
        let waits: Vec<_> = (0..)
            .zip(&job.tasks)
            .filter_map(|(i, t)| if let TaskState::BackingOff(at) = t.state { Some((at, id, i)) } else { None })
            .collect();
        job.fail(task, reason);
        self.tenants.release(&tenant, unfinished);
        waits.iter().for_each(|wait| assert!(self.backing_off.remove(wait), "a wait is waited for"));
        self.ready.remove(&id);
        self.touched.insert(id);
    }

    /// All tasks are done, and the stream too.
    pub(crate) fn succeed(&mut self, id: JobId) {
        let job = self.job_mut(id);
        assert!(job.is_running() && job.unfinished() == 0, "job {id} has nothing left to do");
        job.state = JobState::Done;
    }

    /// The job's end was announced. Gives the job that is forgotten for it.
    pub(crate) fn announced(&mut self, id: JobId) -> Option<JobId> {
        self.finished.push_back(id);
        if self.finished.len() <= FINISHED_MAX {
            return None;
        }
        let oldest = self.finished.pop_front()?;
        self.jobs.remove(&oldest);
        Some(oldest)
    }

    /// Jobs that may have come to their end since it was last asked.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<JobId> {
        core::mem::take(&mut self.touched)
    }

    /// Ends waits.
    pub(crate) fn tick(&mut self, now: Time) {
        while let Some((due, id, task)) = self.backing_off.first().copied()
            && due <= now
        {
            self.backing_off.pop_first();
            self.job_mut(id).make_ready(task);
            self.ready.insert(id);
        }
    }

    pub(crate) fn wakes_at(&self) -> Option<Time> {
        self.backing_off.first().map(|(due, ..)| *due)
    }

    fn fail_task(&mut self, id: JobId, task: u32, reason: &str) {
        let function = &self.job_mut(id).tasks[task as usize].function;
        let reason = format!("task {task} ({function}) {reason}");
        self.fail_job(id, Some(task), reason);
    }

    fn job_mut(&mut self, id: JobId) -> &mut Job {
        self.jobs.get_mut(&id).unwrap_or_else(|| unreachable!("job {id} is known"))
    }

    fn task_mut(&mut self, fence: Fence) -> &mut Task {
        &mut self.job_mut(fence.job).tasks[fence.task as usize]
    }
}

/// The text of a failure, cut to its bound.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
