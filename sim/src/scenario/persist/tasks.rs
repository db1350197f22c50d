//! The job: tasks of many steps that save how far they are, and fail on the way.

use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{ClientError, EncodeError, Function, Job, Node, NodeConfig, TaskCx, TaskError, Tasks, Value};
use serde::{Deserialize, Serialize};

use super::book::{Did, Task, enter};

const CLIMB: Function<Climb, u64> = Function::new("climb");
const SUM: Function<Vec<u64>, u64> = Function::new("sum");

/// The steps of each task, and how many of them lie between two saves.
const STEPS: u64 = 20;
pub(super) const INTERVAL: u64 = 4;

/// How often a task looks for its progress: its disk may be sick.
const LOOKS: u32 = 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Climb {
    run: u64,
    number: u64,
}

pub(super) fn all() -> Tasks {
    Tasks::new().add(CLIMB, climb).add_gather(SUM, |_, values| Ok(values.into_iter().sum()))
}

fn climb(cx: &mut TaskCx, Climb { run, number }: Climb) -> Result<u64, TaskError> {
    let attempt = cx.attempt();
    let note = |did| enter(|book| book.tasks.push(Task { run, number, attempt, did }));
    let mut looks = 1;
    let found: Option<u64> = loop {
        match cx.resume() {
            Ok(found) => break found,
            Err(error) if looks == LOOKS => return Err(error),
            Err(_) => looks += 1,
        }
    };
    note(Did::Resumed(found));
    // Each in its first attempt, and some in the second: after a save or between two of them.
    let falls = match attempt {
        1 => Some(5 + number * 3 % 13),
        2 if number % 2 == 1 => Some(18),
        _ => None,
    };
    for step in found.unwrap_or(0) + 1..=STEPS {
        rt::pause(Duration::from_millis(10));
        note(Did::Step(step));
        if step % INTERVAL == 0 {
            note(if cx.save(&step).is_ok() { Did::Kept(step) } else { Did::NotKept });
        }
        if falls == Some(step) {
            return Err(TaskError::new("as it was told"));
        }
    }
    note(Did::Done);
    Ok(number + 1)
}

/// The client's process: submits the job, again when it failed, until it has its result.
pub(super) async fn submit(host: Host, config: NodeConfig, count: u64, workers: usize) {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("the client does not start: {error}"));
    let client = node.client();
    let _ = client.workers_up(workers).await;
    for run in 0.. {
        let done = async {
            let (job, sum) = job(run, count).map_err(|error| ClientError::Failed(error.to_string()))?;
            let job = client.submit(job, sum).await?;
            enter(|book| book.submitted = true);
            job.wait().await
        };
        match done.await {
            Ok(sum) => {
                enter(|book| book.result = Some((sum, count * (count + 1) / 2)));
                break;
            }
            Err(error) => rt::ledger::record("failed", || error.to_string()),
        }
        rt::sleep(Duration::from_millis(200)).await;
    }
    // Its connections stay until the world ends.
    std::future::pending().await
}

fn job(run: u64, count: u64) -> Result<(Job, Value<u64>), EncodeError> {
    let mut job = Job::new("default");
    let mut climbs = Vec::new();
    for number in 0..count {
        let climb = job.value(&Climb { run, number })?;
        climbs.push(job.call(CLIMB, climb));
    }
    let sum = job.gather(SUM, climbs);
    Ok((job, sum))
}
