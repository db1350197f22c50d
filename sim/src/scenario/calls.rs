//! Calls, which a node alone acknowledges: callers have functions run on two worker nodes. These lose their power, stand still, and are cut
//! off from the callers; the coordinator goes for a while, too. What a call loses with its node is all that may be lost, and nothing runs
//! twice, ever.

mod book;
mod caller;
mod oracles;
mod plan;

use std::time::Duration;

use playhouse::rt;

pub(super) use self::plan::draw;

use self::book::{BOOK, Book, enter};
use super::frame::{self, Oracle, Papers, promises, until};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::once::PROMISE, oracles::once::breach),
    (oracles::refused::PROMISE, oracles::refused::breach),
    (oracles::right::PROMISE, oracles::right::breach),
    (oracles::lost::PROMISE, oracles::lost::breach),
    (oracles::heals::PROMISE, oracles::heals::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

const HEAD: &str = "head";

/// They run what is called.
const NODES: [&str; 2] = ["a", "b"];

const CLIENT: &str = "client";

/// All of them.
pub(super) const PLACES: &[&str] = &[HEAD, "a", "b", CLIENT];

/// Calls that each node takes at a time: fewer than there are callers.
const CAPACITY: u32 = 2;

const CHECKPOINTS: &str = "/checkpoints";

/// The first call is to have its result within this, of virtual time.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let (verdict, _) = BOOK.keep(Book::of(&plan), rehearse(&world, &plan, bugs)).await;
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let papers = Papers::new()?;
    let begin = |name: &str| -> Result<(), Verdict> {
        let mut config = frame::config(world, &papers, name, &[HEAD], bugs)?;
        if NODES.contains(&name) {
            (config.capacity, config.tasks) = (CAPACITY, caller::tasks());
            config.checkpoints = Some(CHECKPOINTS.into());
        }
        world.start(name, move |host| frame::live(host, config, bugs.actors, async |_| std::future::pending().await));
        Ok(())
    };
    begin(HEAD)?;
    NODES.into_iter().try_for_each(begin)?;
    let (config, callers, pace) =
        (frame::config(world, &papers, CLIENT, &[HEAD], bugs)?, plan.dial("callers"), plan.dial("pace"));
    world.start(CLIENT, move |host| {
        frame::live(host, config, bugs.actors, move |node| async move { caller::all(node.client(), callers, pace).await })
    });
    until(BEGUN_WITHIN, "no call gave a result", || enter(|book| book.gave_since(0)).unwrap_or(false)).await?;

    let mut director = Director::new(plan);
    while let Some(cue) = director.next(world).await {
        match cue {
            Cue::Crash { node, lose_disk } => {
                enter(|book| book.away.extend([node.clone()]));
                director::fell(world, &node, lose_disk).await;
            }
            Cue::Back(node) if !world.is_up(&node) => {
                enter(|book| book.away.remove(&node));
                begin(&node)?;
            }
            _ => {}
        }
        BOOK.judge(&ORACLES[..4])?;
    }
    world.end_faults();
    for name in [HEAD, "a", "b"] {
        if !world.is_up(name) {
            enter(|book| book.away.remove(name));
            begin(name)?;
        }
    }
    enter(Book::faults_end);
    let healed = || enter(|book| book.gave_again() == callers).unwrap_or(false);
    let _ = until(oracles::heals::HEALED_WITHIN, "", healed).await;
    rt::ledger::record("healed", || enter(|book| book.summary()).unwrap_or_default());
    BOOK.judge(ORACLES)
}
