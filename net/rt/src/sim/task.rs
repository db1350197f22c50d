//! Tasks of the simulation's one thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use madsim::rand::Rng;
use madsim::task::NodeId;
use tokio::sync::Semaphore;

use super::track::{self, tracked};
use crate::{Lost, Place};

/// A handle to a spawned task. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Task<T>(madsim::task::JoinHandle<T>);

impl<T> Task<T> {
    /// Stops the task at its next wait.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| Lost("the task was stopped".into()))
    }
}

/// Runs `future` beside the caller, on any thread of the runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task(madsim::task::spawn(tracked(None, Place::here(), future)))
}

/// Runs `future` beside the caller on the caller's thread, which must be one of a [`Locals`].
#[track_caller]
pub fn spawn_local<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Task(madsim::task::spawn_local(tracked(None, Place::here(), future)))
}

/// Never, here: there is one thread, and more than one runtime in its life.
pub fn on_local_thread() -> bool {
    false
}

thread_local! {
    /// How many futures each thread of the [`Locals`] of each host was given.
    static GIVEN: RefCell<BTreeMap<NodeId, Vec<u64>>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many futures each thread of [`Locals`] would have been given, for each host that has some.
pub fn given_to_threads() -> Vec<Vec<u64>> {
    GIVEN.with_borrow(|given| given.values().cloned().collect())
}

/// Threads, each running futures that never leave it. Here they are all the simulation's one thread.
#[derive(Clone, Debug)]
pub struct Locals(usize);

impl Locals {
    /// Starts `threads` threads (0: one per core).
    ///
    /// # Errors
    /// Never, here.
    pub fn new(threads: usize) -> std::io::Result<Locals> {
        Ok(Locals(if threads == 0 { 2 } else { threads }))
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.0
    }

    /// Calls `start` on thread `index` (modulo their number) and runs the future that it gives there.
    #[track_caller]
    pub fn spawn<S, F>(&self, index: usize, start: S)
    where
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        self.spawn_from(Place::here(), index, start);
    }

    /// As [`Locals::spawn`], on behalf of who is at `place`.
    pub fn spawn_from<S, F>(&self, place: Place, index: usize, start: S)
    where
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        GIVEN.with_borrow_mut(|given| {
            let given = given.entry(madsim::plugin::node()).or_default();
            given.resize(given.len().max(self.0), 0);
            given[index % self.0] += 1;
        });
        // Started by the executor, not here: as in production, the caller does not run a line of it.
        drop(madsim::task::spawn_local(tracked(None, place, async move { start().await })));
    }
}

/// A bounded pool for work that blocks or burns the processor. Work beyond the bound waits in the order of arrival.
///
/// In a simulation the work runs at once, at the end of a virtual time drawn from the seed.
#[derive(Clone, Debug)]
pub struct Blocking(Arc<Semaphore>);

thread_local! {
    /// The pieces of work that run on each host now, and the most that ever did.
    static WORKING: RefCell<BTreeMap<NodeId, (usize, usize)>> = const { RefCell::new(BTreeMap::new()) };
}

/// A piece of work that runs.
struct Working(NodeId);

impl Working {
    fn begin() -> Working {
        let host = madsim::plugin::node();
        WORKING.with_borrow_mut(|working| {
            let (now, most) = working.entry(host).or_default();
            *now += 1;
            *most = (*most).max(*now);
        });
        Working(host)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // When the thread ends, nobody counts any more.
        let _ = WORKING.try_with(|working| working.borrow_mut().get_mut(&self.0).map(|(now, _)| *now -= 1));
    }
}

/// The most pieces of work of [`Blocking`] that have run at once on one host, in all its pools.
pub fn most_at_work() -> usize {
    WORKING.with_borrow(|working| working.values().map(|(_, most)| *most).max().unwrap_or(0))
}

/// How long a piece of work takes, in virtual milliseconds.
const WORK_MILLIS: std::ops::Range<u64> = 1..40;

impl Blocking {
    /// At most `limit` pieces of work at once (at least one).
    pub fn new(limit: usize) -> Blocking {
        Blocking(Arc::new(Semaphore::new(limit.max(1))))
    }

    /// Runs `work` on a thread of its own. Dropping the future before a thread is free takes the work back; later, the work runs to
    /// its end and its result is dropped.
    ///
    /// # Errors
    /// When `work` panics: the panic's text.
    pub async fn run<T, W>(&self, work: W) -> Result<T, Lost>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let permit = self.0.clone().acquire_owned().await.map_err(|_| Lost("the pool is closed".into()))?;
        let millis = madsim::rand::thread_rng().gen_range(WORK_MILLIS);
        crate::ledger::record("work", || format!("{millis} ms"));
        crate::ledger::waits(|| "its work on the pool".into());
        let place = track::place().unwrap_or_else(Place::here);
        // A task of its own: as on a thread, work that has begun goes on when nobody waits for it any more.
        let work = madsim::task::spawn_local(tracked(None, place, async move {
            let (_permit, _working) = (permit, Working::begin());
            crate::ledger::name_task(|| "work on the pool".into());
            crate::sleep(Duration::from_millis(millis)).await;
            catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Lost(crate::panic_text(&*panic)))
        }));
        work.await.map_err(|_| Lost("the host is gone".into()))?
    }
}
