//! Three members that agree, over calls that are lost, doubled, late and cut, on disks that lose their power: what was acknowledged is
//! there, once, in the same order at each of them, and in no term two lead.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{Play, SECOND, Weather, millis, seeds};
use playhouse_cluster::limits::COMMAND_MAX;
use playhouse_cluster::{Profile, ProposeError};
use playhouse_rt::{sleep, timeout};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[test]
fn what_was_acknowledged_is_at_each_in_the_same_order() {
    let terms: usize = seeds(0..30, story).into_iter().sum();
    assert!(terms > 60, "leaders hardly changed: {terms} terms");
}

async fn story(seed: u64) -> usize {
    // In every second story members that were away come back to a log that was cut, and are sent a snapshot.
    let profile = if seed.is_multiple_of(2) { Profile::FAST } else { Profile { snapshot_every: 5, ..Profile::FAST } };
    let weather = if seed.is_multiple_of(3) { Weather::FINE } else { Weather::BAD };
    let mut play = Play::founded(seed, profile, weather, &NAMES).await;
    for command in 0..60_u64 {
        let leader = play.leader().await;
        let name = leader.name().to_string();
        let mut bytes = command.to_le_bytes().to_vec();
        match play.random.below(12) {
            0 => {
                play.crash(&name).await;
                play.start(&name).await;
            }
            1 => {
                let cut = NAMES[play.random.below(3) as usize];
                play.world.lock().unwrap().cut = Some(cut.into());
                sleep(SECOND * 2).await;
                play.world.lock().unwrap().cut = None;
            }
            2 => {
                let fallen = NAMES[play.random.below(3) as usize];
                play.crash(fallen).await;
                let away = millis(play.random.below(1_500));
                sleep(away).await;
                play.start(fallen).await;
            }
            3 => bytes.resize(COMMAND_MAX, 0),
            _ => {}
        }
        match timeout(2 * SECOND, leader.propose(bytes)).await {
            Ok(Ok(number)) => play.acknowledged.push((number, command)),
            Ok(Err(ProposeError::NotLeader(_) | ProposeError::Unknown(_))) | Err(_) => {}
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    let leader = play.leader().await;
    assert_eq!(leader.propose(vec![0; COMMAND_MAX + 1]).await, Err(ProposeError::Long(COMMAND_MAX + 1)));
    assert!(play.acknowledged.len() > 30, "hardly anything was done");
    play.agrees().await;
    play.leaders.len()
}
