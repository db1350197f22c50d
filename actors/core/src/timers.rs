//! Timers that are used again. Nearly every ask is answered long before its deadline; to arm and disarm a timer of the runtime for each
//! would be a quarter of its cost.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use playhouse_rt::Sleep;

use crate::limits::TIMERS_KEPT;

/// Timers that nobody uses now. They stay armed for the deadline of whoever had them last, and are armed anew only when that one comes
/// before the next user's has.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Vec<Timer>>);

pub(crate) struct Timer(Pin<Box<Sleep>>);

impl Timers {
    pub(crate) fn take(&self, deadline: Instant) -> Timer {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Timer(Box::pin(playhouse_rt::sleep_until(deadline))))
    }

    pub(crate) fn give_back(&self, timer: Timer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < TIMERS_KEPT {
            kept.push(timer);
        }
    }
}

impl Timer {
    /// Ready at `deadline`, whatever the timer was armed for before.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            let armed = self.0.deadline();
            if armed > deadline {
                self.0.as_mut().reset(deadline);
            } else if self.0.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            } else if armed == deadline {
                return Poll::Ready(());
            } else {
                self.0.as_mut().reset(deadline);
            }
        }
    }
}
