//! Streams of answers and credit: on three nodes, actors give streams that others read quickly, slowly, or not to their end, while sources
//! fail, links are cut and a node goes and comes back. In some seeds a sink is ten times slower than its source for a minute.

mod book;
mod freight;
mod oracles;
mod source;

use std::pin::Pin;
use std::time::Duration;

use playhouse::prelude::*;
use playhouse_actors::Planted;

use self::book::{BOOK, Book, enter};
use super::Outcome;
use super::frame::{Oracle, judged, promises};
use super::trio::{self, Play, Stage};
use crate::plan::{Draw, Plan};
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::items::PROMISE, oracles::items::breach),
    (oracles::hash::PROMISE, oracles::hash::breach),
    (oracles::window::PROMISE, oracles::window::breach),
    (oracles::early_end::PROMISE, oracles::early_end::breach),
    (oracles::ends::PROMISE, oracles::ends::breach),
    (oracles::credit::PROMISE, oracles::credit::breach),
    (oracles::minute::PROMISE, oracles::minute::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// How long streams are opened.
const LOAD_MS: u64 = 1_500;

/// How long they are where a slow sink is looked at, and how long that is to be slow.
const LONG_LOAD_MS: u64 = 62_000;
const SLOW_FOR: Duration = Duration::from_secs(60);

/// What befalls the nodes, and whether a sink is to be slow for a minute.
pub(super) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    let minute = draw.random("minute").chance(0.1);
    draw.set("minute", 0, u64::from(minute));
    if minute {
        trio::draw_short_cuts(&mut draw, LONG_LOAD_MS);
    } else {
        trio::draw_faults(&mut draw, LOAD_MS);
    }
    draw.finish()
}

pub(super) async fn run(plan: Plan, planted: Planted) -> Outcome {
    let world = World::of(&plan);
    let minute = plan.dial("minute") > 0;
    let load = Duration::from_millis(if minute { LONG_LOAD_MS } else { LOAD_MS });
    let play = Play { load, begin: |stage| Box::pin(begin(stage)), judge };
    let book = Book { minute, ..Book::default() };
    let (verdict, _) = BOOK.keep(book, trio::rehearse(&world, &plan, planted, play)).await;
    Outcome::of(verdict, &world)
}

fn judge() -> Result<(), Verdict> {
    enter(|book| {
        book.look_at_memory();
        judged(book, ORACLES)
    })
    .unwrap_or(Ok(()))
}

fn begin(stage: Stage) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        source::begin(&stage);
        freight::begin(&stage);
    })
}

fn actor_name(name: &str) -> ActorName {
    ActorName::new(name).expect("a name")
}
