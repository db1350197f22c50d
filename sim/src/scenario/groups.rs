//! What else actors are promised on three nodes: groups and topics, drains, children of supervisors that come and go at run time, work on
//! the bounded pool, timers and intervals. While they are used, links are cut and a node goes and comes back.

mod book;
mod bucket;
mod clock;
mod crew;
mod member;
mod office;
mod oracles;

use std::time::Duration;

use playhouse::prelude::*;
use playhouse_actors::Planted;

use self::book::enter;
use super::Outcome;
use super::trio::{self, Oracle, Play, Stage};
use crate::plan::{Draw, Plan};
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<book::Book>] = &[
    (oracles::told_once::PROMISE, oracles::told_once::breach),
    (oracles::told_all::PROMISE, oracles::told_all::breach),
    (oracles::drained::PROMISE, oracles::drained::breach),
    (oracles::children::PROMISE, oracles::children::breach),
    (oracles::reverse::PROMISE, oracles::reverse::breach),
    (oracles::pool::PROMISE, oracles::pool::breach),
    (oracles::offloaded::PROMISE, oracles::offloaded::breach),
    (oracles::timers::PROMISE, oracles::timers::breach),
    (oracles::intervals::PROMISE, oracles::intervals::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &[
    oracles::told_once::PROMISE,
    oracles::told_all::PROMISE,
    oracles::drained::PROMISE,
    oracles::children::PROMISE,
    oracles::reverse::PROMISE,
    oracles::pool::PROMISE,
    oracles::offloaded::PROMISE,
    oracles::timers::PROMISE,
    oracles::intervals::PROMISE,
];

const LOAD_MS: u64 = 1_500;

/// What befalls the nodes.
pub(super) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.set("load-ms", 50, LOAD_MS);
    trio::draw_faults(&mut draw, LOAD_MS);
    draw.finish()
}

pub(super) async fn run(plan: Plan, planted: Planted) -> Outcome {
    let world = World::of(&plan);
    book::open();
    let load = Duration::from_millis(plan.dial("load-ms"));
    let play = Play { load, begin: |stage| Box::pin(begin(stage)), judge };
    let verdict = trio::rehearse(&world, &plan, planted, play).await.err().unwrap_or(Verdict::Held);
    book::close();
    Outcome::of(verdict, &world)
}

fn judge() -> Result<(), Verdict> {
    enter(|book| trio::judged(book, ORACLES)).unwrap_or(Ok(()))
}

async fn begin(stage: Stage) {
    member::begin(&stage);
    bucket::begin(&stage);
    office::begin(&stage);
    clock::begin(&stage);
    crew::begin(&stage).await;
}

fn actor_name(name: &str) -> ActorName {
    ActorName::new(name).expect("a name")
}
