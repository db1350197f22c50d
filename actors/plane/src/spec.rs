//! What a client submits and what a function gives back, with the rules for both.

use alloc::string::String;
use alloc::vec::Vec;

use playhouse_wire::Time;
use serde::{Deserialize, Serialize};

use crate::Payload;
use crate::ids::TenantId;
use crate::limits::{INPUTS_MAX, JOBS_MAX, LITERALS_MAX, OUTPUTS_MAX, SHARDS_MAX, TASKS_MAX, TEXT_MAX};
use crate::tenant::QuotaExceeded;

/// A job: tasks that feed each other, and perhaps a stream that they feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Whose quota it uses.
    pub tenant: TenantId,
    /// The tasks. A task may use values of earlier ones only, so no cycle can be expressed.
    pub tasks: Vec<TaskSpec>,
    /// The stream that the tasks bring events to.
    pub stream: Option<StreamSpec>,
    /// The values that are the job's result.
    pub output: Vec<ValueRef>,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The name that the workers know it by.
    pub function: String,
    /// Its arguments, in order.
    pub inputs: Vec<Input>,
    /// How many values it gives back.
    pub outputs: u32,
    /// How often the function may fail before the task does; zero counts as one.
    pub max_attempts: u32,
    /// No event that the task brings is earlier. `None`: it brings no events.
    pub event_floor: Option<Time>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Given with the job.
    Literal(Payload),
    /// Given by an earlier task.
    Value(ValueRef),
}

/// A value that a task gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueRef {
    /// The index of the task in its job.
    pub task: u32,
    /// Which of its values.
    pub output: u32,
}

/// A stream of events, counted and summed per key in windows that stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Over how many shards the keys are spread.
    pub shards: u32,
    /// The length of a window, in nanoseconds.
    pub window: u64,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamEvent {
    /// When it happened, by the clock of its source.
    pub time: Time,
    /// What it is about; decides the shard.
    pub key: String,
    /// What is summed.
    pub value: u64,
}

/// A closed window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WindowResult {
    /// The key.
    pub key: String,
    /// Where the window starts.
    pub start: Time,
    /// How many events it had.
    pub count: u64,
    /// The sum of their values; stays at the largest number when it would not fit.
    pub sum: u64,
}

/// What a function gave back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// As many as its task has outputs.
    pub values: Vec<Payload>,
    /// For the job's stream. They are applied together with the acceptance of the result, so exactly once.
    pub events: Vec<StreamEvent>,
}

/// Why a job was not accepted. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SubmitError {
    /// The plane has no such tenant.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// The tenant has too much waiting already; submit again when some of it is done.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// Too many jobs are unfinished; submit again later.
    #[error("{JOBS_MAX} jobs are unfinished; submit again later")]
    TooManyJobs,
    /// The job has too many tasks; split it.
    #[error("the job has {0} tasks, more than {TASKS_MAX}")]
    TooManyTasks(usize),
    /// The tasks have too many inputs together; split the job.
    #[error("the tasks have {0} inputs together, more than {INPUTS_MAX}")]
    TooManyInputs(usize),
    /// The literals are too large together; put large data into tasks' values.
    #[error("the literals take {0} bytes together, more than {LITERALS_MAX}")]
    LiteralsTooLarge(usize),
    /// A task has too many outputs.
    #[error("task {0} has more than {OUTPUTS_MAX} outputs")]
    TooManyOutputs(u32),
    /// The name of a function, a tenant or a client is empty or too long.
    #[error("a name of {0} bytes; names have 1 to {TEXT_MAX}")]
    BadName(usize),
    /// A task's input refers to a value that no earlier task gives.
    #[error("task {task} wants output {} of task {}, which no earlier task gives", value.output, value.task)]
    UnknownValue {
        /// The task that wants it.
        task: u32,
        /// The value.
        value: ValueRef,
    },
    /// The job's result refers to a value that no task gives.
    #[error("the job's result wants output {} of task {}, which no task gives", .0.output, .0.task)]
    UnknownOutput(ValueRef),
    /// The stream has no shard, too many, or windows without length.
    #[error("a stream has 1 to {SHARDS_MAX} shards and windows longer than zero")]
    BadStream,
    /// A task has an event floor, but the job has no stream.
    #[error("task {0} has an event floor, but the job has no stream")]
    FloorWithoutStream(u32),
}

/// Checks what can be checked without knowing the plane.
pub(crate) fn validate(spec: &JobSpec) -> Result<(), SubmitError> {
    if spec.tasks.len() > TASKS_MAX {
        return Err(SubmitError::TooManyTasks(spec.tasks.len()));
    }
    let inputs = spec.tasks.iter().map(|t| t.inputs.len()).sum::<usize>() + spec.output.len();
    if inputs > INPUTS_MAX {
        return Err(SubmitError::TooManyInputs(inputs));
    }
    let literals = spec.tasks.iter().flat_map(|t| &t.inputs).map(literal_bytes).sum();
    if literals > LITERALS_MAX {
        return Err(SubmitError::LiteralsTooLarge(literals));
    }
    if spec.stream.is_some_and(|s| s.shards == 0 || s.shards > SHARDS_MAX || s.window == 0) {
        return Err(SubmitError::BadStream);
    }
    for (index, task) in (0..).zip(&spec.tasks) {
        validate_name(&task.function)?;
        if task.outputs > OUTPUTS_MAX {
            return Err(SubmitError::TooManyOutputs(index));
        }
        if task.event_floor.is_some() && spec.stream.is_none() {
            return Err(SubmitError::FloorWithoutStream(index));
        }
        for input in &task.inputs {
            if let Input::Value(value) = *input
                && !(value.task < index && gives(spec, value))
            {
                return Err(SubmitError::UnknownValue { task: index, value });
            }
        }
    }
    match spec.output.iter().find(|value| !gives(spec, **value)) {
        Some(value) => Err(SubmitError::UnknownOutput(*value)),
        None => Ok(()),
    }
}

/// Checks the name of a function or a client.
pub(crate) fn validate_name(name: &str) -> Result<(), SubmitError> {
    if name.is_empty() || name.len() > TEXT_MAX { Err(SubmitError::BadName(name.len())) } else { Ok(()) }
}

fn gives(spec: &JobSpec, value: ValueRef) -> bool {
    spec.tasks.get(value.task as usize).is_some_and(|t| value.output < t.outputs)
}

fn literal_bytes(input: &Input) -> usize {
    match input {
        Input::Literal(bytes) => bytes.len(),
        Input::Value(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn every_rule_refuses_with_its_own_error() {
        let value = |task, output| ValueRef { task, output };
        let task = TaskSpec { function: "f".to_string(), inputs: vec![], outputs: 1, max_attempts: 1, event_floor: None };
        let two = JobSpec { tenant: TenantId("t".to_string()), tasks: vec![task.clone(), task], stream: None, output: vec![] };
        type Change = fn(&mut JobSpec);
        let table: &[(Change, Result<(), SubmitError>)] = &[
            (|_| (), Ok(())),
            (|j| j.tasks.clear(), Ok(())),
            (|j| j.tasks[1].inputs.push(Input::Value(ValueRef { task: 0, output: 0 })), Ok(())),
            (
                |j| j.tasks[1].inputs.push(Input::Value(ValueRef { task: 1, output: 0 })),
                Err(SubmitError::UnknownValue { task: 1, value: value(1, 0) }),
            ),
            (
                |j| j.tasks[0].inputs.push(Input::Value(ValueRef { task: 1, output: 0 })),
                Err(SubmitError::UnknownValue { task: 0, value: value(1, 0) }),
            ),
            (
                |j| j.tasks[1].inputs.push(Input::Value(ValueRef { task: 0, output: 1 })),
                Err(SubmitError::UnknownValue { task: 1, value: value(0, 1) }),
            ),
            (|j| j.output.push(ValueRef { task: 2, output: 0 }), Err(SubmitError::UnknownOutput(value(2, 0)))),
            (|j| j.stream = Some(StreamSpec { shards: 0, window: 1 }), Err(SubmitError::BadStream)),
            (|j| j.stream = Some(StreamSpec { shards: 1, window: 0 }), Err(SubmitError::BadStream)),
            (|j| j.stream = Some(StreamSpec { shards: SHARDS_MAX + 1, window: 1 }), Err(SubmitError::BadStream)),
            (|j| j.tasks[1].event_floor = Some(Time::ZERO), Err(SubmitError::FloorWithoutStream(1))),
            (|j| j.tasks[1].function.clear(), Err(SubmitError::BadName(0))),
            (|j| j.tasks[1].outputs = OUTPUTS_MAX + 1, Err(SubmitError::TooManyOutputs(1))),
            (
                |j| j.tasks[0].inputs.push(Input::Literal(vec![0; LITERALS_MAX + 1].into())),
                Err(SubmitError::LiteralsTooLarge(LITERALS_MAX + 1)),
            ),
            (|j| j.tasks = vec![j.tasks[0].clone(); TASKS_MAX + 1], Err(SubmitError::TooManyTasks(TASKS_MAX + 1))),
        ];
        for (row, (change, expected)) in table.iter().enumerate() {
            let mut spec = two.clone();
            change(&mut spec);
            assert_eq!(validate(&spec), *expected, "row {row}");
        }
    }
}
