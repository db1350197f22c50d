//! Certificates end: that of one of three nodes, while it runs. Then another node loses its power and comes back, so that all its
//! connections have to be made anew. In some runs the certificate is renewed later.

mod ended;
mod good;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Authority, Identity, Node, NodeConfig, NodeName};

use super::demo::PORT;
use super::frame::{Oracle, judged, promises};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::{Draw, Fault, Plan};
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Seen>] = &[(ended::PROMISE, ended::breach), (good::PROMISE, good::breach)];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// The nodes. The certificate of the last one ends.
pub(super) const PLACES: &[&str] = &["a", "b", "c"];
const ENDS: &str = PLACES[2];

/// Those of the others last.
const LASTS: Duration = Duration::from_secs(86_400);

/// The nodes must know each other before anything ends.
const READY_WITHIN: Duration = Duration::from_secs(4);

/// For so long it is looked whom the node that came back is connected to, and then for as long again, after the renewal if there is one.
/// Longer than [`Node`]s wait between two dials, and than they take to miss who lost its power.
const LOOK_FOR: Duration = Duration::from_secs(12);

/// When the certificate ends, who goes after that, and whether it is renewed at last.
pub(super) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    let seconds = draw.dial("valid", 5, (5, 9));
    let mut random = draw.random("renewal");
    draw.set("renews", 0, random.below(2));
    let mut random = draw.random("who goes");
    let (node, down_ms) = (PLACES[random.below(2) as usize].to_string(), Some(random.between(2, 3_000)));
    // Certificates count whole seconds.
    let at_ms = seconds * 1_000 + random.between(1_000, 3_000);
    draw.fault(at_ms, Fault::Crash { node, down_ms, lose_disk: false });
    draw.finish()
}

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let verdict = rehearse(&world, &plan, bugs).await.err().unwrap_or(Verdict::Held);
    Outcome::of(verdict, &world)
}

/// What is seen of the nodes, by nobody in the world.
#[derive(Default)]
struct Seen {
    /// Nodes that were connected to all others.
    ready: usize,
    /// The certificate that had ended has been renewed.
    renewed: bool,
    /// What the node that came back saw, before a renewal and after it.
    looks: Vec<Look>,
}

/// Whom a node that came back was connected to, at some moment of a while.
struct Look {
    node: &'static str,
    /// The certificate in question was good.
    good: bool,
    /// To these.
    connected: Vec<&'static str>,
}

type Book = Arc<Mutex<Seen>>;

fn open(book: &Book) -> MutexGuard<'_, Seen> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let crashed = |error: &dyn std::fmt::Display| Verdict::Crashed(error.to_string());
    let authority = Authority::new("sim", rt::sim::wall_clock()).map_err(|error| crashed(&error))?;
    let issue = |name: &str, lasts: Duration| -> Result<Identity, Verdict> {
        authority.issue(&named(name), rt::sim::wall_clock(), lasts).map_err(|error| crashed(&error))
    };
    let addresses: Vec<_> = PLACES.iter().map(|place| (named(place), SocketAddr::new(world.ip(place), PORT))).collect();
    let config = |name: &str, lasts: Duration| -> Result<NodeConfig, Verdict> {
        let mut config = NodeConfig::actors(issue(name, lasts)?, SocketAddr::new(world.ip(name), PORT));
        config.threads = 1;
        config.planted = bugs.net;
        config.peers = addresses.iter().filter(|(peer, _)| peer.as_str() != name).cloned().collect();
        Ok(config)
    };
    let valid = Duration::from_secs(plan.dial("valid"));
    let (book, renewal) = (Book::default(), Arc::new(rt::sync::Notify::new()));
    let began = rt::now();
    let mut configs = BTreeMap::new();
    for place in PLACES {
        configs.insert(*place, config(place, if *place == ENDS { valid } else { LASTS })?);
    }
    for place in PLACES {
        let config = configs[*place].clone();
        let (book, renewal) = (book.clone(), renewal.clone());
        let renewed = issue(place, LASTS)?;
        world.start(place, move |host| first_life(host, config, book, renewal, renewed));
    }
    let ready = async {
        while open(&book).ready < PLACES.len() {
            rt::sleep(Duration::from_millis(50)).await;
        }
    };
    rt::timeout(READY_WITHIN, ready).await.map_err(|_| Verdict::Stuck("the nodes are not connected".into()))?;

    let mut director = Director::new(plan);
    while let Some(cue) = director.next(world).await {
        match cue {
            Cue::Crash { node, lose_disk } => director::fell(world, &node, lose_disk).await,
            Cue::Back(node) if !world.is_up(&node) => {
                let Some((place, config)) = configs.get_key_value(node.as_str()) else { continue };
                let (place, config, book) = (*place, config.clone(), book.clone());
                // In a plan that was not drawn it may come back too early to be looked at.
                let looks = if rt::now() > began + valid + Duration::from_secs(1) { 2 } else { 0 };
                world.start(&node, move |host| second_life(host, config, place, looks, book));
            }
            _ => {}
        }
    }
    rt::sleep(LOOK_FOR + Duration::from_secs(1)).await;
    if plan.dial("renews") > 0 {
        open(&book).renewed = true;
        renewal.notify_one();
    }
    rt::sleep(LOOK_FOR + Duration::from_secs(1)).await;
    judged(&*open(&book), ORACLES)
}

fn named(name: &str) -> NodeName {
    NodeName::new(name).expect("a name")
}

/// A node whose peers are all to be there; one of them is renewed when it is told so.
async fn first_life(host: Host, config: NodeConfig, book: Book, renewal: Arc<rt::sync::Notify>, renewed: Identity) {
    let is_renewed = config.identity.node().as_str() == ENDS;
    let node = start(host, config.clone()).await;
    for (peer, _) in &config.peers {
        node.connected(peer).await;
    }
    open(&book).ready += 1;
    if is_renewed {
        renewal.notified().await;
        node.renew(renewed).unwrap_or_else(|error| panic!("a good certificate is refused: {error}"));
    }
    std::future::pending().await
}

/// The node that came back, and looks around, before a renewal and after it.
async fn second_life(host: Host, config: NodeConfig, place: &'static str, looks: u32, book: Book) {
    let node = start(host, config).await;
    for _ in 0..looks {
        let end = rt::now() + LOOK_FOR;
        let mut connected = Vec::new();
        for peer in PLACES.iter().filter(|peer| **peer != place) {
            // Also when the time is over: then it shows who is connected at the end.
            let left = end.saturating_duration_since(rt::now()).max(Duration::from_millis(1));
            if rt::timeout(left, node.connected(&named(peer))).await.is_ok() {
                connected.push(*peer);
            }
        }
        rt::sleep_until(end).await;
        {
            let mut seen = open(&book);
            let good = seen.renewed;
            seen.looks.push(Look { node: place, good, connected });
        }
        rt::sleep(Duration::from_secs(1)).await;
    }
    std::future::pending().await
}

async fn start(host: Host, config: NodeConfig) -> Node {
    Node::start(host, config).await.unwrap_or_else(|error| panic!("a node does not start: {error}"))
}
