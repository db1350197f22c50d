//! Three coordinators, two worker nodes, and three clients that submit jobs, or count them. The coordinators lose their power (the one that
//! leads first of all), are cut off from each other, or have sick disks. Whatever was acknowledged is there in the end, and once.

pub(super) mod book;
pub(super) mod client;
mod oracles;
mod plan;

use std::time::{Duration, Instant};

use playhouse::NodeConfig;
use playhouse::rt;

pub(super) use self::plan::{Trouble, draw};

use self::book::{BOOK, Book, enter};
use super::frame::{self, Oracle, Papers, promises, until};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

pub(super) const ORACLES: &[Oracle<Book>] = &[
    (oracles::acked::PROMISE, oracles::acked::breach),
    (oracles::linear::PROMISE, oracles::linear::breach),
    (oracles::term::PROMISE, oracles::term::breach),
    (oracles::same::PROMISE, oracles::same::breach),
    (oracles::counted::PROMISE, oracles::counted::breach),
    (oracles::heals::PROMISE, oracles::heals::breach),
];

/// Those of them that can be judged at any time: the others are about what is seen in the end.
pub(super) const AT_ANY_TIME: &[Oracle<Book>] = &[ORACLES[1], ORACLES[2], ORACLES[3]];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// The coordinators.
const HEADS: [&str; 3] = ["x", "y", "z"];

/// The worker nodes.
const HANDS: [&str; 2] = ["a", "b"];

/// The clients.
const CLIENTS: [&str; 3] = ["c", "d", "e"];

/// All of them, and who looks at them in the end.
pub(super) const PLACES: &[&str] = &["x", "y", "z", "a", "b", "c", "d", "e", "observer"];

const WORKERS: u32 = 4;
const CHECKPOINTS: &str = "/checkpoints";

/// Within so much virtual time after the last fault all clients have their answers.
const DONE_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let (verdict, book) = BOOK.keep(Book::default(), rehearse(&world, &plan, bugs)).await;
    let mut outcome = Outcome::of(verdict, &world);
    outcome.measures = book.map(|book| book.measures(&plan)).unwrap_or_default();
    outcome
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    world.share(std::path::Path::new(CHECKPOINTS));
    let papers = Papers::new()?;
    let start = |name: &str| -> Result<(), Verdict> {
        let config = config(world, &papers, name, bugs)?;
        world.start(name, move |host| frame::live(host, config, bugs.actors, book::takes_part));
        Ok(())
    };
    HEADS.into_iter().chain(HANDS).try_for_each(start)?;
    for name in CLIENTS {
        let config = config(world, &papers, name, bugs)?;
        let script = client::Script::new(name, plan);
        world.start(name, |host| client::live(host, config, script));
    }
    until(DONE_WITHIN, "the clients never began", || enter(|book| book.begun == CLIENTS.len()).unwrap_or(false)).await?;

    let began = rt::now();
    enter(|book| book.began = Some(began));
    let mut director = Director::new(plan);
    // What ends, and when.
    let mut ends: Vec<(Instant, End)> = Vec::new();
    loop {
        let now = rt::now();
        for (_, end) in ends.extract_if(.., |(at, _)| *at <= now) {
            match end {
                End::Down(name) if !world.is_up(&name) => start(&name)?,
                End::Down(_) => {}
                End::Split(links) => links.iter().for_each(|(one, other)| world.mend(one, other)),
            }
        }
        let next = ends.iter().map(|(at, _)| *at).min();
        let wait = async {
            match next {
                Some(at) => rt::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let cue = rt::select! {
            () = wait => continue,
            cue = director.next(world) => cue,
        };
        match cue {
            Some(Cue::Crash { node, lose_disk }) => director::fell(world, &node, lose_disk).await,
            Some(Cue::Back(node)) if !world.is_up(&node) => start(&node)?,
            Some(Cue::Own { name, numbers, lasts }) => {
                let Some(leader) = enter(|book| book.leader()).flatten().filter(|name| world.is_up(name)) else { continue };
                let end = rt::now() + lasts;
                if name == plan::SPLIT {
                    let client = numbers.first().copied().unwrap_or_default() as usize % CLIENTS.len();
                    let links = split(&leader, CLIENTS[client]);
                    links.iter().for_each(|(one, other)| world.cut(one, other));
                    ends.push((end, End::Split(links)));
                } else {
                    rt::reachable!("leader-killed");
                    rt::ledger::record("kill", || leader.clone());
                    enter(|book| book.kills.push(rt::now()));
                    world.crash(&leader).await;
                    ends.push((end, End::Down(leader)));
                }
            }
            Some(_) => {}
            None if ends.is_empty() => break,
            None => rt::sleep_until(next.unwrap_or_else(rt::now)).await,
        }
        BOOK.judge(AT_ANY_TIME)?;
    }
    world.end_faults();

    until(DONE_WITHIN, "a client has no answer", || enter(|book| book.ended == CLIENTS.len()).unwrap_or(false)).await?;
    let config = config(world, &papers, "observer", bugs)?;
    world.start("observer", |host| client::observe(host, config, HEADS.map(str::to_string).to_vec()));
    until(DONE_WITHIN, "the observer has no answer", || enter(|book| book.seen.is_some()).unwrap_or(false)).await?;
    BOOK.judge(ORACLES)
}

/// What comes to its end.
enum End {
    /// A node is back.
    Down(String),
    /// These links are whole.
    Split(Vec<(String, String)>),
}

/// The links between the leader with one client on the one side, and all others on the other one.
fn split(leader: &str, client: &str) -> Vec<(String, String)> {
    let others = || HEADS.into_iter().filter(|name| *name != leader);
    let heads = others().flat_map(|other| [(leader, other), (client, other)]);
    let clients = CLIENTS.into_iter().filter(|name| *name != client).map(|other| (leader, other));
    let workers = HANDS.into_iter().map(|name| (leader, name));
    heads.chain(clients).chain(workers).map(|(one, other)| (one.to_string(), other.to_string())).collect()
}

fn config(world: &World, papers: &Papers, name: &str, bugs: Bugs) -> Result<NodeConfig, Verdict> {
    let mut config = frame::config(world, papers, name, &HEADS, bugs)?;
    if HANDS.contains(&name) {
        config.capacity = WORKERS;
        config.tasks = client::tasks();
        config.checkpoints = Some(CHECKPOINTS.into());
    }
    Ok(config)
}
