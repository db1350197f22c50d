//! What the clients do: submit jobs of a few tasks, wait for what they give, and ask how the cluster is.

use std::time::Duration;

use playhouse::rt::{self, Host, Random};
use playhouse::{Client, ClientError, Function, Job, Node, NodeConfig, TaskCx, TaskError, Tasks};
use serde::{Deserialize, Serialize};

use super::WORKERS;
use super::book::{Call, enter};
use crate::plan::Plan;

/// A request that is not answered within this has failed. An election takes half a second, a node that lost its power is away for one and a
/// half; slow links come on top.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a client submits in a run, at the most.
const JOBS_MAX: u64 = 120;

/// Jobs of one client that are under way at once, at the most: more work than the workers can do would only wait.
const OPEN_MAX: u64 = 4;

const PIECE: Function<Piece, u64> = Function::new("piece");
const SUM: Function<Vec<u64>, u64> = Function::new("sum");

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Piece {
    client: String,
    job: u64,
    number: u64,
    /// So many drains had been acknowledged before the job was submitted.
    drains: usize,
    pace_ms: u64,
}

fn value(piece: &Piece) -> u64 {
    piece.job * 1_000 + piece.number + 1
}

pub(super) fn tasks() -> Tasks {
    Tasks::new().add(PIECE, run).add_gather(SUM, |_, values| Ok(values.into_iter().sum()))
}

fn run(cx: &mut TaskCx, piece: Piece) -> Result<u64, TaskError> {
    let node = cx.node().as_str().to_string();
    enter(|book| {
        let Some(life) = book.lives.get(&node).copied() else { return };
        let task = (piece.client.clone(), piece.job, piece.number);
        book.calls.push(Call { task, drains: piece.drains, at: (node.clone(), life) });
    });
    rt::ledger::record("runs", || format!("{} {}:{} at {node}", piece.client, piece.job, piece.number));
    rt::pause(Duration::from_millis(piece.pace_ms));
    Ok(value(&piece))
}

pub(super) struct Script {
    name: &'static str,
    pause_ms: u64,
    pace_ms: u64,
    random: Random,
}

impl Script {
    pub(super) fn new(name: &'static str, plan: &Plan) -> Script {
        let random = Random::new(plan.dice, &format!("client {name}"));
        Script { name, pause_ms: plan.dial("pause"), pace_ms: plan.dial("pace"), random }
    }
}

pub(super) async fn live(host: Host, config: NodeConfig, script: Script) {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("a client does not start: {error}"));
    let client = node.client().with_patience(PATIENCE);
    let Script { name, pause_ms, pace_ms, mut random } = script;
    if let Err(error) = client.workers_up(WORKERS as usize).await {
        fails(name, "the first", &error);
    }
    enter(|book| book.begun += 1);
    let mut waiting = Vec::new();
    for job in 0..JOBS_MAX {
        if enter(|book| book.over).unwrap_or(true) {
            break;
        }
        rt::sleep(Duration::from_millis(random.between(1, 2 * pause_ms))).await;
        while enter(|book| book.open.get(name).is_some_and(|open| *open >= OPEN_MAX)).unwrap_or(false) {
            rt::sleep(Duration::from_millis(20)).await;
        }
        enter(|book| *book.open.entry(name).or_default() += 1);
        let count = random.between(1, 4);
        let mut paces = Vec::new();
        for _ in 0..count {
            let longest = if random.chance(0.1) { pace_ms } else { 60 };
            paces.push(random.between(1, longest + 1));
        }
        waiting.push(rt::spawn(submit(client.clone(), name, job, paces)));
        if random.chance(0.1)
            && let Err(error) = client.status().await
        {
            fails(name, "a question for the status", &error);
        }
    }
    for waits in waiting {
        let _ = waits.await;
    }
    enter(|book| book.ended += 1);
    // Its connections stay until the world ends.
    std::future::pending().await
}

async fn submit(client: Client, name: &'static str, number: u64, paces: Vec<u64>) {
    does(client, name, number, paces).await;
    enter(|book| {
        book.open.entry(name).and_modify(|open| *open -= 1);
    });
}

async fn does(client: Client, name: &'static str, number: u64, paces: Vec<u64>) {
    let drains = enter(|book| book.drains.len()).unwrap_or_default();
    let (mut job, mut pieces, mut expected) = (Job::new("default"), Vec::new(), 0);
    for (at, pace_ms) in (0..).zip(&paces) {
        let piece = Piece { client: name.into(), job: number, number: at, drains, pace_ms: *pace_ms };
        expected += value(&piece);
        let Ok(told) = job.value(&piece) else { return };
        pieces.push(job.call(PIECE, told));
    }
    let sum = job.gather(SUM, pieces);
    let asked = rt::now();
    let handle = match client.submit(job, sum).await {
        Ok(handle) => handle,
        Err(error) => return fails(name, &format!("the submission of job {number}"), &error),
    };
    let waited = (rt::now() - asked).as_millis() as u64;
    enter(|book| book.waits.push(waited));
    match handle.wait().await {
        Ok(found) if found == expected => drop(enter(|book| book.done += paces.len() as u64 + 1)),
        Ok(found) => {
            let wrong = format!("job {number} of {name} gave {found}, not {expected}");
            enter(|book| book.failed.push(wrong));
        }
        Err(error) => fails(name, &format!("the result of job {number}"), &error),
    }
}

fn fails(name: &str, what: &str, error: &ClientError) {
    rt::ledger::record("unanswered", || error.to_string());
    enter(|book| book.failed.push(format!("{what} of {name}: {error}")));
}
