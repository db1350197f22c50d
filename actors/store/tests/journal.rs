//! The journal against a model, and what it says when it cannot.
#![allow(missing_docs, reason = "a test")]
#![cfg(not(madsim))]

use std::collections::BTreeMap;
use std::path::PathBuf;

use playhouse_rt::{Blocking, Host};
use playhouse_store::{Batch, Journal, JournalError};
use proptest::prelude::*;

/// A folder that goes with its scope.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("journal")
    }

    async fn open(&self) -> Result<Journal, JournalError> {
        Journal::open(Host::os().disk().clone(), self.file(), "x", Blocking::new(2)).await
    }

    /// The thread of the last commit may hold the file a moment longer: who opens it waits for that, and what nobody uses is closed at once.
    async fn close(&self, journal: Journal) {
        drop(journal);
        drop(self.open().await.unwrap());
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

fn entries(numbers: std::ops::RangeInclusive<u64>) -> Vec<(u64, Vec<u8>)> {
    numbers.map(|number| (number, number.to_le_bytes().to_vec())).collect()
}

#[derive(Clone, Debug)]
enum Operation {
    Commit(Batch),
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let entry = (0..40_u64, proptest::collection::vec(any::<u8>(), 0..20));
    let name = prop_oneof![Just("vote"), Just("state")];
    let batch = (
        proptest::option::weighted(0.2, 0..40_u64),
        proptest::option::weighted(0.2, 0..40_u64),
        proptest::collection::vec(entry, 0..6),
        proptest::collection::vec((name, proptest::collection::vec(any::<u8>(), 0..9)), 0..2),
    );
    let batch = batch.prop_map(|(truncate, purge, append, set)| Operation::Commit(Batch { truncate, purge, append, set }));
    prop_oneof![6 => batch, 1 => Just(Operation::Reopen)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_a_map_would_be(operations in proptest::collection::vec(operation(), 1..20)) {
        run(async {
            let folder = Folder::new("model");
            let mut journal = folder.open().await.unwrap();
            let (mut log, mut values) = (BTreeMap::new(), BTreeMap::new());
            for operation in operations {
                match operation {
                    Operation::Reopen => {
                        drop(journal);
                        journal = folder.open().await.unwrap();
                    }
                    Operation::Commit(batch) => {
                        journal.commit(batch.clone()).await.unwrap();
                        batch.truncate.into_iter().for_each(|from| log.retain(|number, _| *number < from));
                        batch.purge.into_iter().for_each(|through| log.retain(|number, _| *number > through));
                        log.extend(batch.append);
                        values.extend(batch.set);
                    }
                }
                let found = journal.entries(0..=u64::MAX, usize::MAX).await.unwrap();
                assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), log);
                let ends = log.keys().next().copied().zip(log.keys().next_back().copied());
                assert_eq!(journal.span().await.unwrap(), ends);
                for name in ["vote", "state"] {
                    assert_eq!(journal.value(name).await.unwrap().as_ref(), values.get(name));
                }
            }
        });
    }
}

#[test]
fn what_is_asked_for_together_is_applied_in_order() {
    run(async {
        let folder = Folder::new("order");
        let journal = folder.open().await.unwrap();
        let commits: Vec<_> = (0..200_u64)
            .map(|n| {
                let (journal, batch) = (journal.clone(), Batch { append: vec![(1, n.to_le_bytes().into())], ..Batch::default() });
                let mut commit = Box::pin(async move { journal.commit(batch).await });
                // Polled once, here: that is its place in the order.
                let waker = std::task::Waker::noop();
                assert!(commit.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
                commit
            })
            .collect();
        for commit in commits {
            commit.await.unwrap();
        }
        assert_eq!(journal.entries(1..=1, 0).await.unwrap(), [(1, 199_u64.to_le_bytes().to_vec())]);
    });
}

#[test]
fn a_read_gives_no_more_than_it_was_asked_for_but_something() {
    run(async {
        let folder = Folder::new("bounds");
        let journal = folder.open().await.unwrap();
        journal.commit(Batch { append: entries(1..=9), ..Batch::default() }).await.unwrap();
        assert_eq!(journal.entries(2..=5, 100).await.unwrap(), entries(2..=5));
        assert_eq!(journal.entries(2..=5, 16).await.unwrap(), entries(2..=3));
        assert_eq!(journal.entries(2..=5, 0).await.unwrap(), entries(2..=2));
        assert_eq!(journal.entries(10..=20, 100).await.unwrap(), []);
    });
}

#[test]
fn a_changed_byte_is_noticed_and_the_file_is_named() {
    run(async {
        let folder = Folder::new("damage");
        let marked = b"a text that is found in the file".to_vec();
        let journal = folder.open().await.unwrap();
        journal.commit(Batch { append: vec![(7, marked.clone())], ..Batch::default() }).await.unwrap();
        folder.close(journal).await;
        let mut bytes = std::fs::read(folder.file()).unwrap();
        let places: Vec<usize> = (0..bytes.len() - marked.len()).filter(|at| bytes[*at..].starts_with(&marked)).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|at| bytes[at + 3] ^= 1);
        std::fs::write(folder.file(), &bytes).unwrap();
        let error = match folder.open().await {
            Ok(journal) => journal.entries(0..=9, 100).await.expect_err("a byte was changed").to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(folder.file().to_str().unwrap()) && error.contains("damaged"), "{error}");
    });
}

/// Each page in turn is half what it was and half what it was before, or nothing: of a journal that was closed, and of one whose process was
/// killed. What is found is refused by name, or it is what was committed; of the killed one, perhaps without its last commit, of which nobody
/// can say whether its sync had ended.
#[test]
fn a_torn_page_is_noticed_or_it_does_not_matter() {
    const PAGE: usize = 4096;
    run(async {
        let folder = Folder::new("torn");
        let mut images = Vec::new();
        let journal = folder.open().await.unwrap();
        for number in 1..=3 {
            let set = vec![("state", vec![number as u8; 6_000])];
            journal.commit(Batch { append: entries(number..=number), set, ..Batch::default() }).await.unwrap();
            images.push(std::fs::read(folder.file()).unwrap());
        }
        folder.close(journal).await;
        let closed = std::fs::read(folder.file()).unwrap();
        let [_, before, killed] = &images[..] else { unreachable!("three commits") };
        let (mut refused, mut whole) = (0, 0);
        for (image, is_closed) in [(&closed, true), (killed, false)] {
            for at in (0..image.len()).step_by(PAGE) {
                for older in [before.get(at..at + PAGE / 2).unwrap_or(&[0; PAGE / 2]), &[0; PAGE / 2]] {
                    let mut torn = image.clone();
                    torn[at..at + PAGE / 2].copy_from_slice(older);
                    std::fs::write(folder.file(), &torn).unwrap();
                    match found(&folder).await {
                        Ok((log, state)) => {
                            let last = log.len() as u64;
                            assert!(last == 3 || (!is_closed && last == 2), "page {}: {log:?}", at / PAGE);
                            assert_eq!((log, state), (entries(1..=last), Some(vec![last as u8; 6_000])));
                            whole += 1;
                        }
                        Err(error) => {
                            assert!(error.contains(folder.file().to_str().unwrap()), "{error}");
                            assert!(error.contains("damaged"), "page {}: {error}", at / PAGE);
                            refused += 1;
                        }
                    }
                }
            }
        }
        assert!(refused > 5 && whole > 5, "{refused} were refused, and {whole} were whole");
    });
}

type Found = (Vec<(u64, Vec<u8>)>, Option<Vec<u8>>);

/// All that the journal holds, or what it says.
async fn found(folder: &Folder) -> Result<Found, String> {
    let all = async {
        let journal = folder.open().await?;
        Ok::<_, JournalError>((journal.entries(0..=9, usize::MAX).await?, journal.value("state").await?))
    };
    all.await.map_err(|error| error.to_string())
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    run(async {
        let folder = Folder::new("foreign");
        let text = b"no journal at all\n".repeat(400);
        std::fs::write(folder.file(), &text).unwrap();
        let error = folder.open().await.expect_err("it is a text");
        assert!(matches!(error, JournalError::Damaged { .. }), "{error:?}");
        assert_eq!(std::fs::read(folder.file()).unwrap(), text);
    });
}

#[test]
fn the_journal_of_another_owner_is_refused_and_left_alone() {
    run(async {
        let folder = Folder::new("owner");
        let journal = folder.open().await.unwrap();
        journal.commit(Batch { append: entries(1..=3), ..Batch::default() }).await.unwrap();
        folder.close(journal).await;
        let error = Journal::open(Host::os().disk().clone(), folder.file(), "y", Blocking::new(2)).await.expect_err("it is of x");
        assert!(matches!(error, JournalError::Owner { .. }), "{error:?}");
        let file = folder.file();
        assert_eq!(
            error.to_string(),
            format!(
                "the journal {} is x's, and this is y. Give this node the certificate of x, or a folder of its own",
                file.display()
            )
        );
        assert_eq!(folder.open().await.unwrap().entries(0..=9, 100).await.unwrap(), entries(1..=3));
    });
}

#[test]
fn two_cannot_open_one_file_and_the_second_is_told_so() {
    run(async {
        let folder = Folder::new("claim");
        let first = folder.open().await.unwrap();
        first.commit(Batch { append: entries(1..=3), ..Batch::default() }).await.unwrap();
        let error = folder.open().await.expect_err("it is open");
        assert!(matches!(error, JournalError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains(folder.file().to_str().unwrap()), "{error}");
        // The first has suffered nothing, and who comes after it finds all.
        first.commit(Batch { append: entries(4..=4), ..Batch::default() }).await.unwrap();
        drop(first);
        assert_eq!(folder.open().await.unwrap().entries(0..=9, 100).await.unwrap(), entries(1..=4));
    });
}

#[test]
fn what_an_earlier_life_left_unfinished_is_replaced() {
    run(async {
        let folder = Folder::new("unfinished");
        let unfinished = folder.0.join("journal.unfinished");
        std::fs::write(&unfinished, b"half of a journal").unwrap();
        let journal = folder.open().await.unwrap();
        assert_eq!(journal.span().await.unwrap(), None);
        assert!(!unfinished.exists());
    });
}

#[test]
fn an_entry_that_no_message_could_carry_is_refused() {
    run(async {
        let folder = Folder::new("long");
        let journal = folder.open().await.unwrap();
        let long = vec![0; playhouse_store::limits::JOURNAL_ENTRY_MAX + 1];
        let error = journal.commit(Batch { append: vec![(1, long)], ..Batch::default() }).await;
        assert!(matches!(error, Err(JournalError::Long { number: 1, .. })), "{error:?}");
        assert_eq!(journal.span().await.unwrap(), None);
    });
}
