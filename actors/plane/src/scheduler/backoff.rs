//! How long a failed task waits.

use core::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX};

/// The wait after so many failures: 100 ms after the first, doubling, at most 5 s.
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::backoff;

    #[test]
    fn the_wait_doubles_up_to_five_seconds() {
        let table = [(0, 100), (1, 100), (2, 200), (3, 400), (6, 3200), (7, 5000), (8, 5000), (u32::MAX, 5000)];
        for (failures, millis) in table {
            assert_eq!(backoff(failures).as_millis(), millis, "after {failures} failures");
        }
    }
}
