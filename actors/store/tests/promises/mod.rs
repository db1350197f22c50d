//! What a store over objects promises, whatever keeps the objects. Shared with the tests beside the workspace, which have an S3.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use playhouse_rt::Blocking;
use playhouse_store::limits::KEEP;
use playhouse_store::{Key, LoadError, SaveError, Store, Version, record};

/// More than an S3 lists at once.
const MANY: u64 = 1005;

/// How often two owners meet.
const RACES: usize = 40;

pub(crate) fn store(objects: &Arc<dyn ObjectStore>) -> Store {
    Store::objects(objects.clone(), "cluster/one", Blocking::new(2))
}

async fn flip(objects: &dyn ObjectStore, name: &Path) {
    let mut bytes = objects.get(name).await.unwrap().bytes().await.unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    objects.put(name, bytes.into()).await.unwrap();
}

/// The same as files on a disk, without one.
pub(crate) async fn objects_keep_what_files_keep(objects: Arc<dyn ObjectStore>) {
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
    flip(&*objects, &names[2]).await;
    let found = b.load(&k).await.unwrap().unwrap();
    assert_eq!((found.value.as_slice(), found.skipped.len()), (&[4][..], 1));
    flip(&*objects, &names[0]).await;
    flip(&*objects, &names[1]).await;
    let error = b.load(&k).await.unwrap_err();
    assert!(matches!(error, LoadError::Corrupt { .. }) && error.to_string().contains(names[0].as_ref()), "{error}");
    b.release(&k, second).await.unwrap();
    assert_eq!(b.load(&k).await.unwrap(), None);
}

/// Two nodes claim one key at the same moment: in the end one has it, and the other one can write nothing.
pub(crate) async fn one_of_two_owners_remains(a: Arc<dyn ObjectStore>, b: Arc<dyn ObjectStore>) {
    for race in 0..RACES {
        let k = Key::new(&format!("race/{race}")).unwrap();
        // Every other time they do not even differ in name.
        let owners = if race % 2 == 0 { ["a", "b"] } else { ["twin", "twin"] };
        let claims = [&a, &b].into_iter().zip(owners).map(|(objects, owner)| {
            let (store, k) = (store(objects), k.clone());
            playhouse_rt::spawn(async move { (store.claim(&k, owner).await, store) })
        });
        let mut fences = BTreeSet::new();
        let (mut holders, mut told) = (Vec::new(), Vec::new());
        for claim in claims.collect::<Vec<_>>() {
            match claim.await.unwrap() {
                (Ok(fence), store) => {
                    assert!(fences.insert(fence), "race {race}: both have fence {fence}");
                    holders.push((fence, store));
                }
                (Err(error), _) => told.push(error.to_string()),
            }
        }
        let last = *fences.last().unwrap_or_else(|| panic!("race {race}: nobody has it: {told:?}"));
        for (fence, store) in &holders {
            assert_eq!(store.hold(&k, *fence).await.is_ok(), *fence == last, "race {race}");
            let saved = store.save(&k, *fence, &fence.to_le_bytes()).await;
            assert_eq!(saved.is_ok(), *fence == last, "race {race}: {saved:?}");
        }
        let found = store(&b).load(&k).await.unwrap().unwrap();
        assert_eq!((found.fence, found.value), (last, last.to_le_bytes().to_vec()), "race {race}");
    }
}

/// A listing that takes more than one request is one.
pub(crate) async fn what_takes_pages_to_list_is_listed(objects: Arc<dyn ObjectStore>) {
    let store = store(&objects);
    let k = Key::new("many").unwrap();
    let fence = store.claim(&k, "a").await.unwrap();
    // As `append` does it, without a listing before and after each.
    for number in 1..MANY {
        let name = Path::from(format!("cluster/one/many/{fence:020}-{number:020}.event"));
        objects.put(&name, record::encode(&k, fence, number, &number.to_le_bytes()).into()).await.unwrap();
    }
    store.append(&k, fence, MANY, &MANY.to_le_bytes()).await.unwrap();
    let events = store.events(&k, 0, fence).await.unwrap();
    let values: Vec<_> = events.iter().map(|event| event.value.clone()).collect();
    assert!(values.iter().eq((1..=MANY).map(|number| number.to_le_bytes().to_vec()).collect::<Vec<_>>().iter()));
    // Claims stand behind all of them in a listing, and must be seen.
    let other = store.claim(&k, "b").await.unwrap();
    assert!(other > fence && store.hold(&k, fence).await.is_err());
}
