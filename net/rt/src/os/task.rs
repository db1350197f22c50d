//! Tasks and threads of tokio.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::{Lost, Place};
use tokio::sync::{Semaphore, mpsc};

/// A handle to a spawned task. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Task<T> {
    /// Stops the task at its next wait.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Lost>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|e| Lost(e.to_string()))
    }
}

/// Runs `future` beside the caller, on any thread of the runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task(tokio::spawn(future))
}

/// Runs `future` beside the caller on the caller's thread, which must be one of a [`Locals`].
///
/// # Panics
/// Outside a [`Locals`].
#[track_caller]
pub fn spawn_local<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Task(tokio::task::spawn_local(future))
}

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    /// Which thread of which [`Locals`] this is.
    static HERE: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Whether the calling thread is one of a [`Locals`]: its runtime lives exactly as long as the thread, so that what belongs to that runtime
/// may be kept with the thread.
#[inline]
pub fn on_local_thread() -> bool {
    HERE.get().is_some()
}

/// Threads, each running futures that never leave it. Where actors live. The threads end when the last clone is dropped; what still
/// runs on them is dropped there.
#[derive(Clone, Debug)]
pub struct Locals {
    threads: Arc<[mpsc::UnboundedSender<Job>]>,
    pool: Arc<()>,
}

impl Locals {
    /// Starts `threads` threads (0: one per core).
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn new(threads: usize) -> std::io::Result<Locals> {
        let count = if threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { threads };
        let mut senders = Vec::with_capacity(count);
        // Its address is nobody else's while one of the threads lives.
        let pool = Arc::new(());
        for number in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (jobs, mut inbox) = mpsc::unbounded_channel::<Job>();
            senders.push(jobs);
            let pool = pool.clone();
            std::thread::Builder::new().name(format!("local-{number}")).spawn(move || {
                HERE.set(Some((Arc::as_ptr(&pool).addr(), number)));
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    // A task among the others: as the root future it would cost a system call at every wake.
                    let jobs = tokio::task::spawn_local(async move {
                        while let Some(job) = inbox.recv().await {
                            job();
                        }
                    });
                    // It ends when the last `Locals` is dropped; a job that panics is a bug of this workspace and ends the thread.
                    let _ = jobs.await;
                });
                // What is dropped now can start nothing here any more.
                HERE.set(None);
            })?;
        }
        Ok(Locals { threads: senders.into(), pool })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Calls `start` on thread `index` (modulo their number), which may be the caller's, and runs the future that it gives there. Keeps
    /// the order of calls from one thread to one `index`.
    pub fn spawn<S, F>(&self, index: usize, start: S)
    where
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let index = index % self.threads.len();
        if HERE.get() == Some((Arc::as_ptr(&self.pool).addr(), index)) {
            // All calls from this thread to itself take this way, so their order holds.
            drop(tokio::task::spawn_local(start()));
            return;
        }
        let job: Job = Box::new(move || drop(tokio::task::spawn_local(start())));
        // The thread lives as long as this sender, unless it panicked; then the future is dropped like the others there.
        let _ = self.threads[index].send(job);
    }

    /// As [`Locals::spawn`], on behalf of who is at `place`.
    pub fn spawn_from<S, F>(&self, _place: Place, index: usize, start: S)
    where
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        self.spawn(index, start);
    }
}

/// Holds up the calling thread until `future` is done: for work within [`Blocking`] that has to wait for something asynchronous. In a
/// simulation, only for a future that never waits.
///
/// # Panics
/// Outside a runtime, or on a thread that runs futures.
pub fn wait_here<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

/// A bounded pool for work that blocks or burns the processor. Work beyond the bound waits in the order of arrival.
#[derive(Clone, Debug)]
pub struct Blocking(Arc<Semaphore>);

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
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Lost(crate::panic_text(&*panic)))
        });
        work.await.map_err(|e| Lost(e.to_string()))?
    }
}
