//! How long nobody leads, and that nobody is thrown over without need.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::print_stderr, reason = "the numbers are what it is for")]

mod common;

use common::{Play, SECOND, Weather, millis, seeds};
use playhouse_cluster::Profile;
use playhouse_rt::sim::DiskFault;
use playhouse_rt::{Duration, now, sleep, timeout};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Some ten calls make a commit, so each takes some ten milliseconds.
const SLOW: DiskFault = DiskFault::Slow { micros: 1_000 };

async fn slow(seed: u64, weather: Weather) -> Play {
    let mut play = Play::new(seed, Profile::FAST, weather);
    play.slow = Some(SLOW);
    for name in NAMES {
        play.start(name).await;
    }
    play.group("a").found(&NAMES.map(common::member)).await.unwrap();
    play.commands(3).await;
    play
}

#[test]
fn a_lost_leader_is_replaced_soon() {
    let mut took = seeds(0..200, |seed| async move {
        let mut play = slow(seed, Weather::FINE).await;
        let moment = millis(play.random.below(1_000));
        sleep(moment).await;
        let (leader, others) = play.roles().await;
        let began = now();
        play.crash(&leader).await;
        let others: Vec<_> = others.iter().map(|name| play.group(name)).collect();
        let led = timeout(30 * SECOND, async {
            loop {
                for group in &others {
                    if group.standing().leads {
                        let led = now() - began;
                        if group.propose(7_u64.to_le_bytes().to_vec()).await.is_ok() {
                            return (led, now() - began);
                        }
                    }
                }
                sleep(millis(1)).await;
            }
        });
        led.await.expect("nobody leads")
    });
    for what in ["leads", "acknowledged"] {
        took.sort();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].0.as_millis();
        eprintln!("leader lost -> {what}: p50 {} ms, p99 {} ms, max {} ms", at(50), at(99), at(100));
        took.iter_mut().for_each(|(a, b)| std::mem::swap(a, b));
    }
    assert!(took.iter().all(|(a, b)| *a.max(b) < 5 * SECOND), "generous, and too long: {took:?}");
}

#[test]
fn nobody_stands_while_the_leader_is_heard() {
    let weather = Weather { jitter: millis(20), ..Weather::FINE };
    let terms = seeds(0..20, move |seed| async move {
        let mut play = slow(seed, weather).await;
        let before = play.leader().await.standing().term;
        let ends = now() + Duration::from_secs(60);
        while now() < ends {
            play.commands(1).await;
            let pause = millis(play.random.below(500));
            sleep(pause).await;
        }
        play.leader().await.standing().term - before
    });
    assert_eq!(terms.iter().sum::<u64>(), 0, "{terms:?}");
}

/// One that was cut off wants to lead; the others go on as they did when it is back.
#[test]
fn one_that_was_cut_off_throws_nobody_over() {
    let terms = seeds(0..20, |seed| async move {
        let mut play = slow(seed, Weather::FINE).await;
        let (_, others) = play.roles().await;
        let before = play.leader().await.standing().term;
        play.world.lock().unwrap().cut = Some(others[0].clone());
        sleep(5 * SECOND).await;
        play.world.lock().unwrap().cut = None;
        play.commands(3).await;
        play.agrees().await;
        play.leader().await.standing().term - before
    });
    assert_eq!(terms.iter().sum::<u64>(), 0, "{terms:?}");
}

/// It still says that it lives, and cannot know who believes it.
#[test]
fn a_leader_that_hears_nobody_is_replaced_soon_and_follows_when_it_hears() {
    let took = seeds(0..50, |seed| async move {
        let mut play = slow(seed, Weather::FINE).await;
        let moment = millis(play.random.below(1_000));
        sleep(moment).await;
        let (leader, others) = play.roles().await;
        let before = play.group(&leader).standing().term;
        let deaf = play.group(&leader);
        // Somebody has it write all the while: what it sends is more than beats.
        let writes = playhouse_rt::spawn(async move {
            let mut other = 1_000_000_u64..;
            while deaf.propose(other.next().expect("there are more").to_le_bytes().to_vec()).await.is_ok() {}
        });
        play.world.lock().unwrap().deaf = Some(leader.clone());
        let began = now();
        let others: Vec<_> = others.iter().map(|name| play.group(name)).collect();
        let led = timeout(30 * SECOND, async {
            while !others.iter().any(|group| group.standing().leads && group.standing().term > before) {
                sleep(millis(1)).await;
            }
            now() - began
        });
        let led = led.await.expect("nobody else leads");
        play.commands(3).await;
        play.world.lock().unwrap().deaf = None;
        play.commands(3).await;
        play.agrees().await;
        assert_eq!(play.lost().await, []);
        drop(writes);
        led
    });
    let longest = took.iter().max().unwrap();
    eprintln!("leader deaf -> another one leads: max {} ms", longest.as_millis());
    let silence = Profile::FAST.silence;
    // Twice that until it doubts, once until the others do, and an election.
    assert!(*longest < 5 * silence, "{took:?}");
}

/// Nobody takes its place while it is deaf: the others cannot reach each other. It leads on when it hears.
#[test]
fn a_leader_that_was_not_followed_for_a_while_finds_out_when_it_is() {
    seeds(0..20, |seed| async move {
        let mut play = slow(seed, Weather::FINE).await;
        let (leader, others) = play.roles().await;
        for name in &others {
            play.crash(name).await;
        }
        sleep(3 * SECOND).await;
        assert!(play.group(&leader).standing().leads, "nobody has voted it out");
        play.start(&others[0]).await;
        timeout(2 * SECOND, play.commands(3)).await.expect("who comes back misses it, and is called at once");
        play.start(&others[1]).await;
        play.commands(3).await;
        play.agrees().await;
        assert_eq!(play.lost().await, []);
    });
}
