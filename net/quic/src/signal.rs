//! A word that is said once, a turn given to others, and locks that a panic elsewhere does not spoil.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use playhouse_rt::sync::Notify;

/// Said once, heard by all, also by those who ask later.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    set: AtomicBool,
    heard: Notify,
}

impl Signal {
    /// Says it. Whether this was the first time.
    pub(crate) fn set(&self) -> bool {
        let first = !self.set.swap(true, Ordering::SeqCst);
        self.heard.notify_waiters();
        first
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Waits until it is said.
    pub(crate) async fn wait(&self) {
        let mut heard = pin!(self.heard.notified());
        // Listening begins before the look, so that no word is lost in between.
        heard.as_mut().enable();
        if !self.is_set() {
            heard.await;
        }
    }
}

/// Lets other tasks of this thread run first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Locks. What a panicking holder left is taken as it is: every change under our locks is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
