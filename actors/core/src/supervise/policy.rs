//! Two small judgements: whether one more restart is borne, and how long it waits.

use std::collections::VecDeque;
use std::time::Duration;

use playhouse_wire::Time;

use super::limits::MAX_RESTARTS;
use super::spec::{Backoff, Intensity};

/// The restarts within the last window, oldest first; never more than are allowed.
#[derive(Clone, Debug, Default)]
pub(super) struct Window(VecDeque<Time>);

impl Window {
    /// Whether a restart at `now` is borne; if so, it is counted. One that is exactly as old as the window still counts.
    pub(super) fn admit(&mut self, now: Time, intensity: &Intensity) -> bool {
        while self.0.front().is_some_and(|then| now.since(*then) > intensity.within) {
            self.0.pop_front();
        }
        let borne = self.0.len() < intensity.max.min(MAX_RESTARTS) as usize;
        if borne {
            self.0.push_back(now);
        }
        borne
    }
}

impl Backoff {
    /// The wait after so many failures in a row: `first` doubled with each after the first, at most `max`, of which `dice` takes away
    /// between nothing (0) and `jitter_permille` thousandths (`u64::MAX`).
    pub fn wait(&self, failures: u32, dice: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.max);
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        let span = u128::from(nanos) * u128::from(self.jitter_permille.min(1000)) / 1000;
        let taken = span * u128::from(dice) / u128::from(u64::MAX);
        // Not more than `nanos`, so it fits.
        Duration::from_nanos(nanos - taken as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_within_the_window() {
        let intensity = Intensity { max: 3, within: Duration::from_secs(10) };
        // (second of the failure, borne): one that was refused does not count.
        let table = [(0, true), (1, true), (2, true), (3, false), (10, false), (11, true), (11, false), (12, true), (40, true)];
        let mut window = Window::default();
        for (second, borne) in table {
            assert_eq!(window.admit(Time::from_secs(second), &intensity), borne, "at second {second}");
            assert!(window.0.len() <= 3);
        }
        assert!(!Window::default().admit(Time::ZERO, &Intensity { max: 0, within: Duration::from_secs(1) }));
        let mut instant = Window::default();
        let none = Intensity { max: 1, within: Duration::ZERO };
        assert!(instant.admit(Time::ZERO, &none) && !instant.admit(Time::ZERO, &none));
        assert!(instant.admit(Time::from_nanos(1), &none), "a window of no length forgets at once");
    }

    #[test]
    fn the_window_is_bounded() {
        let intensity = Intensity { max: u32::MAX, within: Duration::MAX };
        let mut window = Window::default();
        let borne = (0..MAX_RESTARTS + 5).filter(|_| window.admit(Time::ZERO, &intensity)).count();
        assert_eq!(borne, MAX_RESTARTS as usize);
    }

    #[test]
    fn the_wait_doubles_and_chance_only_shortens_it() {
        let ms = Duration::from_millis;
        let backoff = Backoff { first: ms(100), max: ms(1000), jitter_permille: 250, calm_after: ms(0) };
        // (failures, the longest wait, the shortest)
        let table = [(0, 100, 75), (1, 100, 75), (2, 200, 150), (4, 800, 600), (5, 1000, 750), (u32::MAX, 1000, 750)];
        for (failures, longest, shortest) in table {
            assert_eq!(backoff.wait(failures, 0), ms(longest), "after {failures} failures");
            assert_eq!(backoff.wait(failures, u64::MAX), ms(shortest), "after {failures} failures");
            for dice in [1, 12345, u64::MAX / 3, u64::MAX / 2, u64::MAX - 1] {
                let wait = backoff.wait(failures, dice);
                assert!(ms(shortest) <= wait && wait <= ms(longest), "{wait:?} after {failures} failures with {dice}");
            }
        }
        let middle = backoff.wait(1, u64::MAX / 2);
        assert!(ms(87) < middle && middle < ms(88), "{middle:?}");
    }

    #[test]
    fn odd_choices_do_no_harm() {
        let all = Backoff { first: Duration::MAX, max: Duration::MAX, jitter_permille: u16::MAX, calm_after: Duration::MAX };
        assert_eq!(all.wait(u32::MAX, u64::MAX), Duration::ZERO);
        assert_eq!(all.wait(7, 0), Duration::from_nanos(u64::MAX));
        assert_eq!(Backoff::NONE.wait(9, 9), Duration::ZERO);
    }
}
