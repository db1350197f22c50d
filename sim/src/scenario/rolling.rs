//! Three coordinators and three worker nodes, all of which are stopped and started again, one after the other, while two clients submit jobs
//! all the time. A worker node is drained before it stops. Links are slow and lossy meanwhile, and in some runs another node loses its power.
//! No request fails.

mod book;
mod client;
mod oracles;
mod plan;
mod roller;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use playhouse::rt::sync::Notify;
use playhouse::rt::{self, Host};
use playhouse::{Node, NodeConfig};

pub(super) use self::plan::draw;

use self::book::{BOOK, Book, enter};
use super::frame::{self, Oracle, Papers, promises, until};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::answered::PROMISE, oracles::answered::breach),
    (oracles::drained::PROMISE, oracles::drained::breach),
    (oracles::again::PROMISE, oracles::again::breach),
    (oracles::ends::PROMISE, oracles::ends::breach),
    (oracles::counted::PROMISE, oracles::counted::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// The coordinators.
const HEADS: [&str; 3] = ["x", "y", "z"];

/// The worker nodes.
const HANDS: [&str; 3] = ["a", "b", "c"];

/// All that are started again.
const ROLLED: [&str; 6] = ["x", "y", "z", "a", "b", "c"];

/// The clients.
const CLIENTS: [&str; 2] = ["d", "e"];

/// Whoever restarts the others.
const OPERATOR: &str = "operator";

/// All of them.
pub(super) const PLACES: &[&str] = &["x", "y", "z", "a", "b", "c", "d", "e", OPERATOR];

const WORKERS: u32 = 4;
const CHECKPOINTS: &str = "/checkpoints";

/// Within so much virtual time all have their answers.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// How long a node has to do what it has begun.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// How long a node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// How often the promises are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let book = Book { is_calm: plan::is_calm(&plan), ..Book::default() };
    let (verdict, book) = BOOK.keep(book, rehearse(&world, &plan, bugs)).await;
    let mut outcome = Outcome::of(verdict, &world);
    outcome.measures.insert("answer_ms", book.map(|book| book.waits).unwrap_or_default());
    outcome
}

/// What starts nodes: the lives of one have a signal each, which tells it to stop.
struct Starter {
    world: World,
    papers: Papers,
    bugs: Bugs,
    /// Of each node: its certificate is the same in all of its lives.
    configs: RefCell<BTreeMap<String, NodeConfig>>,
}

impl Starter {
    fn config(&self, name: &str) -> Result<NodeConfig, Verdict> {
        if let Some(known) = self.configs.borrow().get(name) {
            return Ok(known.clone());
        }
        let mut config = frame::config(&self.world, &self.papers, name, &HEADS, self.bugs)?;
        if HANDS.contains(&name) {
            config.capacity = WORKERS;
            config.tasks = client::tasks();
            config.checkpoints = Some(CHECKPOINTS.into());
        }
        self.configs.borrow_mut().insert(name.to_string(), config.clone());
        Ok(config)
    }

    /// Starts a node, unless it lives.
    fn start(&self, name: &str) -> Result<(), Verdict> {
        if self.world.is_up(name) {
            return Ok(());
        }
        let (config, planted, signal) = (self.config(name)?, self.bugs.actors, Arc::new(Notify::new()));
        enter(|book| book.starts(name, &signal));
        let name_of = name.to_string();
        self.world.start(name, move |host| live(host, config, planted, name_of, signal));
        Ok(())
    }
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    world.share(std::path::Path::new(CHECKPOINTS));
    let starter = Starter { world: world.clone(), papers: Papers::new()?, bugs, configs: RefCell::default() };
    ROLLED.into_iter().try_for_each(|name| starter.start(name))?;
    for name in CLIENTS {
        let config = starter.config(name)?;
        let script = client::Script::new(name, plan);
        world.start(name, |host| client::live(host, config, script));
    }
    let operator = frame::operator(world, OPERATOR, starter.config(OPERATOR)?, DONE_WITHIN).await?;
    until(DONE_WITHIN, "the clients never began", || enter(|book| book.begun == CLIENTS.len()).unwrap_or(false)).await?;

    let mut director = Director::new(plan);
    let mut rolling = std::pin::pin!(roller::roll(&starter, &operator));
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
            rolled = rolling.as_mut() => {
                rolled?;
                break;
            }
            () = rt::sleep(LOOK_EVERY) => {
                BOOK.judge(ORACLES)?;
                continue;
            }
        };
        match cue {
            Some(Cue::Crash { node, lose_disk }) => director::fell(world, &node, lose_disk).await,
            Some(Cue::Back(node)) => starter.start(&node)?,
            Some(Cue::Own { numbers, lasts, .. }) => {
                enter(|book| book.orders.push_back(plan::Order::of(&numbers, lasts)));
            }
            Some(_) => {}
            // Nothing befalls anybody any more; the last restarts may take a while.
            None => {
                is_over = true;
                enter(|book| book.no_more_orders = true);
            }
        }
        BOOK.judge(ORACLES)?;
    }
    world.end_faults();
    enter(|book| book.over = true);
    until(DONE_WITHIN, "a client has no answer", || enter(|book| book.ended == CLIENTS.len()).unwrap_or(false)).await?;
    BOOK.judge(ORACLES)?;
    let last = rt::timeout(DONE_WITHIN, operator.status()).await.ok().and_then(Result::ok);
    let last = last.ok_or_else(|| Verdict::Stuck("the operator has no answer".into()))?;
    enter(|book| book.completed = Some(last.counters.completed));
    BOOK.judge(ORACLES)
}

/// A node's process. When it is told to, it stops in good order.
async fn live(host: Host, config: NodeConfig, planted: playhouse_actors::Planted, name: String, signal: Arc<Notify>) {
    loop {
        let node: Node = frame::start(&host, &config, planted).await;
        enter(|book| book.lives.insert(name.clone(), node.incarnation()));
        let why = rt::select! {
            why = node.failed() => why,
            () = signal.notified() => {
                stop(&node, &name).await;
                // Until the operator has seen it.
                return std::future::pending().await;
            }
        };
        rt::reachable!("failed");
        rt::ledger::record("failed", || why.clone());
        node.stop(STOP_WITHIN).await;
        rt::sleep(frame::START_AGAIN_AFTER).await;
    }
}

async fn stop(node: &Node, name: &str) {
    if HANDS.contains(&name) {
        let drained = node.drain(DRAIN_WITHIN).await;
        rt::ledger::record("drained", || format!("{name}: {drained}"));
        enter(|book| book.ends.push((name.to_string(), drained)));
    }
    let shutdown = node.stop(STOP_WITHIN).await;
    rt::ledger::record("stopped", || format!("{name}: {shutdown:?}"));
    enter(|book| book.stopped.insert(name.to_string()));
}
