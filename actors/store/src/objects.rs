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

/// What an object store said, and whose fault it is.
#[derive(Debug, thiserror::Error)]
#[error("{store} {}: {error}", .fault.text())]
pub(crate) struct Told {
    store: String,
    pub(crate) fault: Fault,
    #[source]
    error: Error,
}

/// Whose fault it is that an object store did not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Of who configured the credentials.
    Credentials,
    /// Of who named the bucket.
    Bucket,
    /// Of the object store, or of the way there.
    Service,
}

impl Fault {
    /// A listing's refusal has no kind of its own, so the text that it was answered with is looked at.
    fn of(error: &Error) -> Fault {
        let text = error.to_string();
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Fault::Credentials,
            _ if text.contains("NoSuchBucket") => Fault::Bucket,
            _ if text.contains("status code: 401") || text.contains("status code: 403") => Fault::Credentials,
            _ => Fault::Service,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Fault::Credentials => "refuses these credentials",
            Fault::Bucket => "does not exist",
            Fault::Service => "did not answer as it should",
        }
    }

    pub(crate) fn cure(self) -> &'static str {
        match self {
            Fault::Credentials => "Give the client credentials that may list, read, write and delete there",
            Fault::Bucket => "Make the bucket, or name another one",
            Fault::Service => "See that the object store can be reached and is well",
        }
    }
}

impl Objects {
    fn told(&self, error: Error) -> io::Error {
        let fault = Fault::of(&error);
        let kind = match &error {
            // A bucket that does not exist is no empty folder.
            _ if fault == Fault::Bucket => io::ErrorKind::Other,
            _ if fault == Fault::Credentials => io::ErrorKind::PermissionDenied,
            Error::NotFound { .. } => io::ErrorKind::NotFound,
            Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, Told { store: self.store.to_string(), fault, error })
    }
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
        playhouse_rt::wait_here(put).map(drop).map_err(|error| {
            // What was refused did not happen; of what broke on the way nobody knows.
            let step = if Fault::of(&error) == Fault::Service { Step::Put } else { Step::Write };
            failed(step, file)(self.told(error))
        })
    }

    fn settle(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        let listed =
            playhouse_rt::wait_here(self.store.list_with_delimiter(Some(&name(folder)))).map_err(|error| self.told(error))?;
        let entry = |name: Option<&str>, kind| Some(DirEntry { name: OsString::from(name?), kind });
        let files = listed.objects.iter().filter_map(|object| entry(object.location.filename(), Kind::File(object.size)));
        let folders = listed.common_prefixes.iter().filter_map(|folder| entry(folder.filename(), Kind::Folder));
        let mut entries: Vec<DirEntry> = files.chain(folders).collect();
        entries.sort();
        Ok(entries)
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let read = async { self.store.get(&name(file)).await?.bytes().await };
        playhouse_rt::wait_here(read).map(|bytes| bytes.to_vec()).map_err(|error| self.told(error))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        playhouse_rt::wait_here(self.store.delete(&name(file))).map_err(|error| self.told(error))
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
