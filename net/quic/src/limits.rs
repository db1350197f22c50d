//! Every bound of this crate: buffers, waits, retries. Those of the wire itself are in [`playhouse_wire::limits`].

use std::time::Duration;

use playhouse_wire::Lane;
use playhouse_wire::limits::{FRAME_HEADER, FRAME_MAX, MESSAGE_MAX};

/// How many lanes, hence streams in each direction, a connection has.
pub const LANES: usize = Lane::ALL.len();

/// How long a TLS handshake and the hellos together may take.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Incoming handshakes under way at once. One more is refused at once, so that its dialler backs off.
pub const HANDSHAKES_MAX: usize = 64;

/// From so many handshakes under way on, a newcomer must first prove its address (a QUIC retry): costs it a round trip and us
/// nothing, and senders of forged addresses cannot fill the places up to [`HANDSHAKES_MAX`].
pub const HANDSHAKES_RETRY: usize = 16;

/// Bytes that QUIC keeps of handshakes which nobody has looked at yet.
pub const HANDSHAKE_BYTES: u64 = 256 * 1024;

/// A connection is given up after so long without a sign of life, unless the configuration says otherwise.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest idle time-out that may be configured; below it, an ordinary pause of the machine ends connections.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// After so long a connection to a later life of a node must be one that lives: a dead one ends by the idle time-out.
pub const OUTLIVED_AFTER: Duration = Duration::from_secs(7);

const _: () = assert!(OUTLIVED_AFTER.as_nanos() > IDLE_TIMEOUT.as_nanos() + BACKOFF_MAX.as_nanos() / 2);

/// The longest idle time-out that may be configured.
pub const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// A silent connection gives so many signs of life per idle time-out: two may be lost.
pub const KEEP_ALIVES: u32 = 3;

/// The first wait before dialling again.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The longest wait before dialling again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A connection that lived so long counts as a success: the next wait is the first one again.
pub const STABLE_AFTER: Duration = Duration::from_secs(2);

/// How long an incoming connection waits for our own dial to the same node, which is preferred, before it is taken instead.
/// Long enough for a dial that loses its first datagrams: see [`INITIAL_RTT`].
pub const SETTLE_MAX: Duration = Duration::from_secs(2);

/// What a round trip is taken to be before it is measured. A lost first datagram is sent again after three of it, then six.
/// QUIC's own 333 ms would make each loss cost a second.
pub const INITIAL_RTT: Duration = Duration::from_millis(100);

/// How long a receiver may still chew on what had arrived when a connection ended; what it has not taken by then is dropped.
pub const DRAIN_MAX: Duration = Duration::from_millis(500);

/// How long a close waits for the peer to confirm what was sent, and then once more for late packets of the peers.
pub const CLOSE_MAX: Duration = Duration::from_secs(1);

/// How long a node that closes repeats its last word for late packets of its peers, beside [`LAST_WORD_ROUNDS`] round trips: as long as
/// three times QUIC's own patience, where a peer may wait 25 ms with an acknowledgement. Never longer than [`CLOSE_MAX`].
pub const LAST_WORD: Duration = Duration::from_millis(100);

/// See [`LAST_WORD`].
pub const LAST_WORD_ROUNDS: u32 = 9;

/// The longest reason that is sent to a peer or kept of one, in bytes: fits into one datagram.
pub const REASON_MAX: usize = 256;

/// So many bytes of queued messages are handed to QUIC at once.
pub const WRITE_MAX: usize = 64 * 1024;

/// Messages up to this length are copied together when queued; longer ones are queued as they are.
pub const COPY_MAX: usize = 4 * 1024;

/// Pieces of a lane (at most a datagram's worth each) that are read at once.
pub const READ_PIECES: usize = 64;

/// The most messages that a receiver is given at once.
pub const BATCH_MAX: usize = 1024;

/// Bytes that a peer may send on one lane before we have read them.
pub const STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// Bytes that a peer may send on all lanes together: a lane that nobody reads cannot use up what the others need.
pub const CONNECTION_WINDOW: u32 = STREAM_WINDOW * LANES as u32;

/// Bytes that QUIC keeps until the peer confirms them. As large as all lanes can have under way, so that a lane full of
/// unconfirmed bytes blocks no other; a quarter more, because a window may move before its confirmation arrives.
pub const SEND_WINDOW: u64 = CONNECTION_WINDOW as u64 + CONNECTION_WINDOW as u64 / 4;

/// What a message takes in a lane's queue beside its own bytes, so that the bound of bytes bounds the messages too.
pub const MESSAGE_WEIGHT: usize = 64;

/// The size of every QUIC packet until the path has shown that it carries more.
pub const MTU_INITIAL: u16 = 1200;

/// The longest datagram, in bytes: fits into every path, whatever its packets' size.
pub const DATAGRAM_MAX: usize = 1024;

/// Bytes of datagrams (each with some 32 of book-keeping) that wait to be sent, or to be read. More, and the oldest are dropped.
pub const DATAGRAM_BUFFER: usize = 16 * 1024;

/// So many datagrams may be sent to a peer at once. A peer that sends more than twice that is refused.
pub const DATAGRAM_BURST: u32 = 1024;

/// After a burst, one datagram more may be sent each such time. A burst lasts for longer than a path can hold datagrams up, so a
/// peer that keeps to this is never refused.
pub const DATAGRAM_EVERY: Duration = Duration::from_millis(4);

/// What a lane's queue holds, in bytes (each message with its [`MESSAGE_WEIGHT`]). A longer message waits until the queue is empty.
pub const fn queue_max(lane: Lane) -> usize {
    match lane {
        Lane::System => 512 * 1024,
        Lane::Control => 2 * 1024 * 1024,
        Lane::Data => 4 * 1024 * 1024,
        Lane::Bulk => 8 * 1024 * 1024,
    }
}

/// No certificate is valid before this moment (2020-01-01): an earlier clock is wrong. Virtual ones start in 2022.
pub const VALID_FROM: Duration = Duration::from_secs(1_577_836_800);

/// How long the certificate of a cluster's own authority is valid: ten years.
pub const AUTHORITY_VALID: Duration = Duration::from_secs(3652 * 24 * 60 * 60);

/// The longest validity of a node's certificate: that of the authority.
pub const IDENTITY_VALID_MAX: Duration = AUTHORITY_VALID;

/// How far a node's clock may run behind the one that its certificate was made by: so much earlier the certificate is valid.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60 * 60);

/// A certificate that is valid no longer than this is worth a warning; see [`crate::Identity::expires_soon`].
pub const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So is one whose remaining time is less than this part of its life.
pub const EXPIRES_SOON_PART: u32 = 10;

/// The most authorities that a node trusts. A rotation needs two.
pub const AUTHORITIES_MAX: usize = 8;

/// The most certificates that are read from one text.
pub const CERTIFICATES_MAX: usize = 64;

/// The longest file that is read as a certificate or a key, in bytes.
pub const PEM_FILE_MAX: u64 = 1024 * 1024;

const _: () = assert!(BACKOFF_MIN.as_nanos() < BACKOFF_MAX.as_nanos());
const _: () = assert!(SETTLE_MAX.as_nanos() < HELLO_TIMEOUT.as_nanos(), "who waits to be settled must not time out meanwhile");
const _: () =
    assert!(SETTLE_MAX.as_nanos() > INITIAL_RTT.as_nanos() * (3 + 6), "a dial may lose two datagrams before it is passed over");
const _: () = assert!(LAST_WORD.as_nanos() < CLOSE_MAX.as_nanos());
const _: () = assert!(HANDSHAKES_RETRY < HANDSHAKES_MAX);
const _: () = assert!(COPY_MAX <= FRAME_MAX, "a copied message is one frame");
const _: () = assert!(MESSAGE_WEIGHT >= FRAME_HEADER);
const _: () = assert!(FRAME_MAX < STREAM_WINDOW as usize, "a frame must fit into a lane's window");
const _: () =
    assert!(DATAGRAM_MAX + 128 <= MTU_INITIAL as usize, "a datagram shares its packet with headers and acknowledgements");
const _: () = assert!(DATAGRAM_MAX * 8 <= DATAGRAM_BUFFER);
const _: () = assert!(DATAGRAM_BURST as u128 * DATAGRAM_EVERY.as_nanos() >= 4_000_000_000, "see `DATAGRAM_EVERY`");
const _: () = assert!(IDLE_TIMEOUT.as_nanos() >= IDLE_TIMEOUT_MIN.as_nanos());
const _: () = assert!(AUTHORITIES_MAX <= CERTIFICATES_MAX);
const _: () = assert!(VALID_FROM.as_nanos() > CLOCK_SKEW_MAX.as_nanos());
const _: () = assert!(MESSAGE_MAX < u32::MAX as usize, "weights are counted in 32 bits");
