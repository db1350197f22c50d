//! A job and its tasks.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use playhouse_wire::Time;
use serde::{Deserialize, Serialize};

use crate::Payload;
use crate::ids::{TenantId, WorkerId};
use crate::spec::{Input, JobSpec, ValueRef};

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum TaskState {
    /// For values of earlier tasks.
    Waiting,
    Ready,
    Running(WorkerId),
    BackingOff(Time),
    Done,
    Failed,
    /// It cannot run, or need not: a task before it failed, or the job did.
    Skipped,
}

impl TaskState {
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, TaskState::Done | TaskState::Failed | TaskState::Skipped)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) function: String,
    /// Empty once the task needs them no more.
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Value>,
    pub(crate) floor: Option<Time>,
    pub(crate) max_attempts: u32,
    pub(crate) state: TaskState,
    /// The number of the latest dispatch.
    pub(crate) attempt: u32,
    pub(crate) failures: u32,
    pub(crate) lost: u32,
    /// Inputs that are not there yet.
    missing: u32,
    /// Tasks that use a value of this one, once for each use.
    consumers: Vec<u32>,
}

/// A value that a task gives, kept while somebody may still read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Value {
    payload: Option<Payload>,
    readers: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum JobState {
    Running,
    Done,
    Failed(String),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) done: u32,
    pub(crate) running: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
    pub(crate) retries: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) tenant: TenantId,
    pub(crate) tasks: Vec<Task>,
    pub(crate) output: Vec<ValueRef>,
    pub(crate) state: JobState,
    pub(crate) counts: Counts,
    /// The longest accepted attempt: nanoseconds and task.
    pub(crate) slowest: Option<(u64, u32)>,
    /// Ready tasks that bring no events, and those that do: the latter wait while the stream is behind.
    pub(crate) ready: BTreeSet<u32>,
    pub(crate) ready_with_events: BTreeSet<u32>,
    /// Event floors of unfinished tasks, with how many have each.
    floors: BTreeMap<Time, u32>,
    pub(crate) value_bytes: usize,
}

impl Job {
    pub(crate) fn new(spec: JobSpec) -> Self {
        let mut tasks: Vec<Task> = Vec::with_capacity(spec.tasks.len());
        let mut floors = BTreeMap::new();
        for (index, task) in (0..).zip(spec.tasks) {
            let mut missing = 0;
            for input in &task.inputs {
                if let Input::Value(value) = input {
                    let producer = &mut tasks[value.task as usize];
                    producer.outputs[value.output as usize].readers += 1;
                    producer.consumers.push(index);
                    missing += 1;
                }
            }
            if let Some(floor) = task.event_floor {
                *floors.entry(floor).or_insert(0) += 1;
            }
            tasks.push(Task {
                function: task.function,
                inputs: task.inputs,
                outputs: (0..task.outputs).map(|_| Value::default()).collect(),
                floor: task.event_floor,
                max_attempts: task.max_attempts.max(1),
                state: TaskState::Waiting,
                attempt: 0,
                failures: 0,
                lost: 0,
                missing,
                consumers: Vec::new(),
            });
        }
        for value in &spec.output {
            tasks[value.task as usize].outputs[value.output as usize].readers += 1;
        }
        let mut job = Self {
            tenant: spec.tenant,
            tasks,
            output: spec.output,
            state: JobState::Running,
            counts: Counts::default(),
            slowest: None,
            ready: BTreeSet::new(),
            ready_with_events: BTreeSet::new(),
            floors,
            value_bytes: 0,
        };
        for task in 0..job.tasks.len() as u32 {
            if job.tasks[task as usize].missing == 0 {
                job.make_ready(task);
            }
        }
        job
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == JobState::Running
    }

    pub(crate) fn unfinished(&self) -> u32 {
        self.tasks.len() as u32 - self.counts.done - self.counts.failed - self.counts.skipped
    }

    /// No unfinished task brings an event that is earlier.
    pub(crate) fn floor(&self) -> Time {
        self.floors.keys().next().copied().unwrap_or(Time::MAX)
    }

    pub(crate) fn make_ready(&mut self, task: u32) {
        let entry = &mut self.tasks[task as usize];
        entry.state = TaskState::Ready;
        let set = if entry.floor.is_some() { &mut self.ready_with_events } else { &mut self.ready };
        assert!(set.insert(task), "task {task} was not ready before");
    }

    /// The ready task with the lowest index; `paused`: of those that bring no events.
    pub(crate) fn next_ready(&self, paused: bool) -> Option<u32> {
        let plain = self.ready.first();
        let with_events = if paused { None } else { self.ready_with_events.first() };
        plain.into_iter().chain(with_events).min().copied()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !(self.ready.is_empty() && self.ready_with_events.is_empty())
    }

    /// The arguments of a task whose producers are all done.
    pub(crate) fn inputs(&self, task: u32) -> Vec<Payload> {
        let payload = |input: &Input| match input {
            Input::Literal(bytes) => bytes.clone(),
            Input::Value(value) => self.value(*value),
        };
        self.tasks[task as usize].inputs.iter().map(payload).collect()
    }

    /// A value that somebody still reads.
    pub(crate) fn value(&self, value: ValueRef) -> Payload {
        let kept = &self.tasks[value.task as usize].outputs[value.output as usize];
        kept.payload.clone().unwrap_or_else(|| unreachable!("{value:?} is kept while it has readers"))
    }

    /// Takes the values of a task that is done, and makes ready what waited for them.
    pub(crate) fn complete(&mut self, task: u32, values: Vec<Payload>) {
        let index = task as usize;
        self.end(task, TaskState::Done);
        assert_eq!(values.len(), self.tasks[index].outputs.len(), "the number of values was checked");
        for (kept, payload) in self.tasks[index].outputs.iter_mut().zip(values) {
            if kept.readers > 0 {
                self.value_bytes += payload.len();
                kept.payload = Some(payload);
            }
        }
        for input in core::mem::take(&mut self.tasks[index].inputs) {
            if let Input::Value(value) = input {
                self.unread(value);
            }
        }
        for consumer in core::mem::take(&mut self.tasks[index].consumers) {
            let entry = &mut self.tasks[consumer as usize];
            entry.missing -= 1;
            if entry.missing == 0 {
                self.make_ready(consumer);
            }
        }
    }

    /// What is done is to be done again; see [`crate::Planted::loss_runs_all_again`].
    pub(crate) fn undo(&mut self) {
        for task in 0..self.tasks.len() as u32 {
            let entry = &self.tasks[task as usize];
            if entry.state == TaskState::Done {
                if let Some(floor) = entry.floor {
                    *self.floors.entry(floor).or_insert(0) += 1;
                }
                self.counts.done -= 1;
                self.make_ready(task);
            }
        }
    }

    /// Ends everything: the task that failed, those that wait for it, and the rest, which nobody needs any more.
    pub(crate) fn fail(&mut self, failed: Option<u32>, reason: String) {
        for task in 0..self.tasks.len() as u32 {
            if !self.tasks[task as usize].state.is_final() {
                self.end(task, if failed == Some(task) { TaskState::Failed } else { TaskState::Skipped });
            }
            let entry = &mut self.tasks[task as usize];
            (entry.inputs, entry.outputs, entry.consumers) = Default::default();
        }
        self.ready.clear();
        self.ready_with_events.clear();
        self.value_bytes = 0;
        self.state = JobState::Failed(reason);
    }

    fn end(&mut self, task: u32, state: TaskState) {
        let entry = &mut self.tasks[task as usize];
        assert!(!entry.state.is_final(), "task {task} ends once");
        if matches!(entry.state, TaskState::Running(_)) {
            self.counts.running -= 1;
        }
        match state {
            TaskState::Done => self.counts.done += 1,
            TaskState::Failed => self.counts.failed += 1,
            _ => self.counts.skipped += 1,
        }
        entry.state = state;
        if let Some(floor) = entry.floor {
            let Some(count) = self.floors.get_mut(&floor) else { unreachable!("the floor of an unfinished task is counted") };
            *count -= 1;
            if *count == 0 {
                self.floors.remove(&floor);
            }
        }
    }

    fn unread(&mut self, value: ValueRef) {
        let kept = &mut self.tasks[value.task as usize].outputs[value.output as usize];
        kept.readers -= 1;
        if kept.readers == 0
            && let Some(payload) = kept.payload.take()
        {
            self.value_bytes -= payload.len();
        }
    }
}
