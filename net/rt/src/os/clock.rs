//! The operating system's wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug, Default)]
pub(crate) struct WallClock(());

impl WallClock {
    pub(crate) fn read(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
