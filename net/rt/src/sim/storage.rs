//! Disks that lose what was not made durable.
//!
//! A file's content becomes durable with `sync`, its name with `sync_dir` of its folder. At a crash each piece that is not durable is
//! lost, kept or (content) torn, as chance decides: all that a real disk may do. Content that was written at an offset is torn by
//! sectors: of each, any state that it has had since the file was last made durable may be what is found.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pages::Pages;
use crate::ledger::record;
use crate::{DirEntry, Kind, Random};

/// Bytes that a disk writes as one piece.
pub const SECTOR: usize = 4096;

/// A simulated disk, shared by whoever holds a clone.
#[derive(Clone, Debug, Default)]
pub struct Storage(Arc<Mutex<State>>);

/// A bit that was flipped. To flip it again mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Of which file.
    pub path: PathBuf,
    /// Which bit, from the file's beginning.
    pub bit: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) files: Vec<File>,
    pub(super) names: BTreeMap<PathBuf, Name>,
    unreadable: BTreeSet<PathBuf>,
    /// The hosts that have lost their power.
    off: BTreeSet<u64>,
    /// How many more calls of a host change something before it loses its power.
    fuses: BTreeMap<u64, u64>,
    /// The files that one handle has for itself: of which host it is, and the claim's number.
    claims: BTreeMap<usize, (u64, u64)>,
    /// How many claims there were.
    claimed: u64,
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) content: Pages,
    durable: Pages,
    /// What the file was replaced by since it was made durable...
    replaced: Option<Vec<u8>>,
    /// ...and what was changed in it since then.
    changes: Vec<Change>,
    /// Who wrote last; 0 when all is durable.
    writer: u64,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) file: Option<usize>,
    pub(super) durable: Option<usize>,
    pub(super) writer: u64,
}

impl Storage {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Storage::state`], for a host that still has power.
    pub(super) fn state_for(&self, writer: u64) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.off.contains(&writer) { Err(io::Error::other("this host has lost its power")) } else { Ok(state) }
    }

    /// As [`Storage::state_for`], for a call that changes something.
    pub(super) fn changed_by(&self, writer: u64) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state_for(writer)?;
        state.burn(writer)?;
        Ok(state)
    }

    pub(super) fn is(&self, other: &Storage) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Puts a durable file there, with the folders above it.
    pub fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.state();
        state.add_folders(path.parent().unwrap_or(Path::new("/")));
        let file = state.files.len();
        let content = Pages::from(content);
        state.files.push(File { durable: content.clone(), content, ..File::default() });
        state.names.insert(path.to_path_buf(), Name { file: Some(file), durable: Some(file), writer: 0 });
    }

    /// From now on the file cannot be read: permission denied.
    pub fn forbid(&self, path: &Path) {
        self.state().unreadable.insert(path.to_path_buf());
    }

    /// From now on nothing that the host with number `writer` does reaches the disk: each call fails. To be called before its tasks are
    /// dropped and [`Storage::crash`] decides about what is there, for what is dropped may still write and make durable.
    pub fn cut(&self, writer: u64) {
        self.state().turn_off(writer);
    }

    /// As [`Storage::cut`], after `calls` more calls of that host that change something: for a power loss between any two steps of work.
    pub fn cut_after(&self, writer: u64, calls: u64) {
        self.state().fuses.insert(writer, calls);
    }

    /// The host with number `writer` loses its power: what it wrote and did not make durable is lost, torn or kept.
    pub fn crash(&self, writer: u64, random: &mut Random) {
        let state = &mut *self.state();
        state.claims.retain(|_, (of, _)| *of != writer);
        let mut fates = [0u32; 3];
        for file in state.files.iter_mut().filter(|file| file.writer == writer) {
            fates[file.crash(random)] += 1;
        }
        for name in state.names.values_mut().filter(|name| name.writer == writer) {
            if random.chance(0.5) {
                name.file = name.durable;
            }
            name.durable = name.file;
            name.writer = 0;
        }
        record("disk", || format!("host {writer} lost power: {} writes lost, {} torn, {} kept", fates[0], fates[1], fates[2]));
    }

    /// All is gone, what was durable too.
    pub fn lose(&self) {
        let state = &mut *self.state();
        record("disk", || format!("all is gone, {} files", state.names.values().filter(|name| name.file.is_some()).count()));
        // Whoever still has one of them open sees an empty file.
        state.files.iter_mut().for_each(|file| *file = File::default());
        state.names.clear();
        state.folders.clear();
        state.unreadable.clear();
    }

    /// Flips a bit of a file under `scope`, in what is durable too; none when all files there are empty.
    pub fn rot(&self, scope: &Path, random: &mut Random) -> Option<Flip> {
        let path = {
            let state = self.state();
            let length = |name: &Name| name.file.map_or(0, |file| state.files[file].content.len());
            let some: Vec<_> = state.names.iter().filter(|(path, name)| path.starts_with(scope) && length(name) > 0).collect();
            let (path, name) = some.get(random.below(some.len() as u64) as usize)?;
            Flip { path: path.to_path_buf(), bit: random.below(length(name) as u64 * 8) }
        };
        self.flip(&path).then_some(path)
    }

    /// Flips a bit, in what is durable too. Whether the file is there and so long.
    pub fn flip(&self, flip: &Flip) -> bool {
        let mut state = self.state();
        let Some(file) = state.names.get(&flip.path).and_then(|name| name.file) else { return false };
        let File { content, durable, .. } = &mut state.files[file];
        let (at, mask) = ((flip.bit / 8) as usize, 1u8 << (flip.bit % 8));
        if !content.flip(at, mask) {
            return false;
        }
        durable.flip(at, mask);
        record("disk", || format!("bit {} of {} flipped", flip.bit, flip.path.display()));
        true
    }
}

impl State {
    fn turn_off(&mut self, writer: u64) {
        self.off.insert(writer);
        // Its process is gone, and its locks with it.
        self.claims.retain(|_, (of, _)| *of != writer);
    }

    /// A host is about to change something.
    pub(super) fn burn(&mut self, writer: u64) -> io::Result<()> {
        let Some(fuse) = self.fuses.get_mut(&writer) else { return Ok(()) };
        if let Some(left) = fuse.checked_sub(1) {
            *fuse = left;
            return Ok(());
        }
        self.turn_off(writer);
        Err(io::Error::other("this host has lost its power"))
    }

    pub(super) fn claim(&mut self, path: &Path, file: usize, writer: u64) -> io::Result<u64> {
        if self.claims.contains_key(&file) {
            let why = format!("{}: somebody else uses it", path.display());
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
        }
        self.claimed += 1;
        self.claims.insert(file, (writer, self.claimed));
        Ok(self.claimed)
    }

    /// Nothing, when the claim went with its host before.
    pub(super) fn release(&mut self, file: usize, claim: u64) {
        if self.claims.get(&file).is_some_and(|(_, held)| *held == claim) {
            self.claims.remove(&file);
        }
    }

    pub(super) fn add_folders(&mut self, folder: &Path) {
        self.folders.extend(folder.ancestors().map(Path::to_path_buf));
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        if self.unreadable.contains(path) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: permission denied", path.display())));
        }
        let file = self.names.get(path).and_then(|name| name.file);
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file", path.display())))
    }

    pub(super) fn find_folder(&self, folder: &Path) -> io::Result<()> {
        if self.folders.contains(folder) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: no such folder", folder.display())))
    }

    /// The file of that name, made when there is none.
    pub(super) fn make(&mut self, path: &Path, writer: u64) -> io::Result<usize> {
        self.find_folder(path.parent().unwrap_or(Path::new("/")))?;
        if let Some(file) = self.names.get(path).and_then(|name| name.file) {
            return Ok(file);
        }
        self.files.push(File { writer, ..File::default() });
        let file = self.files.len() - 1;
        let name = self.names.entry(path.to_path_buf()).or_default();
        name.file = Some(file);
        name.writer = writer;
        Ok(file)
    }

    pub(super) fn entries(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        self.find_folder(folder)?;
        let within = |path: &Path| (path.parent() == Some(folder)).then(|| path.file_name().map(ToOwned::to_owned)).flatten();
        let mut entries: Vec<DirEntry> =
            self.folders.iter().filter_map(|path| Some(DirEntry { name: within(path)?, kind: Kind::Folder })).collect();
        for (path, name) in &self.names {
            if let (Some(file), Some(entry)) = (name.file, within(path)) {
                entries.push(DirEntry { name: entry, kind: Kind::File(self.files[file].content.len() as u64) });
            }
        }
        entries.sort();
        Ok(entries)
    }
}

impl File {
    pub(super) fn replace(&mut self, bytes: &[u8], writer: u64) {
        self.content = Pages::from(bytes);
        self.replaced = Some(bytes.to_vec());
        self.changes.clear();
        self.writer = writer;
    }

    pub(super) fn write_at(&mut self, offset: usize, bytes: &[u8], writer: u64) {
        let change = Change::Write { offset, bytes: bytes.to_vec() };
        change.apply(&mut self.content);
        self.changes.push(change);
        self.writer = writer;
    }

    pub(super) fn set_len(&mut self, length: usize, writer: u64) {
        let change = Change::Length(length);
        change.apply(&mut self.content);
        self.changes.push(change);
        self.writer = writer;
    }

    pub(super) fn sync(&mut self) {
        if self.replaced.take().is_some() {
            self.durable = self.content.clone();
            self.changes.clear();
        }
        // Not a copy of the whole content: a database makes small changes in a large file.
        self.durable.resize(self.content.len());
        for change in self.changes.drain(..) {
            let changed = match change {
                Change::Write { offset, bytes } => offset..offset + bytes.len(),
                Change::Length(length) => length..usize::MAX,
            };
            self.durable.share(&self.content, changed);
        }
        self.writer = 0;
    }

    /// Its fate: 0 all was lost that was not durable, 1 some of it, 2 nothing.
    fn crash(&mut self, random: &mut Random) -> usize {
        let mut fate = None;
        if let Some(mut bytes) = self.replaced.take() {
            let drawn = random.below(3) as usize;
            match drawn {
                0 => {}
                1 => {
                    bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
                    self.durable = Pages::from(&*bytes);
                }
                _ => self.durable = Pages::from(&*bytes),
            }
            fate = Some(drawn);
        }
        let changes = std::mem::take(&mut self.changes);
        if !changes.is_empty() {
            // All or nothing of it would be rare among many sectors, and is common with real disks.
            let drawn = random.below(4).min(2) as usize;
            match drawn {
                0 => {}
                1 => changes.iter().for_each(|change| change.apply(&mut self.durable)),
                _ => tear(&mut self.durable, &changes, random),
            }
            let drawn = [0, 2, 1][drawn];
            fate = Some(fate.map_or(drawn, |fate| if fate == drawn { fate } else { 1 }));
        }
        self.content.clone_from(&self.durable);
        self.writer = 0;
        // A new file of which nothing was written.
        fate.unwrap_or(2)
    }
}

impl Change {
    fn apply(&self, content: &mut Pages) {
        match self {
            Change::Write { offset, bytes } => content.write(*offset, bytes),
            Change::Length(length) => content.resize(*length),
        }
    }
}

/// What is found of `changes` that were under way: each sector as it was at some moment since, each at another one, and the length as
/// it was at one.
fn tear(content: &mut Pages, changes: &[Change], random: &mut Random) {
    /// A piece within one sector; without bytes, zeros.
    struct Piece<'a> {
        offset: usize,
        end: usize,
        bytes: Option<&'a [u8]>,
    }
    fn cut<'a>(sectors: &mut BTreeMap<usize, Vec<Piece<'a>>>, mut offset: usize, end: usize, mut bytes: Option<&'a [u8]>) {
        while offset < end {
            let until = end.min((offset / SECTOR + 1) * SECTOR);
            let piece = bytes.map(|bytes| bytes.split_at(until - offset));
            bytes = piece.map(|(_, rest)| rest);
            sectors.entry(offset / SECTOR).or_default().push(Piece { offset, end: until, bytes: piece.map(|(piece, _)| piece) });
            offset = until;
        }
    }
    let mut sectors = BTreeMap::new();
    let mut lengths = vec![content.len()];
    let mut longest = content.len();
    for change in changes {
        let length = lengths[lengths.len() - 1];
        match change {
            Change::Write { offset, bytes } => {
                cut(&mut sectors, *offset, offset + bytes.len(), Some(bytes));
                lengths.push(length.max(offset + bytes.len()));
            }
            Change::Length(to) => {
                cut(&mut sectors, *to, length, None);
                lengths.push(*to);
            }
        }
        longest = longest.max(lengths[lengths.len() - 1]);
    }
    content.resize(longest);
    for pieces in sectors.values() {
        let survive = random.below(pieces.len() as u64 + 1) as usize;
        for piece in &pieces[..survive] {
            match piece.bytes {
                Some(bytes) => content.write(piece.offset, bytes),
                None => content.clear(piece.offset..piece.end),
            }
        }
    }
    content.resize(lengths[random.below(lengths.len() as u64) as usize]);
}
