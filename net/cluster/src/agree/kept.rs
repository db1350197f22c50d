//! How far a durable snapshot reaches, as the log and the state machine of one member know it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use playhouse_rt::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Kept {
    through: AtomicU64,
    failed: AtomicBool,
    changed: Notify,
}

impl Kept {
    /// Up to this entry a durable snapshot holds all.
    pub(crate) fn through(&self) -> u64 {
        self.through.load(Ordering::SeqCst)
    }

    /// It does so now.
    pub(crate) fn reaches(&self, index: u64) {
        self.through.fetch_max(index, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// One could not be kept, and none is any more: nothing that it would stand for may go.
    pub(crate) fn fails(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whether one could not be kept.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Waits until a durable snapshot holds all up to this entry. False: none ever will.
    pub(crate) async fn reached(&self, index: u64) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.through() >= index {
                return true;
            }
            if self.has_failed() {
                return false;
            }
            changed.await;
        }
    }
}
