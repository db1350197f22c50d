//! The journal on the simulated disk: what a commit has acknowledged survives power losses and sick disks, and a commit is there as a
//! whole or not at all.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;

use playhouse_rt::sim::{DiskFault, DiskFaults, Storage};
use playhouse_rt::{Blocking, Disk, Duration, Random, timeout};
use playhouse_store::limits::{JOURNAL_ENTRY_MAX, JOURNAL_QUEUE};
use playhouse_store::{Batch, Journal, JournalError};

const SEEDS: u64 = 150;

/// The file has room for many of our commits, so a full disk shows only where it has to grow.
const BULK: usize = 2 * 1024 * 1024;

/// Each commit adds two entries and sets a value: all three say which it was.
fn numbered(number: u64) -> Batch {
    let bytes = number.to_le_bytes().to_vec();
    Batch {
        append: vec![(2 * number, bytes.clone()), (2 * number + 1, bytes.clone())],
        set: vec![("last", bytes)],
        ..Batch::default()
    }
}

/// Which commit was the last, as entries and value agree on it.
async fn last(journal: &Journal, seed: u64) -> u64 {
    let value = journal.value("last").await.unwrap().map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let entries = journal.entries(0..=u64::MAX, usize::MAX).await.unwrap();
    assert_eq!(entries.last().map_or(0, |(number, _)| number / 2), value, "seed {seed}: a commit is there in part");
    assert!(entries.iter().map(|(number, _)| *number).eq(2..2 + entries.len() as u64), "seed {seed}: there is a gap");
    value
}

#[test]
fn what_was_acknowledged_survives_and_nothing_is_there_in_part() {
    let mut cut_off = 0;
    let mut struck: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let (cut_off_here, struck_here) = playhouse_rt::sim::run(seed, async move {
            let mut random = Random::new(seed, "journal");
            let storage = Storage::default();
            let (mut acknowledged, mut begun, mut cut_off) = (0, 0, 0);
            let mut struck = Vec::new();
            for life in 1..=5 {
                let faults = DiskFaults::new("n", Random::new(seed * 10 + life, "faults"));
                let disk = Disk::simulated(&storage, life).with_faults(&faults);
                let journal = Journal::open(disk, "/data/journal".into(), "x", Blocking::new(2)).await.unwrap();
                let found = last(&journal, seed).await;
                assert!(
                    (acknowledged..=begun).contains(&found),
                    "seed {seed}, life {life}: {found}, and {acknowledged} were acknowledged"
                );
                (acknowledged, begun) = (found, found);
                let sick = [DiskFault::WriteError { ppm: 200_000 }, DiskFault::Full { room: random.below(40_000) }];
                for at in 0..random.below(6) {
                    begun += 1;
                    let mut batch = numbered(begun);
                    if at == 3 && random.chance(0.5) {
                        let fault = sick[random.below(2) as usize];
                        faults.begin(Path::new("/data"), fault);
                        if matches!(fault, DiskFault::Full { .. }) {
                            batch.set.push(("bulk", vec![0; BULK]));
                        }
                    }
                    // The caller may be gone before, while or after the work is done.
                    let limit = Duration::from_millis(if random.chance(0.3) { random.below(20) } else { 60_000 });
                    match timeout(limit, journal.commit(batch)).await {
                        Ok(Ok(())) => acknowledged = begun,
                        // From here on it does nothing, until it is opened again.
                        Ok(Err(_)) => break,
                        Err(_) => {
                            cut_off += 1;
                            break;
                        }
                    }
                }
                storage.cut(life);
                drop(journal);
                storage.crash(life, &mut random);
                struck.extend(faults.counts());
            }
            (cut_off, struck)
        });
        cut_off += cut_off_here;
        struck_here.into_iter().for_each(|(kind, times)| *struck.entry(kind).or_default() += times);
    }
    assert!(cut_off > 0, "no commit was cut off");
    // Faults that begin and never strike would prove nothing.
    for kind in ["write-error", "disk-full"] {
        assert!(struck.get(kind).is_some_and(|times| *times > 0), "no {kind} in any seed: {struck:?}");
    }
}

/// Power is lost at every step of the first open: whatever is left, the next life opens it, and finds nothing in it.
#[test]
fn a_power_loss_within_the_first_open_leaves_a_journal_that_opens() {
    let mut cut_off = 0;
    for seed in 0..300 {
        let (steps, chance) = (seed / 6, seed % 6);
        cut_off += playhouse_rt::sim::run(seed, async move {
            let mut random = Random::new(chance, "first open");
            let storage = Storage::default();
            storage.cut_after(1, steps);
            let opened = Journal::open(Disk::simulated(&storage, 1), "/data/deep/journal".into(), "x", Blocking::new(2)).await;
            let was_cut_off = u64::from(opened.is_err());
            storage.cut(1);
            drop(opened);
            storage.crash(1, &mut random);
            for life in 2..4 {
                let disk = Disk::simulated(&storage, life);
                let journal = Journal::open(disk, "/data/deep/journal".into(), "x", Blocking::new(2)).await;
                let journal = journal.unwrap_or_else(|error| panic!("cut after {steps} steps: {error}"));
                assert_eq!(last(&journal, seed).await, life - 2, "cut after {steps} steps");
                journal.commit(numbered(life - 1)).await.unwrap();
            }
            was_cut_off
        });
    }
    assert!((100..290).contains(&cut_off), "the first open takes fewer steps than are tried, and some: {cut_off} of 300");
}

#[test]
fn one_has_the_file_until_it_lets_go_or_loses_its_power() {
    playhouse_rt::sim::run(1, async {
        let storage = Storage::default();
        let open =
            async |life| Journal::open(Disk::simulated(&storage, life), "/data/journal".into(), "x", Blocking::new(2)).await;
        let first = open(1).await.unwrap();
        assert!(matches!(open(2).await, Err(JournalError::InUse { .. })));
        assert!(matches!(open(1).await, Err(JournalError::InUse { .. })), "nor can the same host twice");
        first.commit(numbered(1)).await.unwrap();
        drop(first);
        let second = open(2).await.unwrap();
        storage.cut(2);
        let third = open(3).await.unwrap();
        assert_eq!(last(&third, 1).await, 1);
        // What the second lets go now is not its own any more.
        drop(second);
        assert!(matches!(open(4).await, Err(JournalError::InUse { .. })));
    });
}

/// More than there is room for, from many tasks at once: each keeps the place in which it came.
#[test]
fn who_waits_for_room_keeps_his_place() {
    for seed in 0..6 {
        playhouse_rt::sim::run(seed, async move {
            let storage = Storage::default();
            let journal =
                Journal::open(Disk::simulated(&storage, 1), "/data/journal".into(), "x", Blocking::new(2)).await.unwrap();
            // The first fill the room. Each takes away what came after it, so that one that is overtaken leaves a gap.
            let long = (JOURNAL_QUEUE / JOURNAL_ENTRY_MAX) as u64 + 1;
            let many = (0..long + 40).map(|number| {
                let entry = vec![0; if number < long { JOURNAL_ENTRY_MAX } else { 8 }];
                let batch = Batch { truncate: Some(number), append: vec![(number, entry)], ..Batch::default() };
                let journal = journal.clone();
                let mut submit = Box::pin(async move { journal.submit(batch).await.unwrap().await.unwrap() });
                let waker = std::task::Waker::noop();
                assert!(submit.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
                playhouse_rt::spawn(submit)
            });
            let many: Vec<_> = many.collect();
            let count = many.len();
            for task in many {
                task.await.unwrap();
            }
            let found: Vec<u64> =
                journal.entries(0..=u64::MAX, usize::MAX).await.unwrap().iter().map(|(number, _)| *number).collect();
            assert!(found.iter().copied().eq(0..count as u64), "seed {seed}: {found:?}");
        });
    }
}
