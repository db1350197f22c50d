//! What befalls simulated disks, and that it ends.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_rt::sim::{self, DiskFault, DiskFaults, SECTOR, Storage};
use playhouse_rt::{Blocking, Disk, Random};

const ALWAYS: u32 = 1_000_000;

struct Sick {
    storage: Storage,
    faults: DiskFaults,
    disk: Disk,
}

fn sick(seed: u64) -> Sick {
    let (storage, faults) = (Storage::default(), DiskFaults::new("a", Random::new(seed, "faults")));
    let disk = Disk::simulated(&storage, 1).with_faults(&faults);
    disk.create_dir_all(Path::new("/d")).unwrap();
    Sick { storage, faults, disk }
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// What a power loss leaves of /d/x, over many seeds.
fn left(seeds: u64, change: impl Fn(&Sick)) -> BTreeSet<Vec<u8>> {
    let mut left = BTreeSet::new();
    for seed in 0..seeds {
        sim::run(seed, async {
            let sick = sick(seed);
            change(&sick);
            sick.storage.crash(1, &mut Random::new(seed, "crash"));
            left.insert(sick.disk.read(path("/d/x")).unwrap_or_default());
        });
    }
    left
}

#[test]
fn any_of_the_sectors_that_were_not_made_durable_survive() {
    let pages = |text: &str| Vec::from_iter(text.bytes().flat_map(|byte| std::iter::repeat_n(byte, SECTOR)));
    let begin = |sick: &Sick, text: &str| {
        let file = sick.disk.open(path("/d/x")).unwrap();
        file.write_at(0, &pages(text)).unwrap();
        file.sync().unwrap();
        sick.disk.sync_dir(path("/d")).unwrap();
        file
    };
    let found = left(200, |sick| begin(sick, "aaa").write_at(0, &pages("bbb")).unwrap());
    let all = ["aaa", "aab", "aba", "abb", "baa", "bab", "bba", "bbb"].map(pages);
    assert_eq!(found, BTreeSet::from(all), "each sector for itself");

    let found = left(200, |sick| {
        let file = begin(sick, "ab");
        file.write_at(0, &pages("c")).unwrap();
        file.write_at(0, &pages("d")).unwrap();
        file.set_len(3 * SECTOR as u64).unwrap();
    });
    let states: BTreeSet<_> = ["a", "c", "d"].iter().flat_map(|a| ["b", "b\0"].map(|b| pages(&format!("{a}{b}")))).collect();
    assert_eq!(found, states, "each state that it had, and each length");

    let found = left(50, |sick| {
        let file = begin(sick, "ab");
        file.write_at(SECTOR as u64, &pages("c")).unwrap();
        file.set_len(SECTOR as u64).unwrap();
        file.write_at(SECTOR as u64 / 2, b"dd").unwrap();
        file.sync().unwrap();
    });
    let mut whole = pages("a");
    whole[SECTOR / 2..SECTOR / 2 + 2].copy_from_slice(b"dd");
    assert_eq!(found, BTreeSet::from([whole]), "all is durable");
}

#[test]
fn a_lost_sync_says_that_all_is_well() {
    let fault = DiskFault::LostSync { ppm: ALWAYS };
    let write = |sick: &Sick| {
        sick.disk.write(path("/d/x"), b"old").unwrap();
        sick.disk.sync(path("/d/x")).unwrap();
        sick.disk.sync_dir(path("/d")).unwrap();
        sick.faults.begin(path("/"), fault);
        sick.disk.write(path("/d/x"), b"new").unwrap();
        sick.disk.sync(path("/d/x")).unwrap();
        assert_eq!((sick.faults.counts()["lost-sync"], sick.disk.read(path("/d/x")).unwrap()), (1, b"new".to_vec()));
    };
    assert!(left(50, write).contains(&b"old"[..]));
    let mended = left(50, |sick| {
        write(sick);
        sick.faults.end(path("/"), fault);
        sick.disk.sync(path("/d/x")).unwrap();
    });
    assert_eq!(mended, BTreeSet::from([b"new".to_vec()]));
}

#[test]
fn errors_are_those_of_the_system_and_keep_to_their_scope() {
    sim::run(1, async {
        let Sick { faults, disk, .. } = sick(1);
        for name in ["/d/x", "/d/y"] {
            disk.write(path(name), b"12345678").unwrap();
        }
        let (read, write) = (DiskFault::ReadError { ppm: ALWAYS }, DiskFault::WriteError { ppm: ALWAYS });
        faults.begin(path("/d/x"), read);
        let error = disk.read(path("/d/x")).unwrap_err();
        assert_eq!(error.to_string(), "Input/output error (os error 5)");
        assert!(disk.read_at(path("/d/x"), 0, 1).is_err() && disk.open(path("/d/x")).is_err());
        disk.read(path("/d/y")).unwrap();
        disk.write(path("/d/x"), b"12345678").unwrap();
        faults.end(path("/d/x"), read);
        disk.read(path("/d/x")).unwrap();

        let file = disk.open(path("/d/x")).unwrap();
        faults.begin(path("/d/x"), write);
        let mut parts = BTreeSet::new();
        for _ in 0..50 {
            assert_eq!(disk.write(path("/d/x"), b"abcd").unwrap_err().to_string(), "Input/output error (os error 5)");
            let now = disk.read(path("/d/x")).unwrap();
            assert!(b"abcd".starts_with(&now), "{now:?}");
            parts.insert(now.len());
        }
        assert_eq!(parts, BTreeSet::from([0, 1, 2, 3, 4]), "a part is written");
        assert!(file.write_at(0, b"x").is_err() && file.set_len(0).is_err() && file.sync().is_err());
        assert!(disk.sync(path("/d/x")).is_err() && disk.remove(path("/d/x")).is_err());
        assert!(disk.rename(path("/d/x"), path("/d/z")).is_err());
        faults.end_all();
        disk.write(path("/d/x"), b"abcd").unwrap();
        assert_eq!((faults.counts()["read-error"], faults.counts()["write-error"]), (3, 56));
        // An error now and then.
        faults.begin(path("/d"), DiskFault::ReadError { ppm: 100_000 });
        let failed = (0..1000).filter(|_| disk.read(path("/d/x")).is_err()).count();
        assert!((50..150).contains(&failed), "{failed} of 1000");
    });
}

#[test]
fn a_full_disk_takes_what_fits_and_what_is_removed_makes_room() {
    sim::run(1, async {
        let Sick { faults, disk, .. } = sick(1);
        disk.write(path("/d/old"), b"12345").unwrap();
        let full = DiskFault::Full { room: 10 };
        faults.begin(path("/"), full);
        let file = disk.open(path("/d/x")).unwrap();
        file.write_at(0, b"1234567").unwrap();
        // In place it takes no room.
        file.write_at(0, b"7654321").unwrap();
        let error = file.write_at(7, b"abcdef").unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::StorageFull, "/d/x: no space left on the disk".into()));
        assert_eq!(disk.read(path("/d/x")).unwrap(), b"7654321abc");
        assert_eq!(file.set_len(20).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.len().unwrap(), 10);
        disk.remove(path("/d/old")).unwrap();
        file.set_len(9).unwrap();
        assert!(disk.write(path("/d/y"), b"123456").is_ok() && disk.write(path("/d/z"), b"1").is_err());
        faults.end(path("/"), full);
        disk.write(path("/d/z"), b"1").unwrap();
        assert_eq!(faults.counts()["disk-full"], 3);
    });
}

#[test]
fn work_on_a_slow_disk_takes_longer_and_keeps_its_place() {
    sim::run(1, async {
        let Sick { faults, disk, .. } = sick(1);
        disk.write(path("/d/x"), b"x").unwrap();
        let pool = Blocking::new(1);
        let took = async |calls: usize| {
            let (began, disk) = (playhouse_rt::now(), disk.clone());
            pool.run(move || (0..calls).for_each(|_| drop(disk.read(path("/d/x")).unwrap()))).await.unwrap();
            playhouse_rt::now() - began
        };
        assert!(took(10).await < Duration::from_secs(1));
        let slow = DiskFault::Slow { micros: 500_000 };
        faults.begin(path("/d"), slow);
        // Not work of the pool, so it owes nothing to what is.
        disk.read(path("/d/x")).unwrap();
        let (ten, none) = (took(10).await, took(0).await);
        assert!(ten >= Duration::from_secs(5) && ten < Duration::from_secs(6), "{ten:?}");
        assert!(none < Duration::from_secs(1), "{none:?}");
        // Nobody waits for the first any more, and the second finds its place taken.
        assert!(playhouse_rt::timeout(Duration::from_secs(1), took(10)).await.is_err());
        let next = took(0).await;
        assert!(next >= Duration::from_secs(4), "{next:?}");
        faults.end(path("/d"), slow);
        assert!(took(10).await < Duration::from_secs(1));
        assert_eq!(faults.counts()["slow-disk"], 21);
    });
}

#[test]
fn a_bit_rots_under_what_was_durable_and_can_be_mended() {
    sim::run(1, async {
        let Sick { storage, disk, .. } = sick(1);
        let mut random = Random::new(1, "rot");
        assert_eq!(storage.rot(path("/d"), &mut random), None);
        disk.write(path("/d/x"), &[0; 100]).unwrap();
        disk.sync(path("/d/x")).unwrap();
        disk.sync_dir(path("/d")).unwrap();
        let flip = storage.rot(path("/d"), &mut random).unwrap();
        storage.crash(1, &mut random);
        let ones: u32 = disk.read(path("/d/x")).unwrap().iter().map(|byte| byte.count_ones()).sum();
        assert_eq!((ones, flip.path.as_path()), (1, path("/d/x")));
        assert!(storage.flip(&flip));
        assert_eq!(disk.read(path("/d/x")).unwrap(), [0; 100]);
    });
}

#[test]
fn a_disk_of_ones_own_can_be_lost_and_a_shared_one_is_not_with_it() {
    sim::run(1, async {
        let (own, shared) = (Storage::default(), Storage::default());
        let disk = Disk::simulated(&own, 1).with_mounts(&[("/shared".into(), shared.clone())]);
        let other = Disk::simulated(&Storage::default(), 2).with_mounts(&[("/shared".into(), shared)]);
        disk.create_dir_all(path("/d")).unwrap();
        disk.write(path("/d/x"), b"own").unwrap();
        disk.write(path("/shared/x"), b"shared").unwrap();
        assert_eq!(disk.rename(path("/d/x"), path("/shared/y")).unwrap_err().kind(), ErrorKind::CrossesDevices);
        assert!(other.list(path("/d")).is_err());
        own.lose();
        assert!(disk.read(path("/d/x")).is_err() && disk.list(path("/d")).is_err());
        assert_eq!(
            (disk.read(path("/shared/x")).unwrap(), other.read(path("/shared/x")).unwrap()),
            (b"shared".into(), b"shared".into())
        );
    });
}

#[test]
fn all_that_is_wrong_is_in_the_ledger() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    sim::ledger::open(move |line| {
        if ["fault", "disk", "mend"].contains(&line.kind) {
            seen.lock().unwrap().push(format!("{} {}", line.kind, line.detail));
        }
    });
    sim::run(1, async {
        let Sick { faults, disk, .. } = sick(1);
        faults.begin(path("/d"), DiskFault::ReadError { ppm: ALWAYS });
        assert!(disk.read(path("/d/x")).is_err());
        faults.end_all();
    });
    sim::ledger::close();
    let wanted = [
        "fault disk of a under /d: ReadError { ppm: 1000000 }",
        "disk read-error of a: /d/x",
        "mend disk of a under /d: ReadError { ppm: 1000000 }",
    ];
    assert_eq!(*lines.lock().unwrap(), wanted);
}
