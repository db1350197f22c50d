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

use self::book::{BOOK, Book};
use super::Outcome;
use super::frame::{Oracle, promises};
use super::trio::{self, Play, Stage};
use crate::plan::{Draw, Plan};
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
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
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

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
    let load = Duration::from_millis(plan.dial("load-ms"));
    let play = Play { load, begin: |stage| Box::pin(begin(stage)), judge };
    let (verdict, _) = BOOK.keep(Book::default(), trio::rehearse(&world, &plan, planted, play)).await;
    Outcome::of(verdict, &world)
}

fn judge() -> Result<(), Verdict> {
    BOOK.judge(ORACLES)
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
