//! Every bound of supervision.

use std::time::Duration;

/// Children that one supervisor may have; one more is refused.
pub const MAX_CHILDREN: usize = 100_000;

/// Restarts that a supervisor remembers: a higher [`Intensity::max`](super::Intensity::max) counts as this.
pub const MAX_RESTARTS: u32 = 10_000;

/// How many of a child's last ends are kept for reports.
pub const LAST_ENDS: usize = 8;

/// Bytes of a failure's text that are kept; the rest is cut off.
pub const FAILURE_TEXT: usize = 512;

/// How long a child may take to stop, unless it was given another deadline.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// After so long a life, a child's next failure counts as its first again, unless the supervisor was given another time.
pub const CALM_AFTER: Duration = Duration::from_secs(10);
