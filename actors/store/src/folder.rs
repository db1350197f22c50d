//! The files of one key. All of it blocks, so all of it runs within [`playhouse_rt::Blocking`].

use std::io;
use std::path::{Path, PathBuf};

use playhouse_rt::Kind;

use crate::error::{Damage, Failed, LoadError, Reason, RemoveError, SaveError, Step};
use crate::key::Key;
use crate::limits::{CLAIM_LOOKS, CLAIM_TRIES, EVENTS_MAX};
use crate::place::Place;
use crate::record;
use crate::store::{Checkpoint, Event, Version};

const SUFFIX: &str = ".checkpoint";
const EVENT: &str = ".event";
const CLAIM: &str = ".claim";
const TEMPORARY: &str = "tmp-";

/// `EIO`: the device itself failed, so trying again will not help. The same number on every Unix.
const DEVICE_FAILED: i32 = 5;

/// The folder of one key.
pub(crate) struct Folder<'a> {
    place: &'a dyn Place,
    key: &'a Key,
    path: PathBuf,
}

/// A checkpoint by its name. Ordered by age: a higher fence is newer than any version under a lower one, so that what a stale owner
/// still gets onto the disk is never the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    fence: u64,
    version: u64,
}

/// What lies in the folder.
#[derive(Default)]
struct Listing {
    /// Checkpoints, oldest first.
    checkpoints: Vec<(Name, Kind)>,
    /// Events, those of lower fences first; the version is the event's number.
    events: Vec<(Name, Kind)>,
    /// Who claimed the key: fences with the names of the files.
    claims: Vec<(u64, String)>,
    /// What saves left behind that did not end, with their fences.
    leftovers: Vec<(u64, String)>,
}

impl Listing {
    /// The highest fence that anybody has written under, or claimed.
    fn fence(&self) -> Option<u64> {
        let written = self.checkpoints.last().into_iter().chain(self.events.last()).map(|(name, _)| name.fence);
        written.chain(self.claims.iter().map(|(fence, _)| *fence)).max()
    }
}

impl<'a> Folder<'a> {
    pub(crate) fn new(place: &'a dyn Place, key: &'a Key) -> Folder<'a> {
        Folder { place, key, path: place.root().join(key.folder()) }
    }

    /// See [`crate::Store::save`]. `serial` tells the temporary files of one store apart.
    pub(crate) fn save(&self, fence: u64, value: &[u8], keep: usize, serial: u64) -> Result<Version, SaveError> {
        let before = self.list()?;
        self.refuse_stale(&before, fence)?;
        self.clean(&before, fence);
        let last = before.checkpoints.iter().max_by_key(|(name, _)| name.version);
        let version = match last {
            None => 1,
            Some((name, _)) => {
                name.version.checked_add(1).ok_or_else(|| SaveError::UsedUp { file: self.path.join(name.to_string()) })?
            }
        };
        let name = Name { fence, version };
        if before.checkpoints.is_empty() {
            self.make()?;
        }
        let temporary = self.temporary(name, serial);
        self.publish(&temporary, &self.path.join(name.to_string()), &record::encode(self.key, fence, version, value))?;
        // Another process may have saved with a higher fence since we looked. Our file is then older than its, by name; say so.
        let after = self.list()?;
        self.refuse_stale(&after, fence)?;
        playhouse_rt::always!(
            after.checkpoints.last().is_some_and(|(newest, _)| *newest == name),
            "no two owners of a key share a fence",
            "{}: {name} was saved, and the newest is {:?}",
            self.path.display(),
            after.checkpoints.last()
        );
        self.prune(&after, keep);
        Ok(Version(version))
    }

    /// See [`crate::Store::claim`].
    pub(crate) fn claim(&self, owner: &str, serial: u64) -> Result<u64, SaveError> {
        let mut listing = self.list()?;
        for _ in 0..CLAIM_TRIES {
            let Some(fence) = listing.fence().unwrap_or(0).checked_add(1) else { break };
            if listing.checkpoints.is_empty() {
                self.make()?;
            }
            let file = format!("{fence:020}-{owner}{CLAIM}");
            let temporary = self.temporary(Name { fence, version: 0 }, serial);
            self.publish(&temporary, &self.path.join(&file), &record::encode(self.key, fence, 0, owner.as_bytes()))?;
            // Who claims at the same time sees the other one here, or is seen.
            listing = self.list()?;
            let is_rival = |(other, name): &&(u64, String)| *other == fence && *name != file;
            // One of them tries again at once, and the others look whether it has. All at once, they could go on in step until they give up.
            if listing.claims.iter().filter(is_rival).any(|(_, name)| *name < file) {
                for _ in 0..CLAIM_LOOKS {
                    if listing.fence().is_some_and(|stored| stored > fence) {
                        break;
                    }
                    listing = self.list()?;
                }
            }
            let rivals = listing.claims.iter().filter(is_rival).count();
            match listing.fence() {
                Some(stored) if stored > fence => {
                    return Err(SaveError::Fenced { key: self.key.clone(), stored, given: fence });
                }
                Some(_) if rivals == 0 => {
                    for (_, name) in listing.claims.iter().filter(|(other, _)| *other < fence) {
                        let _ = self.place.remove(&self.path.join(name));
                    }
                    self.clean(&listing, fence);
                    return Ok(fence);
                }
                _ => {}
            }
        }
        Err(SaveError::Contended { key: self.key.clone() })
    }

    /// See [`crate::Store::append`].
    pub(crate) fn append(&self, fence: u64, number: u64, value: &[u8], serial: u64) -> Result<(), SaveError> {
        let before = self.list()?;
        self.refuse_stale(&before, fence)?;
        if before.checkpoints.is_empty() && before.claims.is_empty() && before.events.is_empty() {
            self.make()?;
        }
        let name = Name { fence, version: number };
        let file = self.path.join(name.event());
        self.publish(&self.temporary(name, serial), &file, &record::encode(self.key, fence, number, value))?;
        // As with a checkpoint: who has claimed the key since may have read it without this.
        self.refuse_stale(&self.list()?, fence)
    }

    /// See [`crate::Store::forget_events`].
    pub(crate) fn forget_events(&self, until: u64) -> Result<(), RemoveError> {
        for (name, _) in self.list()?.events.iter().filter(|(name, _)| name.version <= until) {
            let file = self.path.join(name.event());
            self.place.remove(&file).map_err(failed(Step::Remove, &file))?;
        }
        Ok(())
    }

    /// See [`crate::Store::events`].
    pub(crate) fn events(&self, after: u64, base: u64) -> Result<Vec<Event>, LoadError> {
        let mut found = self.list()?.events;
        // What a stale owner still wrote has a lower fence than what was read, or written, without it.
        found.retain(|(name, _)| name.version > after && name.fence >= base);
        found.sort_unstable_by_key(|(name, _)| (name.version, std::cmp::Reverse(name.fence)));
        let (mut events, mut fence) = (Vec::new(), base);
        for (name, kind) in found {
            let next = after + events.len() as u64 + 1;
            if name.version < next || name.fence < fence {
                continue;
            }
            let file = self.path.join(name.event());
            let damaged = |file, reason| Err(LoadError::Event { key: self.key.clone(), damage: Damage { file, reason } });
            if name.version > next || events.len() >= EVENTS_MAX {
                return damaged(self.path.join(Name { fence: name.fence, version: next }.event()), Reason::Missing);
            }
            match self.read(name, kind, &file)? {
                Ok(value) => events.push(Event { number: name.version, fence: name.fence, value }),
                Err(reason) => return damaged(file, reason),
            }
            fence = name.fence;
        }
        Ok(events)
    }

    /// See [`crate::Store::hold`].
    pub(crate) fn hold(&self, fence: u64) -> Result<(), SaveError> {
        self.refuse_stale(&self.list()?, fence)?;
        Ok(self.place.settle(&self.path).map_err(failed(Step::SyncFolder, &self.path))?)
    }

    fn temporary(&self, name: Name, serial: u64) -> PathBuf {
        self.path.join(format!("{TEMPORARY}{}-{serial}", name.stem()))
    }

    fn publish(&self, temporary: &Path, file: &Path, bytes: &[u8]) -> Result<(), Failed> {
        self.place.publish(temporary, file, bytes)
    }

    fn make(&self) -> Result<(), Failed> {
        self.place.make(&self.path)
    }

    fn refuse_stale(&self, listing: &Listing, given: u64) -> Result<(), SaveError> {
        match listing.fence() {
            Some(stored) if stored > given => Err(SaveError::Fenced { key: self.key.clone(), stored, given }),
            _ => Ok(()),
        }
    }

    /// Removes what a crash left. Not the temporary file of a higher fence: its owner may be writing it, and we are then stale.
    /// A file that stays is tried again by the next save.
    fn clean(&self, listing: &Listing, given: u64) {
        for (_, name) in listing.leftovers.iter().filter(|(fence, _)| *fence <= given) {
            let _ = self.place.remove(&self.path.join(name));
        }
    }

    /// Removes all but the newest `keep` checkpoints. A file that stays is tried again by the next save.
    fn prune(&self, listing: &Listing, keep: usize) {
        let old = listing.checkpoints.len().saturating_sub(keep.max(1));
        for (name, _) in &listing.checkpoints[..old] {
            let _ = self.place.remove(&self.path.join(name.to_string()));
        }
    }

    /// See [`crate::Store::load`].
    pub(crate) fn load(&self) -> Result<Option<Checkpoint>, LoadError> {
        let mut skipped = Vec::new();
        for (name, kind) in self.list()?.checkpoints.into_iter().rev() {
            let file = self.path.join(name.to_string());
            match self.read(name, kind, &file)? {
                Ok(value) => {
                    return Ok(Some(Checkpoint { version: Version(name.version), fence: name.fence, value, skipped }));
                }
                Err(reason) => skipped.push(Damage { file, reason }),
            }
        }
        if skipped.is_empty() { Ok(None) } else { Err(LoadError::Corrupt { key: self.key.clone(), files: skipped }) }
    }

    /// The value in `file`, or what is wrong with the file; the outer error is the disk's and may pass.
    fn read(&self, name: Name, kind: Kind, file: &Path) -> Result<Result<Vec<u8>, Reason>, Failed> {
        match kind {
            Kind::File(length) if length > record::RECORD_MAX as u64 => return Ok(Err(Reason::Long)),
            Kind::File(_) => {}
            _ => return Ok(Err(Reason::NotAFile)),
        }
        let bytes = match self.place.read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.raw_os_error() == Some(DEVICE_FAILED) => return Ok(Err(Reason::Unreadable(error.to_string()))),
            Err(error) => return Err(failed(Step::Read, file)(error)),
        };
        Ok(record::decode(&bytes).and_then(|record| {
            if record.key != self.key.as_str() {
                Err(Reason::Foreign(format!("it is of the key {:?}", record.key)))
            } else if (record.fence, record.version) != (name.fence, name.version) {
                Err(Reason::Foreign(format!("it has fence {} and version {}", record.fence, record.version)))
            } else {
                Ok(record.value.to_vec())
            }
        }))
    }

    /// See [`crate::Store::remove`].
    pub(crate) fn remove(&self) -> Result<(), RemoveError> {
        let listing = self.list()?;
        let names = listing.checkpoints.iter().map(|(name, _)| name.to_string());
        let names = names.chain(listing.events.iter().map(|(name, _)| name.event()));
        // Claims last: they keep stale owners out of what is left.
        let names = names.chain(listing.claims.iter().map(|(_, name)| name.clone()));
        // Oldest first: should we fail midway, what is left is the newest, not a return to the past.
        for name in listing.leftovers.iter().map(|(_, name)| name.clone()).chain(names) {
            let file = self.path.join(name);
            self.place.remove(&file).map_err(failed(Step::Remove, &file))?;
        }
        match self.place.settle(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(Step::Remove, &self.path)(error).into()),
            _ => Ok(()),
        }
    }

    /// See [`crate::Store::release`].
    pub(crate) fn release(&self, fence: u64) -> Result<(), RemoveError> {
        if self.list()?.fence().is_none_or(|stored| stored <= fence) {
            self.remove()?;
            // Should somebody else just have begun to write there, it stays.
            let _ = self.place.remove_dir(&self.path);
        }
        Ok(())
    }

    fn list(&self) -> Result<Listing, Failed> {
        let mut listing = Listing::default();
        let entries = match self.place.list(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            Err(error) => return Err(failed(Step::List, &self.path)(error)),
        };
        for entry in entries {
            // Names that are not ours are left alone.
            let Some(text) = entry.name.to_str() else { continue };
            if let Some(name) = text.strip_suffix(SUFFIX).and_then(Name::parse) {
                listing.checkpoints.push((name, entry.kind));
            } else if let Some(name) = text.strip_suffix(EVENT).and_then(Name::parse) {
                listing.events.push((name, entry.kind));
            } else if let Some(fence) = text.strip_suffix(CLAIM).and_then(|stem| stem.split_once('-')?.0.parse().ok()) {
                listing.claims.push((fence, text.to_string()));
            } else if let Some(name) = text.strip_prefix(TEMPORARY).and_then(|rest| Name::parse(rest.rsplit_once('-')?.0)) {
                listing.leftovers.push((name.fence, text.to_string()));
            }
        }
        listing.checkpoints.sort_unstable_by_key(|(name, _)| *name);
        listing.events.sort_unstable_by_key(|(name, _)| *name);
        Ok(listing)
    }
}

impl Name {
    fn stem(self) -> String {
        format!("{:020}-{:020}", self.fence, self.version)
    }

    fn event(self) -> String {
        format!("{}{EVENT}", self.stem())
    }

    /// Reads what [`Name::stem`] writes, and nothing else, so that no two names mean one checkpoint.
    fn parse(stem: &str) -> Option<Name> {
        let (fence, version) = stem.split_once('-')?;
        let name = Name { fence: fence.parse().ok()?, version: version.parse().ok()? };
        (name.stem() == stem).then_some(name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{SUFFIX}", self.stem())
    }
}

pub(crate) fn failed(step: Step, file: &Path) -> impl FnOnce(io::Error) -> Failed {
    move |error| Failed { step, file: file.to_path_buf(), error }
}

#[cfg(all(test, not(madsim)))]
mod tests;
