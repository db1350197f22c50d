//! Timers of the virtual clock.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// The present moment of the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now() + duration)
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, alarm: None }
}

/// A timer that fires once; see [`sleep`]. Cancel-safe: polled again after it was not waited for, it still fires at its deadline.
///
/// madsim's own timer leaves another entry in its queue at every poll; this one leaves one for each deadline.
pub struct Sleep {
    deadline: Instant,
    alarm: Option<Arc<Alarm>>,
}

/// Whom to wake at the deadline; nobody, once the timer was dropped or reset.
#[derive(Default)]
struct Alarm(Mutex<Option<Waker>>);

impl Alarm {
    fn set(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.set(None) {
            waker.wake();
        }
    }
}

impl Sleep {
    /// Sets another deadline; the timer fires again even if it had fired.
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
    }

    /// When it fires.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it has fired since it was polled; it does so on the thread that it was made on. Cheaper than a look at the clock.
    pub fn has_fired(&self) -> bool {
        now() >= self.deadline
    }

    fn disarm(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            alarm.set(None);
        }
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if now() >= self.deadline {
            if self.alarm.take().is_some() {
                crate::ledger::record("timer", String::new);
            }
            return Poll::Ready(());
        }
        let deadline = self.deadline;
        let alarm = self.alarm.get_or_insert_with(|| {
            let alarm = Arc::new(Alarm::default());
            let mut timer = std::pin::pin!(madsim::time::sleep_until(deadline));
            // The first poll puts the alarm into madsim's queue, where it stays when this handle to it is dropped.
            let _ = timer.as_mut().poll(&mut Context::from_waker(&Waker::from(alarm.clone())));
            alarm
        });
        alarm.set(Some(cx.waker().clone()));
        super::track::waits_until(deadline);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep until {:?}", self.deadline)
    }
}
