//! Identities and authorities in folders: what is there, what is wrong with it, and writing that leaves a file whole or as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use playhouse_wire::NodeName;

use crate::certificate::Certificate;
use crate::certs::{Authority, CertError};
use crate::identity::Identity;
use crate::limits::PEM_FILE_MAX;

const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";
const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// An identity or authority was not read or not written.
#[derive(thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error("{}: there is no such file", .0.display())]
    Missing(PathBuf),
    /// It is there and cannot be read.
    #[error("{}: it cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// It is longer than [`PEM_FILE_MAX`].
    #[error("{}: it is longer than {PEM_FILE_MAX} bytes, so it is no certificate and no key", .0.display())]
    TooLong(PathBuf),
    /// What is in it is wrong.
    #[error("{}: {error}", path.display())]
    Content {
        /// The file, or the folder when its files do not belong together.
        path: PathBuf,
        /// What is wrong.
        error: CertError,
    },
    /// It would be overwritten. Nothing was changed.
    #[error("{}: it is there already and is not overwritten; choose another folder, or move it away", .0.display())]
    Exists(PathBuf),
    /// The identity that would be replaced is another node's. Nothing was changed.
    #[error(
        "{}: it is the identity of `{node}` of cluster `{cluster}`, which that of another node or cluster does not replace; \
         choose another folder",
        folder.display()
    )]
    OtherNode {
        /// The folder.
        folder: PathBuf,
        /// Whose identity is there.
        node: NodeName,
        /// Its cluster.
        cluster: String,
    },
    /// It cannot be written. What it was before, it is still.
    #[error("{}: it cannot be written: {error}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

impl std::fmt::Debug for FileError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What was read, and what is not well with its files.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What was read.
    pub value: T,
    /// What its owner should mend; it can be used all the same.
    pub warnings: Vec<FileWarning>,
}

/// Something about a file that should be mended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileWarning {
    /// Not only its owner may read or write the file with the key.
    #[error("{}: others than its owner may use this private key (mode {mode:03o}); run `chmod 600` on it", path.display())]
    OpenKey {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl Identity {
    /// Reads the identity in `folder`: `cert.pem`, `key.pem`, and `ca.pem` with all authorities that are trusted.
    ///
    /// # Errors
    /// When a file is missing, is not what its name says, or does not belong to the others.
    pub fn load(folder: impl AsRef<Path>) -> Result<Loaded<Identity>, FileError> {
        let folder = folder.as_ref();
        let (cert, key, ca) = (read(&folder.join(CERT))?, read(&folder.join(KEY))?, read(&folder.join(CA))?);
        let value = Identity::from_pem(&cert, &key, &ca).map_err(|error| content(folder, error))?;
        Ok(Loaded { value, warnings: open_key(&folder.join(KEY)) })
    }

    /// Writes it to `folder`, which is made if there is none, for [`Identity::load`]. Only this user may read the key.
    ///
    /// # Errors
    /// When one of the files is there already, or cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        for file in [KEY, CERT, CA] {
            free(&folder.join(file))?;
        }
        make_folder(folder)?;
        self.write(folder)
    }

    /// Writes it to `folder` in place of an earlier identity of the same node, or as [`Identity::save`] if there is none. Each file is
    /// replaced at once, but one after another: who reads in between finds parts that do not fit, and should try again. If this is cut
    /// short, do it again.
    ///
    /// # Errors
    /// When another node's identity is there, or the files cannot be written.
    pub fn replace(&self, folder: &Path) -> Result<(), FileError> {
        let (cert, ca) = (folder.join(CERT), folder.join(CA));
        let first = |path: &Path| -> Result<Certificate, FileError> {
            let mut all = Certificate::read_all(&read(path)?).map_err(|error| content(path, error))?;
            Ok(all.swap_remove(0))
        };
        // The key is not looked at: if it was the last thing that was written, it does not fit.
        let (old, authority) = match first(&cert) {
            Err(FileError::Missing(_)) => return self.save(folder),
            old => (old?, first(&ca)?),
        };
        let node = old.node().ok_or_else(|| content(&cert, CertError::NoNode("it is no node's".into())))?;
        let cluster = authority.cluster().ok_or_else(|| content(&ca, CertError::NoCluster))?;
        if (node, cluster) != (self.node(), self.cluster()) {
            let (node, cluster) = (node.clone(), cluster.to_string());
            return Err(FileError::OtherNode { folder: folder.to_path_buf(), node, cluster });
        }
        self.write(folder)
    }

    fn write(&self, folder: &Path) -> Result<(), FileError> {
        let pem = self.to_pem();
        write(&folder.join(CA), &pem.ca, PUBLIC)?;
        write(&folder.join(KEY), &pem.key, SECRET)?;
        write(&folder.join(CERT), &pem.cert, PUBLIC)
    }
}

impl Authority {
    /// Reads the authority in `folder`: `ca.pem` and `ca.key`.
    ///
    /// # Errors
    /// When a file is missing, is not what its name says, or does not belong to the other.
    pub fn load(folder: &Path) -> Result<Loaded<Authority>, FileError> {
        let (cert, key) = (read(&folder.join(CA))?, read(&folder.join(CA_KEY))?);
        let value = Authority::from_pem(&cert, &key).map_err(|error| content(folder, error))?;
        Ok(Loaded { value, warnings: open_key(&folder.join(CA_KEY)) })
    }

    /// Writes it to `folder`, which is made if there is none, for [`Authority::load`]. Only this user may read the key. An authority
    /// that is there already is never overwritten: without its key, no node of its cluster could be added.
    ///
    /// # Errors
    /// When one of the files is there already, or cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        for file in [CA_KEY, CA] {
            free(&folder.join(file))?;
        }
        make_folder(folder)?;
        write_new(&folder.join(CA_KEY), &self.key_pem(), SECRET)?;
        write_new(&folder.join(CA), &self.cert_pem(), PUBLIC)
    }
}

impl Certificate {
    /// Reads all certificates in a file, in their order.
    ///
    /// # Errors
    /// When it is missing or too long, or as [`Certificate::read_all`].
    pub fn load_all(path: &Path) -> Result<Vec<Certificate>, FileError> {
        Certificate::read_all(&read(path)?).map_err(|error| content(path, error))
    }
}

fn content(path: &Path, error: CertError) -> FileError {
    FileError::Content { path: path.to_path_buf(), error }
}

fn read(path: &Path) -> Result<String, FileError> {
    let at = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => FileError::Missing(path.to_path_buf()),
        // The text is not told: it may hold a key.
        ErrorKind::InvalidData => content(path, CertError::BadPem { what: "file", why: "it is no text".into() }),
        _ => FileError::Read { path: path.to_path_buf(), error },
    };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(PEM_FILE_MAX + 1).read_to_string(&mut text)).map_err(at)?;
    if text.len() as u64 > PEM_FILE_MAX {
        return Err(FileError::TooLong(path.to_path_buf()));
    }
    Ok(text)
}

/// That a file is not there yet.
fn free(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::Read { path: path.to_path_buf(), error }),
        Ok(_) => Err(FileError::Exists(path.to_path_buf())),
    }
}

/// Only this user may enter a folder that is made here: a key is to be in it.
fn make_folder(folder: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| FileError::Write { path: folder.to_path_buf(), error })
}

/// Writes a file that is whole or as it was, whatever happens meanwhile.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    put(path, text, mode, |new| fs::rename(new, path))
}

/// The same, but never over a file that has come to be there.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    put(path, text, mode, |new| match fs::hard_link(new, path) {
        // A file system without links, of a USB stick for example. It was looked at before.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => fs::rename(new, path),
        linked => linked.and_then(|()| fs::remove_file(new)),
    })
}

fn put(path: &Path, text: &str, mode: u32, place: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), FileError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".new-{}", std::process::id()));
    let new = folder.join(name);
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file = options.open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        place(&new)?;
        // Without this a new name may be lost with the power. Where folders cannot be opened, they need it not.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    // One that an earlier process with this number left behind.
    let _ = fs::remove_file(&new);
    write().map_err(|error| {
        let _ = fs::remove_file(&new);
        match error.kind() {
            ErrorKind::AlreadyExists => FileError::Exists(path.to_path_buf()),
            _ => FileError::Write { path: path.to_path_buf(), error },
        }
    })
}

/// Whether others may use a file with a key.
fn open_key(path: &Path) -> Vec<FileWarning> {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return vec![FileWarning::OpenKey { path: path.to_path_buf(), mode }];
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Vec::new()
}

#[cfg(all(test, not(madsim), unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    /// A folder that is gone with its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("playhouse-net-{test}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
        fn names(&self, folder: &str) -> Vec<String> {
            let entries = fs::read_dir(self.0.join(folder)).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn issue(authority: &Authority, node: &str) -> Identity {
        authority.issue(&node.parse().unwrap(), NOW, DAY).unwrap()
    }

    #[test]
    fn an_authority_is_kept_and_never_overwritten() {
        let folder = Folder::new("authority");
        let ca = folder.0.join("deep/ca");
        let authority = Authority::new("demo", NOW).unwrap();
        authority.save(&ca).unwrap();
        assert_eq!(folder.names("deep/ca"), ["ca.key", "ca.pem"]);
        assert_eq!((mode(&ca), mode(&ca.join(CA_KEY))), (0o700, 0o600));
        let loaded = Authority::load(&ca).unwrap();
        assert_eq!((loaded.value.key_pem(), loaded.value.cert_pem()), (authority.key_pem(), authority.cert_pem()));
        assert_eq!(loaded.warnings, []);

        let other = Authority::new("demo", NOW).unwrap();
        assert!(matches!(other.save(&ca), Err(FileError::Exists(path)) if path == ca.join(CA_KEY)));
        // Nor when the key alone is left, or when the file comes to be there between the look and the writing.
        fs::remove_file(ca.join(CA)).unwrap();
        assert!(matches!(other.save(&ca), Err(FileError::Exists(_))));
        assert!(matches!(write_new(&ca.join(CA_KEY), "other", SECRET), Err(FileError::Exists(_))));
        assert_eq!(fs::read_to_string(ca.join(CA_KEY)).unwrap(), authority.key_pem());
        assert_eq!(folder.names("deep/ca"), ["ca.key"]);
    }

    #[test]
    fn an_identity_is_replaced_by_one_of_the_same_node_only() {
        let folder = Folder::new("identity");
        let authority = Authority::new("demo", NOW).unwrap();
        let first = issue(&authority, "w1");
        first.replace(&folder.0).unwrap();
        assert_eq!(folder.names(""), ["ca.pem", "cert.pem", "key.pem"]);
        assert_eq!(mode(&folder.0.join(KEY)), 0o600);
        let loaded = Identity::load(&folder.0).unwrap();
        assert_eq!((loaded.value.to_pem(), loaded.warnings), (first.to_pem(), vec![]));
        assert!(matches!(issue(&authority, "w1").save(&folder.0), Err(FileError::Exists(_))));

        for other in [issue(&authority, "w2"), issue(&Authority::new("live", NOW).unwrap(), "w1")] {
            let error = other.replace(&folder.0).unwrap_err();
            assert!(error.to_string().contains("it is the identity of `w1` of cluster `demo`"), "{error}");
        }
        assert_eq!(Identity::load(&folder.0).unwrap().value.to_pem(), first.to_pem());
        // Cut short after the key; then again, whole.
        let second = issue(&authority, "w1");
        write(&folder.0.join(KEY), &second.to_pem().key, SECRET).unwrap();
        assert!(matches!(Identity::load(&folder.0), Err(FileError::Content { error: CertError::WrongKey, .. })));
        second.replace(&folder.0).unwrap();
        assert_eq!(Identity::load(&folder.0).unwrap().value.to_pem(), second.to_pem());
        assert_eq!(folder.names(""), ["ca.pem", "cert.pem", "key.pem"]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = Folder::new("wrong");
        let path = |file: &str| folder.0.join(file);
        let error = || Identity::load(&folder.0).unwrap_err();
        assert!(matches!(error(), FileError::Missing(missing) if missing == path(CERT)));
        let authority = Authority::new("demo", NOW).unwrap();
        let identity = issue(&authority, "w1");
        identity.save(&folder.0).unwrap();

        fs::set_permissions(path(KEY), fs::Permissions::from_mode(0o640)).unwrap();
        let warnings = Identity::load(&folder.0).unwrap().warnings;
        assert_eq!(warnings, [FileWarning::OpenKey { path: path(KEY), mode: 0o640 }]);
        assert!(warnings[0].to_string().contains("(mode 640)"), "{}", warnings[0]);

        fs::write(path(KEY), identity.to_pem().cert).unwrap();
        assert!(error().to_string().contains("it is a certificate, not a private key"), "{}", error());
        fs::write(path(KEY), "no PEM").unwrap();
        assert!(error().to_string().contains("there is no private key in it"), "{}", error());
        fs::write(path(KEY), [0xff, 0xfe]).unwrap();
        assert!(error().to_string().contains("key.pem: the file cannot be read: it is no text"), "{}", error());
        fs::write(path(KEY), vec![b' '; PEM_FILE_MAX as usize + 1]).unwrap();
        assert!(matches!(error(), FileError::TooLong(long) if long == path(KEY)));
        fs::write(path(KEY), issue(&authority, "w1").to_pem().key).unwrap();
        assert!(matches!(error(), FileError::Content { error: CertError::WrongKey, .. }));
        fs::remove_file(path(KEY)).unwrap();
        fs::create_dir(path(KEY)).unwrap();
        assert!(matches!(error(), FileError::Read { .. }));
    }
}
