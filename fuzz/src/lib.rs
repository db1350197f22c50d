//! The fuzz targets' bodies: what is done with the bytes that a fuzzer, or a corpus, gives.
//!
//! `tests/tests/corpus.rs` includes this file, so that every `cargo test` runs the same bodies over the corpora. So it names no fuzzer.
//! A finding: `cargo +nightly fuzz run frames` writes its bytes to `artifacts/`; copy them into `corpus/`, where they stay as a test.

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// All targets with their bodies, by the name of target and corpus.
pub const TARGETS: &[(&str, Body)] = &[("frames", frames), ("hello", hello), ("lane", lane), ("plane", plane)];

/// A lane's bytes, in pieces: the first two bytes (little-endian) say how long each piece is, the rest are the lane.
pub fn frames(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first_chunk::<2>() else { return };
    playhouse_wire::frame::check_any_bytes(bytes, usize::from(u16::from_le_bytes(*cut)));
}

/// The first words of a peer, cut as in [`frames`].
pub fn hello(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first_chunk::<2>() else { return };
    playhouse_net::check::any_first_words(bytes, usize::from(u16::from_le_bytes(*cut)));
}

/// Messages through a lane's queue, its frames and what puts them together again; the network says how bytes become messages.
pub fn lane(input: &[u8]) {
    playhouse_net::check::any_messages(input);
}

/// Operations on the control plane; the plane says how bytes become operations.
pub fn plane(input: &[u8]) {
    playhouse_plane::check::any_operations(input);
}
