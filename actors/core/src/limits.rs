//! Every bound of this crate.

use std::time::Duration;

/// Messages that a mailbox holds unless its actor was given another bound.
pub const MAILBOX: usize = 1024;

/// Messages that an actor handles before it lets others of its thread run. Below the 128 steps that tokio grants a task before all its
/// timers and channels seem to have nothing.
pub const BUDGET: u32 = 64;

/// How long an ask waits unless it is given another deadline.
pub const ASK_DEADLINE: Duration = Duration::from_secs(5);

/// The pauses of [`crate::Ref::ask_when_ready`] between two questions to another node's actor that is full: doubled from the first to the
/// second.
pub const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Bytes of the buffer that a thread keeps for encoding its next message.
pub const SCRATCH_MAX: usize = 16 * 1024;

/// Items of a stream that may wait for their receiver before the producer does.
pub const STREAM_WINDOW: usize = 16;

/// Dead letters that wait for one listener; further ones are counted and not kept.
pub const DEAD_LETTERS: usize = 1024;

/// Threads for work that blocks, in one system, unless it is given another number. Further work waits for its turn.
pub const BLOCKING: usize = 16;

/// Actors without a name of their own that other nodes can reach because a reference to them was sent, together with all others that
/// they can reach. One more cannot be sent.
pub const DOORS: usize = 65_536;

/// Members of one group, and subscribers of one topic.
pub const MEMBERS: usize = 65_536;

/// How long an actor that did not end in time is waited for once more, after it was cut off.
pub const ABORT_GRACE: Duration = Duration::from_millis(100);
