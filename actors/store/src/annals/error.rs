//! What can go wrong with annals.

use std::io;
use std::path::PathBuf;

use playhouse_rt::Lost;

/// Annals are not, or no more, written.
#[derive(Debug, thiserror::Error)]
pub enum AnnalsError {
    /// The disk refused. What was there before is there; what was to be written may be, in part.
    #[error("the log {} cannot be used: {error}. Free space or repair the disk, then start again", .file.display())]
    Disk {
        /// A segment, or the folder.
        file: PathBuf,
        /// What the disk said.
        #[source]
        error: io::Error,
    },
    /// The log that is there is not the beginning of the one that is to be continued. Nothing was changed.
    #[error(
        "the log {} is not the one that is to be continued: it differs before record {number}. It was changed, or is of another cluster: move \
         its folder away, then start again; what is in it can still be verified",
        .file.display()
    )]
    Foreign {
        /// The segment.
        file: PathBuf,
        /// The first record that was to be appended.
        number: u64,
    },
    /// The work panicked.
    #[error("the work on the log {} panicked: {lost}. This is a bug of ours; please report it", .folder.display())]
    Panicked {
        /// Its folder.
        folder: PathBuf,
        /// How the work ended.
        lost: Lost,
    },
}

/// Annals are not what was written.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The disk refuses to say.
    #[error("{} cannot be read: {error}", .file.display())]
    Disk {
        /// A segment, or the folder.
        file: PathBuf,
        /// What the disk said.
        #[source]
        error: io::Error,
    },
    /// A record is not what was written.
    #[error("{}: record {number}, at byte {offset}: {what}", .file.display())]
    Record {
        /// The segment.
        file: PathBuf,
        /// The record.
        number: u64,
        /// Where it begins in the file.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A segment is not what its name, or the one before it, says.
    #[error("{}: {what}", .file.display())]
    Segment {
        /// The segment.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl Broken {
    /// The file at fault.
    pub fn file(&self) -> &std::path::Path {
        match self {
            Broken::Disk { file, .. } | Broken::Record { file, .. } | Broken::Segment { file, .. } => file,
        }
    }
}
