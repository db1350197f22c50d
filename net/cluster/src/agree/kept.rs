//! How far a durable snapshot reaches, as the log and the state machine of one member know it.

use std::sync::atomic::{AtomicU64, Ordering};

use playhouse_rt::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Kept {
    through: AtomicU64,
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

    /// It never will: who waits is let go, and finds that the journal does nothing more.
    pub(crate) fn fails(&self) {
        self.reaches(u64::MAX);
    }

    /// Waits until a durable snapshot holds all up to this entry.
    pub(crate) async fn reached(&self, index: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.through() >= index {
                return;
            }
            changed.await;
        }
    }
}
