//! Three coordinators, in one process, and a client that does not stop asking.
#![allow(dead_code, reason = "each world uses some of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use playhouse::prelude::*;
use playhouse::task_log::{self, Line, What};
use playhouse::{Coordinate, JobId, JobOutcome, NodeName, Profile, StartError};

const DAY: Duration = Duration::from_secs(86_400);

/// Nothing here takes so long. A limit against hanging, no promise of speed.
const STUCK: Duration = Duration::from_secs(30);

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// What must come.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    rt::timeout(STUCK, future).await.expect("it does not come")
}

/// Looks again and again, and lets others run between.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        let mut ticks = rt::interval(Duration::from_millis(5));
        loop {
            if let Some(found) = look().await {
                return found;
            }
            ticks.tick().await;
        }
    })
    .await
}

/// Whatever is said must name these.
pub(crate) fn names(said: &str, all: &[&str]) {
    for one in all {
        assert!(said.contains(one), "this does not name {one}: {said}");
    }
}

pub(crate) struct Stage {
    pub(crate) authority: Authority,
    pub(crate) folder: PathBuf,
    places: Places,
    pub(crate) heads: Vec<Node>,
    /// A node for clients alone.
    audience: Option<Node>,
    acknowledged: Vec<JobId>,
    /// Of those that have not the usual ones: the place, and the folder.
    pub(crate) moved: BTreeMap<String, (&'static str, PathBuf)>,
}

impl Stage {
    /// Coordinators x, y and z, of which x leads, and a node for clients.
    pub(crate) async fn set(test: &str) -> Stage {
        let places = Places::new(test);
        let authority = Authority::new("test", places.now()).unwrap();
        let (folder, heads) = (places.folder.clone(), Vec::new());
        let mut stage =
            Stage { authority, folder, places, heads, audience: None, acknowledged: Vec::new(), moved: BTreeMap::new() };
        let (host, listen) = stage.place("x");
        let config = stage.config("x", listen);
        let x = Node::start(host, config).await.unwrap();
        stage.heads.push(x);
        for name in ["y", "z"] {
            let head = stage.joins(name).await.unwrap();
            stage.heads.push(head);
        }
        let (host, listen) = stage.place("audience");
        let mut config = NodeConfig::new(stage.identity("audience"), listen, stage.listed());
        config.threads = 1;
        stage.audience = Some(Node::start(host, config).await.unwrap());
        stage.serves().await;
        stage
    }

    pub(crate) fn place(&mut self, node: &str) -> (Host, SocketAddr) {
        self.places.host(node)
    }

    pub(crate) fn places(&mut self) -> &mut Places {
        &mut self.places
    }

    pub(crate) fn identity(&self, node: &str) -> Identity {
        self.authority.issue(&name(node), self.places.now(), DAY).unwrap()
    }

    /// The only coordinator of a cluster, or one that is back.
    pub(crate) fn config(&self, node: &str, listen: SocketAddr) -> NodeConfig {
        // So few that bad days and snapshots meet.
        let profile = Profile { snapshot_every: 15, ..Profile::FAST };
        let coordinate = Coordinate { profile, ..Coordinate::new(self.folder.join(node)) };
        NodeConfig { threads: 1, ..NodeConfig::coordinator(self.identity(node), listen, coordinate) }
    }

    /// One that becomes a coordinator, or is back.
    pub(crate) async fn joins(&mut self, node: &str) -> Result<Node, StartError> {
        let (host, listen) = self.place(node);
        let config = self.config(node, listen);
        let join = self.heads.iter().map(Node::address).collect();
        within(Node::start(host, NodeConfig { coordinators: vec![], join, ..config })).await
    }

    /// A node with workers.
    pub(crate) fn worker(&self, node: &str, listen: SocketAddr) -> NodeConfig {
        let checkpoints = Some(self.folder.join("checkpoints"));
        NodeConfig { capacity: 2, threads: 1, checkpoints, ..NodeConfig::new(self.identity(node), listen, self.listed()) }
    }

    pub(crate) async fn works(&mut self, node: &str) -> Result<Node, StartError> {
        let (host, listen) = self.place(node);
        let config = self.worker(node, listen);
        within(Node::start(host, config)).await
    }

    pub(crate) fn listed(&self) -> Vec<(NodeName, SocketAddr)> {
        self.heads.iter().map(|head| (head.name().clone(), head.address())).collect()
    }

    pub(crate) fn head(&self, node: &str) -> &Node {
        self.heads.iter().find(|head| head.name().as_str() == node).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        self.audience.as_ref().unwrap().client()
    }

    /// The journal of a coordinator.
    pub(crate) fn journal(&self, node: &str) -> PathBuf {
        self.folder.join(node).join("journal.redb")
    }

    /// Who leads, says the cluster.
    pub(crate) async fn leader(&self) -> String {
        within(self.client().status()).await.unwrap().coordinator.name.to_string()
    }

    /// One of those that do not lead.
    pub(crate) async fn follower(&self) -> String {
        let leader = self.leader().await;
        self.heads.iter().map(|head| head.name().to_string()).rfind(|name| *name != leader).unwrap()
    }

    /// The cluster takes a job of a client.
    pub(crate) async fn serves(&mut self) {
        let job = Job::new("default");
        let unit = job.value(&()).unwrap();
        let job = within(self.client().submit(job, unit)).await.unwrap();
        self.acknowledged.push(job.id());
    }

    /// All that was acknowledged is there.
    pub(crate) async fn lost_nothing(&self) {
        for job in &self.acknowledged {
            let known = within(self.client().job::<()>(*job).progress(0)).await.unwrap();
            assert_eq!(known.state, Some(JobOutcome::Done));
        }
    }

    /// All three vote, and this one has applied what the leader has.
    pub(crate) async fn has_caught_up(&self, node: &Node) {
        let client = self.client();
        until(async || {
            let leader = client.status().await.ok()?.coordinator;
            let own = node.coordinator()?;
            (leader.voters.len() == 3 && !leader.is_changing && own.waits.is_none() && own.applied >= leader.applied)
                .then_some(())
        })
        .await;
    }

    /// Ends one in an orderly way.
    pub(crate) async fn stops(&mut self, node: &str) {
        let at = self.heads.iter().position(|head| head.name().as_str() == node).unwrap();
        self.heads.remove(at).stop(Duration::from_secs(1)).await;
    }

    pub(crate) async fn ends(mut self) {
        self.lost_nothing().await;
        let heads: Vec<String> = self.heads.iter().map(|head| head.name().to_string()).collect();
        for node in self.heads.drain(..).chain(self.audience.take()) {
            node.stop(Duration::from_secs(1)).await;
        }
        // Whatever has befallen them, their task logs are whole, and agree where they tell of the same.
        let mut all = BTreeMap::new();
        for head in heads {
            let usual = (&*head, self.folder.join(&head));
            let (place, data) = self.moved.get(&head).cloned().unwrap_or(usual);
            let read = task_log::read(&self.places.disk(place), &task_log::folder(&data), |line| {
                if let Line::Told(number, told) = line {
                    assert_eq!(all.entry(number).or_insert_with(|| told.clone()), &told, "{head}, record {number}");
                }
            });
            let found = read.unwrap_or_else(|broken| panic!("{head}: {broken}"));
            assert!(found.records > 0, "{head} has told nothing");
        }
        let submitted = |job: &JobId| all.values().any(|told| matches!(told.what, What::Submitted { job: of, .. } if of == *job));
        assert!(self.acknowledged.iter().all(submitted), "a job is in no task log");
    }
}

#[cfg(not(madsim))]
pub(crate) use real::{Places, play};
#[cfg(madsim)]
pub(crate) use simulated::{Places, play};

#[cfg(not(madsim))]
mod real {
    use super::*;

    /// Folders on a real disk.
    pub(crate) struct Places {
        pub(super) folder: PathBuf,
    }

    impl Places {
        pub(super) fn new(test: &str) -> Places {
            let folder = std::env::temp_dir().join(format!("playhouse-bad-{test}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Places { folder }
        }

        pub(super) fn now(&self) -> Duration {
            Host::os().wall_clock()
        }

        pub(super) fn disk(&self, _: &str) -> rt::Disk {
            Host::os().disk().clone()
        }

        pub(super) fn host(&mut self, _: &str) -> (Host, SocketAddr) {
            (Host::os(), "127.0.0.1:0".parse().unwrap())
        }
    }

    impl Drop for Places {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    /// Tells a story.
    pub(crate) fn play(story: impl AsyncFn(u64)) {
        rt::run(2, story(0)).unwrap();
    }
}

#[cfg(madsim)]
mod simulated {
    use std::net::IpAddr;

    use playhouse::rt::sim::{Deliveries, DiskFaults, Flight, Links, Network, Storage, WallClock};
    use playhouse::rt::{Disk, Random};

    use super::*;

    /// What a node stands on, over all its lives.
    pub(crate) struct Place {
        pub(crate) storage: Storage,
        pub(crate) faults: DiskFaults,
        pub(crate) clock: WallClock,
        pub(crate) life: u64,
        ip: IpAddr,
    }

    pub(crate) struct Places {
        pub(super) folder: PathBuf,
        network: Network,
        all: BTreeMap<String, Place>,
        lives: u64,
    }

    struct Fine;

    impl Links for Fine {
        fn send(&mut self, _: &Flight) -> Deliveries {
            Deliveries::one(Duration::from_millis(1))
        }
        fn arrives(&mut self, _: &Flight) -> bool {
            true
        }
    }

    impl Places {
        pub(super) fn new(_: &str) -> Places {
            Places { folder: "/data".into(), network: Network::new(Box::new(Fine)), all: BTreeMap::new(), lives: 0 }
        }

        pub(super) fn now(&self) -> Duration {
            rt::sim::wall_clock()
        }

        pub(super) fn disk(&self, node: &str) -> Disk {
            Disk::simulated(&self.all[node].storage, u64::MAX)
        }

        /// The next life of a node begins.
        pub(super) fn host(&mut self, node: &str) -> (Host, SocketAddr) {
            self.lives += 1;
            let number = self.all.len() as u8 + 1;
            let place = self.all.entry(node.into()).or_insert_with(|| Place {
                storage: Storage::default(),
                faults: DiskFaults::new(node, Random::new(u64::from(number), "faults")),
                clock: WallClock::default(),
                life: 0,
                ip: IpAddr::from([10, 0, 0, number]),
            });
            place.life = self.lives;
            let disk = Disk::simulated(&place.storage, self.lives).with_faults(&place.faults);
            let host = Host::simulated(&self.network, place.ip, disk, self.lives).with_clock(&place.clock);
            (host, (place.ip, 700).into())
        }

        pub(crate) fn of(&self, node: &str) -> &Place {
            &self.all[node]
        }
    }

    /// Tells a story for some seeds.
    pub(crate) fn play(story: impl AsyncFn(u64)) {
        for seed in 0..5 {
            rt::sim::run(seed, story(seed));
        }
    }
}
