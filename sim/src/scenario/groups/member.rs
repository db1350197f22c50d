//! Actors in groups and topics, and who speaks to these.

use std::collections::BTreeMap;
use std::time::Duration;

use playhouse::rt::{self, Random};
use playhouse_actors::prelude::*;
use playhouse_actors::{Membership, Told};
use serde::{Deserialize, Serialize};

use super::actor_name;
use super::book::enter;
use crate::scenario::trio::{Index, Stage, State, node_name, place_of, state};

#[derive(Clone, Serialize, Deserialize)]
struct Shout(u64);

impl Message for Shout {
    type Result = ();
}

/// One that other nodes can reach, and one that they cannot.
struct Member {
    number: Index,
    random: Random,
}
struct Bystander(Member);

impl Member {
    fn new(number: Index, seed: u64) -> Member {
        Member { number, random: Random::new(seed ^ number as u64, "member") }
    }

    fn hears(&mut self, shout: &Shout) -> Duration {
        enter(|book| book.heard(shout.0 as Index, self.number));
        if self.random.chance(0.3) { Duration::from_millis(self.random.between(1, 8)) } else { Duration::ZERO }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        enter(|book| book.members[self.number].ends = true);
    }
}

impl Actor for Member {
    type Context = Ctx<Self>;
}
impl Actor for Bystander {
    type Context = Ctx<Self>;
}

impl Remote for Member {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Shout>(1);
    }
}

async fn nap(time: Duration) {
    if !time.is_zero() {
        rt::sleep(time).await;
    }
}

impl Handler<Shout> for Member {
    type Result = Exclusive<Self, ()>;
    fn handle(&mut self, shout: Shout, _: &mut Ctx<Self>) -> Exclusive<Self, ()> {
        let time = self.hears(&shout);
        Exclusive::new(async move |_, _| nap(time).await)
    }
}

impl Handler<Shout> for Bystander {
    type Result = Exclusive<Self, ()>;
    fn handle(&mut self, shout: Shout, _: &mut Ctx<Self>) -> Exclusive<Self, ()> {
        let time = self.0.hears(&shout);
        Exclusive::new(async move |_, _| nap(time).await)
    }
}

const TIGHT: usize = 2;

pub(super) fn begin(stage: &Stage) {
    let mut random = stage.random("members");
    let mut here = Here::new(stage.clone());
    for _ in 0..4 {
        here.spawn(&mut random);
    }
    rt::spawn(speak(here, random));
}

/// The groups of a node, and its members.
struct Here {
    stage: Stage,
    groups: [Group<Member>; 2],
    topic: Topic<Shout>,
    /// Those of this node.
    members: BTreeMap<Index, Ref<Member>>,
    bystanders: BTreeMap<Index, Ref<Bystander>>,
    places: Vec<(Index, Membership)>,
}

const TOPIC: usize = 2;

impl Here {
    fn new(stage: Stage) -> Here {
        Here {
            stage,
            groups: [Group::new(), Group::new()],
            topic: Topic::new(),
            members: BTreeMap::new(),
            bystanders: BTreeMap::new(),
            places: Vec::new(),
        }
    }

    fn spawn(&mut self, random: &mut Random) {
        let (system, seed) = (self.stage.node.system(), random.next_u64());
        let roomy = random.chance(0.7);
        let options = SpawnOptions { mailbox: if roomy { 1024 } else { TIGHT }, ..SpawnOptions::default() };
        let named = random.chance(0.7);
        let Some(number) = enter(|book| book.member(self.stage.at, roomy, named)) else { return };
        if !named {
            self.bystanders.insert(number, system.spawn_with(options, move || Bystander(Member::new(number, seed))));
            return;
        }
        let name = actor_name(&format!("member/{number}"));
        if let Ok(member) = system.spawn_remote(name, options, move || Member::new(number, seed)) {
            self.members.insert(number, member);
        }
    }

    /// Takes somebody in, of this node or of another one.
    fn join(&mut self, random: &mut Random) {
        let group = random.below(3) as usize;
        let key = (self.stage.at, group);
        let whom = enter(|book| {
            let free = |number: &Index| {
                let member = &book.members[*number];
                let reachable = member.at == self.stage.at || member.named;
                reachable && state(member.at) == State::Up && !member.ends && !book.is_in(key, *number)
            };
            let free: Vec<Index> = (0..book.members.len()).filter(free).collect();
            (!free.is_empty()).then(|| free[random.below(free.len() as u64) as usize])
        });
        let Some(number) = whom.flatten() else { return };
        let membership = if let Some(bystander) = self.bystanders.get(&number) {
            (group == TOPIC).then(|| self.topic.subscribe(bystander))
        } else {
            self.find(number)
                .map(|member| if group == TOPIC { self.topic.subscribe(&member) } else { self.groups[group].join(&member) })
        };
        if let Some(Ok(membership)) = membership
            && let Some(place) = enter(|book| book.joins(key, number))
        {
            self.places.push((place, membership));
        }
    }

    /// A member, of this node or of another one.
    fn find(&self, number: Index) -> Option<Ref<Member>> {
        let at = enter(|book| book.members[number].at)?;
        if at == self.stage.at {
            return self.members.get(&number).cloned();
        }
        self.stage.node.actor::<Member>(&node_name(place_of(at)), &format!("member/{number}"))
    }

    fn leave(&mut self, random: &mut Random) {
        if self.places.is_empty() {
            return;
        }
        let (place, membership) = self.places.swap_remove(random.below(self.places.len() as u64) as usize);
        membership.leave();
        enter(|book| book.places[place].left = true);
    }

    fn shout(&mut self, random: &mut Random) {
        let group = random.below(3) as usize;
        let Some(shout) = enter(|book| book.shout((self.stage.at, group))) else { return };
        let message = Shout(shout as u64);
        let told: Told = if group == TOPIC { self.topic.publish(&message) } else { self.groups[group].broadcast(&message) };
        rt::ledger::record("told", || format!("shout {shout}: {told:?}"));
        enter(|book| book.shouts[shout].told = Some(told));
    }

    fn end(&mut self, random: &mut Random) {
        let numbers: Vec<Index> = self.members.keys().copied().collect();
        if let Some(number) = numbers.get(random.below(12) as usize)
            && let Some(member) = self.members.remove(number)
        {
            enter(|book| book.members[*number].ends = true);
            member.stop();
        }
    }
}

async fn speak(mut here: Here, mut random: Random) {
    if here.stage.load().await {
        while here.stage.is_loaded() {
            match random.below(20) {
                0..6 => here.join(&mut random),
                6..9 => here.leave(&mut random),
                9 => here.end(&mut random),
                10 => here.spawn(&mut random),
                _ => here.shout(&mut random),
            }
            rt::sleep(Duration::from_millis(random.between(1, 25))).await;
        }
    }
    // Groups and unnamed members live as long as they are held.
    std::future::pending::<()>().await;
}
