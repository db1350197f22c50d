//! Every bound of this crate.

use std::time::Duration;

/// Messages that a mailbox holds unless its actor was given another bound; the next one is refused with `Full`.
pub const MAILBOX: usize = 1024;

/// Messages that an actor handles before it lets others of its thread run. Below the 128 steps that tokio grants a task before all its
/// timers and channels seem to have nothing.
pub const BUDGET: u32 = 64;

/// How long an ask waits unless it is given another deadline.
pub const ASK_DEADLINE: Duration = Duration::from_secs(5);
