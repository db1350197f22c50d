//! Every bound of this crate.

use std::time::Duration;

/// Asks of one other node that are open here at once, from their receipt until their answers were sent; one more is answered with
/// `Full`.
pub const INBOUND_ASKS: usize = 4096;

/// The longest deadline that an ask of another node gets here; a longer one is shortened to it.
pub const INBOUND_DEADLINE: Duration = Duration::from_secs(60);

/// Asks to other nodes that one node has open at once; one more is refused with `Full`.
pub const OUTBOUND_ASKS: usize = 65_536;

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

const _: () = assert!(REPORT_BACKOFF.0.as_nanos() < REPORT_BACKOFF.1.as_nanos());
