//! What only a real server can do to a store: refuse, be gone, and do what it is asked without an answer.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use playhouse_rt::Blocking;
use playhouse_s3_tests::{BUCKET, KEY, SECRET, Server};
use playhouse_store::limits::VALUE_MAX;
use playhouse_store::{Key, Store};

fn store(objects: Arc<dyn ObjectStore>) -> Store {
    Store::objects(objects, "cluster/one", Blocking::new(2))
}

fn run(test: impl Future<Output = ()>) {
    playhouse_rt::run(2, async { playhouse_rt::timeout(Duration::from_secs(120), test).await.expect("not for ever") }).unwrap();
}

fn key() -> Key {
    Key::new("shard/3").unwrap()
}

/// The error's text has all of these in it.
fn says(error: impl std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn wrong_credentials_are_told_and_change_nothing() {
    run(async {
        let server = Server::start();
        let (right, k) = (store(server.client()), key());
        let fence = right.claim(&k, "a").await.unwrap();
        right.save(&k, fence, b"state").await.unwrap();
        let files = || {
            let mut names: Vec<_> = walk(&server.files());
            names.sort();
            names
        };
        let before = files();

        for (access, secret) in [(KEY, "of another house"), ("nobody", SECRET)] {
            let wrong = store(server.client_of(access, secret, BUCKET));
            let place = ["AmazonS3(checkpoints) refuses these credentials", "cluster/one/shard,3", "403", "nothing was changed"];
            let cure = "Give the client credentials that may list, read, write and delete there";
            for error in [
                wrong.save(&k, fence, b"other").await.unwrap_err().to_string(),
                wrong.claim(&k, "b").await.unwrap_err().to_string(),
                wrong.load(&k).await.unwrap_err().to_string(),
                wrong.events(&k, 0, 0).await.unwrap_err().to_string(),
                wrong.remove(&k).await.unwrap_err().to_string(),
            ] {
                says(&error, &place);
                says(&error, &[cure]);
            }
        }
        assert_eq!(files(), before);
        assert_eq!(right.load(&k).await.unwrap().unwrap().value, b"state");
        right.save(&k, fence, b"later").await.unwrap();
    });
}

/// A bucket that is not there is no empty one: else an actor would begin anew, where its state is only elsewhere.
#[test]
fn a_bucket_that_does_not_exist_is_not_an_empty_one() {
    run(async {
        let server = Server::start();
        let lost = store(server.client_of(KEY, SECRET, "chekpoints"));
        let parts = ["AmazonS3(chekpoints) does not exist", "Make the bucket, or name another one"];
        says(lost.load(&key()).await.unwrap_err(), &parts);
        says(lost.save(&key(), 1, b"state").await.unwrap_err(), &parts);
        says(lost.claim(&key(), "a").await.unwrap_err(), &parts);
    });
}

#[test]
fn a_server_that_is_gone_is_told_soon_and_used_again_when_it_is_back() {
    run(async {
        let mut server = Server::start();
        let (store, k) = (store(server.client()), key());
        let fence = store.claim(&k, "a").await.unwrap();
        store.save(&k, fence, b"one").await.unwrap();

        server.stop();
        let began = playhouse_rt::now();
        let parts = ["AmazonS3(checkpoints) did not answer", "cluster/one/shard,3", "after 3 retries"];
        let cure = "See that the object store can be reached and is well, then ";
        for error in [
            store.save(&k, fence, b"two").await.unwrap_err().to_string(),
            store.load(&k).await.unwrap_err().to_string(),
            store.hold(&k, fence).await.unwrap_err().to_string(),
        ] {
            says(&error, &parts);
            says(&error, &[&server.address().to_string(), cure]);
        }
        // Three tries a tenth of a second apart, three times; far below the client's own bound of five seconds each.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

        server.begin();
        assert_eq!(store.load(&k).await.unwrap().unwrap().value, b"one");
        store.hold(&k, fence).await.unwrap();
        store.save(&k, fence, b"two").await.unwrap();
        assert_eq!(store.load(&k).await.unwrap().unwrap().value, b"two");
    });
}

/// The request was done, and the connection broke before the answer: what the store says must be true either way.
#[test]
fn an_answer_that_is_lost_is_no_state_that_is_lost() {
    run(async {
        let server = Server::start();
        let (store, k) = (store(server.client()), key());

        server.lose_answers(1);
        let error = store.claim(&k, "a").await.unwrap_err();
        says(error, &["cannot put cluster/one/shard,3", "the new checkpoint may or may not be there; the older ones are"]);
        let fence = store.claim(&k, "a").await.unwrap();
        assert_eq!(fence, 2, "the claim of before is there, and counts");

        store.save(&k, fence, b"one").await.unwrap();
        server.lose_answers(1);
        says(store.save(&k, fence, b"two").await.unwrap_err(), &["the new checkpoint may or may not be there"]);
        assert_eq!(store.load(&k).await.unwrap().unwrap().value, b"two", "here it was");
        store.save(&k, fence, b"three").await.unwrap();
        assert_eq!(store.load(&k).await.unwrap().unwrap().value, b"three");

        // An event may be put again, so the client does it by itself.
        server.lose_answers(1);
        store.append(&k, fence, 1, b"event").await.unwrap();
        store.append(&k, fence, 2, b"event").await.unwrap();
        assert_eq!(store.events(&k, 0, fence).await.unwrap().len(), 2);

        // What is to go is gone, or is tried again.
        server.lose_answers(1);
        if store.forget_events(&k, 2).await.is_err() {
            store.forget_events(&k, 2).await.unwrap();
        }
        assert!(store.events(&k, 0, fence).await.unwrap().is_empty());
        assert_eq!(store.load(&k).await.unwrap().unwrap().value, b"three");
    });
}

#[test]
fn the_longest_checkpoint_goes_there_and_comes_back() {
    run(async {
        let server = Server::start();
        let (store, k) = (store(server.client()), key());
        let value: Vec<u8> = (0..VALUE_MAX).map(|at| at as u8).collect();
        store.save(&k, 1, &value).await.unwrap();
        assert!(store.load(&k).await.unwrap().unwrap().value == value);
    });
}

fn walk(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found
}
