//! Jobs: tasks that feed each other, put together with types.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use playhouse_plane::{Input, JobSpec, Payload, StreamSpec, TaskSpec, TenantId, ValueRef};
use playhouse_wire::{EncodeError, Time, encode};
use serde::Serialize;

use crate::tasks::Function;

/// A job under construction: calls of functions whose results are arguments of later ones.
///
/// ```
/// use playhouse::{Function, Job};
/// const SQUARE: Function<u64, u64> = Function::new("square");
/// const SUM: Function<Vec<u64>, u64> = Function::new("sum");
/// let mut job = Job::new("default");
/// let mut squares = Vec::new();
/// for n in 1..=3u64 {
///     let n = job.value(&n)?;
///     squares.push(job.call(SQUARE, n));
/// }
/// let sum = job.gather(SUM, squares);
/// assert_eq!(job.len(), 4);
/// # Ok::<(), playhouse_wire::EncodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Job {
    tenant: TenantId,
    tasks: Vec<TaskSpec>,
    stream: Option<StreamSpec>,
    /// Tells its values from those of other jobs.
    identity: Arc<()>,
}

/// A value of type `T` in a job: given with it, or the result of one of its tasks.
#[derive(Debug)]
pub struct Value<T> {
    pub(crate) input: Input,
    job: Arc<()>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Value::new(self.input.clone(), &self.job)
    }
}

impl<T> Value<T> {
    fn new(input: Input, job: &Arc<()>) -> Value<T> {
        Value { input, job: job.clone(), kind: PhantomData }
    }
}

/// How often a function may fail before its task does.
const MAX_ATTEMPTS: u32 = 3;

impl Job {
    /// A job without tasks, of a tenant.
    pub fn new(tenant: &str) -> Job {
        Job { tenant: TenantId(tenant.to_string()), tasks: Vec::new(), stream: None, identity: Arc::new(()) }
    }

    /// Gives the job a stream: events of its tasks are counted and summed per key, in windows of `window` that stand side by side,
    /// by `shards` shards.
    pub fn stream(&mut self, shards: u32, window: Duration) {
        self.stream = Some(StreamSpec { shards, window: window.as_nanos().try_into().unwrap_or(u64::MAX) });
    }

    /// A value that is given with the job.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn value<T: Serialize>(&self, value: &T) -> Result<Value<T>, EncodeError> {
        Ok(Value::new(Input::Literal(Payload::from(encode(value)?)), &self.identity))
    }

    /// Calls a function.
    ///
    /// # Panics
    /// When the argument is a value of another job. So do the other calls.
    pub fn call<A, R>(&mut self, function: Function<A, R>, argument: Value<A>) -> Value<R> {
        let task = self.task(function.name, vec![self.own(argument)], 1, None);
        Value::new(Input::Value(ValueRef { task, output: 0 }), &self.identity)
    }

    /// Calls a function whose results are `outputs` values. If it gives another number of them, that is a failure of the task.
    pub fn scatter<A, R>(&mut self, function: Function<A, Vec<R>>, argument: Value<A>, outputs: u32) -> Vec<Value<R>> {
        let task = self.task(function.name, vec![self.own(argument)], outputs, None);
        (0..outputs).map(|output| Value::new(Input::Value(ValueRef { task, output }), &self.identity)).collect()
    }

    /// Calls a function whose argument is several values.
    pub fn gather<A, R>(&mut self, function: Function<Vec<A>, R>, arguments: Vec<Value<A>>) -> Value<R> {
        let inputs = arguments.into_iter().map(|value| self.own(value)).collect();
        let task = self.task(function.name, inputs, 1, None);
        Value::new(Input::Value(ValueRef { task, output: 0 }), &self.identity)
    }

    /// Calls a function that emits events, none of them earlier than `floor`. The stream's watermark waits for it.
    pub fn call_emitting<A, R>(&mut self, function: Function<A, R>, argument: Value<A>, floor: Time) -> Value<R> {
        let task = self.task(function.name, vec![self.own(argument)], 1, Some(floor));
        Value::new(Input::Value(ValueRef { task, output: 0 }), &self.identity)
    }

    /// How many tasks there are so far.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task so far.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The input that a value of this job is.
    ///
    /// # Panics
    /// When it is a value of another job: it would stand for something else here.
    pub(crate) fn own<T>(&self, value: Value<T>) -> Input {
        assert!(Arc::ptr_eq(&self.identity, &value.job), "a value of one job was given to another");
        value.input
    }

    fn task(&mut self, function: &str, inputs: Vec<Input>, outputs: u32, event_floor: Option<Time>) -> u32 {
        let index = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        self.tasks.push(TaskSpec { function: function.to_string(), inputs, outputs, max_attempts: MAX_ATTEMPTS, event_floor });
        index
    }

    /// The job as the plane reads it, with `outputs` as its result.
    pub(crate) fn into_spec(self, output: Vec<ValueRef>) -> JobSpec {
        JobSpec { tenant: self.tenant, tasks: self.tasks, stream: self.stream, output }
    }
}
