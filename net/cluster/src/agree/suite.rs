//! openraft's own suite for storage, on ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::testing::{StoreBuilder, Suite};
use playhouse_rt::{Blocking, Host};
use playhouse_store::Journal;

use super::kept::Kept;
use super::log::Log;
use super::state::{Copy, Replicated};
use super::types::{Failure, Types};

/// The numbers of the commands, as the suite has no others.
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Replicated for Numbers {
    fn apply(&mut self, number: u64, _: &[u8]) -> Result<(), String> {
        self.0.push(number);
        Ok(())
    }
    fn save(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        self.0 = saved.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap())).collect();
        Ok(())
    }
}

/// A folder that goes with its scope.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Builder;

impl StoreBuilder<Types, Log, Copy<Numbers>, Folder> for Builder {
    async fn build(&self) -> Result<(Folder, Log, Copy<Numbers>), Failure> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("playhouse-suite-{}-{serial}", std::process::id()));
        let file = folder.join("journal");
        let journal = Journal::open(Host::os().disk().clone(), file, "a", Blocking::new(1)).await.unwrap();
        // It purges without a snapshot.
        let kept = Arc::new(Kept::default());
        kept.reaches(u64::MAX);
        let log = Log::open(journal.clone(), u64::MAX, kept).await?;
        Ok((Folder(folder), log, Copy::open(journal, Numbers::default(), Arc::default()).await?))
    }
}

#[test]
fn openrafts_suite_for_storage_holds() {
    // The suite brings a runtime of its own.
    Suite::test_all(Builder).unwrap();
}
