//! A job of tasks that take a while, each known by its number, on two worker nodes, of which at most one goes: it loses its power, or
//! reaches nobody. All calls of tasks are written down, so that it shows what ran more often than it had to, and what waited for too long.

mod book;
mod oracles;
mod tasks;

use std::net::SocketAddr;
use std::time::Duration;

use playhouse::rt::sync::oneshot;
use playhouse::rt::{self, Host};
use playhouse::{ClientError, ClusterStatus, JobStatus, Node, NodeConfig};

use self::book::{BOOK, Book, enter};
use super::demo::{DONE_WITHIN, NODES, PORT, WORKERS, client_config, head_config, live, told, worker_config};
use super::frame::{Oracle, Papers, promises};
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::{Draw, Fault, Plan};
use crate::verdict::Verdict;
use crate::world::World;

const ORACLES: &[Oracle<Book>] = &[
    (oracles::result::PROMISE, oracles::result::breach),
    (oracles::busy::PROMISE, oracles::busy::breach),
    (oracles::once::PROMISE, oracles::once::breach),
    (oracles::counted::PROMISE, oracles::counted::breach),
    (oracles::moved::PROMISE, oracles::moved::breach),
];

/// What must hold.
pub(super) const PROMISES: &[&str] = &promises::<_, { ORACLES.len() }>(ORACLES);

/// In so many of a hundred runs a node goes. In the others nothing excuses what runs twice.
const GOES_PERCENT: u64 = 80;

/// What befalls a node. It comes back when its work must have been done elsewhere for long.
pub(super) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("tasks", 8, (60, 100));
    draw.dial("pace", 20, (100, 300));
    let mut random = draw.random("a node goes");
    if random.below(100) < GOES_PERCENT {
        let node = NODES[random.below(2) as usize].to_string();
        let (at_ms, ms) = (random.between(1_200, 2_500), random.between(6_000, 9_000));
        let crash = random.chance(0.5);
        let lose_disk = false;
        draw.fault(at_ms, if crash { Fault::Crash { node, down_ms: Some(ms), lose_disk } } else { Fault::Isolate { node, ms } });
    }
    draw.finish()
}

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let (verdict, _) = BOOK.keep(Book::default(), rehearse(&world, &plan, bugs)).await;
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let papers = Papers::new()?;
    let head = SocketAddr::new(world.ip("head"), PORT);
    let config = head_config(&papers, head, bugs.plane)?;
    world.start("head", move |host| live(host, config, bugs.actors));
    let worker = |name: &str| -> Result<NodeConfig, Verdict> {
        Ok(NodeConfig { tasks: tasks::all(), ..worker_config(&papers, name, world, head)? })
    };
    for name in NODES {
        let config = worker(name)?;
        world.start(name, move |host| live(host, config, bugs.actors));
    }
    let (submitted, on_submit) = oneshot::channel();
    let (answer, on_answer) = oneshot::channel();
    let config = client_config(&papers, world, head)?;
    let (count, pace) = (plan.dial("tasks"), plan.dial("pace"));
    world.start("client", move |host| async move {
        let seen = client(host, config, count, pace, submitted).await;
        told(seen.as_ref().err().map(ToString::to_string));
        let _ = answer.send(seen);
        // Its connection stays until the world ends.
        std::future::pending().await
    });

    let _ = rt::timeout(DONE_WITHIN, on_submit).await;
    let began = rt::now();
    enter(|book| book.expect(plan, began));
    let mut director = Director::new(plan);
    while let Some(cue) = director.next(world).await {
        match cue {
            Cue::Crash { node, lose_disk } => director::fell(world, &node, lose_disk).await,
            Cue::Back(node) if !world.is_up(&node) => {
                let config = worker(&node)?;
                world.start(&node, move |host| live(host, config, bugs.actors));
            }
            _ => {}
        }
    }
    let seen = rt::timeout(DONE_WITHIN, on_answer).await;
    let seen = seen.map_err(|_| Verdict::Stuck(format!("the job was not done within {DONE_WITHIN:?} of virtual time")))?;
    let seen = seen.map_err(|_| Verdict::Crashed("the client is gone".into()))?;
    enter(|book| book.seen = Some(seen));
    BOOK.judge(ORACLES)
}

/// What the client saw.
struct Seen {
    sum: u64,
    expected: u64,
    job: JobStatus,
    cluster: ClusterStatus,
}

async fn client(
    host: Host,
    config: NodeConfig,
    count: u64,
    pace: u64,
    submitted: oneshot::Sender<()>,
) -> Result<Seen, ClientError> {
    let failed = |error: &dyn std::fmt::Display| ClientError::Failed(error.to_string());
    let node = Node::start(host, config).await.map_err(|error| failed(&error))?;
    let client = node.client();
    client.workers_up(WORKERS as usize).await?;
    let (job, sum) = tasks::job(count, Duration::from_millis(pace)).map_err(|error| failed(&error))?;
    let job = client.submit(job, sum).await?;
    let _ = submitted.send(());
    let sum = job.wait().await?;
    Ok(Seen { sum, expected: tasks::expected(count), job: job.progress(0).await?, cluster: client.status().await? })
}
