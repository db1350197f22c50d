//! Moments as people and scripts write them.

use std::fmt;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// A moment (time since the Unix epoch) that shows itself as `2026-11-22T03:05:55Z`, in whole seconds.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(playhouse_net::Utc(Duration::from_secs(1_577_836_800)).to_string(), "2020-01-01T00:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub Duration);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.as_secs() / DAY, self.0.as_secs() % DAY);
        // No year is longer than 366 days, so the guess is never too late.
        let mut year = 1970 + days / 366;
        while self::days(year + 1, 1, 1) <= days {
            year += 1;
        }
        let month = (1..=12).rev().find(|month| self::days(year, *month, 1) <= days).unwrap_or(1);
        let day = 1 + days - self::days(year, month, 1);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The days from 1970-01-01 to a date of the same or a later year.
pub(crate) fn days(year: u64, month: u64, day: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps(year) != leaps(year - 1);
    let leap_day = u64::from(is_leap && month > 2);
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + BEFORE[month as usize - 1] + leap_day + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Utc(Duration::from_secs(seconds)).to_string(), text);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut last = String::new();
        for day in 0..=days(2200, 1, 1) {
            let text = Utc(Duration::from_secs(day * DAY)).to_string();
            assert!(text > last, "{last} {text}");
            let [year, month, date] = [0..4, 5..7, 8..10].map(|part| text[part].parse::<u64>().unwrap());
            assert_eq!(days(year, month, date), day, "{text}");
            last = text;
        }
    }
}
