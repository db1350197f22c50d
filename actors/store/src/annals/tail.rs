//! The end of annals on the disk, and what is written behind it.

use std::io;
use std::path::{Path, PathBuf};

use playhouse_rt::{Disk, DiskFile};

use super::error::{AnnalsError, Broken};
use super::segment::{HEADER, Header, Link, Records, file, write};
use super::verify::segments;
use super::{Bounds, Record};

pub(super) struct Tail {
    disk: Disk,
    folder: PathBuf,
    bounds: Bounds,
    /// The first record of each segment, oldest first.
    segments: Vec<u64>,
    /// The last whole record that is there, and the value after it.
    last: Option<(u64, Link)>,
    /// Where it ends, in the last segment that is whole up to there; and how long that file is.
    end: u64,
    length: u64,
    /// Segments behind it of which not even the beginning is whole, and how long they are.
    unfinished: Vec<(u64, usize)>,
    /// Whether what is there was compared with what is to be written.
    is_known: bool,
    /// The segment that is written, once one is.
    open: Option<DiskFile>,
    /// It has what is not durable yet.
    dirty: bool,
}

impl Tail {
    /// Looks for the end of what is in `folder`.
    pub(super) fn find(disk: Disk, folder: PathBuf, bounds: Bounds) -> Result<Tail, AnnalsError> {
        crate::store::make_root(&disk, &folder).map_err(|failed| AnnalsError::Disk { file: failed.file, error: failed.error })?;
        let found = segments(&disk, &folder).map_err(|broken| match broken {
            Broken::Disk { file, error } => AnnalsError::Disk { file, error },
            Broken::Record { .. } | Broken::Segment { .. } => {
                AnnalsError::Disk { file: broken.file().to_path_buf(), error: io::Error::other(broken.to_string()) }
            }
        })?;
        let segments = found.iter().map(|(first, _)| *first).collect();
        let mut tail = Tail {
            disk,
            folder,
            bounds,
            segments,
            last: None,
            end: 0,
            length: 0,
            unfinished: Vec::new(),
            is_known: false,
            open: None,
            dirty: false,
        };
        while let Some(first) = tail.segments.last().copied() {
            let bytes = tail.bytes(first)?;
            if let Ok(header) = Header::read(&bytes, first) {
                let mut records = Records::new(&bytes, &header);
                while let Ok(Some(_)) = records.read() {}
                tail.last = Some((records.next - 1, records.link));
                (tail.end, tail.length) = (records.offset as u64, bytes.len() as u64);
                break;
            }
            tail.segments.pop();
            tail.unfinished.push((first, bytes.len()));
        }
        Ok(tail)
    }

    fn bytes(&self, first: u64) -> Result<Vec<u8>, AnnalsError> {
        let file = file(&self.folder, first);
        self.disk.read(&file).map_err(failed(&file))
    }

    /// Writes these, one after the other, unless they are there. All up to the record `durable` was made durable in an earlier life.
    pub(super) fn write(&mut self, records: &[Record], durable: u64) -> Result<(), AnnalsError> {
        let (mut bytes, mut at) = (Vec::new(), self.end);
        for record in records {
            if !std::mem::replace(&mut self.is_known, true) {
                self.agrees(record)?;
                self.tidy(record, durable)?;
                at = self.end;
            }
            let follows = match self.last {
                Some((last, _)) if record.number <= last => continue,
                Some((last, link)) if record.number == last + 1 => {
                    if link != record.before {
                        return Err(AnnalsError::Foreign { file: self.current(), number: record.number });
                    }
                    true
                }
                _ => false,
            };
            if follows && self.open.is_none() {
                let path = self.current();
                self.open = Some(self.disk.open(&path).map_err(failed(&path))?);
            }
            if !follows || at >= self.bounds.segment {
                self.flush(&mut bytes, at)?;
                self.begin(record)?;
                at = self.end;
            }
            let before = bytes.len();
            write(&mut bytes, &record.bytes, &record.after);
            at += (bytes.len() - before) as u64;
            self.last = Some((record.number, record.after));
        }
        self.flush(&mut bytes, at)
    }

    fn flush(&mut self, bytes: &mut Vec<u8>, end: u64) -> Result<(), AnnalsError> {
        if let Some(open) = &self.open
            && !bytes.is_empty()
        {
            self.dirty = true;
            open.write_at(self.end, bytes).map_err(failed(&self.current()))?;
            self.end = end;
            bytes.clear();
        }
        Ok(())
    }

    /// Makes all durable.
    pub(super) fn sync(&mut self) -> Result<(), AnnalsError> {
        if let Some(open) = self.open.as_ref().filter(|_| self.dirty) {
            open.sync().map_err(failed(&self.current()))?;
            self.dirty = false;
        }
        Ok(())
    }

    fn current(&self) -> PathBuf {
        self.segments.last().map_or_else(|| self.folder.clone(), |first| file(&self.folder, *first))
    }

    /// Whether the chain that is there is the one of this record, which is there, too. What was forgotten is not asked.
    fn agrees(&self, record: &Record) -> Result<(), AnnalsError> {
        if self.last.is_none_or(|(last, _)| last < record.number) {
            return Ok(());
        }
        let Some(first) = self.segments.iter().rev().find(|first| **first <= record.number) else { return Ok(()) };
        let bytes = self.bytes(*first)?;
        let Ok(header) = Header::read(&bytes, *first) else { return Ok(()) };
        let mut records = Records::new(&bytes, &header);
        while records.next <= record.number {
            // It is damaged before that. That is found when it is verified.
            let Ok(Some(_)) = records.read() else { return Ok(()) };
        }
        if records.link == record.after {
            return Ok(());
        }
        Err(AnnalsError::Foreign { file: file(&self.folder, *first), number: record.number })
    }

    /// Removes what a power loss has left in part. What was durable and is not whole stays as it is, for those who verify it.
    fn tidy(&mut self, next: &Record, durable: u64) -> Result<(), AnnalsError> {
        let (path, last) = (self.current(), self.last.map_or(0, |(last, _)| last));
        let is_whole = last >= durable;
        if !is_whole {
            let what =
                "the log ends before what this node knows: it was damaged, or the node was given the state alone; there is a gap";
            tracing::warn!(file = %path.display(), last, known = durable, what);
        } else if self.length > self.end {
            let (bytes, next) = (self.length - self.end, next.number);
            tracing::warn!(file = %path.display(), bytes, next, "the log ends within a record; that is cut off");
            let open = self.disk.open(&path).map_err(failed(&path))?;
            open.set_len(self.end).map_err(failed(&path))?;
        }
        for (first, length) in std::mem::take(&mut self.unfinished) {
            if is_whole || length <= HEADER {
                let path = file(&self.folder, first);
                tracing::warn!(file = %path.display(), "a segment of the log was only begun; it is removed");
                self.disk.remove(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// Begins a segment with this record.
    fn begin(&mut self, record: &Record) -> Result<(), AnnalsError> {
        self.sync()?;
        let follows = self.last.map_or(0, |(last, _)| last);
        if follows + 1 < record.number {
            let (from, to) = (follows + 1, record.number - 1);
            tracing::warn!(folder = %self.folder.display(), from, to, "the log has a gap");
        }
        let path = file(&self.folder, record.number);
        let header = Header { first: record.number, follows, before: record.before };
        let open = self.disk.open(&path).map_err(failed(&path))?;
        // A damaged one may have this name.
        open.set_len(0).map_err(failed(&path))?;
        open.write_at(0, &header.to_bytes()).map_err(failed(&path))?;
        open.sync().map_err(failed(&path))?;
        self.disk.sync_dir(&self.folder).map_err(failed(&self.folder))?;
        self.segments.push(record.number);
        (self.open, self.end, self.length) = (Some(open), HEADER as u64, HEADER as u64);
        while self.segments.len() > self.bounds.segments {
            let oldest = file(&self.folder, self.segments[0]);
            self.disk.remove(&oldest).map_err(failed(&oldest))?;
            self.segments.remove(0);
        }
        Ok(())
    }
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> AnnalsError {
    let file = file.to_path_buf();
    move |error| AnnalsError::Disk { file, error }
}
