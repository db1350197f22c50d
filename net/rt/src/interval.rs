//! A timer that fires again and again.

use std::time::{Duration, Instant};

use crate::{Sleep, now, sleep_until};

/// Fires every `period`, see [`interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: std::pin::Pin<Box<Sleep>>,
    next: Instant,
    period: Duration,
}

/// A timer that fires first after `period` and then every `period`. Ticks that were missed (a long pause) are not made up for.
///
/// # Panics
/// When `period` is zero.
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period");
    let next = now() + period;
    Interval { sleep: Box::pin(sleep_until(next)), next, period }
}

impl Interval {
    /// Waits for the next tick. Cancel-safe: a tick that was not waited for is not lost.
    pub async fn tick(&mut self) {
        self.sleep.as_mut().await;
        let now = now();
        self.next += self.period;
        if self.next <= now {
            self.next = now + self.period;
        }
        self.sleep.as_mut().reset(self.next);
    }
}
