//! Actors of three nodes, under supervisors, that load each other with all that references can do, while parts of them fail and their
//! nodes are cut off, crash, stop and come back. Every message, life and notice is entered in a book, which is held against what actors
//! are promised.

mod book;
mod judge;
mod oracles;
mod plan;
mod player;
mod stage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use playhouse::rt;
use playhouse::rt::sync::Notify;
use playhouse::{NodeConfig, NodeName};
use playhouse_actors::Planted;

use self::book::{NodeState, enter};
use self::oracles::{account, answered, bounded, heals, intensity, linked, notice, once, one_life, order, orderly, urgent};
pub(super) use self::plan::draw;
use self::plan::{Cast, OUTAGE, PLACES, Troubles};
use self::stage::{Script, live};
use super::Outcome;
use super::frame::Papers;
use crate::director::{Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

/// What must hold.
pub(super) const PROMISES: &[&str] = &[
    order::PROMISE,
    urgent::PROMISE,
    once::PROMISE,
    notice::PROMISE,
    linked::PROMISE,
    bounded::PROMISE,
    orderly::PROMISE,
    account::PROMISE,
    one_life::PROMISE,
    intensity::PROMISE,
    heals::PROMISE,
    answered::PROMISE,
];

/// Within so much virtual time all nodes must be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// All dials have succeeded or failed then, so that no connection is replaced by another one any more.
const DIALLED_AFTER: Duration = Duration::from_secs(6);

/// The longest time that a connection lives without a sign of life, and some more.
const SETTLED_AFTER: Duration = Duration::from_secs(7);

const STOPPED_WITHIN: Duration = Duration::from_secs(10);

const PORT: u16 = 4433;

pub(super) async fn run(plan: Plan, planted: Planted) -> Outcome {
    let world = World::of(&plan);
    let verdict = match rehearse(&world, &plan, planted).await {
        Ok(()) => Verdict::Held,
        Err(verdict) => verdict,
    };
    let breach = book::close().and_then(|book| book.breach.clone());
    // What is seen at once says more than what came of it.
    let verdict = breach.map_or(verdict, |(promise, seen)| Verdict::Broken { promise, seen });
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, planted: Planted) -> Result<(), Verdict> {
    let cast = Arc::new(Cast::of(plan));
    let troubles = Troubles::of(plan);
    book::open(cast.parts.map(|part| part.bound), troubles.held);

    let papers = Papers::new()?;
    let addresses = PLACES.map(|place| SocketAddr::new(world.ip(place), PORT));
    let mut scripts = Vec::new();
    for (place, listen) in addresses.iter().enumerate() {
        let mut config = NodeConfig::actors(papers.of(PLACES[place])?, *listen);
        config.threads = 1;
        let peers = PLACES.iter().zip(addresses).filter(|(name, _)| **name != PLACES[place]);
        config.peers = peers.map(|(name, address)| (NodeName::new(name).expect("a name"), address)).collect();
        let stop = Arc::new(Notify::new());
        scripts.push(Script { config, place, cast: cast.clone(), seed: plan.dice, planted, stop });
    }
    let taking_part = || scripts.iter().filter(|script| plan.has(PLACES[script.place]));
    for script in taking_part() {
        begin(world, script);
    }
    let all = taking_part().count();
    let ready = || enter(|book| book.nodes.len() == all && book.nodes.iter().all(|node| node.ready)) == Some(true);
    until(READY_WITHIN, ready).await.map_err(|()| Verdict::Stuck("the nodes are not ready".into()))?;

    if !troubles.hasty {
        rt::sleep(DIALLED_AFTER).await;
    }
    let mut director = Director::new(plan);
    let mut rest = std::pin::pin!(rt::sleep(Duration::from_millis(plan.dial("load-ms"))));
    enter(|book| book.load = true);
    loop {
        let cue = rt::select! {
            cue = director.next(world) => cue,
            () = rest.as_mut() => break,
        };
        match cue {
            Some(cue) => follow(cue, world, &scripts).await?,
            None => {
                rest.as_mut().await;
                break;
            }
        }
    }
    enter(|book| (book.load, book.calm) = (false, true));
    while let Some(cue) = director.next(world).await {
        follow(cue, world, &scripts).await?;
    }

    enter(|book| book.healing = true);
    let healed = || enter(|book| heals::is_well(book)) == Some(true);
    if until(heals::HEALED_WITHIN, healed).await.is_err() {
        let seen = enter(|book| heals::open(book)).unwrap_or_default();
        return Err(Verdict::Broken { promise: heals::PROMISE, seen });
    }
    rt::sleep(SETTLED_AFTER).await;
    judged(|book| judge::quiet(book, &troubles))?;
    scripts.iter().for_each(|script| script.stop.notify_one());
    stopped().await?;
    // What runs after the stop would show now.
    rt::sleep(Duration::from_secs(1)).await;
    judged(|book| judge::stopped(book, &troubles, &cast))
}

fn begin(world: &World, script: &Script) {
    let script = script.clone();
    world.start(PLACES[script.place], |host| live(host, script));
}

/// Does what the plan cannot do by itself.
async fn follow(cue: Cue, world: &World, scripts: &[Script]) -> Result<(), Verdict> {
    let at = |node: &str| PLACES.iter().position(|place| *place == node).unwrap_or_default();
    match cue {
        Cue::Crash { node, .. } => {
            enter(|book| book.node_at(at(&node)).map(|node| book.node_ends(node, NodeState::Crashed)));
            world.crash(&node).await;
        }
        Cue::Stop(node) => scripts[at(&node)].stop.notify_one(),
        Cue::Back(node) => {
            stopped().await?;
            world.end(&node).await;
            begin(world, &scripts[at(&node)]);
            let ready = || enter(|book| book.node_at(at(&node)).is_some_and(|node| book.nodes[node].ready)) == Some(true);
            until(READY_WITHIN, ready).await.map_err(|()| Verdict::Stuck(format!("{node} does not come back")))?;
        }
        Cue::Own { name, numbers, lasts } => {
            assert_eq!((&*name, numbers.len()), (OUTAGE, 2), "the plan names a fault that this scenario does not know");
            let place = (numbers[0] as usize, numbers[1] as usize);
            enter(|book| book.outages.insert(place, rt::now() + lasts));
        }
    }
    Ok(())
}

/// Waits for the nodes that are stopping.
async fn stopped() -> Result<(), Verdict> {
    rt::sleep(Duration::from_millis(10)).await;
    let none = || enter(|book| book.nodes.iter().all(|node| node.state != NodeState::Stopping)) == Some(true);
    until(STOPPED_WITHIN, none).await.map_err(|()| Verdict::Stuck("a node does not stop".into()))
}

async fn until(limit: Duration, done: impl Fn() -> bool) -> Result<(), ()> {
    let wait = async {
        while !done() {
            rt::sleep(Duration::from_millis(50)).await;
        }
    };
    rt::timeout(limit, wait).await.map_err(drop)
}

fn judged(judge: impl FnOnce(&mut book::Book)) -> Result<(), Verdict> {
    let breach = enter(|book| {
        judge(book);
        book.breach.clone()
    });
    match breach.flatten() {
        None => Ok(()),
        Some((promise, seen)) => Err(Verdict::Broken { promise, seen }),
    }
}
