//! Every bound of this crate.

use std::time::Duration;

/// Asks of one other node that are open here at once, from their receipt until their answers were sent; one more is answered with
/// `Full`.
pub const INBOUND_ASKS: usize = 4096;

/// The longest deadline that an ask of another node gets here; a longer one is shortened to it.
pub const INBOUND_DEADLINE: Duration = Duration::from_secs(60);

/// Asks that one node has open at another one; one more is refused with `Full`.
pub const OUTBOUND_ASKS: usize = 65_536;

/// Streams that one node reads from another one at once; one more is refused with `Full`. Each may hold
/// [`playhouse_wire::limits::STREAM_BYTES`], if its reader is slow.
pub const OUTBOUND_STREAMS: usize = 256;

/// Streams that one other node reads from this one at once. Some more than it may open: one that it gave up ends a little later here.
pub const INBOUND_STREAMS: usize = 2 * OUTBOUND_STREAMS;

/// Actors of another node that are watched or linked from here; one more is answered with [`crate::Exit::NodeLost`] at once.
pub const OUTBOUND_WATCHES: usize = 65_536;

/// Actors of this node that one other node watches or links to. Some more than it may, as with [`INBOUND_STREAMS`].
pub const INBOUND_WATCHES: usize = 2 * OUTBOUND_WATCHES;

/// Bytes of tells of one other node that wait for room in mailboxes here. Beyond it, the lane that brought them is not read on. Each
/// actor's share is bounded by [`playhouse_wire::limits::TELL_WINDOW`].
pub const INBOUND_WAITING: usize = 32 * 1024 * 1024;

/// Bytes of small packets (refusals, cancellations, credit, ends of what was watched) that wait for room in a lane. A peer that lets more
/// pile up does not read, and its connection ends.
pub const OUTBOX: usize = 32 * 1024 * 1024;

/// How long a node that stops waits for the last answers of its actors to be on their way.
pub const SETTLE_MAX: Duration = Duration::from_millis(500);

/// Events that wait for the plane.
pub const PLANE_MAILBOX: usize = 8192;

/// How long the coordinator waits for a node to accept an order (start a worker, run a task, open a shard).
pub const ORDER_DEADLINE: Duration = Duration::from_secs(5);

/// How long a shard may take to apply a batch and make its checkpoint durable.
pub const FEED_DEADLINE: Duration = Duration::from_secs(5);

/// How long one try to report something to the coordinator may take.
pub const REPORT_DEADLINE: Duration = Duration::from_secs(2);

/// The wait between two tries to report, doubled from the first to the second. Reports are tried as long as their node lives.
pub const REPORT_BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long one wait for a job's progress or end may take before it is asked for anew.
pub const WATCH_DEADLINE: Duration = Duration::from_secs(10);

/// Clients that wait for the progress of jobs at one coordinator; one more is answered at once.
pub const WATCHERS: usize = 4096;

const _: () = assert!(INBOUND_WATCHES * 128 < OUTBOX, "all watches may end at once");
const _: () = assert!(INBOUND_WAITING > playhouse_wire::limits::TELL_WINDOW);
const _: () = assert!(REPORT_BACKOFF.0.as_nanos() < REPORT_BACKOFF.1.as_nanos());
