//! Tasks: ordinary functions, registered by name, called with typed arguments.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use playhouse_plane::{Fence, Payload, StreamEvent, TaskOutput};
use playhouse_rt::Disk;
use playhouse_store::{Damage, Key, LoadError, Reason, Store};
use playhouse_wire::{NodeName, Time, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::TASKS_KEPT;

/// The name of a function together with its types: what a caller and a worker must agree on.
///
/// ```
/// use playhouse::{Function, TaskCx, TaskError, Tasks};
/// const SQUARE: Function<u64, u64> = Function::new("square");
/// fn square(_: &mut TaskCx, n: u64) -> Result<u64, TaskError> {
///     n.checked_mul(n).ok_or_else(|| TaskError::new("too large to square"))
/// }
/// let tasks = Tasks::new().add(SQUARE, square);
/// ```
pub struct Function<A, R> {
    pub(crate) name: &'static str,
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> Function<A, R> {
    /// The function that workers know as `name`.
    pub const fn new(name: &'static str) -> Function<A, R> {
        Function { name, types: PhantomData }
    }
}

impl<A, R> Clone for Function<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Function<A, R> {}

/// Why a task failed, for whoever submitted it. The task is tried again, as often as its job allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TaskError(String);

impl TaskError {
    /// A failure with a reason.
    pub fn new(reason: impl Into<String>) -> TaskError {
        TaskError(reason.into())
    }
}

/// What a function sees of its surroundings.
#[derive(Debug)]
pub struct TaskCx {
    fence: Fence,
    node: NodeName,
    disk: Disk,
    progress: Option<Progress>,
    events: Vec<StreamEvent>,
}

/// Where the progress of a task goes.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) store: Store,
    /// Says that it is kept, and does nothing: a planted bug.
    pub(crate) claimed: bool,
    /// Something was kept.
    pub(crate) used: Arc<AtomicBool>,
}

/// The first segment of the keys of tasks.
const TASK: &str = "task";

/// Where the progress of a task is kept: whatever its attempt, on whatever node. In the order of jobs.
pub(crate) fn progress_key(fence: Fence) -> Key {
    Key::new(&format!("{TASK}/{:020}/{}", fence.job.0, fence.task)).expect("digits make a key")
}

fn is_unreadable(damage: &Damage) -> bool {
    matches!(damage.reason, Reason::Unreadable(_))
}

impl TaskCx {
    pub(crate) fn new(fence: Fence, node: NodeName, disk: Disk) -> TaskCx {
        TaskCx { fence, node, disk, progress: None, events: Vec::new() }
    }

    /// Keeps its progress there.
    pub(crate) fn keeping(self, progress: Progress) -> TaskCx {
        TaskCx { progress: Some(progress), ..self }
    }

    fn progress(&self) -> Result<&Progress, TaskError> {
        self.progress.as_ref().ok_or_else(|| TaskError::new("nothing is kept of a call: submit what is to be resumed as a job"))
    }

    /// Keeps how far the task is. When its node goes, or this attempt fails, the next attempt finds it with [`TaskCx::resume`], on any node
    /// that sees the same folder of checkpoints: it loses only what was done since. `Ok` means that it survives a power loss. It is
    /// removed when the task's result has been accepted. What [`TaskCx::emit`] was given is not kept: events are those of one attempt.
    ///
    /// # Errors
    /// When it was not kept: the disk refuses, or a later attempt has begun. What was kept before still is; a task may go on.
    pub fn save<T: Serialize>(&mut self, progress: &T) -> Result<(), TaskError> {
        let bytes = encode(progress).map_err(|error| TaskError::new(format!("the progress cannot be encoded: {error}")))?;
        let kept = self.progress()?;
        if kept.claimed {
            return Ok(());
        }
        if !kept.used.swap(true, Ordering::Relaxed)
            && let Err(error) = kept.store.sweep_here(TASK, TASKS_KEPT)
        {
            tracing::debug!(%error, "what old tasks left was not swept");
        }
        self.keep(&bytes)
    }

    fn keep(&self, bytes: &[u8]) -> Result<(), TaskError> {
        let saved = self.progress()?.store.save_here(&progress_key(self.fence), u64::from(self.fence.attempt), bytes);
        saved.map(drop).map_err(|error| TaskError::new(error.to_string()))
    }

    /// How far an earlier attempt at the task was when it last called [`TaskCx::save`]; `None` if none did, or all that they kept is damaged.
    /// From then on, no earlier attempt that may still run can keep anything.
    ///
    /// # Errors
    /// When the disk refuses, or the progress is of another type. Given back, it ends this attempt, and the next one tries again.
    pub fn resume<T: Serialize + DeserializeOwned>(&mut self) -> Result<Option<T>, TaskError> {
        let (key, failed) = (progress_key(self.fence), |error: &dyn fmt::Display| TaskError::new(error.to_string()));
        let found = match self.progress()?.store.load_here(&key) {
            Ok(found) => found,
            // What cannot be read now may be whole.
            Err(LoadError::Corrupt { files, .. }) if files.iter().all(|damage| !is_unreadable(damage)) => {
                let error = files.first().map(Damage::to_string).unwrap_or_default();
                tracing::warn!(%error, "a task begins anew");
                None
            }
            Err(error) => return Err(failed(&error)),
        };
        let Some(checkpoint) = found else { return Ok(None) };
        for damage in &checkpoint.skipped {
            if is_unreadable(damage) {
                return Err(failed(damage));
            }
            tracing::warn!(file = %damage.file.display(), reason = %damage.reason, "damaged progress was passed over");
        }
        let progress = decode(&checkpoint.value).map_err(|error| failed(&error))?;
        self.progress()?.used.store(true, Ordering::Relaxed);
        // Under the name of this attempt, so that an earlier one changes it no more.
        self.keep(&checkpoint.value)?;
        playhouse_rt::reachable!("resumed");
        playhouse_rt::ledger::record("resumed", || self.fence.to_string());
        Ok(Some(progress))
    }

    /// Which attempt at the task this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.fence.attempt
    }

    /// The node that it runs on.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The node's disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Adds an event to the job's stream. Events count when the task's result is accepted, and then exactly once: those of an attempt
    /// that fails, or comes too late, never do.
    pub fn emit(&mut self, time: Time, key: impl Into<String>, value: u64) {
        self.events.push(StreamEvent { time, key: key.into(), value });
    }
}

type Erased = Arc<dyn Fn(&mut TaskCx, &[Payload]) -> Result<Vec<Payload>, String> + Send + Sync>;

/// The functions that a node's workers know.
#[derive(Clone, Default)]
pub struct Tasks(BTreeMap<&'static str, Erased>);

fn argument<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, String> {
    decode(bytes).map_err(|error| format!("an argument has another type here: {error}"))
}

fn result<R: Serialize>(value: &R) -> Result<Payload, String> {
    encode(value).map(Payload::from).map_err(|error| error.to_string())
}

impl Tasks {
    /// None yet.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// Adds a function of one argument and one result.
    ///
    /// # Panics
    /// When there is a function of that name: one of them would never be called. So do the other `add`s.
    #[must_use]
    pub fn add<A, R, F>(self, function: Function<A, R>, call: F) -> Tasks
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(&mut TaskCx, A) -> Result<R, TaskError> + Send + Sync + 'static,
    {
        self.insert(function.name, move |cx, inputs| {
            let [input] = inputs else { return Err(format!("it takes one argument, not {}", inputs.len())) };
            Ok(vec![result(&call(cx, argument(input)?).map_err(|e| e.0)?)?])
        })
    }

    /// Adds a function of one argument whose results go to different tasks.
    #[must_use]
    pub fn add_scatter<A, R, F>(self, function: Function<A, Vec<R>>, call: F) -> Tasks
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(&mut TaskCx, A) -> Result<Vec<R>, TaskError> + Send + Sync + 'static,
    {
        self.insert(function.name, move |cx, inputs| {
            let [input] = inputs else { return Err(format!("it takes one argument, not {}", inputs.len())) };
            call(cx, argument(input)?).map_err(|e| e.0)?.iter().map(result).collect()
        })
    }

    /// Adds a function whose argument is the results of several tasks.
    #[must_use]
    pub fn add_gather<A, R, F>(self, function: Function<Vec<A>, R>, call: F) -> Tasks
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(&mut TaskCx, Vec<A>) -> Result<R, TaskError> + Send + Sync + 'static,
    {
        self.insert(function.name, move |cx, inputs| {
            let inputs = inputs.iter().map(|bytes| argument(bytes)).collect::<Result<_, _>>()?;
            Ok(vec![result(&call(cx, inputs).map_err(|e| e.0)?)?])
        })
    }

    fn insert<F>(mut self, name: &'static str, call: F) -> Tasks
    where
        F: Fn(&mut TaskCx, &[Payload]) -> Result<Vec<Payload>, String> + Send + Sync + 'static,
    {
        assert!(self.0.insert(name, Arc::new(call)).is_none(), "there are two functions called {name}");
        self
    }

    /// The names of the functions, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) fn call(&self, name: &str, mut cx: TaskCx, inputs: &[Payload]) -> Result<TaskOutput, String> {
        let Some(function) = self.0.get(name) else { return Err(format!("{} knows no function called {name}", cx.node)) };
        let values = function(&mut cx, inputs)?;
        Ok(TaskOutput { values, events: cx.events })
    }

    /// As a call, which has one result and no stream.
    pub(crate) fn call_once(&self, name: &str, cx: TaskCx, inputs: &[Payload]) -> Result<Payload, String> {
        let TaskOutput { values, events } = self.call(name, cx, inputs)?;
        if !events.is_empty() {
            return Err("it brings events, which a call has no stream for: submit it as a job".into());
        }
        let Ok([value]) = <[Payload; 1]>::try_from(values) else {
            return Err("it scatters its result, which a call cannot: submit it as a job".into());
        };
        Ok(value)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
