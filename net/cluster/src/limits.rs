//! Every bound of the agreement.

use std::time::Duration;

/// What of the log's end is kept in memory, in bytes, beyond what is not durable yet.
pub const TAIL_BYTES: usize = 16 * 1024 * 1024;

/// Entries that go to a member in one call.
pub const ENTRIES_PER_CALL: u64 = 256;

/// The longest command, in bytes. A longer one is refused before it is in any log.
pub const COMMAND_MAX: usize = 1024 * 1024;

/// A batch of commands that is longer than this becomes several entries, so that the members' other calls get between them.
pub const PIECE_BYTES: usize = 512 * 1024;

const _: () = assert!(PIECE_BYTES + 1_024 < COMMAND_MAX, "a part of a batch is a command");

/// Bytes of entries that go to a member in one call, unless a single one is longer.
pub const CALL_BYTES: usize = 2 * 1024 * 1024;

/// Commands after which a snapshot is made, unless a profile says otherwise.
pub const SNAPSHOT_EVERY: u64 = 10_000;

/// Bytes of a snapshot in one call.
pub const SNAPSHOT_CHUNK: u64 = 256 * 1024;

/// How long a member may take over a part of a snapshot; with the last one it makes the whole durable.
pub const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(10);

const _: () = assert!(
    COMMAND_MAX + CALL_BYTES + 4_096 < playhouse_wire::limits::PAYLOAD_MAX,
    "what goes to a member in one call is one message"
);

/// A leader that has heard of no majority for so many silences calls the others only so often: whoever hears it, and is not heard, may elect
/// another one in between. One silence would do; a disk that is slow for a moment should depose nobody.
pub const FOLLOWED_WITHIN: u32 = 2;

/// The wait before a member that could not be reached is called again.
pub const RETRY_UNREACHABLE: Duration = Duration::from_millis(100);

/// How many may vote. More only make each command slower: others learn.
pub const VOTERS_MAX: usize = 7;

/// How long a member may take to say what it is, or to take its seat.
pub const ASK_DEADLINE: Duration = Duration::from_secs(1);

/// The wait before it is asked again.
pub const ASK_RETRY: Duration = Duration::from_millis(100);

/// How long the founder of a group waits for those who are to be in it.
pub const FOUND_WAIT: Duration = Duration::from_secs(10);

/// How long a change of the membership may take until a majority has it on its disks.
pub const CHANGE_WAIT: Duration = Duration::from_secs(10);

/// How long a new member may take to catch up with the log.
pub const CATCH_UP_WAIT: Duration = Duration::from_secs(60);

/// How many commands a learner may be behind when it begins to vote.
pub const BEHIND_MAX: u64 = ENTRIES_PER_CALL;

/// How long a member that wants to be let in waits for it.
pub const ENTER_WAIT: Duration = Duration::from_secs(90);

/// The wait of the leader before it tries again to let somebody in.
pub const ADMIT_RETRY: Duration = Duration::from_secs(1);

/// How often it tries.
pub const ADMIT_TRIES: u32 = 30;

/// How many wait to be let in. One more is told to ask again.
pub const WISHES_MAX: usize = 64;

const _: () = assert!(CHANGE_WAIT.as_secs() * 2 + CATCH_UP_WAIT.as_secs() < ENTER_WAIT.as_secs(), "who asks waits for all of it");
