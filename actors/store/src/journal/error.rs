//! What can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

use playhouse_rt::Lost;

use crate::limits::JOURNAL_ENTRY_MAX;

/// A journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused. What was acknowledged before is safe; what was asked for now may or may not be there when the file is opened again.
    #[error("the journal {} cannot be used: {error}. Free space or repair the disk, then start again", .file.display())]
    Disk {
        /// The journal.
        file: PathBuf,
        /// What the disk said.
        #[source]
        error: io::Error,
    },
    /// Somebody else has the file open. Nothing was changed.
    #[error(
        "the journal {} is in use: another process uses it, or another node in this one. Stop that one, or give this node a folder of its own",
        .file.display()
    )]
    InUse {
        /// The journal.
        file: PathBuf,
    },
    /// It is the journal of another owner: whoever went on with it would speak for that one. Nothing was changed.
    #[error(
        "the journal {} is {found}'s, and this is {wanted}. Give this node the certificate of {found}, or a folder of its own",
        .file.display()
    )]
    Owner {
        /// The journal.
        file: PathBuf,
        /// Whose it is.
        found: String,
        /// Who opened it.
        wanted: String,
    },
    /// The file is not what was written.
    #[error(
        "the journal {} is damaged: {what}. Do not start this member with an empty one in its place: it would have forgotten what it voted \
         for and what it holds for the others. Remove it from its group first, then the file, then add it anew",
        .file.display()
    )]
    Damaged {
        /// The journal.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing is done after an earlier failure.
    #[error("the journal {} does nothing more: {reason}", .file.display())]
    Broken {
        /// The journal.
        file: PathBuf,
        /// What happened.
        reason: String,
    },
    /// An entry is longer than [`JOURNAL_ENTRY_MAX`]. Nothing was changed.
    #[error("entry {number} takes {length} bytes, more than {JOURNAL_ENTRY_MAX}")]
    Long {
        /// Its number.
        number: u64,
        /// Its length in bytes.
        length: usize,
    },
    /// The work panicked.
    #[error(
        "the work on the journal {} panicked: {lost}. Either the file was changed while it was open, or this is a bug of ours; please \
         report it",
        .file.display()
    )]
    Panicked {
        /// The journal.
        file: PathBuf,
        /// How the work ended.
        lost: Lost,
    },
}

/// What redb, or the disk below it, said.
pub(super) enum Trouble {
    Redb(redb::Error),
    /// The checksum of an entry, or of a value, is wrong.
    Checksum(u64),
    /// It is another one's.
    Owner {
        found: String,
        wanted: String,
    },
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Trouble {
        Trouble::Redb(error.into())
    }
}

impl Trouble {
    pub(super) fn in_file(self, file: &Path) -> JournalError {
        let file = file.to_path_buf();
        match self {
            Trouble::Checksum(number) if number >> 63 == 0 => {
                JournalError::Damaged { file, what: format!("the checksum of entry {number} is wrong") }
            }
            Trouble::Owner { found, wanted } => JournalError::Owner { file, found, wanted },
            Trouble::Checksum(_) => JournalError::Damaged { file, what: "the checksum of a value is wrong".into() },
            Trouble::Redb(redb::Error::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                JournalError::Damaged { file, what: error.to_string() }
            }
            Trouble::Redb(redb::Error::Io(error)) if error.kind() == io::ErrorKind::ResourceBusy => JournalError::InUse { file },
            Trouble::Redb(redb::Error::Io(error)) => JournalError::Disk { file, error },
            Trouble::Redb(redb::Error::PreviousIo) => {
                JournalError::Broken { file, reason: "the disk refused something before".into() }
            }
            Trouble::Redb(error) => JournalError::Damaged { file, what: error.to_string() },
        }
    }
}
