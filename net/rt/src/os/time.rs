//! Timers of tokio.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The present moment of the monotonic clock.
#[inline]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(tokio::time::sleep(duration))
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(tokio::time::sleep_until(deadline.into()))
}

/// A timer that fires once; see [`sleep`]. Cancel-safe: polled again after it was not waited for, it still fires at its deadline.
pub struct Sleep(tokio::time::Sleep);

impl Sleep {
    /// Sets another deadline; the timer fires again even if it had fired.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.inner().reset(deadline.into());
    }

    /// When it fires.
    #[inline]
    pub fn deadline(&self) -> Instant {
        self.0.deadline().into_std()
    }

    /// Whether it has fired since it was polled; it does so on the thread that it was made on. Cheaper than a look at the clock.
    #[inline]
    pub fn has_fired(&self) -> bool {
        self.0.is_elapsed()
    }

    #[expect(unsafe_code, reason = "projection to the only field, see below")]
    fn inner(self: Pin<&mut Self>) -> Pin<&mut tokio::time::Sleep> {
        // SAFETY: the only field is pinned whenever `self` is: nothing moves out of it, `Sleep` has no `Drop` and is `Unpin` only
        // if the field is.
        unsafe { self.map_unchecked_mut(|sleep| &mut sleep.0) }
    }
}

impl Future for Sleep {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner().poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep until {:?}", self.deadline())
    }
}
