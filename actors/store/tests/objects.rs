//! The store over objects: the same promises as on a disk, without one.
#![cfg(all(feature = "object-store", not(madsim)))]

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use playhouse_rt::Blocking;
use playhouse_store::limits::KEEP;
use playhouse_store::{Key, LoadError, SaveError, Store, Version};

fn store(objects: &Arc<InMemory>) -> Store {
    Store::objects(objects.clone(), "cluster/one", Blocking::new(2))
}

async fn flip(objects: &InMemory, name: &Path) {
    let mut bytes = objects.get(name).await.unwrap().bytes().await.unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    objects.put(name, bytes.into()).await.unwrap();
}

#[test]
fn objects_keep_what_files_keep() {
    let test = async {
        let objects = Arc::new(InMemory::new());
        let (a, b) = (store(&objects), store(&objects));
        let k = Key::new("Shard/words/3").unwrap();
        assert_eq!(a.load(&k).await.unwrap(), None);
        let first = a.claim(&k, "a").await.unwrap();
        for number in 1..=5 {
            assert_eq!(a.save(&k, first, &[number]).await.unwrap(), Version(u64::from(number)));
        }
        for number in 1..=3 {
            a.append(&k, first, number, b"event").await.unwrap();
            // It does not know what became of the first try.
            a.append(&k, first, number, &[number as u8]).await.unwrap();
        }

        // Another node, with another disk.
        let second = b.claim(&k, "b").await.unwrap();
        assert!(matches!(a.save(&k, first, b"stale").await, Err(SaveError::Fenced { .. })));
        assert!(matches!(a.append(&k, first, 4, b"stale").await, Err(SaveError::Fenced { .. })));
        b.hold(&k, second).await.unwrap();
        let found = b.load(&k).await.unwrap().unwrap();
        assert_eq!((found.value.as_slice(), found.version), (&[5][..], Version(5)));
        let events = b.events(&k, 0, found.fence).await.unwrap();
        assert_eq!(events.iter().map(|event| event.value[0]).collect::<Vec<_>>(), [1, 2, 3]);
        b.forget_events(&k, 3).await.unwrap();
        assert!(b.events(&k, 3, found.fence).await.unwrap().is_empty());

        // Damage is noticed here, too, and named.
        let folder = Path::from("cluster/one/+shard,words,3");
        let listed = objects.list_with_delimiter(Some(&folder)).await.unwrap().objects;
        let mut names: Vec<Path> = listed.into_iter().map(|object| object.location).collect();
        names.retain(|name| name.as_ref().ends_with(".checkpoint"));
        names.sort();
        assert_eq!(names.len(), KEEP);
        flip(&objects, &names[2]).await;
        let found = b.load(&k).await.unwrap().unwrap();
        assert_eq!((found.value.as_slice(), found.skipped.len()), (&[4][..], 1));
        flip(&objects, &names[0]).await;
        flip(&objects, &names[1]).await;
        let error = b.load(&k).await.unwrap_err();
        assert!(matches!(error, LoadError::Corrupt { .. }) && error.to_string().contains(names[0].as_ref()), "{error}");
        b.release(&k, second).await.unwrap();
        assert_eq!(b.load(&k).await.unwrap(), None);
    };
    playhouse_rt::run(2, test).unwrap();
}
