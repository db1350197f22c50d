//! Three coordinators, three nodes that host entities, offer a singleton and claim a name, and two that tell the entities numbers. Hosts leave
//! and come back, nodes lose their power, stand still, or are cut off from each other. Nothing has two owners, nothing lives twice, and what
//! was told comes in order.

mod book;
mod host;
mod oracles;
mod plan;
mod sender;

use std::net::SocketAddr;
use std::time::Duration;

use playhouse::rt;
use playhouse::{Authority, Coordinate, Identity, NodeConfig, NodeName, PlaneConfig};

pub(super) use self::plan::draw;

use self::book::{Book, enter};
use super::trio::{Oracle, judged};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::owner::PROMISE, oracles::owner::breach),
    (oracles::active::PROMISE, oracles::active::breach),
    (oracles::order::PROMISE, oracles::order::breach),
    (oracles::lost::PROMISE, oracles::lost::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] =
    &[oracles::owner::PROMISE, oracles::active::PROMISE, oracles::order::PROMISE, oracles::lost::PROMISE];

/// The coordinators.
const HEADS: [&str; 3] = ["x", "y", "z"];

/// The hosts.
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// Those who tell entities something.
const SENDERS: [&str; 2] = ["d", "e"];

/// All of them.
pub(super) const PLACES: &[&str] = &["x", "y", "z", "a", "b", "c", "d", "e"];

const PORT: u16 = 4433;

/// The coordinators' journals: each has its own disk.
const DATA: &str = "/data";

/// Within so much virtual time after the last fault all that was told has been heard, and all asks are answered.
const DONE_WITHIN: Duration = Duration::from_secs(90);

/// How often the promises are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    book::open();
    let verdict = rehearse(&world, &plan, bugs).await.err().unwrap_or(Verdict::Held);
    book::close();
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let authority = Authority::new("sim", rt::sim::wall_clock()).map_err(|error| Verdict::Crashed(error.to_string()))?;
    let start = |name: &str| -> Result<(), Verdict> {
        let config = config(world, &authority, name, bugs)?;
        let part = host::Part::new(name, plan);
        world.start(name, move |host| host::live(host, config, part, bugs.actors));
        Ok(())
    };
    HEADS.into_iter().chain(HOSTS).try_for_each(start)?;
    for name in SENDERS {
        let config = config(world, &authority, name, bugs)?;
        let script = sender::Script::new(name, plan);
        world.start(name, |host| sender::live(host, config, script));
    }
    until(DONE_WITHIN, "the senders never began", || enter(|book| book.begun == SENDERS.len()).unwrap_or(false)).await?;
    enter(|book| book.is_calm = plan::is_calm(plan));

    let mut director = Director::new(plan);
    loop {
        let cue = rt::select! {
            cue = director.next(world) => cue,
            () = rt::sleep(LOOK_EVERY) => {
                look()?;
                continue;
            }
        };
        match cue {
            Some(Cue::Crash { node, lose_disk }) => {
                director::fell(world, &node, lose_disk).await;
                enter(|book| book.fell(&node));
            }
            Some(Cue::Back(node)) if !world.is_up(&node) => start(&node)?,
            Some(Cue::Own { numbers, lasts, .. }) => {
                let host = numbers.first().copied().unwrap_or_default() as usize % HOSTS.len();
                enter(|book| book.away[host] = Some(rt::now() + lasts));
            }
            Some(_) => {}
            None => break,
        }
        look()?;
    }
    world.end_faults();
    enter(|book| book.over = true);
    until(DONE_WITHIN, "a sender has no answer", || {
        enter(|book| book.ended == SENDERS.len()).unwrap_or(false) || look().is_err()
    })
    .await?;
    look()
}

/// Whether all promises hold.
fn look() -> Result<(), Verdict> {
    enter(|book| {
        book.look();
        judged(book, ORACLES)
    })
    .unwrap_or(Ok(()))
}

/// Waits for what the book says.
async fn until(limit: Duration, late: &str, done: impl Fn() -> bool) -> Result<(), Verdict> {
    let wait = async {
        let mut ticks = rt::interval(Duration::from_millis(20));
        while !done() {
            ticks.tick().await;
        }
    };
    rt::timeout(limit, wait).await.map_err(|_| Verdict::Stuck(format!("{late} within {limit:?} of virtual time")))
}

fn config(world: &World, authority: &Authority, name: &str, bugs: Bugs) -> Result<NodeConfig, Verdict> {
    let crashed = |error: &dyn std::fmt::Display| Verdict::Crashed(error.to_string());
    let named = |name: &str| NodeName::new(name).map_err(|error| crashed(&error));
    let address = |name: &str| SocketAddr::new(world.ip(name), PORT);
    let day = Duration::from_secs(86_400);
    let identity: Identity = authority.issue(&named(name)?, rt::sim::wall_clock(), day).map_err(|error| crashed(&error))?;
    let heads = HEADS.into_iter().map(|head| Ok((named(head)?, address(head)))).collect::<Result<Vec<_>, Verdict>>()?;
    let mut config = NodeConfig::new(identity, address(name), heads);
    config.threads = 1;
    if HEADS.contains(&name) {
        let plane = PlaneConfig { planted: bugs.plane, ..PlaneConfig::default() };
        config.coordinate = Some(Coordinate { plane, ..Coordinate::new(DATA) });
    }
    Ok(config)
}
