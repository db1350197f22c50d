//! Arguments that both programs take.

use std::ops::Range;
use std::time::Duration;

/// Seeds, as `0..50`.
pub(crate) fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("it must look like 0..50")?;
    let number =
        |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number of 64 bits; it must look like 0..50"));
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("it is empty".into()) } else { Ok(range) }
}

/// A time, as `90s`, `5m` or `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("it must look like 90s, 5m or 2h".into()),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{digits:?} is no number; it must look like 90s, 5m or 2h"))?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Runs at once: as many as there are cores, if nothing else is wanted.
pub(crate) fn jobs(wanted: Option<usize>) -> usize {
    wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_or_refused_with_what_it_must_look_like() {
        assert_eq!(
            (range("0..50"), duration("90s"), duration("2h")),
            (Ok(0..50), Ok(Duration::from_secs(90)), Ok(Duration::from_secs(7_200)))
        );
        for wrong in ["7", "9..9", "9..1", "a..b", "0..-1"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        for wrong in ["5", "m", "5d", "-5m", "5 m"] {
            assert!(duration(wrong).is_err_and(|error| error.contains("90s")), "{wrong}");
        }
        assert!(jobs(None) > 0 && jobs(Some(0)) == 1);
    }
}
