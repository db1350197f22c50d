//! Wall clocks that are wrong: ahead or behind, too fast or too slow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A host's wall clock. Right, until it is told to be wrong; all clones are the same clock. What measures durations
/// ([`crate::now`], timers) is not touched by it.
#[derive(Clone, Debug, Default)]
pub struct WallClock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How far it was ahead, in nanoseconds, when the drift last changed...
    ahead: i128,
    /// ...which was at this virtual time.
    since: Duration,
    /// Microseconds that it gains in a second.
    drift_ppm: i64,
    wrong_reads: u64,
}

impl State {
    fn ahead(&self) -> i128 {
        let passed = super::elapsed().saturating_sub(self.since).as_nanos();
        self.ahead + i128::try_from(passed).unwrap_or(i128::MAX / 2_000_000) * i128::from(self.drift_ppm) / 1_000_000
    }

    fn settle(&mut self) {
        self.ahead = self.ahead();
        self.since = super::elapsed();
    }
}

impl WallClock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it shows: time since the Unix epoch, never before that.
    pub fn read(&self) -> Duration {
        let mut state = self.state();
        let ahead = state.ahead();
        let right = super::wall_clock();
        if ahead == 0 {
            return right;
        }
        state.wrong_reads += 1;
        let by = Duration::from_nanos(u64::try_from(ahead.unsigned_abs()).unwrap_or(u64::MAX));
        if ahead > 0 { right.saturating_add(by) } else { right.saturating_sub(by) }
    }

    /// Sets it forward, or back when `micros` is negative.
    pub fn jump(&self, micros: i64) {
        let mut state = self.state();
        state.settle();
        state.ahead += i128::from(micros) * 1_000;
    }

    /// From now on it gains `ppm` microseconds in each second, or loses them when `ppm` is negative. 0: it keeps time again, and stays as
    /// far ahead as it is.
    pub fn drift(&self, ppm: i64) {
        let mut state = self.state();
        state.settle();
        state.drift_ppm = ppm.max(-1_000_000);
    }

    /// It is right again, at once.
    pub fn restore(&self) {
        let mut state = self.state();
        *state = State { wrong_reads: state.wrong_reads, ..State::default() };
    }

    /// Whether it shows the right time, and goes on to.
    pub fn is_right(&self) -> bool {
        let state = self.state();
        state.ahead() == 0 && state.drift_ppm == 0
    }

    /// How far it is ahead, in microseconds; negative when it is behind.
    pub fn ahead_micros(&self) -> i64 {
        i64::try_from(self.state().ahead() / 1_000).unwrap_or(i64::MAX)
    }

    /// How often it was read while it was wrong.
    pub fn wrong_reads(&self) -> u64 {
        self.state().wrong_reads
    }
}
