//! Every bound of the agreement.

use std::time::Duration;

/// What of the log's end is kept in memory, in bytes, beyond what is not durable yet.
pub const TAIL_BYTES: usize = 16 * 1024 * 1024;

/// Entries that go to a member in one call.
pub const ENTRIES_PER_CALL: u64 = 256;

/// Commands after which a snapshot is made.
pub const SNAPSHOT_EVERY: u64 = 10_000;

/// Entries before a snapshot that are kept, for members that are a little behind.
pub const KEEP_BEHIND: u64 = 1_000;

/// Bytes of a snapshot in one call.
pub const SNAPSHOT_CHUNK: u64 = 1024 * 1024;

/// The wait before a member that could not be reached is called again.
pub const RETRY_UNREACHABLE: Duration = Duration::from_millis(100);
