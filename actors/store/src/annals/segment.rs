//! A segment of annals as bytes. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 2 | [`FORMAT`] |
//! | 6 | zero |
//! | 8 | the number of its first record |
//! | 8 | the number of the last record before it that is kept here: one less, unless there is a gap |
//! | 32 | the chain's value before its first record |
//! | 32 | SHA-256 of everything before |
//! | … | the records: four bytes of length, the bytes, the chain's value after it |

use std::fmt;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use crate::limits::ANNALS_RECORD_MAX;

/// The first bytes of every segment.
const MAGIC: [u8; 8] = *b"PLAYANNL";

/// The version of this layout. A build reads its own version only and says so of others.
const FORMAT: u16 = 1;

pub(super) const HEADER: usize = 8 + 2 + 6 + 8 + 8 + 32 + 32;

/// What the name of a segment ends with.
const SUFFIX: &str = ".log";

/// The chain's value at some record: SHA-256 over the value before it and the record. It stands for all that came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Link([u8; 32]);

impl Link {
    /// Before the first record.
    pub const ROOT: Link = Link([0; 32]);

    /// The value after one more record.
    #[must_use]
    pub fn after(&self, record: &[u8]) -> Link {
        digest(&[&self.0, &length(record), record])
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// SHA-256 over these, one after the other.
pub fn digest(parts: &[&[u8]]) -> Link {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut link = [0; 32];
    link.copy_from_slice(context.finish().as_ref());
    Link(link)
}

fn length(record: &[u8]) -> [u8; 4] {
    (record.len() as u32).to_le_bytes()
}

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The number of its first record.
    pub(super) first: u64,
    /// The number of the last record before it that is kept here.
    pub(super) follows: u64,
    /// The chain's value before its first record.
    pub(super) before: Link,
}

impl Header {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.follows.to_le_bytes());
        bytes.extend_from_slice(&self.before.0);
        let seal = digest(&[&bytes]);
        bytes.extend_from_slice(&seal.0);
        bytes
    }

    /// Reads the header of the segment with this name.
    pub(super) fn read(bytes: &[u8], first: u64) -> Result<Header, String> {
        let Some((content, seal)) = bytes.get(..HEADER).and_then(|header| header.split_at_checked(HEADER - 32)) else {
            return Err(format!("it ends within its first {HEADER} bytes"));
        };
        if content[..8] != MAGIC {
            return Err("it is no segment of annals".into());
        }
        let format = u16::from_le_bytes([content[8], content[9]]);
        if digest(&[content]).0 != seal {
            return Err("its first bytes were changed".into());
        }
        if format != FORMAT {
            return Err(format!("it has format {format}, which this build does not read"));
        }
        let number = |at: usize| content[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mut before = Link::ROOT;
        before.0.copy_from_slice(&content[32..]);
        let header = Header { first: number(16), follows: number(24), before };
        if header.first != first {
            return Err(format!(
                "it begins with record {}, and has the name of one that begins with record {first}",
                header.first
            ));
        }
        if header.follows >= header.first {
            return Err(format!("it says that record {} comes before record {}", header.follows, header.first));
        }
        Ok(header)
    }
}

/// Appends a record to the bytes of a segment.
pub(super) fn write(bytes: &mut Vec<u8>, record: &[u8], after: &Link) {
    bytes.extend_from_slice(&length(record));
    bytes.extend_from_slice(record);
    bytes.extend_from_slice(&after.0);
}

/// The first thing in a segment that is not as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) number: u64,
    pub(super) offset: u64,
    pub(super) what: String,
    /// The file ends too early; all before is whole.
    pub(super) is_cut: bool,
}

/// The records of a segment, one after the other, each checked.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    pub(super) offset: usize,
    pub(super) next: u64,
    /// The chain's value before the next record.
    pub(super) link: Link,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8], header: &Header) -> Records<'a> {
        Records { bytes, offset: HEADER, next: header.first, link: header.before }
    }

    /// The next record; `None` at the end.
    pub(super) fn read(&mut self) -> Result<Option<(u64, &'a [u8])>, Flaw> {
        let rest = &self.bytes[self.offset..];
        if rest.is_empty() {
            return Ok(None);
        }
        let flaw = |is_cut, what: &str| Flaw { number: self.next, offset: self.offset as u64, what: what.into(), is_cut };
        let cut = || flaw(true, "the file ends within it");
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > ANNALS_RECORD_MAX {
            return Err(flaw(false, "it is longer than any record: its length was changed"));
        }
        let (record, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let stored = rest.first_chunk::<32>().ok_or_else(cut)?;
        let after = self.link.after(record);
        if after.0 != *stored {
            return Err(flaw(false, "its bytes, or its link, are not what was written"));
        }
        let number = self.next;
        (self.link, self.next, self.offset) = (after, number + 1, self.offset + 4 + length + 32);
        Ok(Some((number, record)))
    }
}

/// The name of the segment whose first record has this number.
pub(super) fn file(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// The number of the first record of the segment with this name; `None`: it is no segment. `Err`: it should be one.
pub(super) fn first_of(name: &std::ffi::OsStr) -> Option<Result<u64, ()>> {
    let stem = name.to_str()?.strip_suffix(SUFFIX)?;
    let first = stem.parse().ok().filter(|first| *first > 0 && format!("{first:020}") == stem);
    Some(first.ok_or(()))
}
