//! A node: everything below, assembled by one function.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_actors::{ActorStatus, Counters, DeadLetters, NameTaken, Shutdown};
use playhouse_cluster::{Group, GroupError, Member, Profile, Replica};
use playhouse_net::{BindError, Config, Endpoint, Identity, RenewError, Stats};
use playhouse_plane::{MonitorConfig, Plane, PlaneConfig};
use playhouse_rt::{Blocking, Host};
use playhouse_store::{OpenError, Store};
use playhouse_wire::{ActorName, Incarnation};

use crate::agent::{AGENT, Agent, PeerLink};
use crate::agreement::{AGREEMENT, Agreement, Calls};
use crate::client::Client;
use crate::coordinator::{COORDINATOR, Coordinator, Link, PlaneHands};
use crate::coordinators::Coordinators;
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
    /// The coordinators of the cluster, this node perhaps among them. It keeps a connection to each, and hears of others from them. None for
    /// nodes that only have actors.
    pub coordinators: Vec<(NodeName, SocketAddr)>,
    /// What it coordinates with, if it is a coordinator.
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
    /// The plane's choices. Those of the coordinator that leads a new cluster first are the cluster's.
    pub plane: PlaneConfig,
    /// The folder of its journal, which is its own: all that the cluster agreed on. Without it the node is another one.
    pub data: PathBuf,
    /// How fast the coordinators notice that the one that leads is gone.
    pub profile: Profile,
}

impl Coordinate {
    /// With a journal in `data`, and the usual choices.
    pub fn new(data: impl Into<PathBuf>) -> Coordinate {
        Coordinate { plane: PlaneConfig::default(), data: data.into(), profile: Profile::FAST }
    }
}

impl NodeConfig {
    /// A node of the cluster of these coordinators. It offers no workers yet.
    pub fn new(identity: Identity, listen: SocketAddr, coordinators: Vec<(NodeName, SocketAddr)>) -> NodeConfig {
        NodeConfig { coordinators, ..NodeConfig::actors(identity, listen) }
    }

    /// The only coordinator of a cluster.
    pub fn coordinator(identity: Identity, listen: SocketAddr, coordinate: Coordinate) -> NodeConfig {
        let coordinators = vec![(identity.node().clone(), listen)];
        NodeConfig { coordinate: Some(coordinate), ..NodeConfig::new(identity, listen, coordinators) }
    }

    /// A node for actors alone, without workers, tasks or a coordinator.
    pub fn actors(identity: Identity, listen: SocketAddr) -> NodeConfig {
        NodeConfig {
            identity,
            listen,
            peers: Vec::new(),
            coordinators: Vec::new(),
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
    /// The folder of the journal cannot be used.
    #[error("the folder {folder} cannot be used for a journal: {error}")]
    Data {
        /// The folder.
        folder: String,
        /// What the disk says.
        error: std::io::Error,
    },
    /// The folder for checkpoints cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Its part in the agreement of the coordinators cannot be taken: its journal is at fault.
    #[error(transparent)]
    Group(#[from] GroupError),
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
    coordinators: Option<Coordinators>,
    coordinates: Option<(Ref<Coordinator>, Group<Replica<Plane>>)>,
    agent: Option<Ref<Agent>>,
}

impl Node {
    /// Starts a node on `host`: its actors' threads, its endpoint, and the actors that its configuration asks for.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(host: Host, config: NodeConfig) -> Result<Node, StartError> {
        let name = config.identity.node().clone();
        let listed = config.coordinators.iter().any(|(coordinator, _)| *coordinator == name);
        if config.coordinate.is_some() != listed {
            let (is, are) = if listed { ("lacks", "name it") } else { ("has", "do not name it") };
            return Err(StartError::Config(format!("{name} {is} `coordinate`, but `coordinators` {are}")));
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

        let mut listed = config.coordinators;
        for (coordinator, address) in &mut listed {
            if *coordinator == name {
                // It may listen at a port that was chosen for it.
                *address = endpoint.local_addr();
            } else {
                endpoint.connect(coordinator.clone(), *address);
            }
        }
        let coordinators = Coordinators::new(finder.clone(), &listed);
        if let Some(coordinators) = &coordinators {
            coordinators.follow(&system)?;
        }
        let (mut coordinates, mut offers) = (None, None);
        if let (Some(coordinate), Some(coordinators)) = (config.coordinate, &coordinators) {
            let started = start_coordinator(&finder, incarnation, coordinate, coordinators.clone(), &listed).await?;
            let hears = started.0.clone();
            inbox.listen(Box::new(move |node, incarnation, up| {
                // If there is no room for it, silence will be noticed, and a node that asks is told who leads.
                let _ = hears.tell(Link { node: node.clone(), incarnation, up });
            }));
            coordinates = Some(started);
        }
        if let Some(store) = store {
            let coordinators = coordinators.clone();
            let ground = Ground {
                node: name.clone(),
                incarnation,
                coordinators: coordinators
                    .ok_or_else(|| StartError::Config("a node that offers workers needs to know a coordinator".into()))?,
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
                // If there is no room for this, a coordinator that does not know this life asks for it at its next beat.
                let _ = agent.tell(PeerLink { node: node.clone(), up });
            }));
        }
        for (peer, address) in config.peers {
            endpoint.connect(peer, address);
        }
        Ok(Node(Arc::new(Inner { finder, watchtower, incarnation, coordinators, coordinates, agent: offers })))
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
    /// When the node was started without knowing a coordinator.
    pub fn client(&self) -> Client {
        let coordinators = self.0.coordinators.clone().expect("the node was started with coordinators");
        Client::new(coordinators, format!("{}{}", self.name(), self.0.incarnation))
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
                Some((coordinator, _)) => format!("the coordinator ended: {}", coordinator.ended().await),
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
        if let Some((_, group)) = &self.0.coordinates {
            group.stop().await;
        }
        // Those who asked or watched are to hear the last word of an actor, not that of the connection.
        let _ = playhouse_rt::timeout(SETTLE_MAX, self.0.finder.roads.inbox.settled()).await;
        self.0.finder.roads.endpoint.close("the node stops").await;
        shutdown
    }
}

/// Takes part in the agreement of the coordinators, and starts the one of this node.
async fn start_coordinator(
    finder: &Finder,
    incarnation: Incarnation,
    coordinate: Coordinate,
    coordinators: Coordinators,
    listed: &[(NodeName, SocketAddr)],
) -> Result<(Ref<Coordinator>, Group<Replica<Plane>>), StartError> {
    let (name, system) = (finder.system.node(), &finder.system);
    let Coordinate { mut plane, data, profile } = coordinate;
    // Above all that an earlier cluster of this name gave, unless that took more than a thousand jobs a millisecond: a late report to that
    // one must not be mistaken for one to this.
    if !plane.planted.reuse_job_numbers {
        plane.first_job = plane.first_job.max(incarnation.0.saturating_mul(JOBS_PER_MS));
    }
    let disk = finder.host.disk().clone();
    disk.create_dir_all(&data).map_err(|error| StartError::Data { folder: data.display().to_string(), error })?;
    let journal = (disk, data.join("journal.redb"), Blocking::new(2));
    let calls = Arc::new(Calls { system: system.clone(), roads: Arc::downgrade(&finder.roads) });
    let group = Group::join(name.clone(), profile, journal, Replica::new(name, incarnation), calls).await?;
    let agreement = {
        let (group, coordinators) = (group.clone(), coordinators.clone());
        move || Agreement { group: group.clone(), coordinators: coordinators.clone() }
    };
    let options = SpawnOptions { stoppable: false, ..SpawnOptions::default() };
    system.spawn_remote(ActorName::new(AGREEMENT).expect("a name"), options, agreement)?;
    let mut hands = Some(PlaneHands::new(finder.clone(), coordinators, plane));
    let shared = group.clone();
    let factory = move || {
        let hands = hands.take().expect("a coordinator is never built anew");
        Coordinator::new(shared.clone(), hands)
    };
    // After a panic the node starts anew: what was agreed on is in the journal.
    let options = SpawnOptions { mailbox: PLANE_MAILBOX, restart: Restart::NEVER, stoppable: false, ..SpawnOptions::default() };
    let coordinator = system.spawn_remote(ActorName::new(COORDINATOR).expect("a name"), options, factory)?;
    let member = |(name, address): &(NodeName, SocketAddr)| Member { name: name.to_string(), address: address.to_string() };
    group.found(&listed.iter().map(member).collect::<Vec<_>>()).await?;
    Ok((coordinator, group))
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}{} at {})", self.name(), self.0.incarnation, self.address())
    }
}
