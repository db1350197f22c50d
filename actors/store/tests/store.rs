//! The store on the real disk: what it keeps, what it notices, whom it refuses, and what a crash between two steps leaves.
#![cfg(not(madsim))]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use playhouse_rt::{Blocking, Host};
use playhouse_store::limits::{KEEP, VALUE_MAX};
use playhouse_store::{Checkpoint, Key, LoadError, OpenError, Reason, SaveError, Step, Store, Version};

/// A store in a folder of its own, which goes with it.
struct Fixture {
    store: Store,
    root: PathBuf,
}

impl Fixture {
    async fn new() -> Fixture {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("playhouse-store-{}-{number}", std::process::id())).join("deep/root");
        Fixture { store: open(&root).await.unwrap(), root }
    }

    /// The names in a key's folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn newest(&self, folder: &str) -> PathBuf {
        self.root.join(folder).join(self.names(folder).pop().expect("a checkpoint"))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.root.ancestors().nth(2).expect("the folder above deep/root"));
    }
}

async fn open(root: &Path) -> Result<Store, OpenError> {
    Store::open(Host::os().disk().clone(), root.to_path_buf(), Blocking::new(2)).await
}

fn run(test: impl Future<Output = ()>) {
    playhouse_rt::run(1, test).expect("a runtime");
}

fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

fn whole(version: u64, fence: u64, value: &[u8]) -> Checkpoint {
    Checkpoint { version: Version(version), fence, value: value.to_vec(), skipped: Vec::new() }
}

#[test]
fn what_is_saved_is_loaded_also_by_the_next_life() {
    run(async {
        let f = Fixture::new().await;
        let k = key("Shard/words/3");
        assert_eq!(f.store.load(&k).await.unwrap(), None);
        assert_eq!(f.store.save(&k, 4, b"one").await.unwrap(), Version(1));
        assert_eq!(f.store.save(&k, 4, b"").await.unwrap(), Version(2));
        assert_eq!(f.store.load(&k).await.unwrap(), Some(whole(2, 4, b"")));
        let next_life = open(&f.root).await.unwrap();
        assert_eq!(next_life.save(&k, 5, b"three").await.unwrap(), Version(3));
        assert_eq!(next_life.load(&k).await.unwrap(), Some(whole(3, 5, b"three")));
        assert_eq!(f.store.load(&key("shard/words/3")).await.unwrap(), None, "another key");
        f.store.remove(&k).await.unwrap();
        f.store.remove(&k).await.unwrap();
        f.store.remove(&key("never/saved")).await.unwrap();
        assert_eq!(f.store.load(&k).await.unwrap(), None);
        assert_eq!(f.store.save(&k, 1, b"anew").await.unwrap(), Version(1));
    });
}

#[test]
fn a_stale_owner_changes_nothing() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        f.store.save(&k, 7, b"owner 7").await.unwrap();
        f.store.save(&k, 8, b"owner 8").await.unwrap();
        let before = f.names("k");
        let error = f.store.save(&k, 7, b"stale").await.unwrap_err();
        assert!(matches!(error, SaveError::Fenced { stored: 8, given: 7, .. }), "{error}");
        assert_eq!(f.names("k"), before);
        assert_eq!(f.store.load(&k).await.unwrap(), Some(whole(2, 8, b"owner 8")));

        // The fence outlives the content of the file that carries it.
        fs::write(f.newest("k"), b"").unwrap();
        assert!(matches!(f.store.save(&k, 7, b"stale").await, Err(SaveError::Fenced { stored: 8, .. })));
        assert_eq!(f.store.save(&k, 8, b"again").await.unwrap(), Version(3));
    });
}

#[test]
fn what_a_stale_process_still_writes_is_never_the_newest() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        f.store.save(&k, 3, b"stale").await.unwrap();
        let late = f.newest("k");
        let bytes = fs::read(&late).unwrap();
        f.store.save(&k, 4, b"new owner").await.unwrap();
        f.store.save(&k, 4, b"new owner").await.unwrap();
        f.store.save(&k, 4, b"newest").await.unwrap();
        // As if another process had passed its check long ago and renamed only now.
        fs::write(late, bytes).unwrap();
        assert_eq!(f.store.load(&k).await.unwrap(), Some(whole(4, 4, b"newest")));
        assert_eq!(f.store.save(&k, 4, b"next").await.unwrap(), Version(5));
    });
}

#[test]
fn the_newest_versions_are_kept_and_no_others() {
    run(async {
        let f = Fixture::new().await;
        for n in 1..=10u64 {
            assert_eq!(f.store.save(&key("k"), n / 4, b"v").await.unwrap(), Version(n));
            assert_eq!(f.names("k").len(), KEEP.min(n as usize));
        }
    });
}

#[test]
fn a_file_torn_anywhere_falls_back_to_the_one_before() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        f.store.save(&k, 1, b"before").await.unwrap();
        f.store.save(&k, 1, b"torn").await.unwrap();
        let file = f.newest("k");
        let bytes = fs::read(&file).unwrap();
        for length in 0..bytes.len() {
            fs::write(&file, &bytes[..length]).unwrap();
            let loaded = f.store.load(&k).await.unwrap().unwrap();
            assert_eq!((loaded.version, loaded.value.as_slice()), (Version(1), &b"before"[..]), "cut to {length} bytes");
            assert_eq!(loaded.skipped.len(), 1);
            assert_eq!(loaded.skipped[0].file, file);
        }
        // A damaged version's number is not given out again.
        assert_eq!(f.store.save(&k, 1, b"after").await.unwrap(), Version(3));
        assert_eq!(f.store.load(&k).await.unwrap(), Some(whole(3, 1, b"after")));
    });
}

#[test]
fn if_all_are_damaged_the_error_names_each() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        for value in ["a", "b", "c"] {
            f.store.save(&k, 1, value.as_bytes()).await.unwrap();
        }
        for name in f.names("k") {
            let file = f.root.join("k").join(name);
            let mut bytes = fs::read(&file).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(file, bytes).unwrap();
        }
        let error = f.store.load(&k).await.unwrap_err();
        let LoadError::Corrupt { files, .. } = &error else { panic!("{error}") };
        assert!(files.iter().all(|damage| damage.reason == Reason::Checksum));
        for name in f.names("k") {
            assert!(error.to_string().contains(&name), "{error} does not name {name}");
        }
    });
}

#[test]
fn a_whole_file_in_the_wrong_place_is_damage() {
    run(async {
        let f = Fixture::new().await;
        f.store.save(&key("mine"), 1, b"mine").await.unwrap();
        f.store.save(&key("other"), 1, b"other").await.unwrap();
        let elsewhere = f.newest("mine").with_file_name(format!("{:020}-{:020}.checkpoint", 9, 9));
        fs::copy(f.newest("mine"), &elsewhere).unwrap();
        let loaded = f.store.load(&key("mine")).await.unwrap().unwrap();
        assert!(matches!(loaded.skipped[0].reason, Reason::Foreign(_)), "{:?}", loaded.skipped);
        fs::remove_file(elsewhere).unwrap();
        fs::copy(f.newest("other"), f.newest("mine")).unwrap();
        assert!(matches!(f.store.load(&key("mine")).await, Err(LoadError::Corrupt { .. })));
    });
}

#[test]
fn a_link_or_a_giant_is_not_read() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        f.store.save(&k, 1, b"good").await.unwrap();
        let giant = f.root.join("k").join(format!("{:020}-{:020}.checkpoint", 1, 2));
        // Sparse: takes no space.
        fs::File::create(&giant).unwrap().set_len(VALUE_MAX as u64 * 2).unwrap();
        fs::create_dir(giant.with_file_name(format!("{:020}-{:020}.checkpoint", 1, 3))).unwrap();
        let loaded = f.store.load(&k).await.unwrap().unwrap();
        let reasons: Vec<_> = loaded.skipped.iter().map(|damage| &damage.reason).collect();
        assert_eq!(reasons, [&Reason::NotAFile, &Reason::Long]);
        assert_eq!(loaded.value, b"good");
    });
}

#[test]
fn a_crash_between_two_steps_leaves_the_checkpoint_before() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        f.store.save(&k, 1, b"one").await.unwrap();
        let file = f.newest("k");
        let bytes = fs::read(&file).unwrap();
        let leftover = |fence: u64| file.with_file_name(format!("tmp-{fence:020}-{:020}-0", 2));

        // Crashed while writing, and after writing but before the rename: the leftover is never read.
        for written in [&bytes[..bytes.len() / 2], &bytes] {
            fs::write(leftover(1), written).unwrap();
            let next_life = open(&f.root).await.unwrap();
            assert_eq!(next_life.load(&k).await.unwrap(), Some(whole(1, 1, b"one")));
        }
        // The next save removes it, but not one that a newer owner may be writing, and nothing that is not ours.
        fs::write(leftover(2), b"").unwrap();
        fs::write(file.with_file_name("notes.txt"), b"").unwrap();
        assert_eq!(f.store.save(&k, 1, b"two").await.unwrap(), Version(2));
        assert!(!leftover(1).exists() && leftover(2).exists() && file.with_file_name("notes.txt").exists());

        // Crashed after the rename, before old versions were removed: the new one counts, the rest goes with the next save.
        for version in 3..=6u64 {
            let record = playhouse_store::record::encode(&k, 1, version, b"renamed");
            fs::write(file.with_file_name(format!("{:020}-{version:020}.checkpoint", 1)), record).unwrap();
        }
        assert_eq!(f.store.load(&k).await.unwrap(), Some(whole(6, 1, b"renamed")));
        assert_eq!(f.store.save(&k, 2, b"seven").await.unwrap(), Version(7));
        assert_eq!(f.names("k").iter().filter(|name| name.ends_with(".checkpoint")).count(), KEEP);
        assert!(!leftover(2).exists());

        // Crashed after the folder was made and before the first checkpoint.
        fs::create_dir(f.root.join("empty")).unwrap();
        assert_eq!(f.store.load(&key("empty")).await.unwrap(), None);
        assert_eq!(f.store.save(&key("empty"), 1, b"first").await.unwrap(), Version(1));
    });
}

#[test]
fn saves_of_one_key_take_turns_and_dropped_ones_keep_their_place() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        let saves: Vec<_> = (0..20u8)
            .map(|n| {
                let (store, k) = (f.store.clone(), k.clone());
                playhouse_rt::spawn(async move { store.save(&k, 1, &[n]).await.map(|version| version.0) })
            })
            .collect();
        saves[7].abort();
        let mut versions = Vec::new();
        for save in saves {
            if let Ok(version) = save.await {
                versions.push(version.unwrap());
            }
        }
        let distinct = versions.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(distinct, versions.len(), "two saves were given one version");
        assert!(versions.len() >= 19 && versions.iter().all(|v| *v <= 20));
        assert!(f.store.load(&k).await.unwrap().unwrap().skipped.is_empty());
        assert!(!f.names("k").iter().any(|name| name.starts_with("tmp-")));
    });
}

#[test]
fn errors_say_which_file_why_and_what_to_do() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        let error = f.store.save(&k, 1, &vec![0; VALUE_MAX + 1]).await.unwrap_err();
        assert!(matches!(error, SaveError::Long { .. }) && error.to_string().contains("several keys"), "{error}");

        // A file where the key's folder should be.
        fs::write(f.root.join("k"), b"").unwrap();
        let error = f.store.save(&k, 1, b"v").await.unwrap_err();
        let SaveError::Disk(failed) = &error else { panic!("{error}") };
        assert_eq!((failed.step, &failed.file), (Step::List, &f.root.join("k")));
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        assert!(matches!(f.store.load(&k).await, Err(LoadError::Disk(_))));
        assert!(f.store.remove(&k).await.is_err());

        let error = open(&f.root.join("k/below")).await.unwrap_err();
        assert!(error.to_string().contains("Choose a folder"), "{error}");

        fs::create_dir(f.root.join("full")).unwrap();
        let last = f.root.join("full").join(format!("{:020}-{:020}.checkpoint", 1, u64::MAX));
        fs::write(&last, b"").unwrap();
        let error = f.store.save(&key("full"), 1, b"v").await.unwrap_err();
        assert!(matches!(&error, SaveError::UsedUp { file } if *file == last), "{error}");
    });
}

#[test]
fn who_claims_a_key_is_its_only_owner() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        let first = f.store.claim(&k, "a/1").await.unwrap();
        f.store.save(&k, first, b"one").await.unwrap();
        f.store.append(&k, first, 1, b"event").await.unwrap();
        let second = f.store.claim(&k, "b/1").await.unwrap();
        assert!(second > first);
        // From the claim on, before the second has written anything.
        for refused in [
            f.store.save(&k, first, b"stale").await.map(drop),
            f.store.append(&k, first, 2, b"stale").await,
            f.store.hold(&k, first).await,
        ] {
            assert!(matches!(refused, Err(SaveError::Fenced { .. })), "{refused:?}");
        }
        f.store.hold(&k, second).await.unwrap();
        // Who claims at the same moment as another one, with the same number, sees it and takes the next.
        let rival = f.root.join("k").join(format!("{:020}-{}.claim", second + 1, "f".repeat(16)));
        fs::write(rival, b"").unwrap();
        assert_eq!(f.store.claim(&k, "c/1").await.unwrap(), second + 2);
        f.store.release(&k, second).await.unwrap();
        assert!(f.store.load(&k).await.unwrap().is_some(), "it belongs to another one");
        f.store.release(&k, second + 2).await.unwrap();
        assert!(!f.root.join("k").exists());
    });
}

#[test]
fn events_are_a_line_that_no_stale_owner_branches() {
    run(async {
        let f = Fixture::new().await;
        let k = key("k");
        let first = f.store.claim(&k, "a/1").await.unwrap();
        for number in 1..=3 {
            f.store.append(&k, first, number, &[number as u8]).await.unwrap();
        }
        let late = f.root.join("k").join(format!("{first:020}-{:020}.event", 3));
        let (bytes, next) = (fs::read(&late).unwrap(), late.with_file_name(format!("{first:020}-{:020}.event", 4)));
        fs::remove_file(&late).unwrap();
        let second = f.store.claim(&k, "b/1").await.unwrap();
        f.store.append(&k, second, 3, b"of the second").await.unwrap();
        // As if the first had passed its check long ago and wrote only now.
        fs::write(&late, bytes).unwrap();
        fs::write(next, playhouse_store::record::encode(&k, first, 4, b"stale")).unwrap();
        let found = f.store.events(&k, 0, 0).await.unwrap();
        let values: Vec<&[u8]> = found.iter().map(|event| event.value.as_slice()).collect();
        assert_eq!(values, [&[1][..], &[2], b"of the second"]);
        assert_eq!(f.store.events(&k, 2, second).await.unwrap().len(), 1);

        f.store.forget_events(&k, 1).await.unwrap();
        assert_eq!(f.store.events(&k, 1, 0).await.unwrap().len(), 2);
        let missing = f.store.events(&k, 0, 0).await.unwrap_err();
        assert!(matches!(&missing, LoadError::Event { damage, .. } if damage.reason == Reason::Missing), "{missing}");
    });
}

#[test]
fn old_keys_are_swept_in_the_order_of_their_names() {
    run(async {
        let f = Fixture::new().await;
        for number in 0..5 {
            f.store.save_here(&key(&format!("task/{number}/0")), 1, b"v").unwrap();
        }
        f.store.save_here(&key("tasks"), 1, b"another").unwrap();
        f.store.sweep_here("task", 2).unwrap();
        for number in 0..5 {
            let found = f.store.load_here(&key(&format!("task/{number}/0"))).unwrap();
            assert_eq!(found.is_some(), number >= 3, "{number}");
        }
        assert!(f.store.load_here(&key("tasks")).unwrap().is_some());
    });
}
