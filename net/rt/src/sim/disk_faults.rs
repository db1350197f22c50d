//! What is wrong with a host's disk while it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Random;
use crate::ledger::record;

/// Something that is wrong with a disk. Probabilities are in parts per million of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DiskFault {
    /// A call that reads fails.
    ReadError {
        /// How likely.
        ppm: u32,
    },
    /// A call that writes, renames, removes or makes durable fails. What was to be written may be there in part.
    WriteError {
        /// How likely.
        ppm: u32,
    },
    /// What is to be made durable is not, and the call says that it is.
    LostSync {
        /// How likely.
        ppm: u32,
    },
    /// Files may grow by so much in all; then the disk is full. What is removed makes room.
    Full {
        /// Bytes.
        room: u64,
    },
    /// A call takes longer: work within a [`crate::Blocking`] ends so much later for each call that it made. A call that is made
    /// elsewhere takes no time.
    Slow {
        /// Microseconds.
        micros: u64,
    },
}

impl DiskFault {
    /// The fault's kind, as it is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            DiskFault::ReadError { .. } => "read-error",
            DiskFault::WriteError { .. } => "write-error",
            DiskFault::LostSync { .. } => "lost-sync",
            DiskFault::Full { .. } => "disk-full",
            DiskFault::Slow { .. } => "slow-disk",
        }
    }
}

/// What a disk is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Sync,
}

/// What is wrong with one host's disk, over all its lives. All clones are the same.
#[derive(Clone)]
pub struct DiskFaults(Arc<Mutex<State>>);

struct State {
    name: String,
    random: Random,
    list: Vec<Trouble>,
    counts: BTreeMap<&'static str, u64>,
}

struct Trouble {
    scope: PathBuf,
    /// As it began.
    fault: DiskFault,
    /// As it is now: a disk fills up.
    now: DiskFault,
}

impl Trouble {
    fn room(&mut self) -> Option<&mut u64> {
        match &mut self.now {
            DiskFault::Full { room } => Some(room),
            _ => None,
        }
    }
}

impl DiskFaults {
    /// Nothing is wrong with the disk of the host `name` (for the ledger). Whether a call is hit will come from `random`.
    pub fn new(name: &str, random: Random) -> DiskFaults {
        DiskFaults(Arc::new(Mutex::new(State { name: name.into(), random, list: Vec::new(), counts: BTreeMap::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is wrong with all that is under `scope`, a file or a folder.
    pub fn begin(&self, scope: &Path, fault: DiskFault) {
        let mut state = self.state();
        record("fault", || format!("disk of {} under {}: {fault:?}", state.name, scope.display()));
        state.list.push(Trouble { scope: scope.to_path_buf(), fault, now: fault });
    }

    /// Ends what began with the same words, once. Nothing when there is no such fault.
    pub fn end(&self, scope: &Path, fault: DiskFault) {
        let mut state = self.state();
        if let Some(at) = state.list.iter().position(|trouble| trouble.scope == scope && trouble.fault == fault) {
            record("mend", || format!("disk of {} under {}: {fault:?}", state.name, scope.display()));
            state.list.remove(at);
        }
    }

    /// Ends all.
    pub fn end_all(&self) {
        let list: Vec<_> = self.state().list.iter().map(|trouble| (trouble.scope.clone(), trouble.fault)).collect();
        list.iter().for_each(|(scope, fault)| self.end(scope, *fault));
    }

    /// How many calls each kind has hit.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state().counts.clone()
    }

    /// Before a call: fails it, or lets it owe time.
    pub(super) fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        let State { random, list, counts, name } = &mut *self.state();
        let mut result = Ok(());
        for Trouble { now, .. } in list.iter().filter(|trouble| path.starts_with(&trouble.scope)) {
            let ppm = match *now {
                DiskFault::ReadError { ppm } if call == Call::Read => ppm,
                DiskFault::WriteError { ppm } if call != Call::Read => ppm,
                DiskFault::Slow { micros } => {
                    *counts.entry(now.kind()).or_default() += 1;
                    owed::add(Duration::from_micros(micros));
                    continue;
                }
                _ => continue,
            };
            if hits(random, ppm) && result.is_ok() {
                *counts.entry(now.kind()).or_default() += 1;
                record("disk", || format!("{} of {name}: {}", now.kind(), path.display()));
                // As the operating system says it: EIO (errno(3)).
                result = Err(io::Error::from_raw_os_error(5));
            }
        }
        result
    }

    /// Whether what is to be made durable is not.
    pub(super) fn loses_sync(&self, path: &Path) -> bool {
        let State { random, list, counts, name } = &mut *self.state();
        let mut lost = false;
        for Trouble { now, .. } in list.iter().filter(|trouble| path.starts_with(&trouble.scope)) {
            if let DiskFault::LostSync { ppm } = *now {
                lost |= hits(random, ppm);
            }
        }
        if lost {
            *counts.entry("lost-sync").or_default() += 1;
            record("disk", || format!("lost-sync of {name}: {}", path.display()));
        }
        lost
    }

    /// Of a call that failed: how many of its bytes are written all the same.
    pub(super) fn part(&self, length: usize) -> usize {
        self.state().random.below(length as u64 + 1) as usize
    }

    /// A file is to grow: by how much it can.
    pub(super) fn grow(&self, path: &Path, by: u64) -> Result<(), (u64, io::Error)> {
        let State { list, counts, name, .. } = &mut *self.state();
        let mut within: Vec<&mut u64> =
            list.iter_mut().filter(|trouble| path.starts_with(&trouble.scope)).filter_map(Trouble::room).collect();
        let room = within.iter().map(|room| **room).min().unwrap_or(u64::MAX);
        let grown = by.min(room);
        within.iter_mut().for_each(|room| **room -= grown);
        if grown == by {
            return Ok(());
        }
        *counts.entry("disk-full").or_default() += 1;
        record("disk", || format!("disk-full of {name}: {}", path.display()));
        Err((grown, io::Error::new(io::ErrorKind::StorageFull, format!("{}: no space left on the disk", path.display()))))
    }

    /// A file has shrunk.
    pub(super) fn shrink(&self, path: &Path, by: u64) {
        let mut state = self.state();
        for room in state.list.iter_mut().filter(|trouble| path.starts_with(&trouble.scope)).filter_map(Trouble::room) {
            *room = room.saturating_add(by);
        }
    }
}

fn hits(random: &mut Random, ppm: u32) -> bool {
    random.below(1_000_000) < u64::from(ppm)
}

impl fmt::Debug for DiskFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_list().entries(state.list.iter().map(|trouble| (&trouble.scope, trouble.now))).finish()
    }
}

/// The time that calls to slow disks owe to the work that made them.
pub(super) mod owed {
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        // Work runs in one piece, so what is here is its own.
        static OWED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn add(time: Duration) {
        OWED.set(OWED.get() + time);
    }

    pub(in crate::sim) fn take() -> Duration {
        OWED.take()
    }
}
