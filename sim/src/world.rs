//! A world: a network, a disk, and hosts whose lives begin and end.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use playhouse_rt::sim::{Life, Network, NetworkStats, Storage};
use playhouse_rt::{Disk, Host, Random};

use crate::weather::{Climate, Weather};

/// A world, made from a seed. Make it within [`playhouse_rt::sim::run`].
pub struct World {
    seed: u64,
    network: Network,
    weather: Weather,
    storage: Storage,
    places: BTreeMap<&'static str, Place>,
    counts: BTreeMap<&'static str, u64>,
}

struct Place {
    ip: IpAddr,
    /// Numbers the lives, over all places: who wrote what to the disk.
    life: u64,
    running: Option<Life>,
}

impl World {
    /// A world whose every chance comes from `seed`, with a climate drawn from it.
    pub fn new(seed: u64) -> World {
        let climate = Climate::draw(&mut Random::new(seed, "climate"));
        playhouse_rt::ledger::record("climate", || format!("{climate:?}"));
        let weather = Weather::new(climate, Random::new(seed, "datagrams"));
        let network = Network::new(Box::new(weather.clone()));
        World { seed, network, weather, storage: Storage::default(), places: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// A stream of chance of its own.
    pub fn random(&self, label: &str) -> Random {
        Random::new(self.seed, label)
    }

    /// The disk that all hosts share, as they would an object store. What one of them wrote and did not make durable is at the mercy
    /// of its crash.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The network's policy, to cut links.
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// The address of a place.
    pub fn ip(&mut self, name: &'static str) -> IpAddr {
        let next = u8::try_from(self.places.len() + 1).expect("a world has at most 255 places");
        self.places.entry(name).or_insert_with(|| Place { ip: Ipv4Addr::new(10, 0, 0, next).into(), life: 0, running: None }).ip
    }

    /// Begins a life at a place.
    ///
    /// # Panics
    /// When one is under way there.
    #[track_caller]
    pub fn start<F>(&mut self, name: &'static str, main: impl FnOnce(Host) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let ip = self.ip(name);
        let life = 1 + self.places.values().map(|place| place.life).max().unwrap_or(0);
        let place = self.places.get_mut(name).expect("it has an address");
        assert!(place.running.is_none(), "{name} lives already");
        place.life = life;
        let host = Host::simulated(&self.network, ip, Disk::simulated(&self.storage, life), self.seed ^ life << 32);
        place.running = Some(Life::start(&format!("{name}#{life}"), main(host)));
        *self.counts.entry("start").or_default() += 1;
    }

    /// Takes the power from a place: no task of it runs again, its sockets are gone, and what it did not make durable is lost, torn or
    /// kept.
    pub async fn crash(&mut self, name: &'static str) {
        let place = self.places.get_mut(name).expect("it was started");
        let Some(running) = place.running.take() else { return };
        // The network first: a dying task must not send.
        self.network.detach(place.ip);
        running.kill().await;
        self.storage.crash(place.life, &mut Random::new(self.seed ^ place.life, "crash"));
        *self.counts.entry("crash").or_default() += 1;
    }

    /// Ends a life whose work is done, for good or for another one: nothing is lost but its sockets.
    pub async fn end(&mut self, name: &'static str) {
        let place = self.places.get_mut(name).expect("it was started");
        if let Some(running) = place.running.take() {
            self.network.detach(place.ip);
            running.kill().await;
        }
    }

    /// What the network did.
    pub fn network(&self) -> NetworkStats {
        self.network.stats()
    }

    /// How often each kind of fault happened.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        let stats = self.network();
        let mut faults = self.counts.clone();
        faults.remove("start");
        faults.extend([
            ("loss", stats.lost),
            ("duplication", stats.duplicated),
            ("reordering", stats.reordered),
            ("dropped", stats.dropped),
        ]);
        faults
    }
}
