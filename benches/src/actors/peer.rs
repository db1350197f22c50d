//! What a library with actors must be able to do here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Lap, Metric};

/// A library with actors. It runs the load and offers it five verbs; what the load does is in `load.rs`, the same for all.
pub(crate) trait Peer: 'static {
    /// The name in the rows.
    const NAME: &'static str;

    /// What spawning needs beside the actor.
    type Home: 'static;

    /// A reference to an actor that holds a [`Counter`].
    type Actor: 'static;

    /// How it is set up for that metric, and what is not alike.
    fn note(metric: Metric) -> &'static str;

    /// Runs the load on one thread, on which the actors that it spawns live too.
    fn on_one_thread<F>(load: impl FnOnce(Self::Home) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static;

    /// Runs the load on one thread, with an actor that lives on another.
    fn on_two_threads<F>(load: impl FnOnce(Self::Actor) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static;

    /// Starts an actor.
    async fn spawn(home: &Self::Home, counter: Counter) -> Self::Actor;

    /// Sends `amount` one way.
    fn tell(actor: &Self::Actor, amount: u64);

    /// Sends `amount` and waits for the sum.
    async fn ask(actor: &Self::Actor, amount: u64) -> u64;

    /// Ends the actor, without waiting for its end.
    async fn stop(actor: Self::Actor);
}

/// How many actors have started and ended.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    started: AtomicUsize,
    ended: AtomicUsize,
}

impl Watch {
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::Acquire)
    }

    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Acquire)
    }
}

/// The state of every actor here: a sum.
#[derive(Debug)]
pub(crate) struct Counter {
    sum: u64,
    watch: Arc<Watch>,
}

impl Counter {
    pub(crate) fn new(watch: &Arc<Watch>) -> Counter {
        Counter { sum: 0, watch: watch.clone() }
    }

    /// To be called when its actor starts.
    pub(crate) fn has_started(&self) {
        self.watch.started.fetch_add(1, Ordering::Release);
    }

    /// What every message does.
    pub(crate) fn add(&mut self, amount: u64) -> u64 {
        self.sum += amount;
        self.sum
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.watch.ended.fetch_add(1, Ordering::Release);
    }
}

/// For libraries that live on a plain tokio runtime: one such runtime with one thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the operating system gives a runtime")
}

/// For libraries that live on a plain tokio runtime: an actor in a runtime with a thread of its own, the load in another on this one.
pub(crate) fn on_two_runtimes<A, S, F>(spawn: S, load: impl FnOnce(A) -> F) -> Lap
where
    A: Send + 'static,
    S: Future<Output = A> + Send + 'static,
    F: Future<Output = Lap>,
{
    let (give, take) = std::sync::mpsc::channel();
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        runtime().block_on(async {
            give.send(spawn.await).expect("the load waits for its actor");
            // Until the load is done, or gone.
            let _ = finished.await;
        });
    });
    let lap = runtime().block_on(load(take.recv().expect("the actor starts")));
    drop(finish);
    thread.join().expect("the actor's thread ends well");
    lap
}
