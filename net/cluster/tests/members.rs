//! Who comes, goes, learns and votes.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{Play, SECOND, Weather, member, node, seeds};
use playhouse_cluster::limits::VOTERS_MAX;
use playhouse_cluster::{GroupError, Member, Profile};
use playhouse_rt::{sleep, timeout};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn weather(seed: u64) -> Weather {
    if seed.is_multiple_of(2) { Weather::FINE } else { Weather::BAD }
}

#[test]
fn members_come_learn_vote_and_go() {
    seeds(0..6, |seed| async move {
        let mut play = Play::founded(seed, Profile { snapshot_every: 10, ..Profile::FAST }, weather(seed), &NAMES).await;
        play.commands(30).await;
        for name in ["d", "e"] {
            play.start(name).await;
            assert!(play.group(name).waits().is_some());
        }
        // Each in the end: the leader may change while it works.
        until(&mut play, async |leader| leader.add(member("d")).await).await;
        play.voters(&["a", "b", "c", "d"]).await;
        until(&mut play, async |leader| leader.learn(member("e")).await).await;
        assert_eq!(play.leader().await.standing().learners, ["e"]);
        play.commands(3).await;
        play.agrees().await;
        until(&mut play, async |leader| leader.promote(&node("e")).await).await;
        until(&mut play, async |leader| leader.promote(&node("e")).await).await;
        play.voters(&["a", "b", "c", "d", "e"]).await;
        until(&mut play, async |leader| leader.demote(&node("d")).await).await;
        play.voters(&["a", "b", "c", "e"]).await;
        assert_eq!(play.leader().await.standing().learners, ["d"]);
        for gone in ["d", "e", "nobody"] {
            until(&mut play, async |leader| leader.remove(&node(gone)).await).await;
        }
        play.voters(&NAMES).await;
        assert_eq!(play.leader().await.standing().learners, Vec::<String>::new(), "who is removed vanishes");
        // One that was removed has its old journal, and comes back with it.
        play.commands(3).await;
        until(&mut play, async |leader| leader.add(member("d")).await).await;
        play.voters(&["a", "b", "c", "d"]).await;
        until(&mut play, async |leader| leader.remove(leader.name()).await).await;
        play.commands(3).await;
        assert_eq!(play.leader().await.standing().voters.len(), 3, "the leader removed itself");
    });
}

/// Does it at whoever leads, until it is done.
async fn until(play: &mut Play, work: impl AsyncFn(&playhouse_cluster::Group<common::Book>) -> Result<(), GroupError>) {
    for _ in 0..20 {
        let leader = play.leader().await;
        match work(&leader).await {
            Ok(()) => return,
            Err(GroupError::NotLeader(_) | GroupError::Silent { .. } | GroupError::Late { .. } | GroupError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
        sleep(SECOND / 10).await;
    }
    panic!("not done after 20 tries");
}

#[test]
fn who_is_there_already_is_added_without_effect_and_moves_with_its_address() {
    seeds(0..1, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &NAMES).await;
        play.commands(3).await;
        play.agrees().await;
        let (_, others) = play.roles().await;
        let before = play.leader().await.standing();
        play.leader().await.add(member(&others[0])).await.unwrap();
        assert_eq!(play.leader().await.standing(), before, "nothing was done");
        let moved = Member { name: others[0].clone(), address: "elsewhere".into() };
        play.leader().await.add(moved.clone()).await.unwrap();
        play.commands(3).await;
        assert_eq!(play.world.lock().unwrap().addresses[&others[0]], "elsewhere");
        // Also when it is down.
        play.crash(&others[0]).await;
        play.leader().await.add(member(&others[0])).await.unwrap();
        play.commands(3).await;
        assert_eq!(play.world.lock().unwrap().addresses[&others[0]], "");
        play.voters(&NAMES).await;
    });
}

#[test]
fn a_new_member_asks_to_be_let_in() {
    seeds(0..6, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, weather(seed), &NAMES).await;
        play.commands(3).await;
        for (name, votes) in [("d", true), ("e", false)] {
            play.start(name).await;
            let entered = play.group(name).enter(member(name), &[member("b"), member("c")], votes).await;
            entered.unwrap_or_else(|error| panic!("{error}"));
        }
        play.voters(&["a", "b", "c", "d"]).await;
        assert_eq!(play.leader().await.standing().learners, ["e"]);
        play.agrees().await;
    });
}

#[test]
fn each_wait_has_an_end_and_says_what_it_waited_for() {
    seeds(0..1, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &NAMES).await;
        play.commands(1).await;
        let (leader, others) = play.roles().await;
        let leads = play.group(&leader);
        let error = play.group(&others[0]).add(member("d")).await.unwrap_err();
        assert!(matches!(&error, GroupError::NotLeader(Some(name)) if *name == leader), "{error}");
        let error = leads.add(member("d")).await.unwrap_err();
        assert!(matches!(&error, GroupError::Silent { member, .. } if member.starts_with("d ")), "{error}");
        play.start("d").await;
        let error = play.group("d").add(member("a")).await.unwrap_err();
        assert!(matches!(&error, GroupError::Waits(_)) && error.to_string().contains(common::JOURNAL), "{error}");
        for name in &others {
            play.crash(name).await;
        }
        let late = timeout(60 * SECOND, leads.add(member("d"))).await.expect("a bound");
        assert!(matches!(late, Err(GroupError::Late { .. })), "{late:?}");
        for name in &others {
            play.start(name).await;
        }
        until(&mut play, async |leader| leader.add(member("d")).await).await;
        play.voters(&["a", "b", "c", "d"]).await;
    });
}

#[test]
fn no_more_vote_than_may() {
    seeds(0..1, |seed| async move {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &names[..VOTERS_MAX]).await;
        play.voters(&names[..VOTERS_MAX]).await;
        play.start("h").await;
        let leader = play.leader().await;
        assert!(matches!(leader.add(member("h")).await, Err(GroupError::Full { .. })));
        leader.learn(member("h")).await.unwrap();
        assert!(matches!(leader.promote(&node("h")).await, Err(GroupError::Full { .. })));
        assert_eq!(leader.standing().learners, ["h"]);
        let error = leader.found(&names.map(member)).await;
        assert!(matches!(error, Err(GroupError::Full { .. })), "{error:?}");
    });
}

#[test]
fn nobody_asks_in_the_name_of_another_one() {
    seeds(0..1, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &NAMES).await;
        play.commands(3).await;
        let (leader, others) = play.roles().await;
        let question = play.world.lock().unwrap().asked[&leader].clone();
        let asked = play.group(&others[0]);
        let error = asked.answer_from(&node(&others[1]), &question).await.unwrap_err();
        assert!(error.contains(&others[1]), "{error}");
        asked.answer_from(&node(&leader), &question).await.unwrap();
        assert!(asked.answer_from(&node(&leader), b"?").await.is_err());
    });
}

/// It has just started, and looks whether it is still a member, while others come; then it is removed. It goes on looking, and must not ask to
/// be let in again.
#[test]
fn who_is_removed_while_it_looks_for_its_place_stays_out() {
    seeds(0..12, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, weather(seed), &NAMES).await;
        play.commands(3).await;
        play.agrees().await;
        let (_, others) = play.roles().await;
        let gone = others[0].clone();
        play.start("d").await;
        play.crash(&gone).await;
        play.start(&gone).await;
        let (looks, own) = (play.group(&gone), member(&gone));
        let known = NAMES.map(member);
        let looking = playhouse_rt::spawn(async move { looks.enter(own, &known, true).await });
        until(&mut play, async |leader| leader.add(member("d")).await).await;
        until(&mut play, async |leader| leader.remove(&node(&gone)).await).await;
        let _ = looking.await;
        sleep(5 * SECOND).await;
        let voters = play.leader().await.standing().voters;
        assert!(!voters.contains(&gone) && voters.len() == 3, "{gone} was removed, and these vote: {voters:?}");
        assert!(play.group(&gone).answer_stranger(&node("stranger"), b"nonsense").await.is_err());
    });
}

/// Who was away meets members that came meanwhile as strangers, and so it does those that went, and those of others.
#[test]
fn a_stranger_is_believed_that_came_and_not_one_that_was_removed_or_belongs_to_others() {
    seeds(0..6, |seed| async move {
        let mut play = Play::founded(seed, Profile::FAST, Weather::FINE, &NAMES).await;
        play.commands(3).await;
        let (_, others) = play.roles().await;
        let away = others[0].clone();
        play.world.lock().unwrap().cut = Some(away.clone());
        play.start("d").await;
        until(&mut play, async |leader| leader.add(member("d")).await).await;
        play.world.lock().unwrap().cut = None;
        assert_eq!(play.group(&away).vouched(&node("d")).await, Some(member("d")));
        play.voters(&["a", "b", "c", "d"]).await;

        // It does not hear that it is removed, and says that it belongs to them.
        play.world.lock().unwrap().cut = Some("d".into());
        until(&mut play, async |leader| leader.remove(&node("d")).await).await;
        play.voters(&NAMES).await;
        play.agrees().await;
        play.world.lock().unwrap().cut = None;
        for name in NAMES {
            assert_eq!(play.group(name).vouched(&node("d")).await, None, "{name} knows better");
        }

        // One that has founded a group of its own, with a member of this name in it.
        play.start("x").await;
        play.group("x").found(&[member("x")]).await.unwrap();
        assert_eq!(play.group("a").vouched(&node("x")).await, None);
        assert_eq!(play.group("a").vouched(&node("nobody")).await, None);
    });
}
