//! Checkpoints in a local folder: a save is all or nothing, damage is noticed, and a stale owner can change nothing. And a [`Journal`]: a
//! numbered log with a few values, in one file, for those who agree on the order of something. And [`annals`]: a log for people, with a hash chain.
//!
//! Nothing here decides when to save or what the bytes mean, sends anything, or touches a disk other than the one it was given.
//!
//! ```no_run
//! # async fn example(host: playhouse_rt::Host) -> Result<(), Box<dyn std::error::Error>> {
//! use playhouse_rt::Blocking;
//! use playhouse_store::{Key, Store};
//!
//! let store = Store::open(host.disk().clone(), "checkpoints".into(), Blocking::new(2)).await?;
//! let key = Key::new("shard/words/3")?;
//! let fence = 1; // the term of the lease under which we own the shard
//! store.save(&key, fence, b"state").await?;
//! let newest = store.load(&key).await?.expect("saved above");
//! assert_eq!(newest.value, b"state");
//! # Ok(()) }
//! ```
//!
//! # On disk
//! Each key has a folder, named after it, within the root. A checkpoint is one file there, `FENCE-VERSION.checkpoint`, both numbers
//! with leading zeros, so that the last name is the newest: a higher fence is newer than any version under a lower one. The name
//! carries the fence so that a file whose content is damaged still keeps stale owners out. [`record`] has the content's layout.

pub mod annals;
mod error;
mod folder;
mod journal;
mod key;
pub mod limits;
#[cfg(feature = "object-store")]
mod objects;
mod place;
pub mod record;
mod store;

pub use error::{Damage, Failed, LoadError, OpenError, Reason, RemoveError, SaveError, Step};
pub use journal::{Batch, Journal, JournalError};
pub use key::{BadKey, Key};
pub use store::{Checkpoint, Event, Store, Version};
