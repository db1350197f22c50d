//! Every bound of this crate.

use std::time::Duration;

/// Messages that a mailbox holds unless its actor was given another bound; the next one is refused with `Full`.
pub const MAILBOX: usize = 1024;

/// Messages that an actor handles before it lets others of its thread run.
pub const BUDGET: u32 = 128;

/// How long an ask waits unless it is given another deadline.
pub const ASK_DEADLINE: Duration = Duration::from_secs(5);
