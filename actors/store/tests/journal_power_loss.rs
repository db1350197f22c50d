//! The journal on the simulated disk: what a commit has acknowledged survives power losses and sick disks, and a commit is there as a
//! whole or not at all.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;

use playhouse_rt::sim::{DiskFault, DiskFaults, Storage};
use playhouse_rt::{Blocking, Disk, Duration, Random, timeout};
use playhouse_store::{Batch, Journal};

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
                let journal = Journal::open(disk, "/data/journal".into(), Blocking::new(2)).await.unwrap();
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
