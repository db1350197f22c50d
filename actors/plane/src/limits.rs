//! Every bound of the plane, what happens at it, and the relations between them.

use core::time::Duration;

/// Jobs that are not finished. One more is refused.
pub const JOBS_MAX: usize = 4_096;
/// Finished jobs that are kept for questions. The oldest is forgotten.
pub const FINISHED_MAX: usize = 64;
/// Idempotency keys that are remembered, also after their job is forgotten. The oldest is forgotten, so the same key submitted
/// after that many other jobs is a new job.
pub const KEYS_MAX: usize = 16_384;
/// Tasks of one job. A larger job is refused.
pub const TASKS_MAX: usize = 131_072;
/// Inputs of all tasks of one job. A job with more is refused.
pub const INPUTS_MAX: usize = 1 << 20;
/// Values that one task may put out. A task with more is refused.
pub const OUTPUTS_MAX: u32 = 1_024;
/// Bytes of literals of one job. A job with more is refused.
pub const LITERALS_MAX: usize = 32 << 20;
/// Bytes of a function's or a client's name. A longer one is refused.
pub const TEXT_MAX: usize = 256;
/// Bytes of values of one job that are kept at once. The job fails when it wants more.
pub const VALUES_MAX: usize = 1 << 30;
/// Bytes of inputs of one dispatch, so that it fits into a message. A task that needs more fails.
pub const DISPATCH_MAX: usize = playhouse_wire::limits::PAYLOAD_MAX - (1 << 20);
/// Bytes of a failure's text; longer ones are cut.
pub const REASON_MAX: usize = 1_024;

/// How often a task may be lost (its worker died, its dispatch was not delivered) before it fails.
pub const LOST_MAX: u32 = 20;
/// The wait after the first failure of a task; it doubles with each.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest wait after a failure.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// The wait of a task whose events found no room in a replay buffer. It counts as a retry, not as a failure.
pub const NO_ROOM_WAIT: Duration = Duration::from_secs(1);

/// Names that are owned in the whole cluster. One more is refused.
pub const NAMES_MAX: usize = 65_536;
/// Names that one node owns. One more is refused.
pub const NAMES_PER_NODE_MAX: usize = 4_096;
/// Nodes that are known, lost ones among them. The lost one that was silent for longest is forgotten; a new node is ignored when
/// none is lost.
pub const NODES_MAX: usize = 16_384;
/// Workers of one node, whatever it says its capacity is.
pub const WORKERS_PER_NODE_MAX: u32 = 1_024;
/// Successive heartbeats that must miss a task or a worker before it counts as gone: one may have crossed a message.
pub const MISSES_MAX: u8 = 2;

/// Shards of one stream. A stream with more is refused.
pub const SHARDS_MAX: u32 = 1_024;
/// Events in one feed.
pub const FEED_BATCH: usize = 256;
/// Events that one task may bring. More are a failure of its function.
pub const EVENTS_PER_TASK_MAX: usize = 10_000;
/// Bytes of an event's key. A longer one is a failure of the function.
pub const KEY_MAX: usize = 1_024;
/// Events that one shard keeps for replay. A result that does not fit is not accepted: its task runs again later.
pub const REPLAY_MAX: usize = 100_000;
/// Above this, no task that brings events is dispatched for the job.
pub const REPLAY_HIGH: usize = REPLAY_MAX / 2;
/// Closed windows of one job. The job fails when there are more.
pub const WINDOWS_MAX: usize = 1_000_000;
/// Open windows of one shard. A feed that would open more is refused.
pub const OPEN_MAX: usize = 1_000_000;
/// Closed windows in one reply; the rest come with the next.
pub const CLOSED_BATCH: usize = 1_024;
/// Events after which a shard wants a checkpoint.
pub const CHECKPOINT_EVERY: u64 = 16;
/// The wait before a shard that failed is opened again.
pub const SHARD_RETRY: Duration = Duration::from_millis(200);
/// How long an open or a feed may stay without an answer before it counts as failed.
pub const SHARD_TIMEOUT: Duration = Duration::from_secs(5);
/// Failures of one shard in succession, without any progress between them. The job fails at it.
pub const SHARD_FAILURES_MAX: u32 = 1_000;

const _: () = assert!(REPLAY_HIGH + EVENTS_PER_TASK_MAX < REPLAY_MAX, "an unpaused task must find room when it runs alone");
const _: () = assert!(FEED_BATCH * (KEY_MAX + 32) < playhouse_wire::limits::PAYLOAD_MAX, "a feed fits into a message");
const _: () = assert!(CLOSED_BATCH * (KEY_MAX + 64) < playhouse_wire::limits::PAYLOAD_MAX, "a reply fits into a message");
const _: () = assert!(LITERALS_MAX < DISPATCH_MAX, "literals alone never make a task undeliverable");
