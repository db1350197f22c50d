//! Members that agree, over calls that a test carries, on simulated disks that lose their power.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_cluster::{Called, Group, Member, Profile, Replicated, Transport};
use playhouse_rt::sim::{DiskFault, DiskFaults, Storage};
use playhouse_rt::{Blocking, Disk, Random, sleep, spawn, timeout};
use playhouse_wire::NodeName;

pub const SECOND: Duration = Duration::from_secs(1);
pub const JOURNAL: &str = "/data/journal";

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The commands, in order.
#[derive(Default)]
pub struct Book(pub Vec<(u64, u64)>);

impl Replicated for Book {
    fn apply(&mut self, number: u64, command: &[u8]) -> Result<(), String> {
        assert!(self.0.last().is_none_or(|(last, _)| *last < number), "numbers rise");
        self.0.push((number, u64::from_le_bytes(command[..8].try_into().unwrap())));
        Ok(())
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

/// What befalls calls.
#[derive(Clone, Copy)]
pub struct Weather {
    pub link: Duration,
    pub jitter: Duration,
    /// Of a thousand calls: how many are lost (the question, or the answer), doubled, and late by up to two seconds.
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
}

impl Weather {
    pub const FINE: Weather = Weather { link: millis(1), jitter: Duration::ZERO, lost: 0, doubled: 0, late: 0 };
    pub const BAD: Weather = Weather { link: millis(1), jitter: millis(10), lost: 20, doubled: 30, late: 30 };
}

pub struct World {
    pub members: BTreeMap<String, Group<Book>>,
    pub cut: Option<String>,
    /// Hears nobody, and is heard.
    pub deaf: Option<String>,
    pub weather: Weather,
    /// At which address each was called last.
    pub addresses: BTreeMap<String, String>,
    /// What each has asked last.
    pub asked: BTreeMap<String, Vec<u8>>,
    random: Random,
}

pub type Shared = Arc<Mutex<World>>;

/// Carries calls from one member; not from or to who is cut off.
struct Wire {
    from: String,
    world: Shared,
}

/// One passage over a link: how long it takes, or that it never ends.
fn passage(world: &Shared) -> Option<Duration> {
    let world = &mut *world.lock().unwrap();
    let Weather { link, jitter, lost, late, .. } = world.weather;
    let drawn = world.random.below(1000);
    let more = if (lost..lost + late).contains(&drawn) { millis(world.random.below(2000)) } else { Duration::ZERO };
    let jitter = Duration::from_micros(world.random.below(jitter.as_micros() as u64 + 1));
    (drawn >= lost).then_some(link + jitter + more)
}

fn reach(world: &Shared, from: &str, to: &str) -> Result<Group<Book>, String> {
    let world = world.lock().unwrap();
    let cut = world.cut.as_ref().is_some_and(|cut| *cut == from || *cut == to) || world.deaf.as_deref() == Some(to);
    (!cut).then(|| world.members.get(to).cloned()).flatten().ok_or_else(|| format!("{to} cannot be reached"))
}

impl Transport for Wire {
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called {
        let address = to.address.clone();
        let (from, to, world) = (self.from.clone(), to.name.clone(), self.world.clone());
        let doubled = {
            let world = &mut *world.lock().unwrap();
            world.addresses.insert(to.clone(), address);
            world.asked.insert(from.clone(), request.clone());
            world.random.below(1000) < world.weather.doubled
        };
        let deliver = move || {
            let (from, to, world, request) = (from.clone(), to.clone(), world.clone(), request.clone());
            // A question that is under way arrives, whether or not somebody still waits for the answer.
            spawn(async move {
                let Some(there) = passage(&world) else { return std::future::pending().await };
                sleep(there).await;
                let answer = reach(&world, &from, &to)?.answer_from(&node(&from), &request).await;
                let Some(back) = passage(&world) else { return std::future::pending().await };
                sleep(back).await;
                reach(&world, &to, &from).map(drop)?;
                answer
            })
        };
        Box::pin(async move {
            if doubled {
                drop(deliver());
            }
            timeout(within, deliver()).await.map_err(|late| late.to_string())?.map_err(|lost| lost.to_string())?
        })
    }
}

pub fn member(name: &str) -> Member {
    Member { name: name.into(), address: String::new() }
}

pub fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub struct Play {
    pub world: Shared,
    pub disks: BTreeMap<String, Storage>,
    lives: u64,
    life: BTreeMap<String, u64>,
    pub profile: Profile,
    pub slow: Option<DiskFault>,
    pub random: Random,
    /// Who has led in each term.
    pub leaders: BTreeMap<u64, String>,
    pub acknowledged: Vec<(u64, u64)>,
    pub next: u64,
}

impl Play {
    pub fn new(seed: u64, profile: Profile, weather: Weather) -> Play {
        let world = World {
            members: BTreeMap::new(),
            cut: None,
            deaf: None,
            weather,
            addresses: BTreeMap::new(),
            asked: BTreeMap::new(),
            random: Random::new(seed, "weather"),
        };
        Play {
            world: Arc::new(Mutex::new(world)),
            disks: BTreeMap::new(),
            lives: 0,
            life: BTreeMap::new(),
            profile,
            slow: None,
            random: Random::new(seed, "story"),
            leaders: BTreeMap::new(),
            acknowledged: Vec::new(),
            next: 0,
        }
    }

    /// These, as a group that the first of them has founded.
    pub async fn founded(seed: u64, profile: Profile, weather: Weather, names: &[&str]) -> Play {
        let mut play = Play::new(seed, profile, weather);
        for name in names {
            play.start(name).await;
        }
        let members: Vec<_> = names.iter().map(|name| member(name)).collect();
        play.group(names[0]).found(&members).await.unwrap();
        play
    }

    pub fn group(&self, name: &str) -> Group<Book> {
        self.world.lock().unwrap().members[name].clone()
    }

    pub async fn start(&mut self, name: &str) {
        self.lives += 1;
        self.life.insert(name.into(), self.lives);
        let mut disk = Disk::simulated(self.disks.entry(name.into()).or_default(), self.lives);
        if let Some(slow) = self.slow {
            let faults = DiskFaults::new(name, Random::new(self.lives, "faults"));
            faults.begin(Path::new("/data"), slow);
            disk = disk.with_faults(&faults);
        }
        let transport = Arc::new(Wire { from: name.into(), world: self.world.clone() });
        let place = (disk, JOURNAL.into(), Blocking::new(2));
        let group = Group::join(node(name), self.profile, place, Book::default(), transport).await.unwrap();
        self.world.lock().unwrap().members.insert(name.into(), group);
    }

    /// Takes the power from a member.
    pub async fn crash(&mut self, name: &str) {
        let group = self.world.lock().unwrap().members.remove(name).unwrap();
        self.disks[name].cut(self.life[name]);
        group.stop().await;
        drop(group);
        self.disks[name].crash(self.life[name], &mut self.random);
    }

    /// What is on a member's disk.
    pub fn image(&self, name: &str) -> Vec<u8> {
        Disk::simulated(&self.disks[name], u64::MAX).read(Path::new(JOURNAL)).unwrap()
    }

    /// Gives a member that is down another disk, with this on it.
    pub fn give(&mut self, name: &str, image: Option<&[u8]>) {
        let disk = Storage::default();
        if let Some(image) = image {
            disk.put(Path::new(JOURNAL), image);
        }
        self.disks.insert(name.into(), disk);
    }

    /// The member that leads, and may.
    pub async fn leader(&mut self) -> Group<Book> {
        let found = timeout(30 * SECOND, async {
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
                sleep(millis(10)).await;
            }
        });
        let found = found.await;
        found.unwrap_or_else(|_| {
            let members = &self.world.lock().unwrap().members;
            let all = members.iter().map(|(name, group)| format!("{name}: {:?}, {:?}", group.standing(), group.waits()));
            panic!("nobody leads among {:#?}", all.collect::<Vec<_>>())
        })
    }

    /// The name of the one that leads, and of the others.
    pub async fn roles(&mut self) -> (String, Vec<String>) {
        let leader = self.leader().await.name().to_string();
        let others = self.world.lock().unwrap().members.keys().filter(|name| **name != leader).cloned().collect();
        (leader, others)
    }

    /// Has the next commands applied, until so many more were acknowledged.
    pub async fn commands(&mut self, count: usize) {
        let until = self.acknowledged.len() + count;
        while self.acknowledged.len() < until {
            let leader = self.leader().await;
            let (command, next) = (self.next, self.next + 1);
            self.next = next;
            if let Ok(Ok(number)) = timeout(2 * SECOND, leader.propose(command.to_le_bytes().to_vec())).await {
                self.acknowledged.push((number, command));
            }
        }
    }

    /// What was acknowledged and the leader does not have.
    pub async fn lost(&mut self) -> Vec<(u64, u64)> {
        let book = self.leader().await.read(|book| book.0.clone());
        self.acknowledged.iter().filter(|entry| !book.contains(entry)).copied().collect()
    }

    /// Waits until all who run have the same history as the leader, with all that was acknowledged, each once.
    pub async fn agrees(&mut self) {
        assert_eq!(self.lost().await, [], "acknowledged and lost");
        let agree = timeout(30 * SECOND, async {
            loop {
                let book = self.leader().await.read(|book| book.0.clone());
                let members: Vec<_> = self.world.lock().unwrap().members.values().cloned().collect();
                if members.iter().all(|group| group.read(|other| other.0 == book)) {
                    return book;
                }
                sleep(millis(50)).await;
            }
        });
        let book = agree.await.expect("one has another history");
        let mut commands: Vec<u64> = book.iter().map(|(_, command)| *command).collect();
        commands.sort_unstable();
        assert!(commands.is_sorted_by(|a, b| a < b), "one was applied twice: {commands:?}");
    }

    /// Waits until these vote, says somebody who leads, and all of them have a seat.
    pub async fn voters(&mut self, names: &[&str]) {
        let wanted: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        let mut seen = Vec::new();
        for _ in 0..600 {
            let standing = self.leader().await.standing();
            seen = standing.voters;
            let running = self.world.lock().unwrap().members.clone();
            let seated = names.iter().all(|name| running.get(*name).is_none_or(|group| group.waits().is_none()));
            if seated
                && !standing.is_changing
                && seen.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>() == wanted
            {
                return;
            }
            sleep(millis(100)).await;
        }
        panic!("{seen:?} vote, and {wanted:?} should");
    }
}

/// Runs a story for each seed, and gives what came of it.
pub fn seeds<T, F>(seeds: std::ops::Range<u64>, story: impl Fn(u64) -> F + Copy + Send + 'static) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let one = |seed| std::thread::spawn(move || playhouse_rt::sim::run(seed, async move { story(seed).await })).join();
    seeds.map(|seed| one(seed).unwrap_or_else(|_| panic!("seed {seed}"))).collect()
}
