//! Persistent actors, some of which keep events, and tasks that save how far they are, on two worker nodes with one folder of checkpoints.
//! The nodes lose their power, stand still and have sick disks; actors panic, and are taken over by the other node while the one before
//! lives on and knows nothing of it. What was answered as durable is found again, always.

mod actor;
mod book;
mod oracles;
mod plan;
mod tasks;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use playhouse::rt::{self, Host, Random};
use playhouse::{Node, NodeConfig};

pub(super) use self::plan::draw;

use self::book::{BOOK, Book, enter};
use super::demo::{DONE_WITHIN, NODES, PORT, WORKERS, client_config, head_config, live, start, worker_config};
use super::frame::{Oracle, Papers, promises, until};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::durable::PROMISE, oracles::durable::breach),
    (oracles::forward::PROMISE, oracles::forward::breach),
    (oracles::once::PROMISE, oracles::once::breach),
    (oracles::progress::PROMISE, oracles::progress::breach),
    (oracles::heals::PROMISE, oracles::heals::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// All of them.
pub(super) const PLACES: &[&str] = &["head", "a", "b", "client"];

const CHECKPOINTS: &str = "/checkpoints";

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let (verdict, _) = BOOK.keep(Book::new(), rehearse(&world, &plan, bugs)).await;
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    world.share(Path::new(CHECKPOINTS));
    let papers = Papers::new()?;
    let head = SocketAddr::new(world.ip("head"), PORT);
    let config = head_config(&papers, head, bugs.plane)?;
    world.start("head", move |host| live(host, config, bugs.actors));
    let mut lives = 0;
    let mut begin = |name: &str| -> Result<(), Verdict> {
        lives += 1;
        let config = NodeConfig { tasks: tasks::all(), ..worker_config(&papers, name, world, head)? };
        let (place, dice) = (name.to_string(), Random::new(plan.dice, &format!("load {lives}")).next_u64());
        let pace = plan.dial("pace");
        world.start(name, move |host| act(host, config, bugs.actors, place, dice, pace));
        Ok(())
    };
    NODES.into_iter().try_for_each(&mut begin)?;
    let (config, count) = (client_config(&papers, world, head)?, plan.dial("tasks"));
    world.start("client", move |host| tasks::submit(host, config, count, WORKERS as usize));
    let limit = "the load did not begin";
    until(DONE_WITHIN, limit, || enter(|book| book.submitted && book.answers_at_all_homes()).unwrap_or(false)).await?;

    let mut director = Director::new(plan);
    while let Some(cue) = director.next(world).await {
        match cue {
            Cue::Crash { node, lose_disk } => director::fell(world, &node, lose_disk).await,
            Cue::Back(node) if !world.is_up(&node) => begin(&node)?,
            Cue::Own { numbers, .. } => {
                let actor = numbers.first().copied().unwrap_or_default() as usize % actor::COUNT;
                rt::reachable!("taken-over");
                enter(|book| book.hand_over(actor));
            }
            _ => {}
        }
        BOOK.judge(&ORACLES[..4])?;
    }
    world.end_faults();
    for name in NODES {
        if !world.is_up(name) {
            begin(name)?;
        }
    }
    enter(Book::faults_end);
    let healed = || enter(|book| book.answers_at_all_homes()).unwrap_or(false);
    let within = oracles::heals::HEALED_WITHIN;
    let _ = until(within, "", healed).await;
    until(DONE_WITHIN, "the job was not done", || enter(|book| book.result.is_some()).unwrap_or(false)).await?;
    BOOK.judge(ORACLES)
}

/// A worker node's process: it has the actors whose home it is, and starts its node anew when the cluster has given it up.
async fn act(host: Host, config: NodeConfig, planted: playhouse_actors::Planted, place: String, dice: u64, pace: u64) {
    loop {
        let node: Node = start(&host, &config).await;
        node.system().plant(planted);
        let drivers: Vec<_> = (0..actor::COUNT)
            .map(|number| {
                let random = Random::new(dice, &format!("actor {number}"));
                rt::spawn(actor::drive(node.clone(), place.clone(), number, random, pace))
            })
            .collect();
        let why = node.failed().await;
        rt::reachable!("failed");
        rt::ledger::record("failed", || why);
        drivers.iter().for_each(rt::Task::abort);
        node.stop(Duration::from_secs(3)).await;
    }
}
