//! A world: a network, disks, clocks, and places where lives of hosts begin and end.
//!
//! Each fault is a verb here and has its inverse, a line in the ledger when it begins and when it ends, and a count of how often it took
//! effect (see [`World::faults`]). All names are those of places; who is named first comes to be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use playhouse_rt::ledger::record;
use playhouse_rt::sim::{self, DiskFault, DiskFaults, Flip, Life, Network, NetworkStats, Storage, WallClock};
use playhouse_rt::{Disk, Host, Random};

use crate::nodes::Nodes;
use crate::plan::{Climate, Plan};
use crate::weather::{LinkFault, Weather};

/// A world, made from a seed. Make it within [`playhouse_rt::sim::run`]. Cheap to clone; all clones are the same world.
#[derive(Clone)]
pub struct World {
    seed: u64,
    network: Network,
    weather: Weather,
    shared: Storage,
    state: Arc<Mutex<State>>,
    nodes: Arc<Mutex<Nodes>>,
}

#[derive(Default)]
struct State {
    places: BTreeMap<String, Place>,
    /// Numbers the lives, over all places: who wrote what to which disk.
    lives: u64,
    /// How often a host has moved: each time to an address where nobody was before.
    moves: u16,
    /// Folders that all places see.
    mounts: Vec<PathBuf>,
    /// How often each disk's bits were flipped: what is drawn next.
    flips: u64,
    counts: BTreeMap<&'static str, u64>,
}

struct Place {
    ip: IpAddr,
    life: u64,
    running: Option<Life>,
    paused: bool,
    /// How late its tasks run, at most; the longest counts.
    slow: Vec<Duration>,
    moved: bool,
    disk: Storage,
    faults: DiskFaults,
    clock: WallClock,
}

impl State {
    fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }
}

impl World {
    /// A world whose every chance comes from `seed`, with a climate drawn from it.
    pub fn new(seed: u64) -> World {
        World::with_climate(seed, Climate::draw(&mut Random::new(seed, "climate")))
    }

    /// The world that a plan asks for: its climate, and every chance from its dice.
    pub fn of(plan: &Plan) -> World {
        World::with_climate(plan.dice, plan.climate)
    }

    /// A world whose every chance comes from `seed`, with this climate.
    pub fn with_climate(seed: u64, climate: Climate) -> World {
        record("climate", || climate.to_string());
        let weather = Weather::new(climate, Random::new(seed, "datagrams"));
        let network = Network::new(Box::new(weather.clone()));
        World { seed, network, weather, shared: Storage::default(), state: Arc::default(), nodes: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at<T>(&self, name: &str, look: impl FnOnce(&mut Place) -> T) -> T {
        let mut state = self.state();
        if let Some(place) = state.places.get_mut(name) {
            return look(place);
        }
        let next = u8::try_from(state.places.len() + 1).expect("a world has at most 255 places");
        let place = Place {
            ip: Ipv4Addr::new(10, 0, 0, next).into(),
            life: 0,
            running: None,
            paused: false,
            slow: Vec::new(),
            moved: false,
            disk: Storage::default(),
            faults: DiskFaults::new(name, Random::new(self.seed ^ u64::from(next), "disk faults")),
            clock: WallClock::default(),
        };
        look(state.places.entry(name.to_string()).or_insert(place))
    }

    pub(crate) fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every chance of the world comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// One more fault of this kind, for what the world does not count by itself.
    pub fn count(&self, kind: &'static str) {
        self.state().count(kind);
    }

    /// A stream of chance of its own.
    pub fn random(&self, label: &str) -> Random {
        Random::new(self.seed, label)
    }

    /// The disk of the folders that all places share (see [`World::share`]), as they would an object store. What one of them wrote and
    /// did not make durable is at the mercy of its crash.
    pub fn storage(&self) -> &Storage {
        &self.shared
    }

    /// From now on all lives that begin see `folder` on the shared disk. All else is on a disk of their place's own.
    pub fn share(&self, folder: &Path) {
        self.state().mounts.push(folder.to_path_buf());
    }

    /// A place's own disk.
    pub fn disk_of(&self, name: &str) -> Storage {
        self.at(name, |place| place.disk.clone())
    }

    /// The network's policy, to change it for addresses.
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// The address that a place was given.
    pub fn ip(&self, name: &str) -> IpAddr {
        self.at(name, |place| place.ip)
    }

    /// All places so far, by name.
    pub fn places(&self) -> Vec<String> {
        self.state().places.keys().cloned().collect()
    }

    /// Whether a life is under way there, paused or not.
    pub fn is_up(&self, name: &str) -> bool {
        self.at(name, |place| place.running.is_some())
    }

    /// Begins a life at a place.
    ///
    /// # Panics
    /// When one is under way there.
    #[track_caller]
    pub fn start<F>(&self, name: &str, main: impl FnOnce(Host) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (life, mounts) = {
            let mut state = self.state();
            state.lives += 1;
            state.count("start");
            (state.lives, state.mounts.iter().map(|folder| (folder.clone(), self.shared.clone())).collect::<Vec<_>>())
        };
        let host = self.at(name, |place| {
            assert!(place.running.is_none(), "{name} lives already");
            let disk = Disk::simulated(&place.disk, life).with_mounts(&mounts).with_faults(&place.faults);
            Host::simulated(&self.network, place.ip, disk, self.seed ^ life << 32).with_clock(&place.clock)
        });
        let running = Life::start(&format!("{name}#{life}"), main(host));
        self.at(name, |place| (place.life, place.running) = (life, Some(running)));
        if self.at(name, |place| !place.slow.is_empty()) {
            self.set_pace(name);
        }
    }

    fn take(&self, name: &str) -> Option<(Life, u64)> {
        let (ip, life, running) = self.at(name, |place| {
            place.paused = false;
            (place.ip, place.life, place.running.take())
        });
        let running = running?;
        sim::slow_polls(&format!("{name}#{life}"), Duration::ZERO);
        // The network first: a dying task must not send.
        self.network.detach(ip);
        Some((running, life))
    }

    /// Takes the power from a place: no task of it runs again, its sockets are gone, and what it did not make durable is lost, torn or
    /// kept. The inverse is [`World::start`]. Whether a life was under way.
    pub async fn crash(&self, name: &str) -> bool {
        let Some((running, life)) = self.take(name) else { return false };
        // First, for a database that is dropped would make durable what it has.
        self.shared.cut(life);
        self.disk_of(name).cut(life);
        running.kill().await;
        let mut random = Random::new(self.seed ^ life, "crash");
        self.shared.crash(life, &mut random);
        self.disk_of(name).crash(life, &mut random);
        self.state().count("crash");
        true
    }

    /// Ends a life whose work is done, for good or for another one: nothing is lost but its sockets.
    pub async fn end(&self, name: &str) {
        if let Some((running, _)) = self.take(name) {
            running.kill().await;
        }
    }

    /// All that a place has on its own disk is gone, as after a broken drive. What it has on shared folders stays. For a place that is
    /// down; there is no inverse.
    ///
    /// # Panics
    /// When a life is under way there.
    pub fn lose_disk(&self, name: &str) {
        assert!(!self.is_up(name), "{name} still runs on its disk");
        record("fault", || format!("{name} loses its disk"));
        self.disk_of(name).lose();
        self.state().count("lost-disk");
    }

    /// No task of a place runs until [`World::resume`]; its timers then fire late, and datagrams wait in its sockets meanwhile. Whether a
    /// life is under way there that was not paused.
    pub fn pause(&self, name: &str) -> bool {
        let paused = self.at(name, |place| match &place.running {
            Some(running) if !place.paused => {
                running.pause();
                place.paused = true;
                true
            }
            _ => false,
        });
        if paused {
            self.state().count("pause");
        }
        paused
    }

    /// Its tasks run again. Nothing when it is not paused.
    pub fn resume(&self, name: &str) {
        self.at(name, |place| {
            if let Some(running) = place.running.as_ref().filter(|_| place.paused) {
                running.resume();
            }
            place.paused = false;
        });
    }

    /// From now on each poll of a place's tasks comes late, by a time drawn from up to `most`, also in lives that begin later. The least delay
    /// is a virtual millisecond.
    pub fn begin_slow_polls(&self, name: &str, most: Duration) {
        self.at(name, |place| place.slow.push(most));
        self.set_pace(name);
    }

    /// Ends what began with the same words, once.
    pub fn end_slow_polls(&self, name: &str, most: Duration) {
        let known = self.at(name, |place| {
            let known = place.slow.iter().position(|slow| *slow == most);
            known.map(|at| place.slow.remove(at)).is_some()
        });
        if known {
            self.set_pace(name);
        }
    }

    fn set_pace(&self, name: &str) {
        let life = self.at(name, |place| {
            let most = place.slow.iter().max().copied().unwrap_or_default();
            place.running.is_some().then_some((place.life, most))
        });
        if let Some((life, most)) = life {
            sim::slow_polls(&format!("{name}#{life}"), most);
        }
    }

    /// Cuts the way between two places, both directions. What is under way does not arrive.
    pub fn cut(&self, a: &str, b: &str) {
        self.weather.cut(self.ip(a), self.ip(b));
    }

    /// Mends it.
    pub fn mend(&self, a: &str, b: &str) {
        self.weather.mend(self.ip(a), self.ip(b));
    }

    /// Cuts the way from one place to another; what is sent back arrives.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        self.weather.cut_one_way(self.ip(from), self.ip(to));
    }

    /// Mends it.
    pub fn mend_one_way(&self, from: &str, to: &str) {
        self.weather.mend_one_way(self.ip(from), self.ip(to));
    }

    /// Cuts a place off from all others.
    pub fn isolate(&self, name: &str) {
        self.weather.isolate(self.ip(name));
    }

    /// Others reach it again.
    pub fn rejoin(&self, name: &str) {
        self.weather.rejoin(self.ip(name));
    }

    /// From now on this is different on the way from one place to another.
    pub fn begin_link(&self, from: &str, to: &str, fault: LinkFault) {
        self.weather.begin(self.ip(from), self.ip(to), fault);
    }

    /// Ends what began with the same words, once.
    pub fn end_link(&self, from: &str, to: &str, fault: LinkFault) {
        self.weather.end(self.ip(from), self.ip(to), fault);
    }

    /// From now on others see a place at an address where nobody was before, which this gives; what is sent to where it was seen before
    /// finds nobody. Its own sockets notice nothing.
    pub fn readdress(&self, name: &str) -> IpAddr {
        let (home, outside) = (self.ip(name), {
            let mut state = self.state();
            state.count("readdress");
            state.moves += 1;
            let [high, low] = state.moves.to_be_bytes();
            IpAddr::from([10, 1, high, low])
        });
        self.at(name, |place| place.moved = true);
        self.network.readdress(home, outside);
        outside
    }

    /// Others see it where it was at first. Nothing when they do.
    pub fn restore_address(&self, name: &str) {
        if let Some(home) = self.at(name, |place| std::mem::take(&mut place.moved).then_some(place.ip)) {
            self.network.readdress(home, home);
        }
    }

    /// Sets the wall clock of a place forward, or back when `micros` is negative; the inverse is the same with the other sign.
    pub fn jump_clock(&self, name: &str, micros: i64) {
        record("fault", || format!("clock of {name} jumps by {micros} us"));
        self.at(name, |place| place.clock.jump(micros));
    }

    /// From now on the wall clock of a place gains `ppm` microseconds in a second, or loses them when `ppm` is negative. 0 ends it; what
    /// was gained stays.
    pub fn drift_clock(&self, name: &str, ppm: i64) {
        record(if ppm == 0 { "mend" } else { "fault" }, || format!("clock of {name} drifts by {ppm} ppm"));
        self.at(name, |place| place.clock.drift(ppm));
    }

    /// The wall clock of a place is right again, at once, and keeps time.
    pub fn restore_clock(&self, name: &str) {
        record("mend", || format!("clock of {name}"));
        self.at(name, |place| place.clock.restore());
    }

    /// From now on this is wrong with all that a place sees under `scope`, a file or a folder, on its own disk or a shared one.
    pub fn begin_disk(&self, name: &str, scope: &Path, fault: DiskFault) {
        self.at(name, |place| place.faults.begin(scope, fault));
    }

    /// Ends what began with the same words, once.
    pub fn end_disk(&self, name: &str, scope: &Path, fault: DiskFault) {
        self.at(name, |place| place.faults.end(scope, fault));
    }

    /// Flips a bit of one of the files that a place has under `scope`, in what is durable too; none when all of them are empty.
    /// [`World::flip`] with what this gives mends it.
    pub fn rot(&self, name: &str, scope: &Path) -> Option<Flip> {
        let flips = {
            let mut state = self.state();
            state.flips += 1;
            state.flips
        };
        let flip = self.storage_under(name, scope).rot(scope, &mut Random::new(self.seed ^ flips << 32, "rot"))?;
        self.state().count("bit-rot");
        Some(flip)
    }

    /// Flips a bit of a file. Whether the file is there and so long.
    pub fn flip(&self, name: &str, flip: &Flip) -> bool {
        self.storage_under(name, &flip.path).flip(flip)
    }

    fn storage_under(&self, name: &str, path: &Path) -> Storage {
        let is_shared = self.state().mounts.iter().any(|folder| path.starts_with(folder));
        if is_shared { self.shared.clone() } else { self.disk_of(name) }
    }

    /// Ends all that is in force: cuts, links that differ, other addresses, wrong clocks, sick disks, pauses, slow polls. The climate stays, and who is
    /// down stays down.
    pub fn end_faults(&self) {
        self.weather.end_all();
        for name in self.places() {
            self.restore_address(&name);
            let (faults, clock) = self.at(&name, |place| (place.faults.clone(), place.clock.clone()));
            faults.end_all();
            if !clock.is_right() {
                self.restore_clock(&name);
            }
            self.resume(&name);
            if !self.at(&name, |place| std::mem::take(&mut place.slow)).is_empty() {
                self.set_pace(&name);
            }
        }
    }

    /// What the network did.
    pub fn network(&self) -> NetworkStats {
        self.network.stats()
    }

    /// How often each kind of fault took effect: datagrams hit, disk calls hit, readings of a wrong clock; and how often a place crashed,
    /// was paused, moved, lost its disk or a bit on it.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        let stats = self.network();
        let state = self.state();
        let mut faults = state.counts.clone();
        faults.remove("start");
        faults.extend(self.weather.counts());
        for place in state.places.values() {
            for (kind, count) in place.faults.counts() {
                *faults.entry(kind).or_default() += count;
            }
            *faults.entry("wrong-clock").or_default() += place.clock.wrong_reads();
        }
        faults.extend([
            ("corruption", stats.corrupted),
            ("duplication", stats.duplicated),
            ("reordering", stats.reordered),
            ("dropped", stats.dropped),
            ("overflow", stats.overflowed),
            ("astray", stats.astray),
            ("slow-polls", sim::slowed_polls()),
        ]);
        faults.retain(|_, count| *count > 0);
        faults
    }
}
