//! The operating system's files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{DirEntry, Kind};

/// A disk. All calls block; call them within [`crate::Blocking`].
#[derive(Clone, Debug, Default)]
pub struct Disk(());

impl Disk {
    pub(crate) fn new() -> Disk {
        Disk(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    /// At most `length` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Replaces the file's content. Survives a power loss only after [`Disk::sync`], and as a new name only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// As the operating system says; the file may then hold a part of it.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all(bytes)
    }

    /// Makes the file's content durable.
    ///
    /// # Errors
    /// As the operating system says; the content may then be lost.
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Gives a file another name, replacing what had it, at once.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Makes the names within a folder durable.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    /// Removes a folder, which must be empty.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn remove_dir(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }

    /// What a folder holds, sorted by name. Links are not followed.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let kind = if kind.is_file() {
                Kind::File(entry.metadata()?.len())
            } else if kind.is_dir() {
                Kind::Folder
            } else if kind.is_symlink() {
                Kind::Link
            } else {
                Kind::Other
            };
            entries.push(DirEntry { name: entry.file_name(), kind });
        }
        entries.sort();
        Ok(entries)
    }

    /// Opens a file to read and write anywhere in it; makes an empty one when there is none.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(DiskFile { file, path: path.to_path_buf(), seeking: Mutex::new(()) })
    }

    /// As [`Disk::open`], for this handle alone: as long as it lives, nobody else can claim the file, in this process or in another one. Who
    /// does not claim it is not kept out.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when somebody else has claimed it; else as the operating system says, which may have no locks here.
    pub fn claim(&self, path: &Path) -> io::Result<DiskFile> {
        let opened = self.open(path)?;
        match opened.file.try_lock() {
            Ok(()) => Ok(opened),
            Err(TryLockError::WouldBlock) => {
                let why = format!("{}: somebody else uses it", path.display());
                Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
            }
            Err(TryLockError::Error(error)) => opened.named(Err(error)),
        }
    }
}

/// A file that is open. All calls block; call them within [`crate::Blocking`]. It stays the same file when its name changes.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
    /// Held from a seek to what it is for: the file has one position, and std offers none that is the call's own on all systems.
    seeking: Mutex<()>,
}

impl DiskFile {
    /// Its length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks that of a file")]
    pub fn len(&self) -> io::Result<u64> {
        self.named(self.file.metadata().map(|metadata| metadata.len()))
    }

    /// Fills `bytes` with what is at `offset`.
    ///
    /// # Errors
    /// When the file ends before; else as the operating system says.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let _seeking = self.seeking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = &self.file;
        self.named(file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(bytes)))
    }

    /// Writes `bytes` at `offset`; a gap before it is zeros. Survives a power loss only after [`DiskFile::sync`], and before that in any
    /// part.
    ///
    /// # Errors
    /// As the operating system says; a part may be written then.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let _seeking = self.seeking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = &self.file;
        self.named(file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes)))
    }

    /// Cuts the file, or makes it longer with zeros.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.named(self.file.set_len(length))
    }

    /// Makes content and length durable. The name of a new file needs [`Disk::sync_dir`] too.
    ///
    /// # Errors
    /// As the operating system says; what was written may then be lost.
    pub fn sync(&self) -> io::Result<()> {
        self.named(self.file.sync_data())
    }

    /// The operating system does not say which file it speaks of.
    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }
}
