//! Three members that agree, over calls that a test carries, on simulated disks that lose their power: what was acknowledged is there, in
//! the same order at each of them, and in no term two lead.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_cluster::limits::COMMAND_MAX;
use playhouse_cluster::{Called, Group, Member, Profile, ProposeError, Replicated, Transport};
use playhouse_rt::sim::Storage;
use playhouse_rt::{Blocking, Disk, Random, sleep, timeout};
use playhouse_wire::NodeName;

const NAMES: [&str; 3] = ["a", "b", "c"];
const SECOND: Duration = Duration::from_secs(1);

/// The commands, in order.
#[derive(Default)]
struct Book(Vec<(u64, u64)>);

impl Replicated for Book {
    fn apply(&mut self, number: u64, command: &[u8]) {
        assert!(self.0.last().is_none_or(|(last, _)| *last < number), "numbers rise");
        self.0.push((number, u64::from_le_bytes(command[..8].try_into().unwrap())));
    }
    fn save(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(number, command)| [number.to_le_bytes(), command.to_le_bytes()].concat()).collect()
    }
    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        self.0 = saved.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
        Ok(())
    }
}

#[derive(Default)]
struct World {
    members: BTreeMap<String, Group<Book>>,
    cut: Option<String>,
}

/// Carries calls from one member, with some delay; not from or to who is cut off.
struct Wire {
    from: String,
    world: Arc<Mutex<World>>,
}

impl Transport for Wire {
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called {
        let (from, to, world) = (self.from.clone(), to.name.clone(), self.world.clone());
        let reach = move || {
            let world = world.lock().unwrap();
            let cut = world.cut.as_ref().is_some_and(|cut| *cut == from || *cut == to);
            (!cut).then(|| world.members.get(&to).cloned()).flatten().ok_or_else(|| format!("{to} cannot be reached"))
        };
        Box::pin(async move {
            let call = async {
                sleep(Duration::from_millis(2)).await;
                let answer = reach()?.answer(&request).await;
                sleep(Duration::from_millis(2)).await;
                reach()?;
                answer
            };
            timeout(within, call).await.map_err(|late| late.to_string())?
        })
    }
}

fn member(name: &str) -> Member {
    Member { name: name.into(), address: String::new() }
}

struct Three {
    world: Arc<Mutex<World>>,
    disks: BTreeMap<String, Storage>,
    lives: u64,
    profile: Profile,
    /// Who has led in each term.
    leaders: BTreeMap<u64, String>,
}

impl Three {
    async fn start(&mut self, name: &str) {
        self.lives += 1;
        let disk = Disk::simulated(&self.disks[name], self.lives);
        let transport = Arc::new(Wire { from: name.into(), world: self.world.clone() });
        let place = (disk, "/data/journal".into(), Blocking::new(2));
        let group = Group::join(NodeName::new(name).unwrap(), self.profile, place, Book::default(), transport).await.unwrap();
        self.world.lock().unwrap().members.insert(name.into(), group);
    }

    /// Takes the power from a member.
    async fn crash(&mut self, name: &str, random: &mut Random) {
        let group = self.world.lock().unwrap().members.remove(name).unwrap();
        // Its own life is among them, and the others are of other disks, or over.
        (1..=self.lives).for_each(|life| self.disks[name].cut(life));
        group.stop().await;
        drop(group);
        (1..=self.lives).for_each(|life| self.disks[name].crash(life, random));
    }

    /// The member that leads, and may.
    async fn leader(&mut self) -> Group<Book> {
        loop {
            let members: Vec<_> = self.world.lock().unwrap().members.values().cloned().collect();
            for group in members {
                let standing = group.standing();
                if standing.leads {
                    let before = self.leaders.entry(standing.term).or_insert_with(|| group.name().to_string());
                    assert_eq!(before.as_str(), group.name().as_str(), "two lead in term {}", standing.term);
                    if timeout(SECOND, group.settle()).await == Ok(Ok(())) {
                        return group;
                    }
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[test]
fn what_was_acknowledged_is_at_each_in_the_same_order() {
    let mut terms = 0;
    for seed in 0..20 {
        terms += std::thread::spawn(move || playhouse_rt::sim::run(seed, story(seed))).join().unwrap();
    }
    assert!(terms > 40, "leaders hardly changed: {terms} terms");
}

async fn story(seed: u64) -> usize {
    let mut random = Random::new(seed, "story");
    let disks = NAMES.map(|name| (name.to_string(), Storage::default())).into();
    // In every second story members that were away come back to a log that was cut, and are sent a snapshot.
    let profile = if seed.is_multiple_of(2) { Profile::FAST } else { Profile { snapshot_every: 5, ..Profile::FAST } };
    let mut three = Three { world: Arc::default(), disks, lives: 0, profile, leaders: BTreeMap::new() };
    for name in NAMES {
        three.start(name).await;
    }
    let first = three.world.lock().unwrap().members["a"].clone();
    first.found(&NAMES.map(member)).await.unwrap();
    let mut acknowledged = Vec::new();
    for command in 0..60_u64 {
        let leader = timeout(30 * SECOND, three.leader()).await.unwrap_or_else(|_| panic!("seed {seed}: nobody leads"));
        let name = leader.name().to_string();
        let mut bytes = command.to_le_bytes().to_vec();
        match random.below(12) {
            0 => {
                three.crash(&name, &mut random).await;
                three.start(&name).await;
            }
            1 => {
                let cut = NAMES[random.below(3) as usize];
                three.world.lock().unwrap().cut = Some(cut.into());
                sleep(SECOND * 2).await;
                three.world.lock().unwrap().cut = None;
            }
            2 => {
                let fallen = NAMES[random.below(3) as usize];
                three.crash(fallen, &mut random).await;
                sleep(Duration::from_millis(random.below(1_500))).await;
                three.start(fallen).await;
            }
            3 => bytes.resize(COMMAND_MAX, 0),
            _ => {}
        }
        match timeout(2 * SECOND, leader.propose(bytes)).await {
            Ok(Ok(number)) => acknowledged.push((number, command)),
            Ok(Err(ProposeError::NotLeader(_) | ProposeError::Unknown(_))) | Err(_) => {}
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    let leader = three.leader().await;
    assert_eq!(leader.propose(vec![0; COMMAND_MAX + 1]).await, Err(ProposeError::Long(COMMAND_MAX + 1)));
    let book = leader.read(|book| book.0.clone());
    for entry in &acknowledged {
        assert!(book.contains(entry), "seed {seed}: {entry:?} was acknowledged and is lost");
    }
    assert!(acknowledged.len() > 30, "seed {seed}: hardly anything was done");
    sleep(2 * SECOND).await;
    for name in NAMES {
        let group = three.world.lock().unwrap().members[name].clone();
        assert_eq!(group.read(|book| book.0.clone()), book, "seed {seed}: {name} has another history");
    }
    three.leaders.len()
}
