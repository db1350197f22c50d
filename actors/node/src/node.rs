//! A node: everything below, assembled by one function.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_actors::{ActorStatus, Counters, DeadLetters, NameTaken, Shutdown};
use playhouse_cluster::Solo;
use playhouse_net::{BindError, Config, Endpoint, Identity, RenewError, Stats};
use playhouse_plane::{MonitorConfig, Plane, PlaneConfig};
use playhouse_rt::{Blocking, Host};
use playhouse_store::{OpenError, Store};
use playhouse_wire::{ActorName, Incarnation};

use crate::agent::{AGENT, Agent, CoordinatorLink};
use crate::client::Client;
use crate::coordinator::{COORDINATOR, Coordinator, PlaneHands, link_down};
use crate::finder::Finder;
use crate::ground::{Ground, Roster};
use crate::inspect::{INSPECT, Inspect, Inspection, Inspector, Watchtower};
use crate::limits::{PLANE_MAILBOX, SETTLE_MAX};
use crate::metrics::Metrics;
use crate::network::{Inbox, Roads, Way};
use crate::status::PeerStatus;
use crate::tasks::Tasks;
use crate::tree::Tree;

/// Jobs that a coordinator takes within a millisecond of its life, on average, at the most.
const JOBS_PER_MS: u64 = 1000;

/// What a node is and does.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its certificate, which says its name and cluster.
    pub identity: Identity,
    /// Where it listens; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// Nodes that it keeps a connection to.
    pub peers: Vec<(NodeName, SocketAddr)>,
    /// The node that coordinates: this one, or one of the peers. None for nodes that only have actors.
    pub coordinator: Option<NodeName>,
    /// What it coordinates with, if it is the coordinator.
    pub coordinate: Option<Coordinate>,
    /// How many workers it offers to run; 0: none.
    pub capacity: u32,
    /// The functions that its workers know.
    pub tasks: Tasks,
    /// Where checkpoints of stream shards go. All nodes that offer workers must see the same folder, for a shard to outlive its node.
    pub checkpoints: Option<PathBuf>,
    /// How often it beats. Must agree with the coordinator's [`MonitorConfig`].
    pub beat_every: Duration,
    /// Threads for actors; 0: one per core.
    pub threads: usize,
    /// Only dials out: whoever dials this node is refused.
    pub dial_only: bool,
    /// Bugs put into its connections on purpose, to test the tests. All off.
    #[doc(hidden)]
    pub planted: playhouse_net::Planted,
}

/// What a coordinator coordinates with.
#[derive(Clone, Debug)]
pub struct Coordinate {
    /// The plane's choices.
    pub plane: PlaneConfig,
}

impl NodeConfig {
    /// A node of a cluster that `coordinator` coordinates. It offers no workers yet.
    pub fn new(identity: Identity, listen: SocketAddr, coordinator: NodeName) -> NodeConfig {
        NodeConfig { coordinator: Some(coordinator), ..NodeConfig::actors(identity, listen) }
    }

    /// A node for actors alone, without workers, tasks or a coordinator.
    pub fn actors(identity: Identity, listen: SocketAddr) -> NodeConfig {
        NodeConfig {
            identity,
            listen,
            peers: Vec::new(),
            coordinator: None,
            coordinate: None,
            capacity: 0,
            tasks: Tasks::new(),
            checkpoints: None,
            beat_every: MonitorConfig::default().beat_every,
            threads: 0,
            dial_only: false,
            planted: playhouse_net::Planted::default(),
        }
    }
}

/// A node did not start. Nothing of it runs.
#[derive(thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("the configuration is wrong: {0}")]
    Config(String),
    /// The operating system gave no threads.
    #[error("no threads for actors: {0}")]
    Threads(#[from] std::io::Error),
    /// The address or the certificate cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The folder for checkpoints cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Two of its own actors have one name: a bug of this crate.
    #[error(transparent)]
    Name(#[from] NameTaken),
}

impl std::fmt::Debug for StartError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A running node. Cheap to clone. It runs until [`Node::stop`].
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    finder: Finder,
    watchtower: Watchtower,
    incarnation: Incarnation,
    coordinator: Option<NodeName>,
    coordinates: Option<Ref<Coordinator>>,
    agent: Option<Ref<Agent>>,
}

impl Node {
    /// Starts a node on `host`: its actors' threads, its endpoint, and the actors that its configuration asks for.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(host: Host, config: NodeConfig) -> Result<Node, StartError> {
        let name = config.identity.node().clone();
        if config.coordinate.is_some() != (config.coordinator.as_ref() == Some(&name)) {
            let (is, is_not) = if config.coordinate.is_some() { ("has", "another node") } else { ("lacks", "this node") };
            return Err(StartError::Config(format!("{name} {is} `coordinate`, but `coordinator` names {is_not}")));
        }
        // Milliseconds of the wall clock rise from one life to the next.
        let incarnation = Incarnation(host.wall_clock().as_millis().try_into().unwrap_or(u64::MAX));
        playhouse_rt::ledger::record("node", || format!("{name}{incarnation}"));

        let blocking = Blocking::new(config.capacity.max(2) as usize);
        let store = match (&config.checkpoints, config.capacity) {
            (_, 0) => None,
            (Some(folder), _) => Some(Store::open(host.disk().clone(), folder.clone(), Blocking::new(2)).await?),
            (None, _) => return Err(StartError::Config("a node that offers workers needs a folder for checkpoints".into())),
        };

        let system = System::of_life(name.clone(), incarnation, config.threads)?;
        let inbox = Arc::new(Inbox::new(system.clone()));
        let (dial_only, planted) = (config.dial_only, config.planted);
        let endpoint = Config { dial_only, planted, ..Config::new(config.listen, config.identity, incarnation) };
        let endpoint = Endpoint::bind(&host, endpoint, inbox.clone())?;
        let roads = Arc::new(Roads { endpoint: endpoint.clone(), inbox: inbox.clone() });
        // Weakly: the roads lead to the system again, and a node that was dropped must not live on by a circle.
        let of_system = Arc::downgrade(&roads);
        system.set_routes(move |node| Arc::new(Way::new(node.clone(), of_system.upgrade())));
        let finder = Finder { system: system.clone(), roads, host: host.clone() };
        let watchtower = Watchtower::raise(finder.clone(), incarnation)?;

        let (mut coordinates, mut offers) = (None, None);
        if let Some(mut coordinate) = config.coordinate {
            // Above all that an earlier life of this coordinator gave, unless that took more than a thousand jobs a millisecond: a late
            // report to that life must not be mistaken for one to this.
            if !coordinate.plane.planted.reuse_job_numbers {
                let first_job = incarnation.0.saturating_mul(JOBS_PER_MS);
                coordinate.plane.first_job = coordinate.plane.first_job.max(first_job);
            }
            let mut hands = Some(PlaneHands::new(finder.clone(), incarnation));
            let factory = move || {
                let hands = hands.take().expect("a coordinator is never built anew");
                Coordinator::new(Solo::new(Plane::new(coordinate.plane.clone())), hands)
            };
            // After a panic its state is lost, and with it all jobs: better no coordinator than one that knows nothing.
            let options =
                SpawnOptions { mailbox: PLANE_MAILBOX, restart: Restart::NEVER, stoppable: false, ..SpawnOptions::default() };
            let plane = system.spawn_remote(ActorName::new(COORDINATOR).expect("a name"), options, factory)?;
            let hears = plane.clone();
            inbox.listen(Box::new(move |node, incarnation, up| {
                if !up {
                    link_down(&hears, node.clone(), incarnation);
                }
            }));
            coordinates = Some(plane);
        }
        if let Some(store) = store {
            let leader = config.coordinator.clone();
            let leader = leader.ok_or_else(|| StartError::Config("a node that offers workers needs a coordinator".into()))?;
            let coordinator = finder.find::<Coordinator>(&leader, COORDINATOR);
            let ground = Ground {
                node: name.clone(),
                incarnation,
                leader: leader.clone(),
                coordinator: coordinator.ok_or_else(|| StartError::Config("there is no coordinator".into()))?,
                tasks: config.tasks,
                disk: host.disk().clone(),
                store,
                blocking,
                roster: Roster::default(),
            };
            let (capacity, beat_every) = (config.capacity, config.beat_every);
            let factory = move || Agent::new(ground.clone(), capacity, beat_every);
            // It knows its node's workers; after a panic nobody would.
            let options = SpawnOptions { restart: Restart::NEVER, stoppable: false, ..SpawnOptions::default() };
            let agent = system.spawn_remote(ActorName::new(AGENT).expect("a name"), options, factory)?;
            offers = Some(agent.clone());
            inbox.listen(Box::new(move |node, _, up| {
                if *node == leader {
                    // If there is no room for this, a coordinator that does not know this life asks for it at its next beat.
                    let _ = agent.tell(CoordinatorLink { up });
                }
            }));
        }
        for (peer, address) in config.peers {
            endpoint.connect(peer, address);
        }
        let coordinator = config.coordinator;
        Ok(Node(Arc::new(Inner { finder, watchtower, incarnation, coordinator, coordinates, agent: offers })))
    }

    /// Its name.
    pub fn name(&self) -> &NodeName {
        self.0.finder.system.node()
    }

    /// Which of its lives this is.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.finder.roads.endpoint.local_addr()
    }

    /// Its actors.
    pub fn system(&self) -> &System {
        &self.0.finder.system
    }

    /// A reference to the actor called `name` on `node`, which may be this one. `None` when it should live here and does not; whether
    /// it lives on another node shows when it is asked.
    pub fn actor<A: Remote>(&self, node: &NodeName, name: &str) -> Option<Ref<A>> {
        self.0.finder.find(node, name)
    }

    /// Keeps a connection to a peer, from now on.
    pub fn connect(&self, peer: NodeName, address: SocketAddr) {
        self.0.finder.roads.endpoint.connect(peer, address);
    }

    /// Dials a peer no more. A live connection stays.
    pub fn forget(&self, peer: &NodeName) {
        self.0.finder.roads.endpoint.forget(peer);
    }

    /// Keeps a connection to a peer, from now on, and waits for the first try to succeed or fail. Cancel-safe.
    ///
    /// # Errors
    /// Why the first try failed. It is tried again all the same.
    pub async fn dial(&self, peer: NodeName, address: SocketAddr) -> Result<(), String> {
        self.connect(peer.clone(), address);
        self.0.finder.roads.endpoint.dialled(&peer).await.map(drop)
    }

    /// Waits until there is a connection to `peer`. Cancel-safe.
    pub async fn connected(&self, peer: &NodeName) {
        self.0.finder.roads.endpoint.connected(peer).await;
    }

    /// Why the last try to connect to `peer` failed.
    pub fn last_error(&self, peer: &NodeName) -> Option<String> {
        self.0.finder.roads.endpoint.last_error(peer)
    }

    /// Proves itself with another certificate of this node from now on; connections stay. See [`Endpoint::renew`].
    ///
    /// # Errors
    /// See [`RenewError`]; nothing changes then.
    pub fn renew(&self, identity: Identity) -> Result<(), RenewError> {
        self.0.finder.roads.endpoint.renew(identity)
    }

    /// A client of the cluster, through this node.
    ///
    /// # Panics
    /// When the node was started without a coordinator, or coordinates itself and its coordinator has ended.
    pub fn client(&self) -> Client {
        let leader = self.0.coordinator.as_ref().expect("the node was started with a coordinator");
        let coordinator = self.0.finder.find(leader, COORDINATOR).expect("the coordinator lives");
        Client::new(coordinator, format!("{}{}", self.name(), self.0.incarnation))
    }

    /// What went over its connections.
    pub fn traffic(&self) -> Stats {
        self.0.finder.roads.endpoint.stats()
    }

    /// The nodes that it has a connection to, in the order of their names.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.0.finder.roads.inbox.peers()
    }

    /// The actors that live on it now, in the order of their starts: at most `max` of them.
    pub fn actors(&self, max: usize) -> Vec<ActorStatus> {
        self.0.finder.system.actors(max)
    }

    /// Hears of messages that no actor of it handled, from now on.
    pub fn dead_letters(&self) -> DeadLetters {
        self.0.finder.system.dead_letters()
    }

    /// What happened to its actors.
    pub fn counters(&self) -> Counters {
        self.0.finder.system.counters()
    }

    /// What it has counted, and how its actors and connections are now.
    pub fn metrics(&self) -> Metrics {
        self.0.watchtower.observer.metrics()
    }

    /// Takes the time that messages wait and are handled, from now on or no more. Without it, times are taken while somebody inspects the
    /// node. In place of [`playhouse_actors::System::take_times`], which an inspection would undo.
    pub fn keep_times(&self, yes: bool) {
        self.0.watchtower.observer.keep_times(yes);
    }

    /// Its supervisors with all below them, and the actors that nobody supervises.
    pub async fn tree(&self) -> Tree {
        self.0.watchtower.observer.tree().await
    }

    /// Asks `node`, which may be this one, how it is. Needs a connection to it. Every node of the cluster answers every other one.
    ///
    /// # Errors
    /// As with every ask.
    pub async fn inspect(&self, node: &NodeName, what: Inspect, within: Duration) -> Result<Inspection, AskError> {
        let gone = || AskError::Gone("its node is gone".into());
        let inspector = self.actor::<Inspector>(node, INSPECT).ok_or_else(gone)?;
        let seen = inspector.ask_within(what, within).await?;
        seen.map(|seen| *seen).ok_or_else(gone)
    }

    /// Waits until the node can no longer do what it was started for, and says why: its coordinator panicked, or the cluster counts
    /// this life of it as lost (it was silent for too long). Stop it then, and start it again. Cancel-safe.
    pub async fn failed(&self) -> String {
        let coordinator = async {
            match &self.0.coordinates {
                Some(coordinator) => format!("the coordinator ended: {}", coordinator.ended().await),
                None => std::future::pending().await,
            }
        };
        let agent = async {
            match &self.0.agent {
                Some(agent) => match agent.ended().await {
                    Exit::Stopped => "the cluster counts this life of the node as lost".to_string(),
                    exit => format!("the node's agent ended: {exit}"),
                },
                None => std::future::pending().await,
            }
        };
        playhouse_rt::select! {
            why = coordinator => why,
            why = agent => why,
        }
    }

    /// Stops it: its actors, the youngest first, then its connections. Gives what could not be done within `within`.
    pub async fn stop(&self, within: Duration) -> Shutdown {
        let shutdown = self.0.finder.system.stop(within).await;
        // Those who asked or watched are to hear the last word of an actor, not that of the connection.
        let _ = playhouse_rt::timeout(SETTLE_MAX, self.0.finder.roads.inbox.settled()).await;
        self.0.finder.roads.endpoint.close("the node stops").await;
        shutdown
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}{} at {})", self.name(), self.0.incarnation, self.address())
    }
}
