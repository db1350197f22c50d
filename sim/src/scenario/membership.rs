//! Three coordinators found a cluster; others join them, some are dismissed or replaced, lose their disks, or come back at other addresses.
//! Coordinators lose their power and are cut off from each other meanwhile, and clients submit jobs and count them. Whatever was acknowledged
//! is there in the end, and those agree who were asked to.

mod book;
mod changes;
mod oracles;
mod plan;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Node, NodeConfig};

pub(super) use self::plan::draw;

use self::book::{BOOK, Book, enter};
use super::frame::{self, Oracle, Papers, joined, promises, until};
use super::quorum::{self, client};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::seat::PROMISE, oracles::seat::breach),
    (oracles::dismissed::PROMISE, oracles::dismissed::breach),
    (oracles::overlap::PROMISE, oracles::overlap::breach),
    (oracles::voters::PROMISE, oracles::voters::breach),
];

/// What must hold, and all that three coordinators promise whom nobody joins.
pub(super) const PROMISES: &[&str] =
    &joined::<{ ORACLES.len() + quorum::PROMISES.len() }>(&promises::<_, { ORACLES.len() }>(ORACLES), quorum::PROMISES);

/// The coordinators that found the cluster.
const FOUNDERS: [&str; 3] = ["x", "y", "z"];

/// All that are coordinators at times.
const HEADS: [&str; 5] = ["x", "y", "z", "v", "w"];

/// The worker nodes.
const HANDS: [&str; 2] = ["a", "b"];

/// The clients.
const CLIENTS: [&str; 3] = ["c", "d", "e"];

/// Whoever changes the coordinators, and who looks at them in the end.
const OPERATOR: &str = "operator";
const OBSERVER: &str = "observer";

/// All of them.
pub(super) const PLACES: &[&str] = &["x", "y", "z", "v", "w", "a", "b", "c", "d", "e", OPERATOR, OBSERVER];

const WORKERS: u32 = 4;
const CHECKPOINTS: &str = "/checkpoints";

/// Within so much virtual time all have their answers.
const DONE_WITHIN: Duration = Duration::from_secs(90);

/// How long a node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// How often the promises are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let rehearsal = async {
        match BOOK.keep(Book::new(), rehearse(&world, &plan, bugs)).await.0 {
            Verdict::Held => Ok(()),
            verdict => Err(verdict),
        }
    };
    let (verdict, book) = quorum::book::BOOK.keep(quorum::book::Book::default(), rehearsal).await;
    let mut outcome = Outcome::of(verdict, &world);
    outcome.measures.extend(book.map(|book| ("acked_lost", book.acked_lost())));
    outcome
}

/// What starts nodes.
struct Starter {
    world: World,
    papers: Papers,
    bugs: Bugs,
    /// Of each node: its certificate is the same in all of its lives.
    configs: RefCell<BTreeMap<&'static str, NodeConfig>>,
    /// The port of a coordinator that has moved.
    ports: RefCell<BTreeMap<&'static str, u16>>,
    /// The cluster is founded: whoever is started has a journal, or joins the others.
    founded: Cell<bool>,
}

impl Starter {
    fn config(&self, name: &'static str) -> Result<NodeConfig, Verdict> {
        if !self.configs.borrow().contains_key(name) {
            let mut config = frame::config(&self.world, &self.papers, name, &FOUNDERS, self.bugs)?;
            if HANDS.contains(&name) {
                config.capacity = WORKERS;
                config.tasks = client::tasks();
                config.checkpoints = Some(CHECKPOINTS.into());
            }
            self.configs.borrow_mut().insert(name, config);
        }
        let mut config = self.configs.borrow()[name].clone();
        if HEADS.contains(&name) && (self.founded.get() || !FOUNDERS.contains(&name)) {
            config.coordinate = Some(frame::coordinate(self.bugs));
            config.coordinators.clear();
            config.join = self.addresses(name);
            config.listen = self.address(name);
        }
        if name == OBSERVER {
            config.coordinators.clear();
            config.join = self.addresses(name);
        }
        Ok(config)
    }

    fn address(&self, name: &str) -> SocketAddr {
        SocketAddr::new(self.world.ip(name), self.ports.borrow().get(name).copied().unwrap_or(frame::PORT))
    }

    /// Where those listen who are to be coordinators, but for this one.
    fn addresses(&self, but: &str) -> Vec<SocketAddr> {
        let asked = enter(|book| book.asked.clone()).unwrap_or_default();
        asked.iter().filter(|name| **name != but).map(|name| self.address(name)).collect()
    }

    /// Starts a node, unless it lives or is to be there no more.
    fn start(&self, name: &'static str) -> Result<(), Verdict> {
        let is_wanted = !HEADS.contains(&name) || enter(|book| book.is_wanted(name)).unwrap_or(false);
        if self.world.is_up(name) || !is_wanted {
            return Ok(());
        }
        let (config, planted) = (self.config(name)?, self.bugs.actors);
        enter(|book| book.starts(name));
        self.world.start(name, move |host| live(host, config, planted, name));
        Ok(())
    }

    /// Takes the power from a node, and perhaps its disk.
    async fn fell(&self, name: &str, lose_disk: bool) {
        director::fell(&self.world, name, lose_disk).await;
        enter(|book| book.falls(name, lose_disk));
    }
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    world.share(std::path::Path::new(CHECKPOINTS));
    let (configs, ports, founded) = Default::default();
    let starter = Starter { world: world.clone(), papers: Papers::new()?, bugs, configs, ports, founded };
    FOUNDERS.into_iter().chain(HANDS).try_for_each(|name| starter.start(name))?;
    for name in CLIENTS {
        let (config, script) = (starter.config(name)?, client::Script::new(name, plan));
        world.start(name, |host| client::live(host, config, script));
    }
    let operator = frame::operator(world, OPERATOR, starter.config(OPERATOR)?, DONE_WITHIN).await?;
    let clients = |count: fn(&quorum::book::Book) -> usize| quorum::book::enter(|book| count(book)) == Some(CLIENTS.len());
    until(DONE_WITHIN, "the clients never began", || clients(|book| book.begun)).await?;
    starter.founded.set(true);

    let mut director = Director::new(plan);
    let mut changes = std::pin::pin!(changes::make(&starter, &operator));
    let mut is_over = false;
    loop {
        let next = async {
            if is_over {
                return std::future::pending().await;
            }
            director.next(world).await
        };
        let cue = rt::select! {
            cue = next => cue,
            made = changes.as_mut() => {
                made?;
                break;
            }
            () = rt::sleep(LOOK_EVERY) => {
                judge()?;
                continue;
            }
        };
        let place = |name: &str| PLACES.iter().find(|place| **place == name).copied().unwrap_or_default();
        match cue {
            Some(Cue::Crash { node, lose_disk }) => starter.fell(&node, lose_disk).await,
            Some(Cue::Back(node)) => starter.start(place(&node))?,
            Some(Cue::Own { name, numbers, lasts }) => {
                enter(|book| book.orders.push_back(plan::Order { name, numbers, lasts }));
            }
            Some(_) => {}
            // Nothing befalls anybody any more; the last changes may take a while.
            None => {
                is_over = true;
                enter(|book| book.no_more_orders = true);
            }
        }
        judge()?;
    }
    world.end_faults();
    HEADS.into_iter().chain(HANDS).try_for_each(|name| starter.start(name))?;

    until(DONE_WITHIN, "a client has no answer", || clients(|book| book.ended)).await?;
    let config = starter.config(OBSERVER)?;
    let heads = enter(|book| book.asked.iter().map(|name| (*name).to_string()).collect()).unwrap_or_default();
    world.start(OBSERVER, |host| client::observe(host, config, heads));
    let seen = || quorum::book::enter(|book| book.seen.as_ref().map(|seen| seen.cluster.coordinator.voters.clone())).flatten();
    until(DONE_WITHIN, "the observer has no answer", || seen().is_some()).await?;
    enter(|book| book.last = seen());
    quorum::book::BOOK.judge(quorum::ORACLES)?;
    judge()
}

/// Whether the promises hold that can be judged at any time.
fn judge() -> Result<(), Verdict> {
    BOOK.judge(ORACLES)?;
    quorum::book::BOOK.judge(quorum::AT_ANY_TIME)
}

/// A node's process: it starts the node, and starts it anew when the cluster has given it up, or its disk failed; but not when it was
/// dismissed.
async fn live(host: Host, config: NodeConfig, planted: playhouse_actors::Planted, name: &'static str) {
    loop {
        let node: Node = frame::start(&host, &config, planted).await;
        enter(|book| book.is_in(name));
        let why = rt::select! {
            why = node.failed() => why,
            () = book::follow(&node, name) => "it takes no part in the agreement any more".into(),
            why = quorum::book::takes_part(node.clone()) => why,
        };
        rt::ledger::record("failed", || why.clone());
        node.stop(STOP_WITHIN).await;
        if enter(|book| book.dismissed.contains_key(name)).unwrap_or(true) {
            return std::future::pending().await;
        }
        rt::sleep(frame::START_AGAIN_AFTER).await;
    }
}
