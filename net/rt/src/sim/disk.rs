//! What one host sees of disks: its own, those that are shared, and what is wrong with them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk_faults::{Call, DiskFaults};
use super::storage::Storage;
use crate::DirEntry;
use crate::ledger::record;

/// A disk. All calls block; call them within [`crate::Blocking`].
#[derive(Clone, Debug)]
pub struct Disk {
    own: Storage,
    /// Folders that are on other disks. The first that fits counts.
    mounts: Arc<[(PathBuf, Storage)]>,
    faults: Option<DiskFaults>,
    writer: u64,
}

impl Disk {
    /// The view that the host with number `writer` (not 0) has of `storage`.
    pub fn simulated(storage: &Storage, writer: u64) -> Disk {
        assert!(writer != 0, "0 stands for nobody");
        Disk { own: storage.clone(), mounts: Arc::default(), faults: None, writer }
    }

    /// The same, with these folders on other disks. They are made there if need be.
    #[must_use]
    pub fn with_mounts(self, mounts: &[(PathBuf, Storage)]) -> Disk {
        for (folder, storage) in mounts {
            storage.state().add_folders(folder);
            self.own.state().add_folders(folder);
        }
        Disk { mounts: mounts.into(), ..self }
    }

    /// The same, to which this happens.
    #[must_use]
    pub fn with_faults(self, faults: &DiskFaults) -> Disk {
        Disk { faults: Some(faults.clone()), ..self }
    }

    /// On which disk a path is.
    pub fn storage_of(&self, path: &Path) -> &Storage {
        self.mounts.iter().find(|(folder, _)| path.starts_with(folder)).map_or(&self.own, |(_, storage)| storage)
    }

    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before(call, path))
    }

    fn loses_sync(&self, path: &Path) -> bool {
        self.faults.as_ref().is_some_and(|faults| faults.loses_sync(path))
    }

    /// A file of `length` bytes is to get `bytes` at `offset`: how many of them it gets, and why not all.
    fn admit(&self, path: &Path, length: u64, offset: u64, bytes: usize) -> (usize, io::Result<()>) {
        let Some(faults) = &self.faults else { return (bytes, Ok(())) };
        let (bytes, result) = match faults.before(Call::Write, path) {
            Ok(()) => (bytes, Ok(())),
            Err(error) => (faults.part(bytes), Err(error)),
        };
        let growth = if bytes == 0 { 0 } else { (offset + bytes as u64).saturating_sub(length) };
        match faults.grow(path, growth) {
            Ok(()) => (bytes, result),
            // The room begins where the file ends, so it is the last bytes that have none.
            Err((grown, full)) => (bytes.saturating_sub((growth - grown) as usize), Err(full)),
        }
    }

    fn freed(&self, path: &Path, by: u64) {
        if let Some(faults) = self.faults.as_ref().filter(|_| by > 0) {
            faults.shrink(path, by);
        }
    }

    /// The whole file.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.before(Call::Read, path)?;
        let state = self.storage_of(path).state_for(self.writer)?;
        Ok(state.files[state.find(path)?].content.read(0..usize::MAX))
    }

    /// At most `length` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    pub fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.before(Call::Read, path)?;
        let state = self.storage_of(path).state_for(self.writer)?;
        let content = &state.files[state.find(path)?].content;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(content.read(from..from.saturating_add(length)))
    }

    /// Replaces the file's content. Survives a power loss only after [`Disk::sync`], and as a new name only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// When the folder does not exist, the disk is full or fails; in the last two cases the file may then hold a part of it.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.storage_of(path).changed_by(self.writer)?;
        let file = state.make(path, self.writer)?;
        self.freed(path, state.files[file].content.len() as u64);
        let (written, result) = self.admit(path, 0, 0, bytes.len());
        state.files[file].replace(&bytes[..written], self.writer);
        record("disk", || format!("write {} {written} B", path.display()));
        result
    }

    /// Makes the file's content durable.
    ///
    /// # Errors
    /// When there is no such file, or the disk fails; nothing is durable then that was not.
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        self.before(Call::Sync, path)?;
        let mut state = self.storage_of(path).changed_by(self.writer)?;
        let file = state.find(path)?;
        if !self.loses_sync(path) {
            state.files[file].sync();
        }
        record("disk", || format!("sync {}", path.display()));
        Ok(())
    }

    /// Gives a file another name, replacing what had it, at once.
    ///
    /// # Errors
    /// When there is no such file, both names are not on the same disk, or it fails.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let storage = self.storage_of(from);
        if !storage.is(self.storage_of(to)) {
            let why = format!("{} and {} are not on one disk", from.display(), to.display());
            return Err(io::Error::new(io::ErrorKind::CrossesDevices, why));
        }
        self.before(Call::Write, from)?;
        let mut state = storage.changed_by(self.writer)?;
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
    /// When the disk fails.
    pub fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.before(Call::Sync, folder)?;
        let mut state = self.storage_of(folder).changed_by(self.writer)?;
        if !self.loses_sync(folder) {
            for (_, name) in state.names.iter_mut().filter(|(path, _)| path.parent() == Some(folder)) {
                name.durable = name.file;
                name.writer = 0;
            }
            state.names.retain(|_, name| name.file.is_some() || name.durable.is_some());
        }
        record("disk", || format!("sync folder {}", folder.display()));
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When there is none, or the disk fails.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.before(Call::Write, path)?;
        let mut state = self.storage_of(path).changed_by(self.writer)?;
        let file = state.find(path)?;
        self.freed(path, state.files[file].content.len() as u64);
        let name = state.names.entry(path.to_path_buf()).or_default();
        name.file = None;
        name.writer = self.writer;
        Ok(())
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.before(Call::Write, folder)?;
        self.storage_of(folder).changed_by(self.writer)?.add_folders(folder);
        Ok(())
    }

    /// Removes a folder.
    ///
    /// # Errors
    /// When it is not empty, there is none, or the disk fails.
    pub fn remove_dir(&self, folder: &Path) -> io::Result<()> {
        self.before(Call::Write, folder)?;
        let mut state = self.storage_of(folder).changed_by(self.writer)?;
        if !state.entries(folder)?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, format!("{}: not empty", folder.display())));
        }
        state.folders.remove(folder);
        Ok(())
    }

    /// What a folder holds, sorted by name.
    ///
    /// # Errors
    /// When there is no such folder, or it cannot be read.
    pub fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        self.before(Call::Read, folder)?;
        self.storage_of(folder).state_for(self.writer)?.entries(folder)
    }

    /// Opens a file to read and write anywhere in it; makes an empty one when there is none.
    ///
    /// # Errors
    /// When the folder does not exist, or the file cannot be read.
    pub fn open(&self, path: &Path) -> io::Result<DiskFile> {
        self.before(Call::Read, path)?;
        let mut state = self.storage_of(path).state_for(self.writer)?;
        let file = match state.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.burn(self.writer)?;
                state.make(path, self.writer)?
            }
            found => found?,
        };
        drop(state);
        record("disk", || format!("open {}", path.display()));
        let storage = self.storage_of(path).clone();
        Ok(DiskFile { disk: self.clone(), storage, path: path.to_path_buf(), file, claim: None })
    }

    /// As [`Disk::open`], for this handle alone: as long as it lives and its host has power, nobody else can claim the file. Who does not
    /// claim it is not kept out.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when somebody else has claimed it; else as with [`Disk::open`].
    pub fn claim(&self, path: &Path) -> io::Result<DiskFile> {
        let mut opened = self.open(path)?;
        opened.claim = Some(opened.storage.state_for(self.writer)?.claim(path, opened.file, self.writer)?);
        Ok(opened)
    }
}

/// A file that is open. All calls block; call them within [`crate::Blocking`]. It stays the same file when its name changes.
#[derive(Debug)]
pub struct DiskFile {
    disk: Disk,
    storage: Storage,
    path: PathBuf,
    file: usize,
    /// The number of its claim, if it has one.
    claim: Option<u64>,
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        if let Some(claim) = self.claim {
            self.storage.state().release(self.file, claim);
        }
    }
}

impl DiskFile {
    /// Its length in bytes.
    ///
    /// # Errors
    /// When the disk fails.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks that of a file")]
    pub fn len(&self) -> io::Result<u64> {
        self.disk.before(Call::Read, &self.path)?;
        Ok(self.storage.state_for(self.disk.writer)?.files[self.file].content.len() as u64)
    }

    /// Fills `bytes` with what is at `offset`.
    ///
    /// # Errors
    /// When the file ends before, or the disk fails.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.disk.before(Call::Read, &self.path)?;
        let state = self.storage.state_for(self.disk.writer)?;
        let content = &state.files[self.file].content;
        let from = usize::try_from(offset).ok();
        let from = from.filter(|from| from.checked_add(bytes.len()).is_some_and(|end| end <= content.len()));
        let from = from.ok_or_else(|| {
            let why = format!("{}: it ends before {offset} + {}", self.path.display(), bytes.len());
            io::Error::new(io::ErrorKind::UnexpectedEof, why)
        })?;
        content.read_into(from, bytes);
        Ok(())
    }

    /// Writes `bytes` at `offset`; a gap before it is zeros. Survives a power loss only after [`DiskFile::sync`], and before that in any
    /// part.
    ///
    /// # Errors
    /// When the disk is full or fails; a part may be written then.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.storage.changed_by(self.disk.writer)?;
        let file = &mut state.files[self.file];
        let (written, result) = self.disk.admit(&self.path, file.content.len() as u64, offset, bytes.len());
        if written > 0 {
            file.write_at(offset as usize, &bytes[..written], self.disk.writer);
        }
        record("disk", || format!("write {} {written} B at {offset}", self.path.display()));
        result
    }

    /// Cuts the file, or makes it longer with zeros.
    ///
    /// # Errors
    /// When the disk is full or fails; nothing has changed then.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.before(Call::Write, &self.path)?;
        let mut state = self.storage.changed_by(self.disk.writer)?;
        let file = &mut state.files[self.file];
        let old = file.content.len() as u64;
        if let Some(faults) = &self.disk.faults
            && let Err((grown, full)) = faults.grow(&self.path, length.saturating_sub(old))
        {
            faults.shrink(&self.path, grown);
            return Err(full);
        }
        self.disk.freed(&self.path, old.saturating_sub(length));
        file.set_len(length as usize, self.disk.writer);
        record("disk", || format!("length {} {length} B", self.path.display()));
        Ok(())
    }

    /// Makes content and length durable. The name of a new file needs [`Disk::sync_dir`] too.
    ///
    /// # Errors
    /// When the disk fails; nothing is durable then that was not.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.before(Call::Sync, &self.path)?;
        if !self.disk.loses_sync(&self.path) {
            self.storage.changed_by(self.disk.writer)?.files[self.file].sync();
        }
        record("disk", || format!("sync {}", self.path.display()));
        Ok(())
    }
}
