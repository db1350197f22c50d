//! Disks that are emptied, and old images of disks: whoever forgot what it promised takes no part, so that nothing acknowledged is lost.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{JOURNAL, Play, SECOND, Weather, member, millis, seeds};
use playhouse_cluster::{GroupError, Profile, Waits};
use playhouse_rt::{Blocking, Disk, sleep, spawn, timeout};
use playhouse_store::{Batch, Journal};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn weather(seed: u64) -> Weather {
    if seed.is_multiple_of(2) { Weather::FINE } else { Weather::BAD }
}

/// Two have acknowledged what the third has not heard of. One of the two loses its disk, the other one its power: now nobody who runs knows
/// of it. Gives what a leader has lost whom these two elect, if they do.
async fn two_who_do_not_know(play: &mut Play, claims_a_seat: bool) -> Option<usize> {
    play.commands(5).await;
    play.agrees().await;
    let (leader, others) = play.roles().await;
    let [behind, forgets] = [&others[0], &others[1]];
    play.world.lock().unwrap().cut = Some(behind.clone());
    play.commands(5).await;
    play.crash(forgets).await;
    let seat = seat_on(play, &leader).await;
    play.give(forgets, None);
    if claims_a_seat {
        let disk = Disk::simulated(&play.disks[forgets], u64::MAX);
        let journal = Journal::open(disk, JOURNAL.into(), forgets, Blocking::new(1)).await.unwrap();
        journal.commit(Batch { set: vec![("seat", seat)], ..Batch::default() }).await.unwrap();
    }
    play.crash(&leader).await;
    play.start(forgets).await;
    play.world.lock().unwrap().cut = None;
    let lost = timeout(10 * SECOND, play.lost()).await;
    play.start(&leader).await;
    lost.ok().map(|lost| lost.len())
}

async fn seat_on(play: &Play, name: &str) -> Vec<u8> {
    let copy = playhouse_rt::sim::Storage::default();
    copy.put(JOURNAL.as_ref(), &play.image(name));
    let journal = Journal::open(Disk::simulated(&copy, 1), JOURNAL.into(), name, Blocking::new(1)).await.unwrap();
    journal.value("seat").await.unwrap().unwrap()
}

#[test]
fn an_emptied_disk_gives_no_vote() {
    seeds(0..30, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, weather(seed), &NAMES).await;
        assert_eq!(two_who_do_not_know(&mut play, false).await, None, "they elected somebody");
        // The one who knows is back, and replaces the one who forgot.
        play.voters(&NAMES).await;
        play.commands(3).await;
        play.agrees().await;
        let (leader, _) = play.roles().await;
        play.crash(&leader).await;
        play.agrees().await;
    });
}

#[test]
fn the_test_finds_an_emptied_disk_that_votes_at_once() {
    let lost = seeds(0..10, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &NAMES).await;
        two_who_do_not_know(&mut play, true).await
    });
    assert!(lost.iter().any(|lost| lost.is_some_and(|lost| lost > 0)), "{lost:?}");
}

/// Members lose their disks and their power, also while one is being replaced.
#[test]
fn who_has_lost_its_disk_is_replaced_and_nothing_is_lost() {
    seeds(0..30, |seed| async move {
        let profile = if seed % 4 < 2 { Profile::FAST } else { Profile { snapshot_every: 5, ..Profile::FAST } };
        let mut play = Play::founded(seed, profile, weather(seed), &NAMES).await;
        play.commands(8).await;
        for _ in 0..3 {
            play.voters(&NAMES).await;
            play.agrees().await;
            let unlucky = NAMES[play.random.below(3) as usize];
            play.crash(unlucky).await;
            play.give(unlucky, None);
            let away = millis(play.random.below(1_000));
            sleep(away).await;
            play.start(unlucky).await;
            // Its leader may lose its power between its removal and its return: so it asks, too.
            let group = play.group(unlucky);
            spawn(async move { group.enter(member(unlucky), &NAMES.map(member), true).await });
            if play.random.chance(0.5) {
                let soon = millis(play.random.below(800));
                sleep(soon).await;
                let (leader, _) = play.roles().await;
                play.crash(&leader).await;
                let away = millis(play.random.below(1_000));
                sleep(away).await;
                play.start(&leader).await;
                let group = play.group(&leader);
                spawn(async move { group.enter(member(&leader), &NAMES.map(member), true).await });
            }
            play.commands(4).await;
        }
        play.voters(&NAMES).await;
        play.agrees().await;
    });
}

#[test]
fn an_old_image_of_a_disk_is_noticed_named_and_replaced() {
    let noticed = seeds(0..20, |seed| async move {
        // What was acknowledged may have come as a snapshot.
        let profile = if seed % 4 < 2 { Profile::FAST } else { Profile { snapshot_every: 3, ..Profile::FAST } };
        let mut play = Play::founded(seed, profile, weather(seed), &NAMES).await;
        play.commands(3).await;
        play.agrees().await;
        let (_, others) = play.roles().await;
        let old = others[0].clone();
        play.crash(&old).await;
        let image = play.image(&old);
        if profile.snapshot_every < 10 {
            play.commands(8).await;
        }
        play.start(&old).await;
        play.commands(5).await;
        play.agrees().await;
        let (leader, _) = play.roles().await;
        if leader == old {
            // Nobody knows what a leader has acknowledged to itself.
            return false;
        }
        play.crash(&old).await;
        play.give(&old, Some(&image));
        play.start(&old).await;
        let group = play.group(&old);
        let noticed = timeout(5 * SECOND, async {
            loop {
                if let Some(waits) = group.waits() {
                    return waits;
                }
                sleep(millis(1)).await;
            }
        });
        let noticed = match noticed.await {
            Ok(waits) => {
                assert!(matches!(waits, Waits::Forgot { .. }), "{waits:?}");
                assert!(waits.to_string().contains(JOURNAL) && waits.to_string().contains(&format!("member {old}")), "{waits}");
                true
            }
            // A snapshot has given it more than it forgot.
            Err(_) if profile.snapshot_every < 10 => false,
            // Another leader knows nothing of it.
            Err(_) => {
                assert_ne!(play.roles().await.0, leader, "it was not noticed");
                false
            }
        };
        play.voters(&NAMES).await;
        play.commands(3).await;
        play.agrees().await;
        assert_eq!(play.group(&old).waits(), None);
        noticed
    });
    let count = noticed.iter().filter(|noticed| **noticed).count();
    assert!(count > noticed.len() / 2, "noticed by {count} of {}", noticed.len());
}

#[test]
fn nobody_founds_a_second_group() {
    seeds(0..4, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &NAMES).await;
        play.commands(3).await;
        let (_, others) = play.roles().await;
        let [empty, other] = [&others[0], &others[1]];
        play.crash(empty).await;
        play.give(empty, None);
        // Without a way to it, its leader cannot replace it, and it can ask nobody.
        play.world.lock().unwrap().cut = Some(empty.clone());
        play.start(empty).await;
        let alone = play.group(empty).found(&NAMES.map(member)).await;
        assert!(matches!(alone, Err(GroupError::Silent { .. })), "{alone:?}");
        play.crash(other).await;
        play.world.lock().unwrap().cut = None;
        let second = play.group(empty).found(&NAMES.map(member)).await;
        assert!(matches!(second, Err(GroupError::Exists { .. } | GroupError::Silent { .. })), "{second:?}");
        play.start(other).await;
        play.voters(&NAMES).await;
        // Fine: it was begun so before.
        play.group("a").found(&NAMES.map(member)).await.unwrap();
        assert!(matches!(play.group("a").found(&["a", "x"].map(member)).await, Err(GroupError::Exists { .. })));
        play.agrees().await;
    });
}

/// The founder loses its power at any moment, and begins again; and then there are two founders.
#[test]
fn a_founding_that_is_cut_off_can_be_begun_again() {
    seeds(0..40, |seed| async move {
        let mut play = Play::new(seed, Profile::FAST, weather(seed));
        for name in NAMES {
            play.start(name).await;
        }
        let first = play.group("a");
        spawn(async move { first.found(&NAMES.map(member)).await });
        let soon = millis(play.random.below(120));
        sleep(soon).await;
        play.crash("a").await;
        play.start("a").await;
        if seed % 3 == 0 {
            let other = play.group("b");
            spawn(async move { other.found(&NAMES.map(member)).await });
        }
        let again = play.group("a").found(&NAMES.map(member)).await;
        assert!(matches!(again, Ok(()) | Err(GroupError::Exists { .. })), "{again:?}");
        play.voters(&NAMES).await;
        play.commands(3).await;
        play.agrees().await;
    });
}
