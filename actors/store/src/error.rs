//! What can go wrong, whose fault it is, what it left behind and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use playhouse_rt::Lost;

use crate::key::Key;
use crate::limits::VALUE_MAX;

/// The steps of the store's work on its disk, in the order of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Listing a folder.
    List,
    /// Making a folder and making its name durable.
    Folder,
    /// Writing the temporary file.
    Write,
    /// Making the temporary file's content durable.
    Sync,
    /// Giving the file its name.
    Rename,
    /// Making the name durable.
    SyncFolder,
    /// Reading a file.
    Read,
    /// Removing a file.
    Remove,
    /// Putting an object, when it is not known what became of it.
    Put,
}

impl Step {
    /// What a failure of this step leaves behind.
    fn leaves(self) -> &'static str {
        match self {
            Step::List | Step::Folder | Step::Write | Step::Sync | Step::Read => "nothing was changed",
            Step::Rename | Step::SyncFolder => "the new checkpoint may or may not survive; the older ones do",
            Step::Remove => "a part may be removed",
            Step::Put => "the new checkpoint may or may not be there; the older ones are",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::List => "list the folder",
            Step::Folder => "make the folder",
            Step::Write => "write",
            Step::Sync => "make durable",
            Step::Rename => "name",
            Step::SyncFolder => "make the name durable in",
            Step::Read => "read",
            Step::Remove => "remove",
            Step::Put => "put",
        })
    }
}

/// A step that the disk refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}: {error}; {}", .file.display(), .step.leaves())]
pub struct Failed {
    /// What was tried.
    pub step: Step,
    /// On which file or folder.
    pub file: PathBuf,
    /// What the disk said.
    #[source]
    pub error: io::Error,
}

impl Failed {
    /// What to do about it, when it was no disk.
    fn cure(&self) -> Option<&'static str> {
        #[cfg(feature = "object-store")]
        if let Some(told) = self.error.get_ref().and_then(|error| error.downcast_ref::<crate::objects::Told>()) {
            return Some(told.fault.cure());
        }
        None
    }

    fn try_again(&self) -> String {
        self.cure().map_or("Try again".to_string(), |cure| format!("{cure}, then try again"))
    }
}

/// The store's folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("the store's folder cannot be opened: {0}. Choose a folder that this user may write")]
    Disk(#[from] Failed),
    /// The work panicked.
    #[error("the store's folder was not opened, because the work panicked: {0}. This is a bug of ours; please report it")]
    Panicked(Lost),
}

/// A checkpoint was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Another owner, with a higher fence, has saved. Nothing of ours is, or will be, the newest.
    #[error("the save of {key} was refused: fence {given} is older than the stored {stored}. Stop; another owner has taken over")]
    Fenced {
        /// Of which key.
        key: Key,
        /// The highest fence that has saved.
        stored: u64,
        /// The fence of this save.
        given: u64,
    },
    /// Others claimed the key at the same moment, again and again. Nothing of ours is the newest.
    #[error("the claim of {key} was given up: others claim it at the same time. Start one owner of it, not several")]
    Contended {
        /// Of which key.
        key: Key,
    },
    /// The value is longer than [`VALUE_MAX`]. Nothing was changed.
    #[error("the value of {key} takes {length} bytes, more than {VALUE_MAX}. Divide the state over several keys")]
    Long {
        /// Of which key.
        key: Key,
        /// The value's length in bytes.
        length: usize,
    },
    /// All version numbers are used up, which no honest sequence of saves can do. Nothing was changed.
    #[error("{} has the last version number that there is; a foreign file? Remove it", .file.display())]
    UsedUp {
        /// The file with that number.
        file: PathBuf,
    },
    /// The disk refused.
    #[error("the checkpoint was not saved: {0}. {cure}, then save again", cure = .0.cure().unwrap_or("Free space or repair the disk"))]
    Disk(#[from] Failed),
    /// The work panicked.
    #[error("the checkpoint may or may not be saved, because the work panicked: {0}. This is a bug of ours; please report it")]
    Panicked(Lost),
}

/// A checkpoint could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There are checkpoints, and none of them is whole.
    #[error("every checkpoint of {key} is damaged: {}. Restore a file from a backup, or remove the key to begin anew", list(.files))]
    Corrupt {
        /// Of which key.
        key: Key,
        /// Each file and what is wrong with it, newest first.
        files: Vec<Damage>,
    },
    /// What was saved after the newest whole checkpoint cannot be read as a whole: it was acknowledged, so nothing older is taken instead.
    #[error(
        "an event of {key} is damaged: {damage}. Restore the file from a backup, or remove it and all later events to lose them"
    )]
    Event {
        /// Of which key.
        key: Key,
        /// The file and what is wrong with it.
        damage: Damage,
    },
    /// The disk refused for now. No older version was taken instead: the newest may well be whole.
    #[error("the checkpoint was not loaded: {0}. {again}", again = .0.try_again())]
    Disk(#[from] Failed),
    /// The work panicked.
    #[error("the checkpoint was not loaded, because the work panicked: {0}. This is a bug of ours; please report it")]
    Panicked(Lost),
}

/// A key's checkpoints could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The disk refused.
    #[error("the checkpoints were not removed: {0}. {again}", again = .0.try_again())]
    Disk(#[from] Failed),
    /// The work panicked.
    #[error("a part may be removed, because the work panicked: {0}. This is a bug of ours; please report it")]
    Panicked(Lost),
}

/// A file that is not the checkpoint that its name promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}", .file.display())]
pub struct Damage {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It ends within its header.
    #[error("ends after {bytes} bytes, within its header")]
    Short {
        /// How long it is.
        bytes: usize,
    },
    /// It does not begin as checkpoints do.
    #[error("is not a checkpoint")]
    Magic,
    /// It was written by another version of this crate.
    #[error("has format {0}, which this build does not read")]
    Format(u16),
    /// It is longer or shorter than it says.
    #[error("takes {bytes} bytes but says {wanted}")]
    Length {
        /// What its header says.
        wanted: u128,
        /// What it is.
        bytes: usize,
    },
    /// Its content is not what was written.
    #[error("fails its checksum")]
    Checksum,
    /// It is whole, and belongs to another key, fence or version.
    #[error("belongs elsewhere: {0}")]
    Foreign(String),
    /// It is longer than any checkpoint; it was not read.
    #[error("is longer than any checkpoint")]
    Long,
    /// It is not there, and later ones are.
    #[error("is missing")]
    Missing,
    /// It is a folder, a link or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// The device cannot give its content.
    #[error("cannot be read from the device: {0}")]
    Unreadable(String),
}

fn list(files: &[Damage]) -> String {
    files.iter().map(Damage::to_string).collect::<Vec<_>>().join("; ")
}
