//! A numbered log for people to read: append-only, in segments, with a hash chain, of which the oldest part is forgotten.
//!
//! Whoever writes it derives its records from something that is remembered elsewhere, and can derive them again from where that begins: so
//! nothing is synced here but when it is asked for ([`Annals::sync`]), and a record that is there already is not written twice.

mod error;
mod segment;
mod tail;
mod verify;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_rt::sync::Notify;
use playhouse_rt::{Blocking, Disk};

pub use self::error::{AnnalsError, Broken};
pub use self::segment::{Link, digest};
pub use self::verify::{Found, Item, read};
use crate::limits::{ANNALS_QUEUE, ANNALS_RECORD_MAX, ANNALS_SEGMENT, ANNALS_SEGMENTS};
use tail::Tail;

/// The end of a chain: the number of its last record, and the value after it. It is part of what is remembered elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The number of the last record; 0: there is none yet.
    pub number: u64,
    /// The value after it.
    pub link: Link,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A segment that is longer than this, in bytes, is followed by another one.
    pub segment: u64,
    /// How many segments are kept.
    pub segments: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { segment: ANNALS_SEGMENT, segments: ANNALS_SEGMENTS }
    }
}

/// A record that is to be written.
#[derive(Clone, Debug)]
struct Record {
    number: u64,
    before: Link,
    after: Link,
    bytes: Vec<u8>,
}

/// The writer of a log. Clones are the same. A folder has one writer at a time; who opens it sees to that.
#[derive(Clone)]
pub struct Annals(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    blocking: Blocking,
    queue: Mutex<Queue>,
    /// Something was written, or never will be.
    changed: Notify,
    tail: Arc<Mutex<Tail>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Record>,
    bytes: usize,
    /// How many were given to it, and how many of them are written.
    given: u64,
    written: u64,
    /// All up to this record was made durable in an earlier life.
    durable: u64,
    is_served: bool,
    /// Why nothing more is written.
    failed: Option<String>,
}

impl Annals {
    /// Opens the log in `folder`, which is made if it is not there. Nothing in it is changed before the first record is appended.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn open(disk: Disk, folder: PathBuf, blocking: Blocking, bounds: Bounds) -> Result<Annals, AnnalsError> {
        let path = folder.clone();
        let tail = blocking.run(move || Tail::find(disk, path, bounds)).await;
        let tail = tail.map_err(|lost| AnnalsError::Panicked { folder: folder.clone(), lost })??;
        let (queue, changed) = (Mutex::default(), Notify::new());
        Ok(Annals(Arc::new(Inner { folder, blocking, queue, changed, tail: Arc::new(Mutex::new(tail)) })))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Has a record written behind `head`, and moves `head` on. Returns at once; see [`Annals::room`]. A record whose number is there already is
    /// taken for the one that is there. One that leaves a gap begins a new segment, which says so.
    ///
    /// # Panics
    /// When the record is longer than [`ANNALS_RECORD_MAX`].
    pub fn append(&self, head: &mut Head, bytes: Vec<u8>) {
        assert!(bytes.len() <= ANNALS_RECORD_MAX, "a record of {} bytes was let through", bytes.len());
        let before = std::mem::replace(head, next(head, &bytes)).link;
        let mut queue = self.queue();
        if queue.failed.is_some() {
            return;
        }
        queue.given += 1;
        queue.bytes += bytes.len();
        queue.waiting.push(Record { number: head.number, before, after: head.link, bytes });
        if !std::mem::replace(&mut queue.is_served, true) {
            let annals = self.clone();
            playhouse_rt::spawn(async move { annals.serve().await });
        }
    }

    /// It is remembered elsewhere that all up to this record was made durable here, in an earlier life. To be said before the first record.
    pub fn was_durable(&self, number: u64) {
        let mut queue = self.queue();
        if queue.given == 0 {
            queue.durable = number;
        }
    }

    /// Waits until no more than [`ANNALS_QUEUE`] bytes wait to be written.
    ///
    /// # Errors
    /// When nothing more is written, and why.
    pub async fn room(&self) -> Result<(), String> {
        self.until(|queue| queue.bytes <= ANNALS_QUEUE).await
    }

    /// Makes all that was appended so far durable.
    ///
    /// # Errors
    /// When nothing more is written, and why.
    pub async fn sync(&self) -> Result<(), String> {
        let given = self.queue().given;
        self.until(|queue| queue.written >= given).await?;
        let tail = self.0.tail.clone();
        let synced = self.0.blocking.run(move || lock(&tail).sync()).await;
        let synced = synced.unwrap_or_else(|lost| Err(AnnalsError::Panicked { folder: self.0.folder.clone(), lost }));
        synced.map_err(|error| self.fails(&error))
    }

    /// Why nothing more is written, if that is so.
    pub fn failed(&self) -> Option<String> {
        self.queue().failed.clone()
    }

    fn fails(&self, error: &AnnalsError) -> String {
        let why = error.to_string();
        let mut queue = self.queue();
        queue.failed.get_or_insert_with(|| why.clone());
        (queue.waiting, queue.bytes) = Default::default();
        drop(queue);
        self.0.changed.notify_waiters();
        why
    }

    async fn until(&self, is: impl Fn(&Queue) -> bool) -> Result<(), String> {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            {
                let queue = self.queue();
                if let Some(why) = &queue.failed {
                    return Err(why.clone());
                }
                if is(&queue) {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// Writes what waits until nothing does.
    async fn serve(&self) {
        loop {
            let (records, durable) = {
                let mut queue = self.queue();
                queue.bytes = 0;
                queue.is_served = !queue.waiting.is_empty();
                (std::mem::take(&mut queue.waiting), queue.durable)
            };
            let count = records.len() as u64;
            if count == 0 {
                return;
            }
            let tail = self.0.tail.clone();
            let written = self.0.blocking.run(move || lock(&tail).write(&records, durable)).await;
            match written.unwrap_or_else(|lost| Err(AnnalsError::Panicked { folder: self.0.folder.clone(), lost })) {
                Ok(()) => self.queue().written += count,
                Err(error) => drop(self.fails(&error)),
            }
            self.0.changed.notify_waiters();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0.queue)
    }
}

/// The end of the chain after one more record.
fn next(head: &Head, record: &[u8]) -> Head {
    Head { number: head.number + 1, link: head.link.after(record) }
}

impl Head {
    /// Moves on by a record that nobody writes.
    pub fn passes(&mut self, record: &[u8]) {
        *self = next(self, record);
    }
}

impl fmt::Debug for Annals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Annals").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
