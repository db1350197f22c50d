//! Timers that are used again. Nearly every ask is answered long before its deadline; to arm and disarm a timer of the runtime for each
//! would be a quarter of its cost.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use playhouse_rt::Sleep;

thread_local! {
    /// The timer that this thread's last ask left. A box of the thread's own runtime, which is why it is kept only where the runtime lives
    /// as long as the thread.
    static KEPT: Cell<Option<Timer>> = const { Cell::new(None) };
}

/// Which thread this is, if timers may be kept with it.
fn home() -> Option<usize> {
    playhouse_rt::on_local_thread().then(|| KEPT.with(|kept| std::ptr::from_ref(kept).addr()))
}

/// A timer that stays armed for whoever had it last, and is armed anew only when that moment comes before the next user's.
pub(crate) struct Timer {
    /// The thread that it belongs to; `None` when that is not one to keep it.
    home: Option<usize>,
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Timer {
    /// A timer, kept or new.
    pub(crate) fn take(deadline: Instant) -> Timer {
        let home = home();
        let kept = if home.is_some() { KEPT.take() } else { None };
        kept.unwrap_or_else(|| Timer { home, sleep: Box::pin(playhouse_rt::sleep_until(deadline)), waker: None })
    }

    pub(crate) fn give_back(self) {
        if self.home.is_some() && self.home == home() {
            KEPT.set(Some(self));
        }
    }

    /// To be called first: makes sure that the task is woken at `deadline`, or earlier.
    pub(crate) fn begin(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        // It wakes this very task before the deadline, and has not done so yet: nothing is to be done until then.
        if self.sleep.deadline() <= deadline
            && !self.sleep.has_fired()
            && self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker()))
        {
            return Poll::Pending;
        }
        self.poll(cx, deadline)
    }

    /// Ready at `deadline`, whatever the timer was armed for before.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            let armed = self.sleep.deadline();
            if armed > deadline {
                self.sleep.as_mut().reset(deadline);
            } else if self.sleep.as_mut().poll(cx).is_pending() {
                if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                    self.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            } else if armed == deadline {
                return Poll::Ready(());
            } else {
                self.sleep.as_mut().reset(deadline);
            }
        }
    }
}
