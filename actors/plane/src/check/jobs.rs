//! The toy jobs, and what they must come to: computed by brute force from the job alone.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::Time;

use crate::Payload;
use crate::ids::TenantId;
use crate::spec::{Input, JobSpec, StreamEvent, StreamSpec, TaskOutput, TaskSpec, ValueRef, WindowResult};

/// One of the toy jobs.
pub(super) fn spec(kind: usize) -> JobSpec {
    let (tasks, stream) = match kind % 4 {
        0 => (diamond(), None),
        1 => (sources(5, 40), Some(StreamSpec { shards: 3, window: 50 })),
        2 => (sources(3, 90), Some(StreamSpec { shards: 2, window: 100 })),
        _ => (vec![], None),
    };
    let output = tasks.len().checked_sub(1).map(|last| ValueRef { task: last as u32, output: 0 });
    JobSpec { tenant: TenantId("default".to_string()), tasks, stream, output: output.into_iter().collect() }
}

fn task(inputs: Vec<Input>, event_floor: Option<Time>) -> TaskSpec {
    TaskSpec { function: "toy".to_string(), inputs, outputs: 1, max_attempts: 3, event_floor }
}

fn value(task: u32) -> Input {
    Input::Value(ValueRef { task, output: 0 })
}

fn diamond() -> Vec<TaskSpec> {
    let literal = Input::Literal(Payload::from_static(b"x"));
    vec![task(vec![literal], None), task(vec![value(0)], None), task(vec![value(0)], None), task(vec![value(1), value(2)], None)]
}

/// Tasks that bring events, each from a later floor on, and one that waits for the last.
fn sources(count: u64, step: u64) -> Vec<TaskSpec> {
    let mut tasks: Vec<_> = (0..count).map(|i| task(vec![], Some(Time::from_nanos(i * step)))).collect();
    tasks.push(task(vec![value(count as u32 - 1)], None));
    tasks
}

/// What a toy function gives: it depends on the task alone.
pub(super) fn run(spec: &JobSpec, task: u32, inputs: &[Payload]) -> TaskOutput {
    let mut value = format!("{task}(");
    inputs.iter().for_each(|input| value.push_str(&String::from_utf8_lossy(input)));
    value.push(')');
    TaskOutput { values: vec![Payload::from(value.into_bytes())], events: events(spec, task) }
}

fn events(spec: &JobSpec, task: u32) -> Vec<StreamEvent> {
    let Some(floor) = spec.tasks[task as usize].event_floor else { return Vec::new() };
    let event = |i: u64| {
        let offset = (u64::from(task) * 31 + i * 17) % 170;
        StreamEvent { time: floor + Duration::from_nanos(offset), key: format!("k{}", (u64::from(task) + i) % 7), value: i + 1 }
    };
    // More than a batch in all, and more than one checkpoint apart.
    (0..150).map(event).collect()
}

/// How many events a task brings.
pub(super) fn event_count(spec: &JobSpec, task: u32) -> u64 {
    events(spec, task).len() as u64
}

/// What the job must give.
pub(super) fn expected_result(spec: &JobSpec) -> Vec<Payload> {
    let mut values: Vec<Payload> = Vec::new();
    for (index, task) in (0..).zip(&spec.tasks) {
        let input = |input: &Input| match input {
            Input::Literal(bytes) => bytes.clone(),
            Input::Value(value) => values[value.task as usize].clone(),
        };
        let inputs: Vec<_> = task.inputs.iter().map(input).collect();
        values.extend(run(spec, index, &inputs).values);
    }
    spec.output.iter().map(|value| values[value.task as usize].clone()).collect()
}

/// The windows that the job's stream must have.
pub(super) fn expected_windows(spec: &JobSpec) -> Option<Vec<WindowResult>> {
    let size = Duration::from_nanos(spec.stream?.window);
    let mut windows: BTreeMap<(String, Time), (u64, u64)> = BTreeMap::new();
    for event in (0..spec.tasks.len() as u32).flat_map(|task| events(spec, task)) {
        let (count, sum) = windows.entry((event.key, event.time.window_start(size))).or_default();
        *count += 1;
        *sum += event.value;
    }
    Some(windows.into_iter().map(|((key, start), (count, sum))| WindowResult { key, start, count, sum }).collect())
}
