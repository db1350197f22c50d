//! What the clients do: submit jobs that give what they were told, and ask how many there are.

use std::time::Duration;

use playhouse::rt::{self, Host, Random};
use playhouse::{Client, ClientError, ClusterStatus, Function, Job, JobId, Node, NodeConfig, Tasks};

use super::book::{Seen, enter};
use super::{HANDS, WORKERS, oracles};
use crate::plan::Plan;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Asked {
    /// Take a job.
    Submit,
    /// How many were taken?
    Count,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scenario) enum Told {
    /// It is the one with this number, counted from 0.
    Taken(u64),
    /// So many.
    Are(u64),
}

const ECHO: Function<u64, u64> = Function::new("echo");

pub(in crate::scenario) fn tasks() -> Tasks {
    Tasks::new().add(ECHO, |_, number| Ok(number))
}

/// How long a client tries: longer than all faults last.
const PATIENCE: Duration = Duration::from_secs(50);

/// The client that only looks: a submission would hold it up where nobody can agree, and it would see no more.
const LOOKS: &str = "e";

/// Of a hundred questions of the others, so many are submissions.
const SUBMITS_PERCENT: u64 = 80;

pub(in crate::scenario) struct Script {
    name: &'static str,
    questions: u64,
    pause_ms: u64,
    random: Random,
}

impl Script {
    pub(in crate::scenario) fn new(name: &'static str, plan: &Plan) -> Script {
        let random = Random::new(plan.dice, &format!("client {name}"));
        Script { name, questions: plan.dial("questions"), pause_ms: plan.dial("pause"), random }
    }
}

fn at() -> Duration {
    rt::sim::elapsed()
}

pub(in crate::scenario) async fn live(host: Host, config: NodeConfig, script: Script) {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("a client does not start: {error}"));
    let client = node.client().with_patience(PATIENCE);
    let Script { name, questions, pause_ms, mut random } = script;
    let submits = if name == LOOKS { 0 } else { SUBMITS_PERCENT };
    let up = client.workers_up(WORKERS as usize).await;
    enter(|book| book.begun += 1);
    if let Ok(status) = up {
        for number in 0..questions {
            rt::sleep(Duration::from_millis(random.between(1, 2 * pause_ms))).await;
            if random.below(100) < submits {
                submit(&client, name, number, &status).await;
            } else {
                count(&client, name).await;
            }
        }
    }
    enter(|book| book.ended += 1);
    // Its connections stay until the world ends.
    std::future::pending().await
}

async fn submit(client: &Client, name: &str, number: u64, status: &ClusterStatus) {
    let value = number * 2 + u64::from(name == "d");
    let mut job = Job::new("default");
    let Ok(told) = job.value(&value) else { return };
    let echo = job.call(ECHO, told);
    let call = enter(|book| book.history.call(name, at(), Asked::Submit));
    match (client.submit(job, echo).await, call) {
        (Ok(job), Some(call)) => {
            enter(|book| {
                book.history.answer(call, at(), Told::Taken(job.id().0 - status.first_job.0));
                book.acked.insert(job.id(), value);
                book.acks.push(rt::now());
            });
        }
        // Whether it was taken is not known.
        (Err(error), _) => rt::ledger::record("unanswered", || error.to_string()),
        (Ok(_), None) => {}
    }
}

async fn count(client: &Client, name: &str) {
    let call = enter(|book| book.history.call(name, at(), Asked::Count));
    if let (Ok(status), Some(call)) = (client.status().await, call) {
        enter(|book| book.history.answer(call, at(), Told::Are(status.counters.accepted)));
    }
}

/// Looks at everything when the faults are over: what these coordinators know, above all.
pub(in crate::scenario) async fn observe(host: Host, config: NodeConfig, heads: Vec<String>) {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("the observer does not start: {error}"));
    let client = node.client().with_patience(PATIENCE);
    let acked: Vec<JobId> = enter(|book| book.acked.keys().copied().collect()).unwrap_or_default();
    let mut results = std::collections::BTreeMap::new();
    for job in acked {
        let result = client.job::<u64>(job).wait().await;
        results.insert(job, result.map_err(|error| error.to_string()));
    }
    count(&client, "observer").await;
    let mut open = String::new();
    let mut ticks = rt::interval(Duration::from_millis(250));
    let healed = async {
        loop {
            ticks.tick().await;
            match well(&client, &heads).await {
                Ok(status) => return status,
                Err(why) => open = why,
            }
        }
    };
    let healed = rt::timeout(oracles::heals::HEALED_WITHIN, healed).await;
    let cluster = match healed {
        Ok(status) => {
            open.clear();
            Some(status)
        }
        Err(_) => client.status().await.ok(),
    };
    enter(|book| book.seen = cluster.map(|cluster| Seen { results, cluster, open }));
    std::future::pending().await
}

/// What is not well with the cluster.
fn why_not(status: &ClusterStatus) -> Option<String> {
    let alive = status.nodes.values().filter(|node| format!("{:?}", node.state) == "Alive").count();
    let up = status.workers.iter().filter(|worker| worker.up).count();
    let well = alive == HANDS.len() && status.workers.len() == up && up == WORKERS as usize;
    (!well).then(|| format!("{:?} {:?}", status.nodes, status.workers))
}

/// The cluster, when all is well: all workers up, and every coordinator knows what the others do.
async fn well(client: &Client, heads: &[String]) -> Result<ClusterStatus, String> {
    let shown = |error: ClientError| error.to_string();
    let status = client.status().await.map_err(shown)?;
    if let Some(why) = why_not(&status) {
        return Err(why);
    }
    for name in heads {
        let name = playhouse::NodeName::new(name).map_err(|error| error.to_string())?;
        let stale = client.stale_status(&name).await.map_err(shown)?.ok_or_else(|| format!("{name} knows nothing"))?;
        if stale.coordinator.applied < status.coordinator.applied {
            return Err(format!("{name} has applied {} of {}", stale.coordinator.applied, status.coordinator.applied));
        }
        enter(|book| book.digest(name.as_str(), stale.coordinator.applied, stale.coordinator.digest.unwrap_or_default()));
    }
    Ok(status)
}
