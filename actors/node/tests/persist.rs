//! Persistent actors on the real disk: what they find again, what they refuse, and what bad disks do to them.
#![allow(missing_docs)]
#![cfg(not(madsim))]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use playhouse::prelude::*;
use playhouse::rt::{self, Host};
use playhouse::{Authority, LoadError, PersistError, Persisted, Version};

const DAY: Duration = Duration::from_secs(86_400);

/// Never, within a test.
const NEVER: Duration = Duration::from_secs(3600);

struct Counter {
    total: u64,
    keep: Keep<Counter>,
}

#[actor]
impl Counter {
    #[message]
    fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }

    #[message]
    fn total(&self) -> u64 {
        self.total
    }

    #[message]
    async fn add_durably(&mut self, by: u64) -> Result<u64, PersistError> {
        self.total += by;
        self.keep.save(self).await?;
        Ok(self.total)
    }

    /// Keeps it as an event, and answers when that survives.
    #[message]
    async fn log(&mut self, by: u64) -> Result<u64, PersistError> {
        let event = Added(by);
        self.keep.append(&event).await?;
        self.apply(event);
        Ok(self.total)
    }

    #[message]
    fn fail(&mut self) {
        panic!("as it was told");
    }
}

impl Persistent for Counter {
    type State = u64;
    const VERSION: u16 = 2;

    fn save(&self) -> u64 {
        self.total
    }

    fn load(&mut self, state: u64) {
        self.total = state;
    }

    fn migrate(version: u16, bytes: &[u8]) -> Result<u64, String> {
        match (version, bytes) {
            (1, [small]) => Ok(u64::from(*small)),
            _ => Err(format!("version {version} of {} bytes", bytes.len())),
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Added(u64);

impl Journaled for Counter {
    type Event = Added;

    fn apply(&mut self, Added(by): Added) {
        self.total += by;
    }
}

/// What an earlier program had: a smaller number.
struct Old(u8);

#[actor]
impl Old {
    #[message]
    fn set(&mut self, to: u8) {
        self.0 = to;
    }
}

impl Persistent for Old {
    type State = u8;
    const VERSION: u16 = 1;

    fn save(&self) -> u8 {
        self.0
    }

    fn load(&mut self, state: u8) {
        self.0 = state;
    }
}

/// A folder that all its nodes see, and that goes with it.
struct Shared(PathBuf, Authority);

impl Shared {
    fn new() -> Shared {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("playhouse-persist-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Shared(folder, Authority::new("test", Host::os().wall_clock()).unwrap())
    }

    async fn node(&self, name: &str) -> Node {
        let identity = self.1.issue(&NodeName::new(name).unwrap(), Host::os().wall_clock(), DAY).unwrap();
        let mut config = NodeConfig::actors(identity, "127.0.0.1:0".parse().unwrap());
        config.checkpoints = Some(self.0.clone());
        config.threads = 1;
        Node::start(Host::os(), config).await.unwrap()
    }

    /// The files of an actor that end so, sorted.
    fn files(&self, actor: &str, ending: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder(actor)) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.to_str().unwrap().ends_with(ending));
        files.sort();
        files
    }

    fn folder(&self, actor: &str) -> PathBuf {
        self.0.join(format!("actor,{actor}"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(test: impl Future<Output = ()>) {
    rt::run(2, async { rt::timeout(Duration::from_secs(60), test).await.expect("within a minute") }).unwrap();
}

fn counter(keep: &Keep<Counter>) -> Counter {
    Counter { total: 0, keep: keep.clone() }
}

async fn start(node: &Node, name: &str) -> Result<Persisted<Counter>, PersistError> {
    node.persistent(name).every(NEVER).start(counter).await
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_state_is_found_again_after_a_panic_and_on_another_node() {
    run(async {
        let shared = Shared::new();
        let (a, b) = (shared.node("a").await, shared.node("b").await);
        let first = start(&a, "c").await.unwrap();
        first.add(3).await.unwrap();
        let saved = first.save().await.unwrap();
        assert_eq!((saved.version, saved.life), (Version(1), 1));
        first.add(100).await.unwrap();
        assert!(first.fail().await.is_err());
        assert_eq!(first.total().await.unwrap(), 3, "as it was saved");
        assert_eq!(first.add_durably(4).await.unwrap().unwrap(), 7);
        assert_eq!(first.save().await.unwrap().life, 2);
        assert!(matches!(start(&a, "c").await, Err(PersistError::Taken(_))));

        let second = start(&b, "c").await.unwrap();
        assert_eq!(second.total().await.unwrap(), 7);
        assert!(second.fence() > first.fence());
        // The one before hears of it when it saves, and takes nothing back: not even by a life that a panic began.
        assert!(first.add_durably(1000).await.unwrap().unwrap_err().is_fenced());
        first.ended().await;
        assert_eq!(second.add_durably(1).await.unwrap().unwrap(), 8);
        a.stop(Duration::ZERO).await;
        b.stop(Duration::ZERO).await;
        let third = start(&shared.node("c").await, "c").await.unwrap();
        assert_eq!(third.total().await.unwrap(), 8);
    });
}

#[test]
fn a_life_after_a_panic_takes_nothing_back() {
    run(async {
        let shared = Shared::new();
        let (a, b) = (shared.node("a").await, shared.node("b").await);
        let first = start(&a, "c").await.unwrap();
        let second = start(&b, "c").await.unwrap();
        assert!(first.fail().await.is_err());
        first.ended().await;
        assert_eq!(second.add_durably(1).await.unwrap().unwrap(), 1);
    });
}

#[test]
fn events_are_found_again_and_go_with_the_checkpoints_that_have_them() {
    run(async {
        let shared = Shared::new();
        let journaled = async |node: &Node| node.persistent("j").every(NEVER).journaled().start(counter).await;
        let (a, b) = (shared.node("a").await, shared.node("b").await);
        let first = journaled(&a).await.unwrap();
        for by in 1..=4 {
            first.log(by).await.unwrap().unwrap();
        }
        assert!(first.fail().await.is_err());
        assert_eq!(first.total().await.unwrap(), 10);
        first.save().await.unwrap();
        first.log(5).await.unwrap().unwrap();
        assert_eq!(shared.files("j", ".event").len(), 5, "the newest checkpoint may be damaged");
        first.save().await.unwrap();
        first.log(6).await.unwrap().unwrap();
        assert_eq!(shared.files("j", ".event").len(), 2);

        // The newest checkpoint is damaged: the one before and the events give all.
        flip(shared.files("j", ".checkpoint").last().unwrap());
        let second = journaled(&b).await.unwrap();
        assert_eq!(second.total().await.unwrap(), 21);
        assert!(first.log(1000).await.unwrap().unwrap_err().is_fenced());
        second.log(7).await.unwrap().unwrap();
        a.stop(Duration::ZERO).await;
        b.stop(Duration::ZERO).await;
        let c = shared.node("c").await;
        assert_eq!(journaled(&c).await.unwrap().total().await.unwrap(), 28);

        // A damaged event was acknowledged: nothing older is taken instead.
        let d = shared.node("d").await;
        let event = shared.files("j", ".event").remove(0);
        flip(&event);
        let error = journaled(&d).await.unwrap_err().to_string();
        assert!(error.contains(event.to_str().unwrap()), "{error}");
        // And who keeps none does not pass them over.
        flip(&event);
        let error = start(&d, "j").await.err();
        assert!(matches!(error, Some(PersistError::NotJournaled(_))), "{error:?}");
    });
}

#[test]
fn ten_checkpoints_are_kept_and_a_damaged_one_is_passed_over() {
    run(async {
        let shared = Shared::new();
        let (a, b) = (shared.node("a").await, shared.node("b").await);
        let first = start(&a, "c").await.unwrap();
        for _ in 0..13 {
            first.add_durably(1).await.unwrap().unwrap();
        }
        let files = shared.files("c", ".checkpoint");
        assert_eq!(files.len(), 10);
        flip(&files[9]);
        let second = start(&b, "c").await.unwrap();
        assert_eq!(second.total().await.unwrap(), 12);
        files.iter().take(9).for_each(|file| flip(file));
        let error = start(&a, "c").await;
        assert!(matches!(&error, Err(PersistError::Taken(_))), "{error:?}");
        b.stop(Duration::ZERO).await;
        let error = start(&shared.node("c").await, "c").await.unwrap_err();
        assert!(matches!(&error, PersistError::Load(error) if matches!(**error, LoadError::Corrupt { .. })), "{error}");
        assert!(error.to_string().contains(files[0].to_str().unwrap()), "{error}");
    });
}

#[test]
fn it_saves_itself_by_count_and_by_time() {
    run(async {
        let shared = Shared::new();
        let node = shared.node("a").await;
        let counted = node.persistent("counted").every(NEVER).after(3).start(counter).await.unwrap();
        let saved = |counter: &Persisted<Counter>| counter.status().saved;
        for _ in 0..2 {
            counted.add(1).await.unwrap();
        }
        assert_eq!(saved(&counted), 0);
        counted.add(1).await.unwrap();
        while saved(&counted) == 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        let timed = node.persistent("timed").every(Duration::from_millis(1)).start(counter).await.unwrap();
        timed.add(1).await.unwrap();
        while saved(&timed) == 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        // What has not changed is not saved again, however long that is: disk work of another actor takes many intervals.
        for _ in 0..20 {
            counted.save().await.unwrap();
        }
        assert_eq!(saved(&timed), 1);
    });
}

#[test]
fn what_an_earlier_program_saved_is_migrated_or_refused() {
    run(async {
        let shared = Shared::new();
        let (a, b) = (shared.node("a").await, shared.node("b").await);
        let old = a.persistent("c").every(NEVER).start(|_| Old(0)).await.unwrap();
        old.set(42).await.unwrap();
        old.save().await.unwrap();
        let new = start(&b, "c").await.unwrap();
        assert_eq!(new.total().await.unwrap(), 42);
        new.save().await.unwrap();
        let c = shared.node("c").await;
        let error = c.persistent("c").start(|_| Old(0)).await.unwrap_err();
        assert!(matches!(error, PersistError::Foreign { .. }) && error.to_string().contains("version 2"), "{error}");
    });
}

#[test]
fn a_sick_disk_is_told_to_who_asked_and_the_next_save_tries_again() {
    run(async {
        let shared = Shared::new();
        let node = shared.node("a").await;
        let counter = start(&node, "c").await.unwrap();
        counter.add_durably(1).await.unwrap().unwrap();
        // A file where the folder was: no write succeeds, whoever runs the test.
        let (folder, aside) = (shared.folder("c"), shared.0.join("aside"));
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, b"").unwrap();
        let error = counter.save().await.unwrap_err();
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
        assert_eq!(counter.add(1).await.unwrap(), 2, "it goes on");
        let status = counter.status();
        assert_eq!((status.failed, status.saved), (1, 1));
        assert_eq!(status.last_error, Some(error.to_string()));
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        counter.save().await.unwrap();
        assert_eq!(counter.status().last_error, None);
    });
}

#[test]
fn names_and_folders_are_asked_for() {
    run(async {
        let shared = Shared::new();
        let node = shared.node("a").await;
        assert!(matches!(start(&node, "").await, Err(PersistError::Name(..))));
        let identity = shared.1.issue(&NodeName::new("b").unwrap(), Host::os().wall_clock(), DAY).unwrap();
        let bare = Node::start(Host::os(), NodeConfig::actors(identity, "127.0.0.1:0".parse().unwrap())).await.unwrap();
        assert!(matches!(start(&bare, "c").await, Err(PersistError::NoStore)));
    });
}
