//! The store as its users see it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use playhouse_rt::sync::Semaphore;
use playhouse_rt::{Blocking, Disk};
use serde::{Deserialize, Serialize};

use crate::error::{Damage, Failed, LoadError, OpenError, RemoveError, SaveError, Step};
use crate::folder::{Folder, failed};
use crate::key::Key;
use crate::limits::{KEEP, STRIPES, VALUE_MAX};
use crate::place::{OnDisk, Place};

/// Counts the saves of a key, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What was saved under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which save it was.
    pub version: Version,
    /// The fence of the owner who saved it.
    pub fence: u64,
    /// The state.
    pub value: Vec<u8>,
    /// Newer files that are damaged and were passed over, newest first. Empty when all is well; tell the operator when it is not.
    pub skipped: Vec<Damage>,
}

/// Something that happened to a key after a checkpoint; see [`Store::append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts the events of the key, from 1 on.
    pub number: u64,
    /// The fence of the owner who appended it.
    pub fence: u64,
    /// What happened.
    pub value: Vec<u8>,
}

/// Checkpoints in a folder. Clones are the same store.
///
/// # Concurrency
/// Each key belongs to one of [`STRIPES`] locks, chosen by a hash of the key, and every call holds the lock of its key while it works
/// on the disk. So calls on one key, from any clone, happen one after the other in the order in which they came; calls on different
/// keys wait for each other only where they share a lock. The lock goes with the work, not with the caller: a dropped future does not
/// let the next save in before its own work has ended.
///
/// Two stores opened on one folder, in one process or in two, do not see each other's locks. They are kept apart by fences alone:
/// whoever has the higher fence is the newest, whatever the other still writes. Two owners must never share a fence.
///
/// # Cancellation
/// A call whose future is dropped before the work begins did nothing. Later, the work runs to its end: a save may have happened.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Box<dyn Place>,
    blocking: Blocking,
    locks: Box<[Arc<Semaphore>]>,
    /// Tells temporary files of this store apart.
    serial: AtomicU64,
}

impl Store {
    /// A store in the folder `root`, which is made if need be. Its work on the disk runs on `blocking`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn open(disk: Disk, root: PathBuf, blocking: Blocking) -> Result<Store, OpenError> {
        let (disk2, root2) = (disk.clone(), root.clone());
        blocking.run(move || make_root(&disk2, &root2)).await.map_err(OpenError::Panicked)??;
        Ok(Store::at(Box::new(OnDisk { disk, root }), blocking))
    }

    fn at(place: Box<dyn Place>, blocking: Blocking) -> Store {
        let locks = (0..STRIPES).map(|_| Arc::new(Semaphore::new(1))).collect();
        Store(Arc::new(Shared { place, blocking, locks, serial: AtomicU64::new(0) }))
    }

    /// A store whose files are objects below `root`. Its checkpoints outlive the disks of all nodes. The object store's listings must show
    /// what was put before them, as those of S3 do. Its work waits on `blocking`; not for simulations, unless the object store never waits.
    #[cfg(feature = "object-store")]
    pub fn objects(store: Arc<dyn object_store::ObjectStore>, root: &str, blocking: Blocking) -> Store {
        Store::at(Box::new(crate::objects::Objects { store, root: root.into() }), blocking)
    }

    /// Saves `value` as the newest checkpoint of `key`, with the next version. `Ok` means that it survives a power loss. Keeps the
    /// newest [`crate::limits::KEEP`] versions and removes older ones, and what crashed saves left behind.
    ///
    /// `fence` is the owner's: its term, or whatever number rises whenever ownership passes on.
    ///
    /// # Errors
    /// [`SaveError::Fenced`] when a higher fence has saved; the rest when the value is too long or the disk refuses. The error says what
    /// was left behind.
    pub async fn save(&self, key: &Key, fence: u64, value: &[u8]) -> Result<Version, SaveError> {
        self.save_keeping(KEEP, key, fence, value).await
    }

    /// As [`Store::save`], and keeps the newest `keep` versions.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub async fn save_keeping(&self, keep: usize, key: &Key, fence: u64, value: &[u8]) -> Result<Version, SaveError> {
        let (value, serial) = (self.fitting(key, value)?, self.serial());
        self.work(key, move |folder| folder.save(fence, &value, keep, serial), SaveError::Panicked).await
    }

    /// As [`Store::save`], on the calling thread, which it blocks, and without the lock of the key: for keys that one owner alone saves with
    /// its fence, within [`Blocking`].
    ///
    /// # Errors
    /// As [`Store::save`].
    pub fn save_here(&self, key: &Key, fence: u64, value: &[u8]) -> Result<Version, SaveError> {
        let (value, serial) = (self.fitting(key, value)?, self.serial());
        Folder::new(&*self.0.place, key).save(fence, &value, KEEP, serial)
    }

    /// As [`Store::load`], with the reservations of [`Store::save_here`].
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_here(&self, key: &Key) -> Result<Option<Checkpoint>, LoadError> {
        Folder::new(&*self.0.place, key).load()
    }

    /// Makes whoever calls the owner of `key`, and gives its fence: higher than any before. From then on all others are refused, whatever
    /// they are about to write; so load after it, not before. `owner` tells those apart who claim at the same time.
    ///
    /// # Errors
    /// When somebody else has claimed it meanwhile, or the disk refuses.
    pub async fn claim(&self, key: &Key, owner: &str) -> Result<u64, SaveError> {
        let (name, serial) = (crc32fast::hash(owner.as_bytes()), self.serial());
        let owner = format!("{name:08x}{:08x}", crc32fast::hash(format!("{name}{owner}").as_bytes()));
        self.work(key, move |folder| folder.claim(&owner, serial), SaveError::Panicked).await
    }

    /// Whether the owner with this fence, which has claimed `key`, still is its owner. What it wrote without an answer, and finds, survives
    /// from then on: so do this before it loads again.
    ///
    /// # Errors
    /// [`SaveError::Fenced`] when it is not; the rest when the disk refuses.
    pub async fn hold(&self, key: &Key, fence: u64) -> Result<(), SaveError> {
        self.work(key, move |folder| folder.hold(fence), SaveError::Panicked).await
    }

    /// Keeps an event of `key`, with a number that its owner counts up from 1, without gaps. `Ok` means that it survives a power loss. After
    /// another outcome the owner appends with the same number again: that replaces what may be there.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub async fn append(&self, key: &Key, fence: u64, number: u64, value: &[u8]) -> Result<(), SaveError> {
        let (value, serial) = (self.fitting(key, value)?, self.serial());
        self.work(key, move |folder| folder.append(fence, number, &value, serial), SaveError::Panicked).await
    }

    /// The events of `key` after number `after`, in order; those that stale owners wrote after an owner with the fence `base` had begun are
    /// left out. At most [`crate::limits::EVENTS_MAX`].
    ///
    /// # Errors
    /// [`LoadError::Event`] when one is damaged or missing; the rest when the disk refuses.
    pub async fn events(&self, key: &Key, after: u64, base: u64) -> Result<Vec<Event>, LoadError> {
        self.work(key, move |folder| folder.events(after, base), LoadError::Panicked).await
    }

    /// Removes the events of `key` up to number `until`.
    ///
    /// # Errors
    /// When the disk refuses; the newest are then left.
    pub async fn forget_events(&self, key: &Key, until: u64) -> Result<(), RemoveError> {
        self.work(key, move |folder| folder.forget_events(until), RemoveError::Panicked).await
    }

    fn fitting(&self, key: &Key, value: &[u8]) -> Result<Vec<u8>, SaveError> {
        if value.len() > VALUE_MAX {
            return Err(SaveError::Long { key: key.clone(), length: value.len() });
        }
        Ok(value.to_vec())
    }

    fn serial(&self) -> u64 {
        self.0.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// The newest checkpoint of `key` that is whole, or `None` if there never was one. Damaged newer ones are reported in
    /// [`Checkpoint::skipped`].
    ///
    /// # Errors
    /// [`LoadError::Corrupt`] when there are checkpoints and none is whole; the rest when the disk refuses.
    pub async fn load(&self, key: &Key) -> Result<Option<Checkpoint>, LoadError> {
        self.work(key, |folder| folder.load(), LoadError::Panicked).await
    }

    /// Removes all checkpoints of `key`, and with them its fence and its count of versions: afterwards any owner may save. So remove
    /// a key only when nobody will own it again, or when no older owner is left. Fine if there are none.
    ///
    /// # Errors
    /// When the disk refuses; the newest are then left.
    pub async fn remove(&self, key: &Key) -> Result<(), RemoveError> {
        self.work(key, |folder| folder.remove(), RemoveError::Panicked).await
    }

    /// As [`Store::remove`], if nobody with a higher fence has saved.
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub async fn release(&self, key: &Key, fence: u64) -> Result<(), RemoveError> {
        self.work(key, move |folder| folder.release(fence), RemoveError::Panicked).await
    }

    /// Removes the first keys that begin with the segment `first`, in the order of their names, until `keep` are left; as a rule there are
    /// none to remove. On the calling thread, which it blocks.
    ///
    /// # Errors
    /// When the disk refuses; some may be removed then.
    pub fn sweep_here(&self, first: &str, keep: usize) -> Result<(), RemoveError> {
        let place = &self.0.place;
        let entries = place.list(place.root()).map_err(failed(Step::List, place.root()))?;
        let names = entries.iter().filter_map(|entry| entry.name.to_str());
        let names: Vec<&str> = names.filter(|name| name.split(',').next() == Some(first)).collect();
        for name in &names[..names.len().saturating_sub(keep)] {
            if let Ok(key) = Key::new(&name.replace(',', "/")) {
                Folder::new(&*self.0.place, &key).release(u64::MAX)?;
            }
        }
        Ok(())
    }

    async fn work<T, E>(
        &self,
        key: &Key,
        work: impl FnOnce(Folder<'_>) -> Result<T, E> + Send + 'static,
        panicked: fn(playhouse_rt::Lost) -> E,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let stripe = crc32fast::hash(key.as_str().as_bytes()) as usize % self.0.locks.len();
        let permit = self.0.locks[stripe].clone().acquire_owned().await;
        let permit = permit.unwrap_or_else(|_| unreachable!("nobody closes the locks"));
        if playhouse_rt::buggify!("slow-disk", 0.2) {
            playhouse_rt::sleep(Duration::from_millis(50)).await;
        }
        let (shared, key) = (self.0.clone(), key.clone());
        let run = move || {
            // The lock ends with the work, see `Store`.
            let _permit = permit;
            work(Folder::new(&*shared.place, &key))
        };
        self.0.blocking.run(run).await.map_err(panicked)?
    }
}

/// Makes the root and makes its name durable, and that of every folder above it which may be new.
pub(crate) fn make_root(disk: &Disk, root: &Path) -> Result<(), Failed> {
    let is_missing = |folder: &Path| disk.list(folder).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    let above = |folder: &Path| match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(PathBuf::from(".")),
        parent => parent.map(Path::to_path_buf),
    };
    // The root's own name is synced even if it is there: an earlier life may have crashed between making and syncing it.
    let mut unsynced: Vec<PathBuf> = above(root).into_iter().collect();
    while let Some(folder) = unsynced.last().filter(|folder| is_missing(folder)).and_then(|folder| above(folder)) {
        unsynced.push(folder);
    }
    disk.create_dir_all(root).map_err(failed(Step::Folder, root))?;
    for folder in unsynced.iter().rev() {
        disk.sync_dir(folder).map_err(failed(Step::Folder, folder))?;
    }
    Ok(())
}
