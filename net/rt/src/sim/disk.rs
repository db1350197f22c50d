//! Disks that lose what was not made durable.
//!
//! A file's content becomes durable with `sync`, its name with `sync_dir` of its folder. At a crash each piece that is not durable is
//! lost, kept or (content) torn, as chance decides: all that a real disk may do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::record;
use crate::{DirEntry, Kind, Random};

/// A simulated disk, shared by whoever holds a clone.
#[derive(Clone, Debug, Default)]
pub struct Storage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    folders: BTreeSet<PathBuf>,
    files: Vec<File>,
    names: BTreeMap<PathBuf, Name>,
    unreadable: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct File {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Who wrote last; 0 when all is durable.
    writer: u64,
}

#[derive(Debug, Default)]
struct Name {
    file: Option<usize>,
    durable: Option<usize>,
    writer: u64,
}

impl Storage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a durable file there, with the folders above it.
    pub fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.state();
        state.add_folders(path.parent().unwrap_or(Path::new("/")));
        let file = state.files.len();
        state.files.push(File { content: content.to_vec(), durable: content.to_vec(), writer: 0 });
        state.names.insert(path.to_path_buf(), Name { file: Some(file), durable: Some(file), writer: 0 });
    }

    /// From now on the file cannot be read: permission denied.
    pub fn forbid(&self, path: &Path) {
        self.state().unreadable.insert(path.to_path_buf());
    }

    /// The host with number `writer` loses its power: what it wrote and did not make durable is lost, torn or kept.
    pub fn crash(&self, writer: u64, random: &mut Random) {
        let state = &mut *self.state();
        let mut fates = [0u32; 3];
        for file in state.files.iter_mut().filter(|file| file.writer == writer) {
            let fate = random.below(3) as usize;
            fates[fate] += 1;
            match fate {
                0 => file.content.clone_from(&file.durable),
                1 => file.content.truncate(random.below(file.content.len() as u64 + 1) as usize),
                _ => {}
            }
            file.durable.clone_from(&file.content);
            file.writer = 0;
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
}

impl State {
    fn add_folders(&mut self, folder: &Path) {
        self.folders.extend(folder.ancestors().map(Path::to_path_buf));
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        if self.unreadable.contains(path) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: permission denied", path.display())));
        }
        let file = self.names.get(path).and_then(|name| name.file);
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file", path.display())))
    }
}

/// A disk. All calls block; call them within [`crate::Blocking`].
#[derive(Clone, Debug)]
pub struct Disk {
    storage: Storage,
    writer: u64,
}

impl Disk {
    /// The view that the host with number `writer` (not 0) has of `storage`.
    pub fn simulated(storage: &Storage, writer: u64) -> Disk {
        assert!(writer != 0, "0 stands for nobody");
        Disk { storage: storage.clone(), writer }
    }

    /// The whole file.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.storage.state();
        Ok(state.files[state.find(path)?].content.clone())
    }

    /// At most `length` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    pub fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.storage.state();
        let content = &state.files[state.find(path)?].content;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        Ok(content[from..from.saturating_add(length).min(content.len())].to_vec())
    }

    /// Replaces the file's content. Survives a power loss only after [`Disk::sync`], and as a new name only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// When the folder does not exist.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.storage.state();
        let folder = path.parent().unwrap_or(Path::new("/"));
        if !state.folders.contains(folder) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: no such folder", folder.display())));
        }
        let file = match state.names.get(path).and_then(|name| name.file) {
            Some(file) => file,
            None => {
                state.files.push(File { content: Vec::new(), durable: Vec::new(), writer: self.writer });
                let file = state.files.len() - 1;
                let name = state.names.entry(path.to_path_buf()).or_default();
                name.file = Some(file);
                name.writer = self.writer;
                file
            }
        };
        state.files[file].content = bytes.to_vec();
        state.files[file].writer = self.writer;
        record("disk", || format!("write {} {} B", path.display(), bytes.len()));
        Ok(())
    }

    /// Makes the file's content durable.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.storage.state();
        let file = state.find(path)?;
        let file = &mut state.files[file];
        file.durable.clone_from(&file.content);
        file.writer = 0;
        record("disk", || format!("sync {}", path.display()));
        Ok(())
    }

    /// Gives a file another name, replacing what had it, at once.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.storage.state();
        let file = state.find(from)?;
        for (path, file) in [(from, None), (to, Some(file))] {
            let name = state.names.entry(path.to_path_buf()).or_default();
            name.file = file;
            name.writer = self.writer;
        }
        record("disk", || format!("rename {} {}", from.display(), to.display()));
        Ok(())
    }

    /// Makes the names within a folder durable.
    ///
    /// # Errors
    /// Never, here.
    pub fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.storage.state();
        for (_, name) in state.names.iter_mut().filter(|(path, _)| path.parent() == Some(folder)) {
            name.durable = name.file;
            name.writer = 0;
        }
        state.names.retain(|_, name| name.file.is_some() || name.durable.is_some());
        record("disk", || format!("sync folder {}", folder.display()));
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.storage.state();
        state.find(path)?;
        let name = state.names.entry(path.to_path_buf()).or_default();
        name.file = None;
        name.writer = self.writer;
        Ok(())
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// Never, here.
    pub fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.storage.state().add_folders(folder);
        Ok(())
    }

    /// What a folder holds, sorted by name.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.storage.state();
        if !state.folders.contains(folder) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: no such folder", folder.display())));
        }
        let within = |path: &Path| (path.parent() == Some(folder)).then(|| path.file_name().map(ToOwned::to_owned)).flatten();
        let mut entries: Vec<DirEntry> =
            state.folders.iter().filter_map(|path| Some(DirEntry { name: within(path)?, kind: Kind::Folder })).collect();
        for (path, name) in &state.names {
            if let (Some(file), Some(entry)) = (name.file, within(path)) {
                entries.push(DirEntry { name: entry, kind: Kind::File(state.files[file].content.len() as u64) });
            }
        }
        entries.sort();
        Ok(entries)
    }
}
