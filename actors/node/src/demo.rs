//! The job that `playhouse demo` and the simulator run: an index of the words below a folder, and at the same time a stream of the
//! files that were counted.
//!
//! `split` cuts the list of files into parts, many `count` tasks read them, a tree of `merge` tasks adds the counts up, `top` picks
//! the most frequent words. Each file is an event (key: its extension, value: its bytes, time: its place in the list, 20 ms apart) in
//! a stream with windows of one second. [`serial`] finds the same by reading one file after the other: what the cluster is checked
//! against.

mod count;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use playhouse_plane::WindowResult;
use playhouse_wire::{EncodeError, Time};
use serde::{Deserialize, Serialize};

pub use count::serial;
pub use scan::{ScanError, scan};

use crate::{Function, Job, TaskCx, TaskError, Tasks, Value};

/// The time between two files in the stream.
const SPACING: Duration = Duration::from_millis(20);

/// The length of the stream's windows.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Shards of the stream.
const SHARDS: u32 = 4;

/// How many counts one `merge` adds up.
const FAN_IN: usize = 8;

/// Words that `top` picks.
const TOP: usize = 10;

/// Notes that an index keeps.
const NOTES_MAX: usize = 1000;

/// The files to be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Text files, sorted by path.
    pub files: Vec<File>,
    /// What was passed over, and why.
    pub notes: Notes,
}

/// A file to be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it is, on every worker.
    pub path: String,
    /// Its length when it was listed.
    pub bytes: u64,
}

impl Manifest {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Remarks about files, each once: the path, and what was odd. Bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Path and remark.
    pub list: BTreeSet<(String, String)>,
    /// There were more; the alphabetically first ones are kept, in whatever order they came.
    pub cut: bool,
}

impl Notes {
    fn add(&mut self, path: &str, remark: impl Into<String>) {
        self.list.insert((path.to_string(), remark.into()));
        if self.list.len() > NOTES_MAX {
            self.list.pop_last();
            self.cut = true;
        }
    }

    fn merge(&mut self, other: Notes) {
        for (path, remark) in other.list {
            self.add(&path, remark);
        }
        self.cut |= other.cut;
    }
}

/// How often each word occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Words in lower case.
    pub words: BTreeMap<String, u64>,
    /// Files that were read.
    pub files: u64,
    /// What was odd about them.
    pub notes: Notes,
}

impl Index {
    fn merge(mut self, other: Index) -> Index {
        if self.words.len() < other.words.len() {
            return other.merge(self);
        }
        for (word, count) in other.words {
            *self.words.entry(word).or_default() += count;
        }
        self.files += other.files;
        self.notes.merge(other.notes);
        self
    }

    /// The most frequent words; among equals the alphabetically first.
    pub fn top(&self, count: usize) -> Vec<(String, u64)> {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        words.into_iter().take(count).map(|(word, count)| (word.clone(), *count)).collect()
    }
}

/// What the job gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The whole index.
    pub index: Index,
    /// Its most frequent words.
    pub top: Vec<(String, u64)>,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    path: String,
    /// The file's whole length.
    bytes: u64,
    /// The file's event; only its first piece brings it.
    event: Option<Time>,
    offset: u64,
    length: u64,
}

/// What one `count` task does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    pieces: Vec<Piece>,
    /// The task takes at least so long, in milliseconds.
    pace_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    files: Vec<File>,
    parts: u32,
    pace_ms: u64,
}

const SPLIT: Function<Plan, Vec<Part>> = Function::new("split");
const COUNT: Function<Part, Index> = Function::new("count");
const MERGE: Function<Vec<Index>, Index> = Function::new("merge");
const TOP_WORDS: Function<Index, Found> = Function::new("top");

/// The functions of the job.
pub fn tasks() -> Tasks {
    Tasks::new()
        .add_scatter(SPLIT, |_, plan| Ok(plan.cut()))
        .add(COUNT, count)
        .add_gather(MERGE, |_, indexes: Vec<Index>| Ok(indexes.into_iter().fold(Index::default(), Index::merge)))
        .add(TOP_WORDS, |_, index: Index| Ok(Found { top: index.top(TOP), index }))
}

/// The job over the files of `manifest`. Each `count` task takes at least `pace`, so that a person (or a crash) can come between; zero
/// for full speed.
///
/// # Errors
/// When the list of files is too long to be sent.
pub fn job(manifest: &Manifest, pace: Duration) -> Result<(Job, Value<Found>), EncodeError> {
    let plan = Plan::new(manifest, pace);
    let mut job = Job::new("default");
    job.stream(SHARDS, WINDOW);
    // The same cut that `split` will make, to know the tasks' event floors.
    let floors: Vec<Option<Time>> = plan.cut().iter().map(Part::floor).collect();
    let plan = job.value(&plan)?;
    let parts = job.scatter(SPLIT, plan, floors.len() as u32);
    let mut level: Vec<Value<Index>> = Vec::new();
    for (part, floor) in parts.into_iter().zip(floors) {
        level.push(match floor {
            Some(floor) => job.call_emitting(COUNT, part, floor),
            None => job.call(COUNT, part),
        });
    }
    while level.len() != 1 {
        // An empty list of files is merged into an empty index.
        let mut next = Vec::new();
        let mut rest = level.as_slice();
        loop {
            let (group, others) = rest.split_at(rest.len().min(FAN_IN));
            next.push(if group.len() == 1 { group[0].clone() } else { job.gather(MERGE, group.to_vec()) });
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        level = next;
    }
    let found = job.call(TOP_WORDS, level.remove(0));
    Ok((job, found))
}

/// The time of the event of the `n`th file.
fn event_time(n: usize) -> Time {
    Time::ZERO + SPACING * u32::try_from(n).unwrap_or(u32::MAX)
}

/// The key of a file's event: its extension.
fn event_key(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => extension.to_lowercase(),
        _ => "(none)".to_string(),
    }
}

impl Plan {
    fn new(manifest: &Manifest, pace: Duration) -> Plan {
        // Enough parts to share them out and to lose some, but none of a few bytes, and no more than one task may give back.
        let bytes = manifest.bytes();
        let parts = (bytes / (64 * 1024)).clamp(48, 1000).min(bytes / 256 + 1);
        Plan { files: manifest.files.clone(), parts: parts as u32, pace_ms: pace.as_millis() as u64 }
    }

    /// Cuts the files into parts of about the same size. Long files are cut at any byte: a word belongs to the piece in which its
    /// stretch of text begins.
    fn cut(&self) -> Vec<Part> {
        let total: u64 = self.files.iter().map(|file| file.bytes).sum();
        let size = total.div_ceil(u64::from(self.parts.max(1))).max(1);
        let mut parts = Vec::new();
        let mut part = Part { pieces: Vec::new(), pace_ms: self.pace_ms };
        let mut room = size;
        for (n, file) in self.files.iter().enumerate() {
            let mut offset = 0;
            loop {
                let length = (file.bytes - offset).min(room);
                let event = (offset == 0).then(|| event_time(n));
                part.pieces.push(Piece { path: file.path.clone(), bytes: file.bytes, event, offset, length });
                offset += length;
                room -= length;
                if room == 0 {
                    parts.push(std::mem::replace(&mut part, Part { pieces: Vec::new(), pace_ms: self.pace_ms }));
                    room = size;
                }
                if offset >= file.bytes {
                    break;
                }
            }
        }
        if !part.pieces.is_empty() {
            parts.push(part);
        }
        parts
    }
}

impl Part {
    fn floor(&self) -> Option<Time> {
        self.pieces.iter().filter_map(|piece| piece.event).min()
    }
}

fn count(cx: &mut TaskCx, part: Part) -> Result<Index, TaskError> {
    let index = count::count(cx, &part.pieces);
    playhouse_rt::pause(Duration::from_millis(part.pace_ms));
    Ok(index)
}

/// The windows of the files that could be read, as a serial count knows them: by key and start.
pub fn windows_of<'a>(read: impl Iterator<Item = (usize, &'a File)>) -> Vec<WindowResult> {
    let mut windows: BTreeMap<(String, Time), (u64, u64)> = BTreeMap::new();
    for (n, file) in read {
        let window = windows.entry((event_key(&file.path), event_time(n).window_start(WINDOW))).or_default();
        window.0 += 1;
        window.1 += file.bytes;
    }
    windows.into_iter().map(|((key, start), (count, sum))| WindowResult { key, start, count, sum }).collect()
}
