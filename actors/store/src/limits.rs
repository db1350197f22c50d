//! Every bound of the store, with the relations between them checked when compiling.

use std::time::Duration;

use playhouse_wire::limits::PAYLOAD_MAX;

/// The longest value of a checkpoint, in bytes: what one message can carry, so that a checkpoint can follow its actor to another node.
pub const VALUE_MAX: usize = PAYLOAD_MAX;

/// The longest key, in bytes.
pub const KEY_MAX: usize = 120;

/// How many versions of a key are kept, the newest among them.
pub const KEEP: usize = 3;

/// How many checkpoints of a persistent actor are kept.
pub const KEEP_PERSISTENT: usize = 10;

/// Events of a key that are kept at most: who appends saves a checkpoint before.
pub const EVENTS_MAX: usize = 4096;

/// How often a claim is tried while others claim the same key.
pub const CLAIM_TRIES: u32 = 8;

/// How often one of those who claim the same key looks whether another one has it, before it tries again.
pub const CLAIM_LOOKS: u32 = 4;

/// How many keys can be worked on at once by one store; see [`crate::Store`] on concurrency.
pub const STRIPES: usize = 64;

/// The longest entry of a journal, in bytes: what one message can carry, since entries travel between nodes.
pub const JOURNAL_ENTRY_MAX: usize = PAYLOAD_MAX;

/// What may wait for its commit in a journal, in bytes. More waits for room.
pub const JOURNAL_QUEUE: usize = 64 * 1024 * 1024;

/// What goes into one commit of a journal, in bytes, unless a single batch is longer. More goes into the next one.
pub const JOURNAL_COMMIT_MAX: usize = 8 * 1024 * 1024;

/// What a journal keeps of its file in memory, in bytes.
pub const JOURNAL_CACHE: usize = 16 * 1024 * 1024;

/// The longest record of annals, in bytes.
pub const ANNALS_RECORD_MAX: usize = 64 * 1024;

/// The length after which a segment of annals is followed by another one, in bytes.
pub const ANNALS_SEGMENT: u64 = 4 * 1024 * 1024;

/// How many segments of annals are kept.
pub const ANNALS_SEGMENTS: usize = 64;

/// What may wait to be written to annals, in bytes, before their writer is made to wait.
pub const ANNALS_QUEUE: usize = 4 * 1024 * 1024;

/// How long a journal's opener waits for the one before it, which may be about to end, to let the file go.
pub const JOURNAL_CLAIM_WAIT: Duration = Duration::from_secs(2);

/// How often it tries meanwhile.
pub const JOURNAL_CLAIM_RETRY: Duration = Duration::from_millis(20);

/// The longest name of a folder or file on the file systems we know, in bytes.
const FILE_NAME_MAX: usize = 255;

const _: () = assert!(KEY_MAX * 2 <= FILE_NAME_MAX, "each character of a key takes at most two in its folder's name");
const _: () = assert!(KEY_MAX <= u16::MAX as usize, "a record gives a key's length in two bytes");
const _: () = assert!(ANNALS_SEGMENTS >= 2, "the one that is written, and one before it");
const _: () = assert!(KEEP >= 2, "a damaged newest version must leave one to fall back to");
const _: () = assert!(STRIPES > 0);
const _: () = assert!(JOURNAL_ENTRY_MAX <= JOURNAL_QUEUE && JOURNAL_COMMIT_MAX <= JOURNAL_QUEUE, "each batch finds room");
const _: () = assert!(JOURNAL_QUEUE <= u32::MAX as usize, "room is counted in 32 bits");
