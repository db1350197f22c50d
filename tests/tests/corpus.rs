//! The fuzz targets' bodies over their corpora, as an ordinary test: what a fuzzer once found stays found.
//!
//! The seeds are made by hand, below. To write them again after a change:
//! `PLAYHOUSE_WRITE_SEEDS=1 cargo test -p playhouse-tests --test corpus`

use std::fs;
use std::path::{Path, PathBuf};

#[expect(unreachable_pub, reason = "the file is a library of its own in fuzz/")]
#[path = "../../fuzz/src/lib.rs"]
mod bodies;

/// A target, a file's name and its bytes.
type Seed = (&'static str, &'static str, Vec<u8>);

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// Every seed that we made by hand. A fuzzer grows from them: each shows it one more turn of the code.
fn seeds() -> Vec<Seed> {
    use playhouse_wire::limits::WIRE_VERSION;
    use playhouse_wire::packet::Hello;
    use playhouse_wire::{CallId, Incarnation, MessageId, NodeName, Packet, Parcel, Priority, RemoteError};

    let cut = |length: u16, lane: &[u8]| [&length.to_le_bytes()[..], lane].concat();
    fn parcel<'a>(to: &'a str, payload: &'a [u8]) -> Parcel<'a> {
        let message = MessageId { id: 300, version: 1 };
        Parcel { to, message, priority: Priority::Normal, trace: None, payload }
    }
    let packets = [
        Packet::Tell(parcel("shard/3", b"hello")),
        Packet::Ask { call: CallId(7), deadline_ms: 250, parcel: parcel("a", b"") },
        Packet::Reply { call: CallId(7), payload: b"world" },
        Packet::Failed { call: CallId(8), error: RemoteError::Gone("it stopped".to_string()) },
    ];
    let mut lane = Vec::new();
    for packet in &packets {
        lane.extend(framed(&packet.encode()));
    }
    // The longest frame with `more`, then a short last one, would be 64 KiB: too large for a seed. A header alone leads there.
    let more = (65_536u32 | 1 << 31).to_le_bytes();
    let mut seeds: Vec<Seed> = vec![
        ("frames", "every-packet-whole", cut(4096, &lane)),
        ("frames", "every-packet-byte-by-byte", cut(1, &lane)),
        ("frames", "every-packet-in-threes", cut(3, &lane)),
        ("frames", "empty-messages", cut(5, &[0; 12])),
        ("frames", "ends-within-a-header", cut(2, &lane[..lane.len().min(3)])),
        ("frames", "ends-within-a-body", cut(7, &lane[..lane.len() - 1])),
        ("frames", "too-long", cut(4, &65_537u32.to_le_bytes())),
        ("frames", "more-follows-a-short-frame", cut(4, &[1, 0, 0, 0x80, 9])),
        ("frames", "a-full-frame-begins", cut(9, &[&more[..], &[7; 40]].concat())),
    ];
    // A hello as `a` of the cluster `demo` expects it from `b` (net/quic/src/check.rs), and some that it must not believe.
    let hello = |version: u16, cluster: &str, node: &str| Hello {
        version,
        cluster: cluster.to_string(),
        node: NodeName::new(node).expect("a name"),
        incarnation: Incarnation(3),
    };
    let said = |hello: Hello| [&[0][..], &framed(&hello.encode().expect("a short hello"))].concat();
    let good = said(hello(WIRE_VERSION, "demo", "b"));
    seeds.extend([
        ("hello", "whole", cut(4096, &good)),
        ("hello", "byte-by-byte-with-a-message-behind", cut(1, &[&good[..], &framed(b"hi")].concat())),
        ("hello", "with-broken-frames-behind", cut(7, &[&good[..], &[255; 9]].concat())),
        ("hello", "another-version", cut(5, &said(hello(700, "demo", "b")))),
        ("hello", "another-cluster", cut(5, &said(hello(WIRE_VERSION, "live", "b")))),
        ("hello", "another-name", cut(5, &said(hello(WIRE_VERSION, "demo", "c")))),
        ("hello", "our-own-name", cut(5, &said(hello(WIRE_VERSION, "demo", "a")))),
        ("hello", "another-lane", cut(2, &[&[2][..], &good[1..]].concat())),
        ("hello", "half", cut(3, &good[..good.len() / 2])),
        ("hello", "empty", cut(3, &[0, 0, 0, 0, 0])),
    ]);
    // A lane reads threes: operation and length.
    let threes = |operations: &[(u8, u16)], times: usize| {
        let bytes = |(operation, length): &(u8, u16)| [&[*operation][..], &length.to_le_bytes()].concat();
        operations.iter().map(bytes).collect::<Vec<_>>().concat().repeat(times)
    };
    let (push, short, long, carry) = (0, 1, 2, 3);
    seeds.extend([
        ("lane", "short-messages", threes(&[(short, 0), (short, 1), (short, 64), (carry, 9)], 20)),
        ("lane", "around-the-copy", threes(&[(push, 4095), (push, 4096), (push, 4097), (carry, 1000)], 5)),
        ("lane", "around-the-frame", threes(&[(push, 65_535), (long, 13_107), (long, 13_108), (carry, 65_535)], 3)),
        ("lane", "several-frames", threes(&[(long, 52_429), (short, 3), (carry, 40_000), (long, 26_214), (carry, 1)], 2)),
        ("lane", "full", threes(&[(long, 59_000), (push, 60_000), (short, 5), (carry, 0), (short, 7)], 4)),
    ]);
    // The plane reads pairs of operation and argument (actors/plane/src/check/mod.rs).
    let pairs = |pairs: &[[u8; 2]], times: usize| pairs.repeat(times).concat();
    let (to_node, to_plane, advance, beat, complete, submit) = (0, 11, 22, 24, 30, 36);
    let work = [[submit, 0], [to_plane, 0], [to_node, 0], [complete, 0], [to_plane, 0]];
    let losses =
        [[submit, 1], [10, 0], [21, 0], [9, 0], [20, 0], [complete, 0], [35, 1], [beat, 0], [beat, 1], [beat, 2], [advance, 60]];
    let crashes =
        [[submit, 2], [to_plane, 0], [to_node, 0], [28, 1], [advance, 200], [beat, 0], [beat, 2], [29, 1], [38, 0], [39, 0]];
    let mixture = (0..600u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    seeds.extend([
        ("plane", "nothing", Vec::new()),
        ("plane", "jobs-that-run", pairs(&work, 20)),
        ("plane", "messages-lost-and-doubled", pairs(&[&work[..], &losses].concat(), 10)),
        ("plane", "nodes-that-crash", pairs(&[&work[..], &crashes].concat(), 10)),
        ("plane", "silence", pairs(&[[submit, 3], [to_plane, 0], [advance, 255]], 30)),
        ("plane", "every-operation", (0..40u8).flat_map(|operation| [operation, operation.wrapping_mul(7)]).collect()),
        ("plane", "mixture", mixture),
    ]);
    seeds
}

/// One frame; written out here, so that the seeds do not follow the writer's mistakes.
fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_le_bytes()[..], message].concat()
}

#[test]
fn the_seeds_are_those_that_this_file_makes() {
    let write = std::env::var_os("PLAYHOUSE_WRITE_SEEDS").is_some();
    for (target, name, bytes) in seeds() {
        let path = folder(target).join(name);
        if write {
            fs::create_dir_all(folder(target)).expect("a folder for the corpus");
            fs::write(&path, &bytes).expect("a seed is written");
        }
        let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(found == bytes, "{} is not what this file makes; see its first lines", path.display());
    }
}

#[test]
fn every_file_of_the_corpora_passes() {
    for (target, body) in bodies::TARGETS {
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder(target)).expect("the target has a corpus").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        assert!(files.len() >= 5, "{target} has {} files only", files.len());
        for file in files {
            let bytes = fs::read(&file).expect("the file can be read");
            if std::panic::catch_unwind(|| body(&bytes)).is_err() {
                panic!("{target} panics at {} (its own message stands above)", file.display());
            }
        }
    }
}
