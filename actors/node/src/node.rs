//! A node: everything below, assembled by one function.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_actors::{ActorStatus, Counters, DeadLetters, NameTaken, Shutdown};
use playhouse_cluster::{Group, GroupError, Profile, Replica};
use playhouse_net::{BindError, Identity, RenewError, Stats};
use playhouse_plane::{Plane, PlaneConfig};
use playhouse_rt::Host;
use playhouse_store::annals::AnnalsError;
use playhouse_store::{OpenError, Store};
use playhouse_wire::Incarnation;

use crate::agent::Agent;
use crate::client::Client;
use crate::coordinator::{Coordinator, coordinator_status};
use crate::coordinators::Coordinators;
use crate::entities::Stage;
use crate::finder::Finder;
use crate::ground::Ground;
use crate::inspect::{INSPECT, Inspect, Inspection, Inspector, Watchtower};
use crate::limits::SETTLE_MAX;
use crate::messages::CoordinatorStatus;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::status::PeerStatus;
use crate::tasks::Tasks;
use crate::tree::Tree;

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
    /// Where nodes of the cluster listen, any of them: asked who the coordinators are, if `coordinators` names none.
    pub join: Vec<SocketAddr>,
    /// What it coordinates with, if it is a coordinator. If it is the only one that `coordinators` names, it begins a cluster, unless it
    /// began one before; if it is not among them, it becomes one.
    pub coordinate: Option<Coordinate>,
    /// How many workers it offers to run; 0: none.
    pub capacity: u32,
    /// The functions that its workers know.
    pub tasks: Tasks,
    /// Where checkpoints of stream shards and of persistent actors go. All nodes that offer workers, or take over persistent actors from each
    /// other, must see the same folder, for a state to outlive its node.
    pub checkpoints: Option<PathBuf>,
    /// Where they go instead, when that is no folder: see [`Store::objects`].
    pub store: Option<Store>,
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

    /// Whether a coordinator has kept its journal there before.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn is_begun(&self, disk: &playhouse_rt::Disk) -> std::io::Result<bool> {
        crate::start::has_journal(disk, &self.data)
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
            join: Vec::new(),
            coordinate: None,
            capacity: 0,
            tasks: Tasks::new(),
            checkpoints: None,
            store: None,
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
    /// No node at the addresses that it was given says who the coordinators are.
    #[error("the cluster cannot be joined, at last for {0}. Are the addresses right, and do nodes run there?")]
    Join(String),
    /// The other coordinators do not take this one among them.
    #[error("this node does not become a coordinator: {0}")]
    Enrol(String),
    /// The folder of the journal cannot be used.
    #[error("the folder {folder} cannot be used for a journal: {error}. Choose one that this user may write, or repair the disk")]
    Data {
        /// The folder.
        folder: String,
        /// What the disk says.
        error: std::io::Error,
    },
    /// The task log beside the journal cannot be used.
    #[error(transparent)]
    TaskLog(#[from] AnnalsError),
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
pub struct Node(pub(crate) Arc<Inner>);

/// What runs.
pub(crate) struct Inner {
    pub(crate) finder: Finder,
    pub(crate) watchtower: Watchtower,
    pub(crate) incarnation: Incarnation,
    pub(crate) store: Option<Store>,
    pub(crate) coordinators: Option<Coordinators>,
    /// The number of the next submission of its clients.
    pub(crate) submissions: Arc<AtomicU64>,
    pub(crate) coordinates: Option<Coordinating>,
    /// What offers workers.
    pub(crate) offers: Option<(Ref<Agent>, Ground)>,
    pub(crate) names: Option<Names>,
    pub(crate) stage: Option<Stage>,
}

/// A coordinator, and its part in the agreement.
pub(crate) type Coordinating = (Ref<Coordinator>, Group<Replica<Plane>>);

impl Node {
    /// Starts a node on `host`: its actors' threads, its endpoint, and the actors that its configuration asks for.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(host: Host, config: NodeConfig) -> Result<Node, StartError> {
        crate::start::start(host, config).await.map(|inner| Node(Arc::new(inner)))
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

    pub(crate) fn store(&self) -> Option<&Store> {
        self.0.store.as_ref()
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
        Client::new(coordinators, format!("{}{}", self.name(), self.0.incarnation), self.0.submissions.clone())
    }

    /// How the coordinator of this node stands among the others; `None` if it has none.
    pub fn coordinator(&self) -> Option<CoordinatorStatus> {
        let (_, group) = self.0.coordinates.as_ref()?;
        Some(group.read(|replica| coordinator_status(group, replica)))
    }

    /// What was wrong with the disk of this node's coordinator, if the one that leads found that it holds less than was acknowledged, and
    /// replaced it: it was an old image, or loses what it calls durable. Look at the disk.
    pub fn forgot(&self) -> Option<String> {
        let (_, group) = self.0.coordinates.as_ref()?;
        group.has_forgotten().map(|waits| waits.to_string())
    }

    /// Waits until the coordinator of this node has applied something, leads, leads no more, or hears of another leader, so that it is other
    /// than `seen`; `None` when it has ended, or the node has none. Cancel-safe.
    pub async fn coordinator_changed(&self, seen: &CoordinatorStatus) -> Option<CoordinatorStatus> {
        let (_, group) = self.0.coordinates.as_ref()?;
        loop {
            let standing = group.standing();
            let now = self.coordinator()?;
            if now != *seen {
                return Some(now);
            }
            group.changed(&standing).await?;
        }
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

    /// Waits until the node can no longer do what it was started for, and says why: its coordinator panicked, the file of its journal is at
    /// fault, or the cluster counts this life of it as lost (it was silent for too long). Stop it then, and start it again. Cancel-safe.
    pub async fn failed(&self) -> String {
        let coordinator = async {
            match &self.0.coordinates {
                Some((coordinator, group)) => {
                    let exit = coordinator.ended().await;
                    format!("the coordinator ended: {}", group.trouble().unwrap_or_else(|| exit.to_string()))
                }
                None => std::future::pending().await,
            }
        };
        let agent = async {
            match &self.0.offers {
                Some((agent, ground)) => match agent.ended().await {
                    Exit::Stopped => format!(
                        "this life of {} is over: {}",
                        self.name(),
                        ground.over.get().map_or("it was told to end", |why| why)
                    ),
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

    /// Waits until it is known that a later life of this node lives, since another node is connected to that one and takes no connection of
    /// this one; and says so. Two processes have one name, or the clock of the host went back between two starts. Stop it then, and do not start
    /// it again by itself: it would drive the other one out. Cancel-safe.
    pub async fn outlived(&self) -> String {
        let (peer, says) = self.0.finder.roads.endpoint.outlived().await;
        format!("{peer} takes no connection of this life of {}: {says}", self.name())
    }

    /// Lets it leave the cluster, before it is stopped: it gets no new tasks and shards, others start workers in place of its own, and what its
    /// workers do comes to its end. At the end of `within` what is left is given to others. True: nothing was left.
    ///
    /// Nothing is left of a node that offers no workers. Dropped, the node goes on without getting anything new.
    pub async fn drain(&self, within: Duration) -> bool {
        match &self.0.offers {
            Some((_, ground)) => ground.drain(within).await,
            None => true,
        }
    }

    /// Stops it: its actors, the youngest first, then its connections. Gives what could not be done within `within`.
    pub async fn stop(&self, within: Duration) -> Shutdown {
        self.0.names.iter().for_each(Names::stop);
        if let Some(stage) = &self.0.stage {
            let _ = playhouse_rt::timeout(within, stage.leave()).await;
        }
        self.resign().await;
        let shutdown = self.0.finder.system.stop(within).await;
        if let Some(names) = &self.0.names {
            names.let_go(shutdown.late.is_empty()).await;
        }
        if let Some((_, group)) = &self.0.coordinates {
            // Nothing, unless it is the only coordinator.
            group.stop().await;
        }
        // Those who asked or watched are to hear the last word of an actor, not that of the connection.
        let _ = playhouse_rt::timeout(SETTLE_MAX, self.0.finder.roads.inbox.settled()).await;
        self.0.finder.roads.endpoint.close("the node stops").await;
        shutdown
    }

    /// Ends its coordinator first: as long as one is stopping that leads, it hears nobody, and would count all nodes as lost. Those who wait
    /// for its answers ask the next one. The results of its own workers are reported to another one; if there is none, it stays for them.
    async fn resign(&self) {
        let Some((coordinator, group)) = &self.0.coordinates else { return };
        if self.0.offers.is_none() || group.members().len() > 1 {
            coordinator.stop();
            let _ = playhouse_rt::timeout(SETTLE_MAX, coordinator.ended()).await;
            group.stop().await;
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}{} at {})", self.name(), self.0.incarnation, self.address())
    }
}
