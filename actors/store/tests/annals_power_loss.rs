//! Annals on the simulated disk: what power losses tear, the next life writes again; what a sick disk refuses is told by name.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::path::Path;

use playhouse_rt::sim::{DiskFault, DiskFaults, Storage};
use playhouse_rt::{Blocking, Disk, Random};
use playhouse_store::annals::{Annals, Bounds, Head, read};

const FOLDER: &str = "/data/tasks";

/// Segments of a few records, so that power is often lost where one ends and the next begins.
const BOUNDS: Bounds = Bounds { segment: 400, segments: 1_000 };

fn record(number: u64) -> Vec<u8> {
    let length = number as usize * 37 % 90;
    format!("{number} {}", "x".repeat(length)).into_bytes()
}

fn head_at(number: u64) -> Head {
    let mut head = Head::default();
    (1..=number).for_each(|number| head.passes(&record(number)));
    head
}

fn append(annals: &Annals, head: &mut Head) {
    let next = record(head.number + 1);
    annals.append(head, next);
}

#[test]
fn after_any_power_loss_it_is_one_log_without_a_gap() {
    let (mut torn, mut cut) = (0, 0);
    for seed in 0..150 {
        let seen = playhouse_rt::sim::run(seed, async move {
            let mut random = Random::new(seed, "annals");
            let storage = Storage::default();
            // What is remembered elsewhere; and the last record that was given, for that is given again.
            let (mut durable, mut given, mut torn, mut cut) = (0, 0_u64, 0, 0);
            for life in 1..=6 {
                let disk = Disk::simulated(&storage, life);
                let annals = Annals::open(disk.clone(), FOLDER.into(), Blocking::new(1), BOUNDS).await.unwrap();
                annals.was_durable(durable);
                if random.chance(0.5) {
                    storage.cut_after(life, random.below(30));
                }
                let mut head = head_at(durable);
                let mut alive = true;
                for _ in 0..random.below(40) + given - durable {
                    append(&annals, &mut head);
                    given = given.max(head.number);
                    if random.chance(0.3) {
                        alive = annals.room().await.is_ok();
                    }
                    if random.chance(0.1) {
                        let end = head.number;
                        alive = annals.sync().await.is_ok();
                        durable = if alive { end } else { durable };
                    }
                    if !alive {
                        cut += 1;
                        break;
                    }
                }
                storage.cut(life);
                drop(annals);
                storage.crash(life, &mut random);
                let disk = Disk::simulated(&storage, u64::MAX);
                match read(&disk, Path::new(FOLDER), |_| ()) {
                    Ok(found) => assert!(found.last >= durable, "seed {seed}: {found:?}, and {durable} were durable"),
                    Err(_) => torn += 1,
                }
            }
            let disk = Disk::simulated(&storage, 100);
            let annals = Annals::open(disk.clone(), FOLDER.into(), Blocking::new(1), BOUNDS).await.unwrap();
            annals.was_durable(durable);
            let mut head = head_at(durable);
            while head.number < given {
                append(&annals, &mut head);
            }
            // Without a record nothing is looked at.
            append(&annals, &mut head);
            annals.sync().await.unwrap();
            let found = read(&disk, Path::new(FOLDER), |_| ()).unwrap();
            assert_eq!((found.first, found.last, found.link), (1, head.number, head.link), "seed {seed}");
            assert_eq!(found.gaps, [], "seed {seed}");
            (torn, cut)
        });
        (torn, cut) = (torn + seen.0, cut + seen.1);
    }
    assert!(torn > 5 && cut > 50, "power losses left {torn} torn ends and cut {cut} lives off");
}

#[test]
fn a_sick_disk_is_told_by_name_and_what_is_there_stays() {
    for fault in [DiskFault::WriteError { ppm: 1_000_000 }, DiskFault::Full { room: 100 }] {
        playhouse_rt::sim::run(1, async move {
            let (storage, faults) = (Storage::default(), DiskFaults::new("n", Random::new(1, "faults")));
            let disk = Disk::simulated(&storage, 1).with_faults(&faults);
            let annals = Annals::open(disk.clone(), FOLDER.into(), Blocking::new(1), BOUNDS).await.unwrap();
            let mut head = Head::default();
            (1..=5).for_each(|number| annals.append(&mut head, record(number)));
            annals.sync().await.unwrap();
            faults.begin(Path::new("/data"), fault);
            (6..=20).for_each(|number| annals.append(&mut head, record(number)));
            let why = annals.room().await.and(annals.sync().await).unwrap_err();
            assert!(why.contains(FOLDER) && why.contains("Free space or repair the disk"), "{why}");
            assert_eq!(annals.failed(), Some(why));
            drop(annals);
            faults.end_all();
            let annals = Annals::open(disk.clone(), FOLDER.into(), Blocking::new(1), BOUNDS).await.unwrap();
            annals.was_durable(5);
            let mut head = head_at(5);
            (6..=20).for_each(|number| annals.append(&mut head, record(number)));
            annals.sync().await.unwrap();
            let found = read(&disk, Path::new(FOLDER), |_| ()).unwrap();
            assert_eq!((found.first, found.last, found.gaps.len()), (1, 20, 0));
        });
    }
}
