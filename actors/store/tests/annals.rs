//! Annals: what verifying them finds, and that they go on where they were.
#![allow(missing_docs, reason = "a test")]
#![cfg(not(madsim))]

use std::collections::BTreeSet;
use std::path::PathBuf;

use playhouse_rt::{Blocking, Host};
use playhouse_store::annals::{Annals, Bounds, Broken, Found, Head, Item, read};
use proptest::prelude::*;

const SMALL: Bounds = Bounds { segment: 600, segments: 100 };

/// A folder that goes with its scope.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("annals-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    async fn open(&self, bounds: Bounds) -> Annals {
        Annals::open(Host::os().disk().clone(), self.0.clone(), Blocking::new(1), bounds).await.unwrap()
    }

    fn read(&self) -> Result<Found, Broken> {
        read(Host::os().disk(), &self.0, |_| ())
    }

    fn records(&self) -> Vec<(u64, Vec<u8>)> {
        let mut records = Vec::new();
        let see = |item: Item<'_>| {
            if let Item::Record(number, bytes) = item {
                records.push((number, bytes.to_vec()));
            }
        };
        read(Host::os().disk(), &self.0, see).unwrap();
        records
    }

    /// The segments, oldest first, with their bytes.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(test: impl Future<Output = ()>) {
    playhouse_rt::run(2, test).unwrap();
}

fn record(number: u64) -> Vec<u8> {
    format!("record {number}: {}", "so it was. ".repeat(number as usize % 5)).into_bytes()
}

/// Appends the records up to this one.
async fn append(annals: &Annals, head: &mut Head, through: u64) {
    while head.number < through {
        annals.append(head, record(head.number + 1));
        // One after the other, so that each write is a small one.
        annals.room().await.unwrap();
    }
    annals.sync().await.unwrap();
}

/// The head after this record.
fn head_at(number: u64) -> Head {
    let mut head = Head::default();
    (1..=number).for_each(|number| head.passes(&record(number)));
    head
}

async fn written(name: &str, through: u64) -> Folder {
    let folder = Folder::new(name);
    append(&folder.open(SMALL).await, &mut Head::default(), through).await;
    folder
}

#[test]
fn what_was_written_is_read() {
    run(async {
        let folder = written("plain", 40).await;
        let found = folder.read().unwrap();
        assert_eq!((found.records, found.first, found.last, found.gaps.len()), (40, 1, 40, 0));
        assert_eq!(found.link, head_at(40).link);
        assert!(found.segments > 4, "{found:?}");
        assert!(folder.records().into_iter().eq((1..=40).map(|number| (number, record(number)))));
    });
}

#[test]
fn any_changed_byte_is_found_and_its_segment_named() {
    run(async {
        let folder = written("bytes", 30).await;
        let files = folder.files();
        let mut kinds = BTreeSet::new();
        for (file, whole) in &files {
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at % 8);
                std::fs::write(file, &bytes).unwrap();
                let broken = folder.read().expect_err("a byte was changed");
                assert_eq!(broken.file(), file, "byte {at}: {broken}");
                assert!(broken.to_string().contains(file.to_str().unwrap()));
                kinds.insert(matches!(broken, Broken::Record { .. }));
            }
            std::fs::write(file, whole).unwrap();
        }
        assert_eq!(kinds.len(), 2, "some in what comes first, and some in records");
        folder.read().unwrap();
    });
}

#[test]
fn what_is_cut_off_missing_or_swapped_is_found() {
    run(async {
        let folder = written("cut", 30).await;
        let files = folder.files();
        let last = files.len() - 1;
        for (at, (file, whole)) in files.iter().enumerate() {
            let mut shorter = 0;
            for length in 0..whole.len() {
                std::fs::write(file, &whole[..length]).unwrap();
                match folder.read() {
                    Err(broken) => {
                        assert!([Some(file), files.get(at + 1).map(|(next, _)| next)].contains(&Some(&broken.file().into())))
                    }
                    // Between two records of the last segment nothing within the folder says that there were more.
                    Ok(found) => {
                        assert!(at == last && found.last < 30, "{} was cut to {length}", file.display());
                        shorter += 1;
                    }
                }
            }
            assert!(at != last || shorter > 0);
            std::fs::remove_file(file).unwrap();
            // The first may have been forgotten, and of the last nobody knows here.
            match folder.read() {
                Err(broken) => assert!(at > 0 && broken.file() == files[at + 1].0),
                Ok(found) => assert!(at == 0 && found.first > 1 || at == last && found.last < 30),
            }
            std::fs::write(file, whole).unwrap();
        }
        std::fs::write(&files[1].0, &files[2].1).unwrap();
        std::fs::write(&files[2].0, &files[1].1).unwrap();
        let broken = folder.read().expect_err("two were swapped");
        assert_eq!(broken.file(), files[1].0);
        std::fs::write(&files[1].0, &files[1].1).unwrap();
        assert_eq!(folder.read().expect_err("one is there twice").file(), files[2].0);
        std::fs::write(&files[2].0, &files[2].1).unwrap();
        let odd = folder.0.join("17.log");
        std::fs::write(&odd, b"").unwrap();
        assert_eq!(folder.read().expect_err("that is no name of ours").file(), odd);
    });
}

#[test]
fn the_oldest_are_forgotten_and_the_rest_verifies() {
    run(async {
        let folder = Folder::new("old");
        let bounds = Bounds { segments: 3, ..SMALL };
        append(&folder.open(bounds).await, &mut Head::default(), 60).await;
        let found = folder.read().unwrap();
        assert_eq!((found.segments, found.last, found.link), (3, 60, head_at(60).link));
        assert!(found.first > 30 && found.gaps.is_empty(), "{found:?}");
        // The next life goes on, and forgets in its turn.
        append(&folder.open(bounds).await, &mut head_at(50), 90).await;
        let found = folder.read().unwrap();
        assert_eq!((found.segments, found.last, found.link, found.gaps.len()), (3, 90, head_at(90).link, 0));
    });
}

#[test]
fn a_gap_is_no_damage_and_says_so() {
    run(async {
        let folder = written("gap", 12).await;
        append(&folder.open(SMALL).await, &mut head_at(20), 25).await;
        let found = folder.read().unwrap();
        assert_eq!((found.records, found.last, found.link), (17, 25, head_at(25).link));
        assert_eq!(found.gaps, [(13, 20)]);
        // One that begins in the middle.
        let late = Folder::new("late");
        append(&late.open(SMALL).await, &mut head_at(7), 9).await;
        assert_eq!(late.read().unwrap().gaps, [(1, 7)]);
    });
}

#[test]
fn the_log_of_another_history_is_left_alone() {
    run(async {
        let folder = written("foreign", 20).await;
        let before = folder.files();
        for from in [0, 5, 18, 19] {
            let annals = folder.open(SMALL).await;
            annals.append(&mut head_at(from), b"it was not so".to_vec());
            let why = annals.sync().await.unwrap_err();
            assert!(why.contains(folder.0.to_str().unwrap()) && why.contains("move its folder away"), "{why}");
            assert_eq!(annals.failed(), Some(why));
            assert_eq!(folder.files(), before, "from {from}");
        }
        // One that is longer, and was another one from its beginning.
        let annals = folder.open(SMALL).await;
        let mut head = Head::default();
        (0..20).for_each(|_| head.passes(b"it was not so"));
        annals.append(&mut head, record(21));
        assert!(annals.sync().await.unwrap_err().contains("move its folder away"));
        assert_eq!(folder.files(), before);
        // The same as before: nothing is written twice.
        append(&folder.open(SMALL).await, &mut head_at(5), 20).await;
        assert_eq!(folder.files(), before);
    });
}

#[test]
fn a_torn_end_is_cut_and_written_again_but_damage_of_what_was_durable_stays() {
    run(async {
        let folder = written("torn", 23).await;
        let files = folder.files();
        let (file, whole) = files.last().unwrap();
        for length in (0..whole.len()).step_by(7) {
            let mut torn = whole[..length].to_vec();
            // Some of what was written behind that may be there all the same.
            torn.resize(whole.len().min(length + 30), 0);
            std::fs::write(file, &torn).unwrap();
            append(&folder.open(SMALL).await, &mut head_at(3), 23).await;
            assert_eq!(folder.files(), files, "it was cut to {length}");
        }
        let mut bytes = whole.clone();
        let end = bytes.len() - 40;
        bytes[end] ^= 1;
        std::fs::write(file, &bytes).unwrap();
        let annals = folder.open(SMALL).await;
        annals.was_durable(23);
        append(&annals, &mut head_at(23), 30).await;
        assert_eq!(std::fs::read(file).unwrap(), bytes);
        assert_eq!(folder.read().expect_err("it is damaged").file(), file);
        std::fs::write(file, &bytes[..end - 100]).unwrap();
        assert!(folder.read().is_err());
    });
}

fn lives() -> impl Strategy<Value = Vec<(u64, u64, usize)>> {
    proptest::collection::vec((0..20_u64, 0..20_u64, 0..40_usize), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each life remembers less than is written, may find a torn end, and gives it all again: it is as if nothing had happened.
    #[test]
    fn however_often_it_begins_anew_it_is_one_log(lives in lives()) {
        run(async {
            let folder = Folder::new("lives");
            let mut last: u64 = 0;
            for (back, on, torn) in lives {
                // Two records at least are not known to be durable: no more than one is torn.
                let from = last.saturating_sub(back + 2);
                if let Some((file, bytes)) = folder.files().pop().filter(|_| from + 2 <= last) {
                    std::fs::write(&file, &bytes[..bytes.len() - torn]).unwrap();
                }
                last = last.max(from + on);
                let annals = folder.open(SMALL).await;
                annals.was_durable(from);
                append(&annals, &mut head_at(from), last).await;
                drop(annals);
                let found = folder.read().unwrap();
                assert_eq!((found.last, found.gaps.len()), (last, 0));
                assert!(folder.records().into_iter().eq((1..=last).map(|number| (number, record(number)))));
            }
        });
    }
}
