//! Where the files of a store are.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use playhouse_rt::{DirEntry, Disk};

use crate::error::{Failed, Step};
use crate::folder::failed;

/// Where files are. All of it blocks.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// Above the folders of all keys.
    fn root(&self) -> &Path;

    /// Makes a folder. It is durable before the first file is in it: so a folder with a file needs no more of this, and one without gets
    /// it again, should an earlier life have crashed in between.
    fn make(&self, folder: &Path) -> Result<(), Failed>;

    /// The one place where a file becomes real: all of it or nothing, and it survives a power loss.
    fn publish(&self, temporary: &Path, file: &Path, bytes: &[u8]) -> Result<(), Failed>;

    /// Makes durable what has been done in a folder.
    fn settle(&self, folder: &Path) -> io::Result<()>;

    /// What a folder holds.
    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>>;

    /// The whole file.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;

    /// Removes a file.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// Removes a folder, if it is empty.
    fn remove_dir(&self, folder: &Path) -> io::Result<()>;
}

/// A folder of a disk.
#[derive(Debug)]
pub(crate) struct OnDisk {
    pub(crate) disk: Disk,
    pub(crate) root: PathBuf,
}

impl Place for OnDisk {
    fn root(&self) -> &Path {
        &self.root
    }

    fn make(&self, folder: &Path) -> Result<(), Failed> {
        self.disk.create_dir_all(folder).map_err(failed(Step::Folder, folder))?;
        self.disk.sync_dir(&self.root).map_err(failed(Step::Folder, &self.root))
    }

    /// The order is what makes it atomic and durable:
    ///
    /// 1. write under a temporary name: a crash leaves a leftover that is never read;
    /// 2. sync the file: otherwise the new name could outlive a power loss that its content did not;
    /// 3. rename: in one step, the checkpoint is there as a whole;
    /// 4. sync the folder: otherwise a power loss could take the name away again, after we said `Ok`.
    fn publish(&self, temporary: &Path, file: &Path, bytes: &[u8]) -> Result<(), Failed> {
        let written = self
            .disk
            .write(temporary, bytes)
            .map_err(failed(Step::Write, temporary))
            .and_then(|()| self.disk.sync(temporary).map_err(failed(Step::Sync, temporary)))
            .and_then(|()| self.disk.rename(temporary, file).map_err(failed(Step::Rename, file)));
        if let Err(error) = written {
            // A full disk should not be fuller for our failure. If this fails too, the next save cleans up.
            let _ = self.disk.remove(temporary);
            return Err(error);
        }
        let folder = file.parent().unwrap_or(&self.root);
        self.disk.sync_dir(folder).map_err(failed(Step::SyncFolder, folder))
    }

    fn settle(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_dir(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(folder)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(file)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn remove_dir(&self, folder: &Path) -> io::Result<()> {
        self.disk.remove_dir(folder)
    }
}
