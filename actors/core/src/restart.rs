//! Whether an actor that panicked is built anew.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often an actor is built anew after a panic, and after what wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// At most so many restarts...
    pub max: u32,
    /// ...within so long; one more stops the actor.
    pub within: Duration,
    /// The wait before the first restart of a series; doubled for each further one within the window, up to `max_backoff`.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

impl Restart {
    /// Never built anew: the first panic stops the actor.
    pub const NEVER: Restart = Restart { max: 0, within: Duration::ZERO, backoff: Duration::ZERO, max_backoff: Duration::ZERO };
}

impl Default for Restart {
    /// Five restarts within thirty seconds; the first at once, then after 10 ms, 20 ms, ... at most 1 s.
    fn default() -> Restart {
        Restart {
            max: 5,
            within: Duration::from_secs(30),
            backoff: Duration::from_millis(10),
            max_backoff: Duration::from_secs(1),
        }
    }
}

/// An actor's policy and its restarts so far. Most actors have the usual policy and none, and keep nothing of this.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    pub(crate) policy: Restart,
    pub(crate) history: VecDeque<Instant>,
}

impl Restarts {
    /// `None` for the usual policy.
    pub(crate) fn of(policy: Restart) -> Option<Box<Restarts>> {
        (policy != Restart::default()).then(|| Box::new(Restarts { policy, ..Restarts::default() }))
    }

    /// As [`admit`].
    pub(crate) fn admit(&mut self, now: Instant) -> Verdict {
        admit(&mut self.history, now, &self.policy)
    }
}

/// What happens after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Build the actor anew after this wait.
    After(Duration),
    /// It panicked too often: stop.
    Stop,
}

/// Judges a panic at `now`, given the earlier restarts in `history` (oldest first), and writes the new one there. Forgets those that
/// have left the window, so `history` never holds more than `policy.max`.
pub fn admit(history: &mut VecDeque<Instant>, now: Instant, policy: &Restart) -> Verdict {
    while history.front().is_some_and(|then| now.duration_since(*then) > policy.within) {
        history.pop_front();
    }
    let earlier = u32::try_from(history.len()).unwrap_or(u32::MAX);
    if earlier >= policy.max {
        return Verdict::Stop;
    }
    history.push_back(now);
    Verdict::After(match earlier {
        0 => Duration::ZERO,
        n => policy.backoff.saturating_mul(1u32.checked_shl(n - 1).unwrap_or(u32::MAX)).min(policy.max_backoff),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_within_the_window() {
        let policy = Restart { max: 3, within: Duration::from_secs(10), ..Restart::default() };
        let start = Instant::now();
        let after = |ms| Verdict::After(Duration::from_millis(ms));
        // (second of the panic, verdict)
        let table = [(0, after(0)), (1, after(10)), (2, after(20)), (3, Verdict::Stop), (11, after(20)), (30, after(0))];
        let mut history = VecDeque::new();
        for (second, verdict) in table {
            assert_eq!(admit(&mut history, start + Duration::from_secs(second), &policy), verdict, "at second {second}");
            assert!(history.len() <= 3);
        }
        assert_eq!(admit(&mut VecDeque::new(), start, &Restart::NEVER), Verdict::Stop);
    }
}
