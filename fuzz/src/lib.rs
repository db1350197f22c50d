//! The fuzz targets' bodies: what is done with the bytes that a fuzzer, or a corpus, gives.
//!
//! `tests/tests/corpus.rs` includes this file, so that every `cargo test` runs the same bodies over the corpora. So it names no fuzzer.
//! A finding: `cargo +nightly fuzz run frames` writes its bytes to `artifacts/`; copy them into `corpus/`, where they stay as a test.

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// All targets with their bodies, by the name of target and corpus.
pub const TARGETS: &[(&str, Body)] = &[("frames", frames), ("plane", plane)];

/// A lane's bytes, in pieces: the first two bytes (little-endian) say how long each piece is, the rest are the lane.
pub fn frames(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first_chunk::<2>() else { return };
    playhouse_wire::frame::check_any_bytes(bytes, usize::from(u16::from_le_bytes(*cut)));
}

/// Operations on the control plane; the plane says how bytes become operations.
pub fn plane(input: &[u8]) {
    playhouse_plane::check::any_operations(input);
}
