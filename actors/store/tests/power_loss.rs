//! The store on the simulated disk: what a save has acknowledged survives a power loss, whatever the disk does with the rest.
#![cfg(madsim)]

use playhouse_rt::sim::Storage;
use playhouse_rt::{Blocking, Disk, Random};
use playhouse_store::{Key, Store, Version};

const SEEDS: u64 = 300;

#[test]
fn what_was_acknowledged_survives() {
    for seed in 0..SEEDS {
        playhouse_rt::sim::run(seed, async move {
            let mut random = Random::new(seed, "power loss");
            let storage = Storage::default();
            let keys = [Key::new("a").unwrap(), Key::new("shard/B").unwrap()];
            let mut acknowledged = [None, None];
            // Each life has a number of its own; it is its fence too.
            for life in 1..=4 {
                let disk = Disk::simulated(&storage, life);
                let store = Store::open(disk, "/data/store".into(), Blocking::new(2)).await.unwrap();
                for (key, expected) in keys.iter().zip(&acknowledged) {
                    let found = store.load(key).await.unwrap();
                    let found = found.map(|found| {
                        assert_eq!(found.skipped, [], "seed {seed}: an acknowledged file is damaged");
                        (found.version, found.value)
                    });
                    assert_eq!(found, *expected, "seed {seed}, life {life}: {key} is not what was acknowledged");
                }
                for _ in 0..random.below(5) {
                    let which = random.below(2) as usize;
                    if random.chance(0.1) {
                        store.remove(&keys[which]).await.unwrap();
                        acknowledged[which] = None;
                    } else {
                        let value = random.next_u64().to_le_bytes().repeat(random.between(0, 20) as usize);
                        let version: Version = store.save(&keys[which], life, &value).await.unwrap();
                        acknowledged[which] = Some((version, value));
                    }
                }
                storage.crash(life, &mut random);
            }
        });
    }
}

#[test]
fn a_save_that_was_cut_off_leaves_the_one_before_or_itself() {
    for seed in 0..SEEDS {
        playhouse_rt::sim::run(seed, async move {
            let mut random = Random::new(seed, "cut off");
            let storage = Storage::default();
            let key = Key::new("k").unwrap();
            let open = |life| Store::open(Disk::simulated(&storage, life), "/data".into(), Blocking::new(1));
            open(1).await.unwrap().save(&key, 1, b"before").await.unwrap();

            // The caller is gone at a moment that the seed chooses: before, while or after the work is done.
            let store = open(2).await.unwrap();
            let limit = playhouse_rt::Duration::from_millis(random.between(0, 60));
            let acknowledged = playhouse_rt::timeout(limit, store.save(&key, 2, b"after")).await.is_ok();
            storage.crash(2, &mut random);

            let found = open(3).await.unwrap().load(&key).await.unwrap().expect("the first was acknowledged");
            assert!(found.value == b"after" || (found.value == b"before" && !acknowledged), "seed {seed}: {found:?}");
        });
    }
}
