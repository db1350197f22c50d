//! What becomes of a result: accepted as a whole, with its events, or not at all.

use alloc::format;
use alloc::string::String;

use playhouse_wire::Time;

use super::Plane;
use crate::ids::{Fence, WorkerId};
use crate::limits::{EVENTS_PER_TASK_MAX, KEY_MAX, NO_ROOM_WAIT};
use crate::scheduler::job::{Task, TaskState};
use crate::spec::TaskOutput;

impl Plane {
    pub(super) fn task_done(&mut self, fence: Fence, worker: &WorkerId, outcome: Result<TaskOutput, String>) {
        let task = self.scheduler.current(worker, fence);
        let verdict = task.map(|task| outcome.as_ref().map_err(Clone::clone).and_then(|output| judge(task, output)));
        // The worker is idle now, also when its result is stale.
        let since = self.scheduler.release(worker, fence);
        let Some(verdict) = verdict else { return self.stale_result(fence, outcome) };
        let Some(since) = since else { unreachable!("a task that runs on {worker} makes it busy") };
        let mut output = match verdict.and(outcome) {
            Ok(output) => output,
            Err(reason) => return self.scheduler.fail_attempt(self.now, fence, &reason),
        };
        if !self.streams.has_room(fence.job, &output.events) {
            return self.scheduler.put_back(self.now, fence, Some(NO_ROOM_WAIT));
        }
        if self.config.planted.retry_drops_events && fence.attempt > 1 {
            output.events.clear();
        }
        if self.config.planted.retry_applies_twice && fence.attempt > 1 {
            output.events.extend_from_within(..);
        }
        // The watermark goes on after the events, which it would make late otherwise.
        self.streams.append(fence.job, output.events);
        self.scheduler.complete(self.now, since, fence, output.values);
        self.streams.set_watermark(fence.job, self.watermark(fence));
    }

    /// A result of an attempt that was given up, or that was heard already, or of a job that is over: it changes nothing.
    fn stale_result(&mut self, fence: Fence, outcome: Result<TaskOutput, String>) {
        self.scheduler.tally.stale_results += 1;
        let is_live = self.scheduler.jobs.get(&fence.job).is_some_and(|j| j.is_running());
        if self.config.planted.accept_stale_results
            && is_live
            && let Ok(output) = outcome
        {
            self.streams.append(fence.job, output.events);
        }
    }

    fn watermark(&self, fence: Fence) -> Time {
        let job = &self.scheduler.jobs[&fence.job];
        if self.config.planted.late_watermark && job.unfinished() > 0 {
            return job.tasks.iter().filter(|t| t.state == TaskState::Done).filter_map(|t| t.floor).max().unwrap_or_default();
        }
        job.floor()
    }
}

/// Whether a function gave what its task says.
fn judge(task: &Task, output: &TaskOutput) -> Result<(), String> {
    if output.values.len() != task.outputs.len() {
        return Err(format!("gave {} values instead of {}", output.values.len(), task.outputs.len()));
    }
    if output.events.is_empty() {
        return Ok(());
    }
    let Some(floor) = task.floor else { return Err("brought events, but the task has no event floor".into()) };
    if output.events.len() > EVENTS_PER_TASK_MAX {
        return Err(format!("brought {} events, more than {EVENTS_PER_TASK_MAX}", output.events.len()));
    }
    if let Some(event) = output.events.iter().find(|e| e.key.len() > KEY_MAX) {
        return Err(format!("brought an event with a key of {} bytes, more than {KEY_MAX}", event.key.len()));
    }
    match output.events.iter().find(|e| e.time < floor) {
        Some(event) => Err(format!("brought an event of {}, below its floor of {floor}", event.time)),
        None => Ok(()),
    }
}
