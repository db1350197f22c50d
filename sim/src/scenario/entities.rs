//! Three coordinators, three nodes that host entities, offer a singleton and claim a name, and two that tell the entities numbers. Hosts leave
//! and come back, entities are moved, nodes lose their power, stand still, or are cut off from each other. Nothing has two owners, nothing lives twice, and what
//! was told comes in order.

mod book;
mod host;
mod oracles;
mod plan;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use playhouse::rt;

pub(super) use self::plan::draw;

use self::book::{BOOK, Book, enter};
use super::frame::{self, Oracle, Papers, judged, promises, until};
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
    (oracles::moved::PROMISE, oracles::moved::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// The coordinators.
const HEADS: [&str; 3] = ["x", "y", "z"];

/// The hosts.
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// Those who tell entities something.
const SENDERS: [&str; 2] = ["d", "e"];

/// All of them.
pub(super) const PLACES: &[&str] = &["x", "y", "z", "a", "b", "c", "d", "e"];

/// Within so much virtual time after the last fault all that was told has been heard, and all asks are answered.
const DONE_WITHIN: Duration = Duration::from_secs(90);

/// How often the promises are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let (verdict, _) = BOOK.keep(Book::default(), rehearse(&world, &plan, bugs)).await;
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let papers = Papers::new()?;
    let start = |name: &str| -> Result<(), Verdict> {
        let config = frame::config(world, &papers, name, &HEADS, bugs)?;
        let part = Arc::new(host::Part::new(name, plan));
        world.start(name, move |host| frame::live(host, config, bugs.actors, move |node| host::play(node, part.clone())));
        Ok(())
    };
    HEADS.into_iter().chain(HOSTS).try_for_each(start)?;
    for name in SENDERS {
        let config = frame::config(world, &papers, name, &HEADS, bugs)?;
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
            Some(Cue::Own { name, numbers, lasts }) => {
                let number = |at: usize| numbers.get(at).copied().unwrap_or_default() as usize;
                let host = number(0) % HOSTS.len();
                enter(|book| match name.as_str() {
                    plan::MOVE => book.moves.push_back((number(1) % plan.dial("keys") as usize, HOSTS[host])),
                    _ => book.away[host] = Some(rt::now() + lasts),
                });
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
