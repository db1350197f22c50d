//! What is on a disk; the disks themselves are `os::disk` and `sim::disk`.

pub use crate::side::disk::{Disk, DiskFile};

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The entry's name within its folder.
    pub name: std::ffi::OsString,
    /// What it is. Links are not followed.
    pub kind: Kind,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link, whatever it points to.
    Link,
    /// A device, socket or pipe.
    Other,
}
