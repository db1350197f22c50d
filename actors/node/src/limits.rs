//! Every bound of this crate.

use std::time::Duration;

/// Asks of one other node that are open here at once, from their receipt until their answers were sent; one more is answered with
/// `Full`.
pub const INBOUND_ASKS: usize = 4096;

/// Bytes of the requests of asks and streams of one other node that are open here at once. Beyond it, one more is answered with `Full`
/// before it is decoded; so there are no more than this and one message.
pub const INBOUND_ASK_BYTES: usize = 64 * 1024 * 1024;

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

/// Bytes of small packets (refusals, cancellations, credit, ends of what was watched) that wait for room in the lanes of one connection.
/// A peer that lets more pile up does not read, and its connection ends.
pub const OUTBOX: usize = 32 * 1024 * 1024;

/// Messages, each to one actor, of which another node is known to take tells as datagrams. At one more, what was known is forgotten and
/// heard of again.
pub const DATAGRAM_ACTORS: usize = 1024;

/// A node says no more often than this what it takes as datagrams: each time, one word about one message.
pub const DATAGRAM_WORDS_EVERY: Duration = Duration::from_millis(10);

/// The shortest [`playhouse_plane::MonitorConfig::beat_every`] that an agent follows.
pub const BEAT_MIN: Duration = Duration::from_millis(10);

/// How often an agent beats in the span of [`playhouse_plane::MonitorConfig::beat_every`], for its beats may be lost. A node is suspect after two such
/// spans: only when seven beats in a row are lost.
pub const BEATS: u32 = 4;

/// How long a node that stops waits for the last answers of its actors to be on their way.
pub const SETTLE_MAX: Duration = Duration::from_millis(500);

/// So often in the time of its lease a node says which names it holds.
pub const KEEPS: u32 = 6;

/// One try to say so takes such a part of the lease at the most.
pub const KEEP_TRIES: u32 = 4;

/// How long one try to claim names, or to keep them, may take before it is made anew.
pub const CLAIM_TRY: Duration = Duration::from_secs(1);

/// How long a claim is tried while no coordinator answers.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(30);

/// How long a node that stops tries to say that its names are free. If it cannot, they are soon.
pub const RELEASE_WITHIN: Duration = Duration::from_millis(300);

/// Slots that the keys of a kind of entities fall into: how finely they are spread over nodes. All nodes of a cluster must have the same.
pub const ENTITY_SLOTS: u32 = 64;

/// Kinds of entities and singletons that one node hosts.
pub const KINDS_HOSTED: usize = 64;

/// Entities of one slot that are active at once. A message to one more waits at its sender.
pub const ACTIVE_MAX: usize = 65_536;

/// How often a host looks whether it has what it should, and who is idle.
pub const REBALANCE_EVERY: Duration = Duration::from_millis(250);

/// How long entities that move may take to handle what they were told. Then they are stopped, and it is waited for their ends.
pub const HAND_OVER_WITHIN: Duration = Duration::from_secs(30);

/// How long one waits for an entity that is to move: its owner may take [`HAND_OVER_WITHIN`].
pub const MOVE_WITHIN: Duration = Duration::from_secs(45);

/// Messages of one node that wait for the owner of one slot; one more is refused as full.
pub const LINE_MAX: usize = 1024;

/// Slots that messages of one node wait for, or that references lead to; at one more, those that nobody needs are forgotten.
pub const LINES_KEPT: usize = 4096;

/// How long a message waits for somebody to own its slot.
pub const ROUTE_PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take until an entity has room for a message.
pub const HOP_DEADLINE: Duration = INBOUND_DEADLINE;

/// Events that wait for the plane.
pub const PLANE_MAILBOX: usize = 8192;

/// Events of nodes and clients that wait to be agreed on; one more is answered with "ask again". Answers to the coordinator's own orders,
/// of which it waits for one a worker and shard, find room beyond it.
pub const QUEUE_MAX: usize = 8192;

/// Events that are agreed on in one batch, at most.
pub const BATCH_MAX: usize = 1024;

/// A leader that could not have something agreed on tries again after so long.
pub const LEAD_AGAIN: Duration = Duration::from_millis(100);

/// Coordinators that a node knows, at most.
pub const COORDINATORS_MAX: usize = 64;

/// How long a node that joins a cluster tries its seeds, and how long one of them may take to answer.
pub const JOIN_WITHIN: Duration = Duration::from_secs(30);
/// See [`JOIN_WITHIN`].
pub const SEED_DEADLINE: Duration = Duration::from_secs(2);

/// The wait before coordinators that do not find each other try again to found their cluster.
pub const FOUND_AGAIN: Duration = Duration::from_millis(200);

/// For so long after the others were asked who a stranger among the coordinators is, they are asked about no stranger.
pub const INQUIRE_AGAIN: Duration = Duration::from_millis(200);

/// How long a new coordinator waits to be taken among the others.
pub const ENROL_WITHIN: Duration = Duration::from_secs(150);

/// What the task log keeps of a text that others chose, in bytes.
pub const TOLD_TEXT_MAX: usize = 1024;

const _: () = assert!(
    3 * TOLD_TEXT_MAX + 4 * playhouse_wire::limits::NAME_MAX < playhouse_store::limits::ANNALS_RECORD_MAX,
    "a record has at most three texts"
);

/// How long a change of the coordinators may take, at the one that leads.
pub const CHANGE_WITHIN: Duration = Duration::from_secs(75);

/// How long the coordinator waits for a node to accept an order (start a worker, run a task, open a shard).
pub const ORDER_DEADLINE: Duration = Duration::from_secs(5);

/// Orders to start a worker that one node has not answered yet; more wait at the coordinator.
pub const STARTS_AT_ONCE: usize = 64;

/// How long a shard may take to apply a batch and make its checkpoint durable.
pub const FEED_DEADLINE: Duration = Duration::from_secs(5);

/// A persistent actor saves its state this often, and after so many messages, unless it is told otherwise.
pub const SAVE_EVERY: Duration = Duration::from_secs(5);
/// See [`SAVE_EVERY`].
pub const SAVE_AFTER: u32 = 1000;

/// Events of a persistent actor from one checkpoint to the next: then one more is refused until a checkpoint succeeds. At half of them one
/// is begun.
pub const EVENTS_PER_CHECKPOINT: u64 = playhouse_store::limits::EVENTS_MAX as u64 / 2;

/// Who waits for one persistent actor to be saved; one more is refused.
pub const SAVES_WAITING: usize = 1024;

/// Tasks whose progress is kept in one folder, those of the newest jobs: what tasks left that nobody runs any more goes beyond it.
pub const TASKS_KEPT: usize = 4096;

/// How long a call waits for a connection to a node, before the next one is asked.
pub const CALL_DIAL: Duration = Duration::from_secs(1);

/// A client asks anew which nodes take calls when what it knows is so old.
pub const PLACES_FRESH: Duration = Duration::from_secs(1);

/// How long it waits for that when it knows some.
pub const PLACES_WITHIN: Duration = Duration::from_millis(500);

/// Nodes that a client calls in turn, and that it is told of at a time. Where there are more, it is told of others each time.
pub const PLACES_MAX: usize = 256;

/// How long a client waits for the answer of one coordinator before it asks again, perhaps another one.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// How long one try to report something to the coordinator may take.
pub const REPORT_DEADLINE: Duration = Duration::from_secs(2);

/// The wait between two tries to report, doubled from the first to the second. Reports are tried as long as their node lives.
pub const REPORT_BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// How long one wait for a job's progress or end may take before it is asked for anew.
pub const WATCH_DEADLINE: Duration = Duration::from_secs(10);

/// Clients that wait for the progress of jobs at one coordinator; one more is answered at once.
pub const WATCHERS: usize = 4096;

/// Questions that wait for a node's inspector; one more is refused.
pub const INSPECT_MAILBOX: usize = 64;

/// Actors that one look at a node goes through, the oldest first.
pub const ACTORS_LOOKED_AT: usize = 10_000;

/// Actors that the answer to one question names.
pub const ACTORS_SHOWN: usize = 256;

/// Kinds of actors that a node counts by their names; all others together are one more.
pub const KINDS: usize = 64;

/// Connections that one look at a node describes.
pub const PEERS_SHOWN: usize = 256;

/// The last dead letters that a watched node keeps, and the characters of each.
pub const LETTERS_SHOWN: usize = 16;
/// See [`LETTERS_SHOWN`].
pub const LETTER_TEXT: usize = 200;

/// After so long without a question, a node does no more for those who watch it: it takes no times and keeps no dead letters.
pub const WATCHED_FOR: Duration = Duration::from_secs(5);

/// The span over which rates are counted, at least.
pub const RATES_OVER: Duration = Duration::from_millis(500);

/// Two looks that are further apart give no rate.
pub const RATES_STALE: Duration = Duration::from_secs(10);

/// Supervisors that the tree of a node shows on top.
pub const TREE_SUPERVISORS: usize = 256;

/// Actors under no supervisor that the tree of a node shows.
pub const TREE_ACTORS: usize = 1000;

/// How long the supervisors of a node may take together to report for its tree.
pub const TREE_WITHIN: Duration = Duration::from_secs(1);

/// The longest text of a tree in an answer, in bytes.
pub const TREE_TEXT: usize = 64 * 1024;

const _: () = assert!(INBOUND_WATCHES * 128 < OUTBOX, "all watches may end at once");
const _: () =
    assert!(DATAGRAM_WORDS_EVERY.as_nanos() > playhouse_net::limits::DATAGRAM_EVERY.as_nanos(), "words leave room for tells");
const _: () = assert!(REPORT_BACKOFF.0.as_nanos() < REPORT_BACKOFF.1.as_nanos());
const _: () = assert!(RATES_OVER.as_nanos() < WATCHED_FOR.as_nanos() && WATCHED_FOR.as_nanos() <= RATES_STALE.as_nanos());
