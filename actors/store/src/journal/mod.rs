//! A numbered log and a few named values in one file: what an agreement needs to remember.
//!
//! The file is a redb database over the [`Disk`], so the same code runs on a simulated disk that tears writes. Commits are grouped: what
//! is asked for while one is being made durable goes into the next one together. One sync pays for all of it.

mod backend;
mod error;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_rt::sync::{Semaphore, oneshot};
use playhouse_rt::{Blocking, Disk, DiskFile};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::limits::{
    JOURNAL_CACHE, JOURNAL_CLAIM_RETRY, JOURNAL_CLAIM_WAIT, JOURNAL_COMMIT_MAX, JOURNAL_ENTRY_MAX, JOURNAL_QUEUE,
};
use backend::FileOfDisk;
pub use error::JournalError;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// The value that says whose journal it is.
const OWNER: &str = "owner";
/// What the name of a journal ends with until it is made.
const UNFINISHED: &str = ".unfinished";
const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");

/// What one commit changes: all of it or nothing. It is done in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Entries with this number and higher ones go.
    pub truncate: Option<u64>,
    /// Entries with this number and lower ones go.
    pub purge: Option<u64>,
    /// These come, in place of those that have their numbers.
    pub append: Vec<(u64, Vec<u8>)>,
    /// These values are set.
    pub set: Vec<(&'static str, Vec<u8>)>,
}

impl Batch {
    fn bytes(&self) -> usize {
        let entries = self.append.iter().map(|(_, entry)| entry.len());
        entries.chain(self.set.iter().map(|(_, value)| value.len())).map(|bytes| bytes + 16).sum::<usize>() + 16
    }
}

/// A log and its values. Clones are the same journal.
///
/// # Order
/// Commits are applied in the order in which [`Journal::submit`] was begun (polled for the first time), also when they have to wait for room.
/// What a read gives is at least as new as what was acknowledged before it was asked for.
///
/// # After a failure
/// When the disk refuses a commit, the journal commits nothing more: what was acknowledged is safe, but what is on the disk beside it is not
/// known until the file is opened again. Look at the disk first: after a sync that failed, a system may give back what it never wrote.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

struct Inner {
    file: PathBuf,
    database: Database,
    blocking: Blocking,
    /// Held by whoever waits for room: the others wait behind it, in the order in which they came.
    order: Semaphore,
    /// Room for what waits, in bytes.
    room: Arc<Semaphore>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Somebody takes care of what waits.
    is_served: bool,
    /// Why nothing more is done.
    failed: Option<String>,
}

struct Waiting {
    batch: Batch,
    reply: oneshot::Sender<Result<(), JournalError>>,
    _room: playhouse_rt::sync::OwnedSemaphorePermit,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal of `owner` in `file`, which is made with its folder if it is not there. All work on the disk runs on `blocking`.
    ///
    /// After a crash, what a commit had not finished is undone. The file is locked until all clones are dropped and what they had begun is
    /// done; for that of another opener this waits, no longer than [`JOURNAL_CLAIM_WAIT`].
    ///
    /// # Errors
    /// When it is the journal of another owner, somebody else has the file open, the disk refuses, or the file is damaged or of a later version.
    pub async fn open(disk: Disk, file: PathBuf, owner: &str, blocking: Blocking) -> Result<Journal, JournalError> {
        let began = playhouse_rt::now();
        let database = loop {
            let (disk, path, of) = (disk.clone(), file.clone(), owner.to_string());
            let opened = blocking.run(move || open(&disk, &path, &of)).await;
            let opened = opened.map_err(|lost| JournalError::Panicked { file: file.clone(), lost })?;
            match opened.map_err(|error| error.in_file(&file)) {
                Err(JournalError::InUse { .. }) if playhouse_rt::now() - began < JOURNAL_CLAIM_WAIT => {
                    playhouse_rt::sleep(JOURNAL_CLAIM_RETRY).await;
                }
                opened => break opened?,
            }
        };
        let order = Semaphore::new(1);
        let room = Arc::new(Semaphore::new(JOURNAL_QUEUE));
        Ok(Journal(Arc::new(Inner { file, database, blocking, order, room, queue: Mutex::default() })))
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// Why it commits nothing more, if a commit has failed.
    pub fn failed(&self) -> Option<String> {
        self.queue().failed.clone()
    }

    /// Makes `batch` durable. `Ok` means that it survives a power loss. When [`JOURNAL_QUEUE`] bytes wait already, this waits for room.
    ///
    /// Dropped before it waited for anything but room, nothing happens; later, the commit may come to its end.
    ///
    /// # Errors
    /// When an entry is too long, or the disk refuses; see [`Journal`] on what then.
    pub async fn commit(&self, batch: Batch) -> Result<(), JournalError> {
        self.submit(batch).await?.await
    }

    /// The first half of [`Journal::commit`]: waits for room only, and gives the rest to be waited for. The batch has its place in the
    /// order from the first poll on, and when this is done, it is committed whether or not somebody waits.
    ///
    /// # Errors
    /// As with [`Journal::commit`].
    pub async fn submit(
        &self,
        batch: Batch,
    ) -> Result<impl Future<Output = Result<(), JournalError>> + Send + use<>, JournalError> {
        if let Some((number, entry)) = batch.append.iter().find(|(_, entry)| entry.len() > JOURNAL_ENTRY_MAX) {
            return Err(JournalError::Long { number: *number, length: entry.len() });
        }
        let bytes = batch.bytes().min(JOURNAL_QUEUE);
        // Room alone would not keep the order: two that find it together run on as their threads do.
        let _turn = self.0.order.acquire().await.unwrap_or_else(|_| unreachable!("nobody closes the order"));
        let room = self.0.room.clone().acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX)).await;
        let room = room.unwrap_or_else(|_| unreachable!("nobody closes the room"));
        let (reply, answer) = oneshot::channel();
        let serve = {
            let mut queue = self.queue();
            if let Some(reason) = &queue.failed {
                return Err(self.broken(reason));
            }
            queue.waiting.push_back(Waiting { batch, reply, _room: room });
            !std::mem::replace(&mut queue.is_served, true)
        };
        if serve {
            let journal = self.clone();
            playhouse_rt::spawn(async move { journal.serve().await });
        }
        let journal = self.clone();
        Ok(async move { answer.await.unwrap_or_else(|_| Err(journal.broken("its writer has ended"))) })
    }

    /// The entries with these numbers that there are, in order: at least one if there is any, and no more than about `most` bytes.
    ///
    /// # Errors
    /// When an entry is damaged, or the disk refuses.
    pub async fn entries(&self, numbers: RangeInclusive<u64>, most: usize) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        self.read(move |database| {
            let table = database.begin_read()?.open_table(LOG)?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            for entry in table.range(numbers)? {
                let (number, sealed) = entry?;
                let entry = unseal(number.value(), sealed.value())?.to_vec();
                bytes += entry.len();
                if bytes > most && !found.is_empty() {
                    break;
                }
                found.push((number.value(), entry));
            }
            Ok(found)
        })
        .await
    }

    /// The numbers of the first and the last entry, if there is one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn span(&self) -> Result<Option<(u64, u64)>, JournalError> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(LOG)?;
            let (first, last) = (table.first()?, table.last()?);
            Ok(first.zip(last).map(|((first, _), (last, _))| (first.value(), last.value())))
        })
        .await
    }

    /// A value.
    ///
    /// # Errors
    /// When it is damaged, or the disk refuses.
    pub async fn value(&self, name: &'static str) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(move |database| {
            let table = database.begin_read()?.open_table(VALUES)?;
            let sealed = table.get(name)?;
            sealed.map(|sealed| unseal(seal_of(name), sealed.value()).map(<[u8]>::to_vec)).transpose()
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, error::Trouble> + Send + 'static,
    ) -> Result<T, JournalError> {
        let inner = self.0.clone();
        let found = self.0.blocking.run(move || read(&inner.database)).await;
        let found = found.map_err(|lost| JournalError::Panicked { file: self.0.file.clone(), lost })?;
        found.map_err(|trouble| trouble.in_file(&self.0.file))
    }

    /// Commits what waits until nothing does.
    async fn serve(&self) {
        while let Some((batches, replies)) = self.next_group() {
            let inner = self.0.clone();
            let committed = self.0.blocking.run(move || commit(&inner.database, &batches)).await;
            let failed = match committed {
                Ok(Ok(())) => None,
                Ok(Err(trouble)) => Some(trouble.in_file(&self.0.file)),
                Err(lost) => Some(JournalError::Panicked { file: self.0.file.clone(), lost }),
            };
            let reason = failed.as_ref().map(ToString::to_string);
            if let Some(reason) = &reason {
                self.queue().failed = Some(reason.clone());
            }
            let mut failed = failed;
            for reply in replies {
                // The first is told what happened, and the others that something did.
                let _ = reply.send(match (&reason, failed.take()) {
                    (None, _) => Ok(()),
                    (Some(_), Some(error)) => Err(error),
                    (Some(reason), None) => Err(self.broken(reason)),
                });
            }
        }
    }

    /// What goes into the next commit; nothing when there is nothing, or no more.
    #[allow(clippy::type_complexity)]
    fn next_group(&self) -> Option<(Vec<Batch>, Vec<oneshot::Sender<Result<(), JournalError>>>)> {
        let mut queue = self.queue();
        if let Some(reason) = queue.failed.clone() {
            for waiting in std::mem::take(&mut queue.waiting) {
                let _ = waiting.reply.send(Err(self.broken(&reason)));
            }
        }
        let (mut batches, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = queue.waiting.front() {
            bytes += next.batch.bytes();
            if bytes > JOURNAL_COMMIT_MAX && !batches.is_empty() {
                break;
            }
            let Some(next) = queue.waiting.pop_front() else { break };
            batches.push(next.batch);
            replies.push(next.reply);
        }
        queue.is_served = !batches.is_empty();
        queue.is_served.then_some((batches, replies))
    }

    fn broken(&self, reason: &str) -> JournalError {
        JournalError::Broken { file: self.0.file.clone(), reason: reason.to_string() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(disk: &Disk, file: &Path, owner: &str) -> Result<Database, error::Trouble> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    crate::store::make_root(disk, folder).map_err(|failed| failed.error)?;
    if !is_there(disk, file)? {
        make(disk, file, folder)?;
    }
    // An earlier life may have crashed between the file's new name and this, and nobody may rely on a name that can go.
    disk.sync_dir(folder)?;
    let database = over(disk.claim(file)?.into())?;
    // A file of an earlier version, or of something else that redb can read, may have no such tables.
    let transaction = database.begin_write()?;
    transaction.open_table(LOG)?;
    {
        let mut values = transaction.open_table(VALUES)?;
        let found = values.get(OWNER)?.map(|sealed| unseal(seal_of(OWNER), sealed.value()).map(<[u8]>::to_vec)).transpose()?;
        match found {
            Some(found) if found == owner.as_bytes() => {}
            Some(found) => {
                return Err(error::Trouble::Owner { found: String::from_utf8_lossy(&found).into(), wanted: owner.into() });
            }
            None => drop(values.insert(OWNER, seal(seal_of(OWNER), owner.as_bytes()).as_slice())?),
        }
    }
    transaction.commit()?;
    Ok(database)
}

fn over(file: Arc<DiskFile>) -> Result<Database, error::Trouble> {
    let mut builder = Database::builder();
    // Without the check redb trusts what it closed in order, and may panic over a page that has changed since.
    builder.set_cache_size(JOURNAL_CACHE).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(FileOfDisk(file))?)
}

/// Makes an empty journal under another name, and gives it its own when it is durable as a whole: redb cannot open what it has begun to make.
fn make(disk: &Disk, file: &Path, folder: &Path) -> Result<(), error::Trouble> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let held = Arc::new(disk.claim(&unfinished)?);
    // Whoever had claimed it before may have finished it: then what is held here is the journal.
    if is_there(disk, file)? {
        return Ok(());
    }
    held.set_len(0)?;
    drop(over(held.clone())?);
    held.sync()?;
    disk.rename(&unfinished, file)?;
    disk.sync_dir(folder)?;
    Ok(())
}

/// Whether there is anything in it: an empty file is as good as none.
fn is_there(disk: &Disk, file: &Path) -> std::io::Result<bool> {
    match disk.read_at(file, 0, 1) {
        Ok(first) => Ok(!first.is_empty()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn commit(database: &Database, batches: &[Batch]) -> Result<(), error::Trouble> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut log = transaction.open_table(LOG)?;
        let mut values = transaction.open_table(VALUES)?;
        for batch in batches {
            if let Some(from) = batch.truncate {
                log.retain_in(from.., |_, _| false)?;
            }
            if let Some(through) = batch.purge {
                log.retain_in(..=through, |_, _| false)?;
            }
            for (number, entry) in &batch.append {
                log.insert(number, seal(*number, entry).as_slice())?;
            }
            for (name, value) in &batch.set {
                values.insert(*name, seal(seal_of(name), value).as_slice())?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Four bytes of checksum, over the number and the bytes, then the bytes: redb looks at its own only after a crash.
fn seal(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + bytes.len());
    sealed.extend_from_slice(&checksum(number, bytes).to_le_bytes());
    sealed.extend_from_slice(bytes);
    sealed
}

fn unseal(number: u64, sealed: &[u8]) -> Result<&[u8], error::Trouble> {
    let (sum, bytes) = sealed.split_first_chunk::<4>().ok_or(error::Trouble::Checksum(number))?;
    if u32::from_le_bytes(*sum) == checksum(number, bytes) { Ok(bytes) } else { Err(error::Trouble::Checksum(number)) }
}

fn checksum(number: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// The number under which a value is sealed.
fn seal_of(name: &str) -> u64 {
    u64::from(crc32fast::hash(name.as_bytes())) | 1 << 63
}
