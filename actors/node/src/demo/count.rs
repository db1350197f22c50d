//! Counts words.
//!
//! A stretch is a run of bytes without ASCII white space; its words are its runs of letters and digits, in lower case. A stretch of
//! more than [`STRETCH_MAX`] bytes is no text that anybody wrote: it is passed over with a note.

use std::io;
use std::path::Path;

use playhouse_plane::WindowResult;
use playhouse_rt::Disk;

use super::scan::plain;
use super::{File, Index, Manifest, Piece, event_key, windows_of};
use crate::TaskCx;

/// The longest stretch of bytes without white space that is looked at.
const STRETCH_MAX: usize = 64 * 1024;

/// A line of at least this length is remarked upon.
const LINE_MAX: u64 = 1024 * 1024;

fn is_space(byte: &u8) -> bool {
    byte.is_ascii_whitespace()
}

/// Adds the words of one stretch.
fn add_words(index: &mut Index, stretch: &[u8]) {
    let text = String::from_utf8_lossy(stretch);
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let lower = word.to_lowercase();
        match index.words.get_mut(&lower) {
            Some(count) => *count += 1,
            None => drop(index.words.insert(lower, 1)),
        }
    }
}

const LONG_STRETCH: &str = "holds more than 64 KiB without white space; that was passed over";
const CHANGED: &str = "became shorter while it was counted";
const LONG_LINE: &str = "holds a line of more than 1 MiB; it was counted";

/// Counts the words of stretches that begin in `pieces`, and brings the events of the files whose first piece is among them.
pub(super) fn count(cx: &mut TaskCx, pieces: &[Piece]) -> Index {
    let mut index = Index::default();
    for piece in pieces {
        let disk = cx.disk().clone();
        if let Err(error) = count_piece(&disk, piece, &mut index) {
            index.notes.add(&piece.path, format!("the file cannot be read: {}", plain(&error)));
        } else if let Some(time) = piece.event {
            index.files += 1;
            cx.emit(time, event_key(&piece.path), piece.bytes);
        }
    }
    index
}

fn count_piece(disk: &Disk, piece: &Piece, index: &mut Index) -> io::Result<()> {
    let path = Path::new(&piece.path);
    // From the byte before, to see whether the piece begins within a stretch, to past its end, to see the end of its last one.
    let before = u64::from(piece.offset > 0);
    let length = (before + piece.length) as usize;
    // Not past the length that was listed: what is appended meanwhile belongs to nobody.
    let listed = (piece.bytes - piece.offset + before) as usize;
    let bytes = disk.read_at(path, piece.offset - before, (length + STRETCH_MAX + 1).min(listed))?;
    if bytes.len() < length {
        index.notes.add(&piece.path, CHANGED);
    }
    let own = length.min(bytes.len());
    let mut at = 0;
    if before == 1 {
        // A stretch that began before belongs to the piece before.
        at = bytes.iter().position(is_space).unwrap_or(bytes.len());
    }
    while at < own {
        if is_space(&bytes[at]) {
            at += 1;
            continue;
        }
        let end = bytes[at..].iter().position(is_space).map_or(bytes.len(), |n| at + n);
        if end - at > STRETCH_MAX {
            index.notes.add(&piece.path, LONG_STRETCH);
        } else {
            add_words(index, &bytes[at..end]);
        }
        at = end;
    }
    if piece.event.is_some() && piece.bytes >= LINE_MAX {
        note_long_line(disk, piece, index)?;
    }
    Ok(())
}

/// Whether a line of a long file is itself long. The first piece looks, for the whole file.
fn note_long_line(disk: &Disk, piece: &Piece, index: &mut Index) -> io::Result<()> {
    let (mut offset, mut line) = (0, 0);
    loop {
        let block = disk.read_at(Path::new(&piece.path), offset, STRETCH_MAX)?;
        for part in block.split_inclusive(|byte| *byte == b'\n') {
            let ends = part.ends_with(b"\n");
            line += part.len() as u64 - u64::from(ends);
            if line > LINE_MAX {
                index.notes.add(&piece.path, LONG_LINE);
                return Ok(());
            }
            if ends {
                line = 0;
            }
        }
        if block.len() < STRETCH_MAX {
            return Ok(());
        }
        offset += block.len() as u64;
    }
}

/// Counts the words of all files one after the other, on the caller's thread, and says which windows their stream must have. Knows
/// nothing of parts, tasks or shards. Blocks.
pub fn serial(disk: &Disk, manifest: &Manifest) -> (Index, Vec<WindowResult>) {
    let mut index = Index::default();
    let mut read: Vec<(usize, &File)> = Vec::new();
    for (n, file) in manifest.files.iter().enumerate() {
        match count_file(disk, file, &mut index) {
            Ok(()) => read.push((n, file)),
            Err(error) => index.notes.add(&file.path, format!("the file cannot be read: {}", plain(&error))),
        }
    }
    index.files = read.len() as u64;
    (index, windows_of(read.into_iter()))
}

fn count_file(disk: &Disk, file: &File, index: &mut Index) -> io::Result<()> {
    const BLOCK: usize = 1024 * 1024;
    let mut stretch: Vec<u8> = Vec::new();
    let (mut offset, mut line, mut long_line) = (0, 0u64, false);
    let mut finish = |stretch: &mut Vec<u8>| {
        if stretch.len() > STRETCH_MAX {
            index.notes.add(&file.path, LONG_STRETCH);
        } else {
            add_words(index, stretch);
        }
        stretch.clear();
    };
    loop {
        let block = disk.read_at(Path::new(&file.path), offset, BLOCK.min((file.bytes - offset) as usize))?;
        for byte in &block {
            line = if *byte == b'\n' { 0 } else { line + 1 };
            long_line |= line > LINE_MAX;
            if is_space(byte) {
                finish(&mut stretch);
            } else if stretch.len() <= STRETCH_MAX {
                // One byte over the bound is kept, to know that it is over.
                stretch.push(*byte);
            }
        }
        offset += block.len() as u64;
        if block.is_empty() || offset >= file.bytes {
            finish(&mut stretch);
            if offset < file.bytes {
                index.notes.add(&file.path, CHANGED);
            }
            if long_line {
                index.notes.add(&file.path, LONG_LINE);
            }
            return Ok(());
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::super::{Plan, scan};
    use super::*;

    /// Counts `content` in parts of every size as tasks do, and compares with the serial count.
    fn check(content: &[u8]) {
        let folder = std::env::temp_dir().join(format!("playhouse-count-{}-{:p}", std::process::id(), content));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("text.md");
        std::fs::write(&path, content).unwrap();
        let disk = playhouse_rt::Host::os().disk().clone();
        let manifest = scan(&disk, &folder).unwrap();
        let (expected, windows) = serial(&disk, &manifest);
        assert_eq!(windows.len(), 1);
        for parts in 1..=12 {
            let plan = Plan { files: manifest.files.clone(), parts, pace_ms: 0 };
            let fence = playhouse_plane::Fence { job: playhouse_plane::JobId(1), task: 0, attempt: 1 };
            let node = crate::NodeName::new("n").unwrap();
            let counted =
                plan.cut().into_iter().map(|part| count(&mut TaskCx::new(fence, node.clone(), disk.clone()), &part.pieces));
            assert_eq!(counted.fold(Index::default(), Index::merge), expected, "in {parts} parts");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn any_cut_counts_the_same() {
        check(b"");
        check(b"one two  three\nfour-five SIX six\t7");
        check("größe GRÖSSE — naïve “quoted” 東京 x\u{0301}".as_bytes());
        check(&[b"ok \xff\xfe broken".as_slice(), &[b'a'; 100], b" end"].concat());
        check(&[b"before ".as_slice(), &[b'z'; STRETCH_MAX], b" after"].concat());
        check(&[b"before ".as_slice(), &[b'z'; STRETCH_MAX + 1], b" after"].concat());
        check(&[b"word ".as_slice(), &b"again ".repeat(200_000)].concat());
        check(&[b'x'; 3 * STRETCH_MAX]);
    }
}
