//! A cluster that nothing befalls but the weather: its nodes keep their connections, beat, and have nothing to do. Nobody may be given up
//! who lives; and since next to nothing happens, it shows how fast virtual time passes.

mod asked;
mod known;
mod spread;
mod trusted;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Node, NodeConfig};

use self::asked::Slowest;
use super::demo::{PORT, head_config, worker_config};
use super::frame::Papers;
use super::{Bugs, Outcome};
use crate::plan::{Draw, Plan};
use crate::verdict::Verdict;
use crate::world::World;

/// What must hold.
pub(super) const PROMISES: &[&str] = &[trusted::PROMISE, known::PROMISE, asked::PROMISE, spread::PROMISE];

/// The nodes; the first one coordinates.
pub(super) const PLACES: &[&str] = &["head", "a", "b", "c", "d", "e", "f"];

/// Within so much virtual time after the quiet the coordinator must say who is there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Five nodes for ten minutes.
pub(super) fn draw(seed: u64) -> Plan {
    sized(seed, 5, 600)
}

/// Three nodes for ten seconds: what a test of somebody's own actors may look like.
pub(super) fn draw_brief(seed: u64) -> Plan {
    sized(seed, 3, 10)
}

fn sized(seed: u64, nodes: u64, seconds: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.set("nodes", 2, nodes);
    draw.set("seconds", 1, seconds);
    draw.finish()
}

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let verdict = match rehearse(&world, &plan, bugs).await {
        Ok(()) => Verdict::Held,
        Err(verdict) => verdict,
    };
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let papers = Papers::new()?;
    let head = SocketAddr::new(world.ip("head"), PORT);
    let workers = &PLACES[1..plan.count("nodes").clamp(2, PLACES.len())];
    let given_up: Arc<AtomicU64> = Arc::default();
    let config = head_config(&papers, head, bugs.plane)?;
    let (tell, told) = rt::sync::oneshot::channel();
    let quiet = Duration::from_secs(plan.dial("seconds"));
    let slowest = Slowest::default();
    let asked = slowest.clone();
    world.start("head", move |host| async move {
        let node = begin(host, config, bugs).await;
        asked::begin(&node, quiet, asked);
        rt::sleep(quiet).await;
        let _ = tell.send(node.client().status().await);
        std::future::pending::<()>().await;
    });
    for name in workers {
        let config = worker_config(&papers, name, world, head)?;
        let (given_up, asked) = (given_up.clone(), slowest.clone());
        world.start(name, move |host| async move {
            let node = begin(host, config, bugs).await;
            asked::begin(&node, quiet, asked);
            let why = node.failed().await;
            rt::ledger::record("failed", || why);
            given_up.fetch_add(1, Ordering::Relaxed);
        });
    }
    let status = rt::timeout(quiet + ANSWERS_WITHIN, told).await.map_err(|_| Verdict::Stuck("there is no answer".into()))?;
    let status = status.map_err(|_| Verdict::Crashed("the coordinator is gone".into()))?;
    trusted::judge(given_up.load(Ordering::Relaxed))?;
    known::judge(status, workers.len())?;
    asked::judge(&slowest)?;
    spread::judge()
}

async fn begin(host: Host, config: NodeConfig, bugs: Bugs) -> Node {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("a node does not start: {error}"));
    node.system().plant(bugs.actors);
    node
}
