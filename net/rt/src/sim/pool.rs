//! The pool for work that blocks, with the time that slow disks cost.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::disk_faults::owed;
use super::task;
use crate::Lost;

/// The output of `future`, which must not wait: the one thread of a simulation cannot be held up.
///
/// # Panics
/// When it waits.
pub fn wait_here<F: Future>(future: F) -> F::Output {
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut task) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("work within `Blocking` waits for something, in a simulation"),
    }
}

/// A bounded pool for work that blocks or burns the processor. Work beyond the bound waits in the order of arrival.
///
/// In a simulation the work runs at once, at the end of a virtual time drawn from the seed. Calls to a slow disk cannot wait while they are
/// made, for they block the one thread; so they add up what they owe, and the work takes so much longer, with its place in the pool.
#[derive(Clone, Debug)]
pub struct Blocking {
    places: Arc<Semaphore>,
    pool: task::Blocking,
}

impl Blocking {
    /// At most `limit` pieces of work at once (at least one).
    pub fn new(limit: usize) -> Blocking {
        Blocking { places: Arc::new(Semaphore::new(limit.max(1))), pool: task::Blocking::new(limit) }
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
        let place = self.places.clone().acquire_owned().await.map_err(|_| Lost("the pool is closed".into()))?;
        let pool = self.pool.clone();
        // A task of its own, so that the place stays taken when nobody waits for the work any more.
        let work = madsim::task::spawn_local(async move {
            let _place = place;
            let (done, owed) = pool
                .run(|| {
                    // What others owed was not for this work.
                    owed::take();
                    (work(), owed::take())
                })
                .await?;
            if !owed.is_zero() {
                crate::sleep(owed).await;
            }
            Ok(done)
        });
        work.await.map_err(|_| Lost("the host is gone".into()))?
    }
}
