//! Files as objects of an object store, which outlive the disk of their node.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Name;
use object_store::{Error, ObjectStore, PutMode, PutOptions};
use playhouse_rt::{DirEntry, Kind};

use crate::error::{Failed, Step};
use crate::folder::failed;
use crate::place::Place;

/// Objects whose names begin with `root`. Needs of the object store that a listing shows what was put before it, as that of S3 does.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) root: PathBuf,
}

fn name(path: &Path) -> Name {
    Name::from(path.to_string_lossy().as_ref())
}

fn told(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Place for Objects {
    fn root(&self) -> &Path {
        &self.root
    }

    /// There are no folders.
    fn make(&self, _: &Path) -> Result<(), Failed> {
        Ok(())
    }

    /// An object becomes visible as a whole, and is durable when that is answered. One of a checkpoint or a claim is made once; who appends
    /// an event again, because it does not know what became of it, replaces it.
    fn publish(&self, _: &Path, file: &Path, bytes: &[u8]) -> Result<(), Failed> {
        let mode = if file.extension().is_some_and(|kind| kind == "event") { PutMode::Overwrite } else { PutMode::Create };
        let put = async {
            let made = self.store.put_opts(&name(file), bytes.to_vec().into(), PutOptions::from(mode)).await;
            match made {
                // Then the fence in the name alone keeps others out.
                Err(Error::NotImplemented) => self.store.put(&name(file), bytes.to_vec().into()).await,
                made => made,
            }
        };
        playhouse_rt::wait_here(put).map(drop).map_err(|error| failed(Step::SyncFolder, file)(told(error)))
    }

    fn settle(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        let listed = playhouse_rt::wait_here(self.store.list_with_delimiter(Some(&name(folder)))).map_err(told)?;
        let entry = |name: Option<&str>, kind| Some(DirEntry { name: OsString::from(name?), kind });
        let files = listed.objects.iter().filter_map(|object| entry(object.location.filename(), Kind::File(object.size)));
        let folders = listed.common_prefixes.iter().filter_map(|folder| entry(folder.filename(), Kind::Folder));
        let mut entries: Vec<DirEntry> = files.chain(folders).collect();
        entries.sort();
        Ok(entries)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let read = async { self.store.get(&name(file)).await?.bytes().await };
        playhouse_rt::wait_here(read).map(|bytes| bytes.to_vec()).map_err(told)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        playhouse_rt::wait_here(self.store.delete(&name(file))).map_err(told)
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
