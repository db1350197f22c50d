//! Reading annals from their beginning, with every link checked.

use std::io;
use std::path::{Path, PathBuf};

use playhouse_rt::{Disk, Kind};

use super::error::Broken;
use super::segment::{Flaw, HEADER, Header, Link, Records, first_of};

/// What was found in annals that are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many files.
    pub segments: usize,
    /// How many records.
    pub records: u64,
    /// The number of the first record that is kept; 0 when there is none.
    pub first: u64,
    /// The number of the last one. Later ones may not be written yet.
    pub last: u64,
    /// The chain's value after it: the same wherever the same was written.
    pub link: Link,
    /// Records that are not here, from and to: the writer was behind, and was given the state without the way to it; or they were lost, and it went
    /// on.
    pub gaps: Vec<(u64, u64)>,
}

/// Something in annals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record, with its number.
    Record(u64, &'a [u8]),
    /// Records that were never written here, from and to.
    Gap(u64, u64),
}

/// How often a segment that somebody writes at the moment is read again.
const AGAIN: u32 = 5;

/// Reads all that is kept in `folder`, oldest first, and checks it: each record and each segment must be what was written, and follow the one
/// before. Blocks. What was cut off from the end as a whole record, or as a whole segment, cannot be missed here: compare [`Found`] with that of
/// another copy.
///
/// # Errors
/// The first thing that is wrong; `see` has seen all before it.
pub fn read(disk: &Disk, folder: &Path, mut see: impl FnMut(Item<'_>)) -> Result<Found, Broken> {
    let mut found = Found::default();
    let mut listed = segments(disk, folder)?;
    for _ in 0..AGAIN {
        // Whoever writes removes the oldest: then it is looked which is the oldest now.
        match listed.first() {
            Some((_, file)) if disk.read_at(file, 0, 1).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {
                listed = segments(disk, folder)?;
            }
            _ => break,
        }
    }
    let last = listed.last().map(|(first, _)| *first);
    for (first, file) in listed {
        let bytes = match read_whole(disk, &file, first) {
            // Removed while those before it were read: there are newer ones in its place, of which nothing can be said yet.
            Err(Broken::Disk { error, .. }) if error.kind() == io::ErrorKind::NotFound && found.segments == 0 => continue,
            read => read?,
        };
        if Some(first) == last && bytes.is_empty() && found.segments > 0 {
            // Made, and no more: whoever did lost its power then, or is at it.
            break;
        }
        let broken = |what| Broken::Segment { file: file.clone(), what };
        let header = Header::read(&bytes, first).map_err(broken)?;
        if found.segments > 0 && header.follows != found.last {
            let (last, follows) = (found.last, header.follows);
            return Err(broken(format!(
                "the segments before it end with record {last}, and it was written after record {follows}: one of them is missing, or was cut off"
            )));
        }
        let gap = (header.follows + 1, header.first - 1);
        if gap.0 <= gap.1 {
            see(Item::Gap(gap.0, gap.1));
            found.gaps.push(gap);
        } else if found.segments > 0 && header.before != found.link {
            return Err(broken("it does not continue the chain of the segment before it".into()));
        }
        let mut records = Records::new(&bytes, &header);
        loop {
            match records.read() {
                Ok(Some((number, record))) => see(Item::Record(number, record)),
                Ok(None) => break,
                Err(Flaw { number, offset, what, .. }) => return Err(Broken::Record { file, number, offset, what }),
            }
        }
        found.first = if found.segments == 0 { header.first } else { found.first };
        found.segments += 1;
        found.records += records.next - header.first;
        (found.last, found.link) = (records.next - 1, records.link);
    }
    Ok(found)
}

/// The segments in a folder, oldest first.
pub(super) fn segments(disk: &Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>, Broken> {
    let entries = disk.list(folder).map_err(|error| Broken::Disk { file: folder.to_path_buf(), error })?;
    let mut segments = Vec::new();
    for entry in entries {
        let file = folder.join(&entry.name);
        match (first_of(&entry.name), entry.kind) {
            (None, _) => {}
            (Some(Ok(first)), Kind::File(_)) => segments.push((first, file)),
            (Some(_), _) => return Err(Broken::Segment { file, what: "it is no segment of annals".into() }),
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// A segment's bytes. One that ends within a record is read again as long as it grows: somebody writes it.
fn read_whole(disk: &Disk, file: &Path, first: u64) -> Result<Vec<u8>, Broken> {
    let read = || disk.read(file).map_err(|error: io::Error| Broken::Disk { file: file.to_path_buf(), error });
    let mut bytes = read()?;
    for _ in 0..AGAIN {
        if !is_cut(&bytes, first) {
            break;
        }
        let before = std::mem::replace(&mut bytes, read()?);
        if before == bytes {
            break;
        }
    }
    Ok(bytes)
}

fn is_cut(bytes: &[u8], first: u64) -> bool {
    let Ok(header) = Header::read(bytes, first) else { return bytes.len() < HEADER };
    let mut records = Records::new(bytes, &header);
    loop {
        match records.read() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(flaw) => return flaw.is_cut,
        }
    }
}
