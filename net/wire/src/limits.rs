//! Every limit of the wire, in one place, with the relations between them checked when compiling.

use core::time::Duration;

/// The version of the wire that this build speaks. A peer with another one is refused with a reason.
pub const WIRE_VERSION: u16 = 1;

/// The longest body of one frame, in bytes. A longer message is cut into several frames of one lane.
pub const FRAME_MAX: usize = 64 * 1024;

/// Bytes that a frame's header takes.
pub const FRAME_HEADER: usize = 4;

/// The longest message of the bulk lane, put together from its frames, in bytes.
pub const MESSAGE_MAX: usize = 64 * 1024 * 1024;

/// The longest message of the system lane, in bytes: stop, death and heartbeat are small, and a peer that has not
/// said its hello yet can make us hold no more than this.
pub const SYSTEM_MESSAGE_MAX: usize = 16 * 1024;

/// Bytes that a message may wrap around its payload (packet kind, actor name, ids).
pub const ENVELOPE_MAX: usize = 512;

/// The longest payload of a message that a caller may send.
pub const PAYLOAD_MAX: usize = MESSAGE_MAX - ENVELOPE_MAX;

/// The longest name of a node or an actor, in bytes.
pub const NAME_MAX: usize = 128;

/// The longest text inside an error that crosses the wire, in bytes; longer ones are cut.
pub const ERROR_TEXT_MAX: usize = 4 * 1024;

/// What a tell weighs beside its payload, in bytes, when credit is counted: so a window of bytes bounds the messages too.
pub const TELL_WEIGHT: usize = 64;

/// Bytes of tells that a node may send to one actor of another node, on one lane, before that actor's mailbox has taken them. While no
/// more than a quarter of it is under way, one message of any length may follow. Granted anew in steps of a quarter at least.
pub const TELL_WINDOW: usize = 1024 * 1024;

/// Bytes of tells that a node may send to all actors of another node together, on both lanes, before their mailboxes have taken them.
/// While it is not reached, one message of any length may follow. Tells that nobody takes then cost the other node no more than this and
/// one message, and no lane must stop for them: the answers on it pass.
pub const TELL_TOTAL: usize = 32 * 1024 * 1024;

/// Actors of another node, on one lane, to which tells may be under way from one node at the same time.
pub const TELL_FLOWS: usize = 4096;

/// Items of one stream that may be under way or wait at the reader's node.
pub const STREAM_ITEMS: u32 = 256;

/// Bytes of one stream that may be under way or wait at the reader's node, each item counted with [`TELL_WEIGHT`]. While no more than a
/// quarter of it is, one item of any length may follow.
pub const STREAM_BYTES: usize = 16 * 1024 * 1024;

/// The longest deadline of an ask. A longer one is shortened to it.
pub const DEADLINE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const _: () = assert!(FRAME_MAX < 1 << 31, "the top bit of a frame's length says that more follows");
const _: () = assert!(FRAME_MAX <= MESSAGE_MAX);
const _: () = assert!(SYSTEM_MESSAGE_MAX <= FRAME_MAX, "a system message is one frame, so nothing can split it");
const _: () = assert!(NAME_MAX + 64 < ENVELOPE_MAX);
const _: () = assert!(ERROR_TEXT_MAX + ENVELOPE_MAX < SYSTEM_MESSAGE_MAX);
const _: () = assert!(TELL_WINDOW < TELL_TOTAL / 4, "one actor must not use up what all have, nor a step of granting it anew");
const _: () = assert!(TELL_WINDOW / TELL_WEIGHT >= 1024, "a window of empty messages fills an ordinary mailbox");
