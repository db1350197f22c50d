//! What scenarios have in common: the book that is kept outside of the simulated nodes, promises that follow from their oracles, nodes that
//! start again, and waiting for what the book says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::LocalKey;
use std::time::Duration;

use playhouse::rt::sync::oneshot;
use playhouse::rt::{self, Host};
use playhouse::{Authority, Client, Coordinate, Identity, Node, NodeConfig, NodeName, PlaneConfig, Profile};

use super::Bugs;
use crate::verdict::Verdict;
use crate::world::World;

/// Where all nodes listen.
pub(super) const PORT: u16 = 4433;

/// The coordinators' journals: each has its own disk.
pub(super) const DATA: &str = "/data";

/// A node that cannot start, its disk being sick, is started again after so long.
pub(super) const START_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// So often, before its owner would look at it.
const STARTS_MAX: u32 = 100;

const DAY: Duration = Duration::from_secs(86_400);

/// How often it is looked again whether something is so.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long a node may take to stop that starts again at once.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// What becomes of a promise: its text, and what in the book breaks it, if anything does.
pub(super) type Oracle<B> = (&'static str, fn(&B) -> Option<String>);

/// The promises of these oracles: what is listed is what is judged.
pub(super) const fn promises<B, const N: usize>(oracles: &[Oracle<B>]) -> [&'static str; N] {
    assert!(oracles.len() == N, "each oracle has its promise");
    let (mut promises, mut at) = ([""; N], 0);
    while at < N {
        promises[at] = oracles[at].0;
        at += 1;
    }
    promises
}

/// These promises and those.
pub(super) const fn joined<const N: usize>(these: &[&'static str], those: &[&'static str]) -> [&'static str; N] {
    assert!(these.len() + those.len() == N, "all of them");
    let (mut all, mut at) = ([""; N], 0);
    while at < N {
        all[at] = if at < these.len() { these[at] } else { those[at - these.len()] };
        at += 1;
    }
    all
}

/// The first broken promise.
pub(super) fn judged<B>(book: &B, oracles: &[Oracle<B>]) -> Result<(), Verdict> {
    for (promise, breach) in oracles {
        if let Some(seen) = breach(book) {
            rt::ledger::record("breach", || seen.clone());
            return Err(Verdict::Broken { promise, seen });
        }
    }
    Ok(())
}

/// Where the book of a run lies: all nodes of a run are tasks of one thread.
pub(super) struct Shelf<B: 'static>(&'static LocalKey<RefCell<Option<B>>>);

impl<B> Shelf<B> {
    pub(super) const fn new(place: &'static LocalKey<RefCell<Option<B>>>) -> Shelf<B> {
        Shelf(place)
    }

    /// Rehearses with this book, and gives it when all is over.
    pub(super) async fn keep(&self, book: B, rehearsal: impl Future<Output = Result<(), Verdict>>) -> (Verdict, Option<B>) {
        self.0.set(Some(book));
        let verdict = rehearsal.await.err().unwrap_or(Verdict::Held);
        // Taken first, dropped later: what it holds may write when it is dropped.
        (verdict, self.0.take())
    }

    /// Writes into the book. Gives nothing when there is none any more.
    pub(super) fn enter<T>(&self, write: impl FnOnce(&mut B) -> T) -> Option<T> {
        // When the thread ends, late drops find no book; and a drop within a write enters nothing.
        self.0.try_with(|book| book.try_borrow_mut().ok()?.as_mut().map(write)).ok().flatten()
    }

    /// The first broken promise, as far as the book goes.
    pub(super) fn judge(&self, oracles: &[Oracle<B>]) -> Result<(), Verdict> {
        self.enter(|book| judged(book, oracles)).unwrap_or(Ok(()))
    }
}

/// Waits for what the book says.
pub(super) async fn until(limit: Duration, late: &str, done: impl Fn() -> bool) -> Result<(), Verdict> {
    let wait = async {
        let mut ticks = rt::interval(Duration::from_millis(20));
        while !done() {
            ticks.tick().await;
        }
    };
    rt::timeout(limit, wait).await.map_err(|_| Verdict::Stuck(format!("{late} within {limit:?} of virtual time")))
}

/// Waits for what has to be asked for, looking again a moment later.
pub(super) async fn wait(limit: Duration, late: &str, mut done: impl AsyncFnMut() -> bool) -> Result<(), Verdict> {
    let waits = async {
        while !done().await {
            rt::sleep(ASK_EVERY).await;
        }
    };
    rt::timeout(limit, waits).await.map_err(|_| Verdict::Stuck(format!("{late} within {limit:?} of virtual time")))
}

/// An operator of the cluster, who has so much patience: the client of a node of this name.
pub(super) async fn operator(world: &World, name: &str, config: NodeConfig, patience: Duration) -> Result<Client, Verdict> {
    let (tell, told) = oneshot::channel();
    world.start(name, move |host| lend(host, config, patience, tell));
    let client = rt::timeout(patience, told).await.ok().and_then(Result::ok);
    client.ok_or_else(|| Verdict::Crashed("the operator has no client".into()))
}

/// The operator's process: it lends its client.
async fn lend(host: Host, config: NodeConfig, patience: Duration, tell: oneshot::Sender<Client>) {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("the operator does not start: {error}"));
    let _ = tell.send(node.client().with_patience(patience));
    // Its connections stay until the world ends.
    std::future::pending().await
}

/// Starts a node, again and again while its disk is sick.
pub(super) async fn start(host: &Host, config: &NodeConfig, planted: playhouse_actors::Planted) -> Node {
    let mut tries = 0;
    loop {
        match Node::start(host.clone(), config.clone()).await {
            Ok(node) => {
                node.system().plant(planted);
                return node;
            }
            Err(error) => {
                rt::ledger::record("not-started", || error.to_string());
                tries += 1;
                assert!(tries < STARTS_MAX, "a node does not start: {error}");
                rt::sleep(START_AGAIN_AFTER).await;
            }
        }
    }
}

/// A node's process: it starts the node and does its work there, and starts it anew when the cluster has given it up, its disk failed, or
/// the work says why it is over.
pub(super) async fn live<F: Future<Output = String>>(
    host: Host,
    config: NodeConfig,
    planted: playhouse_actors::Planted,
    work: impl Fn(Node) -> F,
) {
    loop {
        let node = start(&host, &config, planted).await;
        let why = rt::select! {
            why = node.failed() => why,
            why = work(node.clone()) => why,
        };
        rt::reachable!("failed");
        rt::ledger::record("failed", || why.clone());
        node.stop(STOP_WITHIN).await;
        rt::sleep(START_AGAIN_AFTER).await;
    }
}

/// The certificates of a run, all of one authority. A node's lies where its later lives find it.
pub(super) struct Papers {
    authority: Authority,
    issued: RefCell<BTreeMap<String, Identity>>,
}

impl Papers {
    pub(super) fn new() -> Result<Papers, Verdict> {
        let authority = Authority::new("sim", rt::sim::wall_clock()).map_err(|error| Verdict::Crashed(error.to_string()))?;
        Ok(Papers { authority, issued: RefCell::default() })
    }

    /// Those of this node.
    pub(super) fn of(&self, name: &str) -> Result<Identity, Verdict> {
        if let Some(identity) = self.issued.borrow().get(name) {
            return Ok(identity.clone());
        }
        let crashed = |error: &dyn std::fmt::Display| Verdict::Crashed(error.to_string());
        let node = NodeName::new(name).map_err(|error| crashed(&error))?;
        let identity = self.authority.issue(&node, rt::sim::wall_clock(), DAY).map_err(|error| crashed(&error))?;
        self.issued.borrow_mut().insert(name.into(), identity.clone());
        Ok(identity)
    }
}

/// What a node of a cluster of these coordinators is started with. One that is a coordinator has its journal on its own disk; nobody offers
/// workers yet.
pub(super) fn config(world: &World, papers: &Papers, name: &str, heads: &[&str], bugs: Bugs) -> Result<NodeConfig, Verdict> {
    let named = |name: &str| NodeName::new(name).map_err(|error| Verdict::Crashed(error.to_string()));
    let address = |name: &str| SocketAddr::new(world.ip(name), PORT);
    let listed = heads.iter().map(|head| Ok((named(head)?, address(head)))).collect::<Result<Vec<_>, Verdict>>()?;
    let mut config = NodeConfig::new(papers.of(name)?, address(name), listed);
    config.threads = 1;
    if heads.contains(&name) {
        config.coordinate = Some(coordinate(bugs));
    }
    Ok(config)
}

/// What a coordinator coordinates with.
pub(super) fn coordinate(bugs: Bugs) -> Coordinate {
    let plane = PlaneConfig { planted: bugs.plane, ..PlaneConfig::default() };
    let profile = Profile { planted: bugs.agreement, ..Profile::FAST };
    Coordinate { plane, profile, ..Coordinate::new(DATA) }
}
