//! The job: many tasks that take a while, some of which fail at first, and one that adds up what they give.

use std::time::Duration;

use playhouse::rt;
use playhouse::{EncodeError, Function, Job, TaskCx, TaskError, Tasks, Value};
use serde::{Deserialize, Serialize};

use super::book::{Call, enter};

const PIECE: Function<Piece, u64> = Function::new("piece");
const SUM: Function<Vec<u64>, u64> = Function::new("sum");

/// Each task whose number is one more than a multiple of this fails in its first attempt.
const FAILS_EVERY: u64 = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Piece {
    number: u64,
    pace_ms: u64,
}

/// What each task gives, so that each counts in the sum.
fn value(number: u64) -> u64 {
    number * number + 1
}

pub(super) fn expected(count: u64) -> u64 {
    (0..count).map(value).sum()
}

pub(super) fn all() -> Tasks {
    Tasks::new().add(PIECE, piece).add_gather(SUM, |_, values| Ok(values.into_iter().sum()))
}

fn piece(cx: &mut TaskCx, piece: Piece) -> Result<u64, TaskError> {
    let failed = piece.number % FAILS_EVERY == 1 && cx.attempt() == 1;
    let pace = Duration::from_millis(if failed { 0 } else { piece.pace_ms });
    let (number, node) = (piece.number, cx.node().as_str().to_string());
    enter(|book| book.calls.push(Call { number, node, at: rt::now(), pace, failed }));
    rt::pause(pace);
    if failed { Err(TaskError::new("as it was told")) } else { Ok(value(number)) }
}

/// Tasks that take around `pace` each, some longer than others, and the sum of what they give.
pub(super) fn job(count: u64, pace: Duration) -> Result<(Job, Value<u64>), EncodeError> {
    let mut job = Job::new("default");
    let mut pieces = Vec::new();
    for number in 0..count {
        let pace_ms = pace.as_millis() as u64 * (number % 4 + 1) / 2;
        let piece = job.value(&Piece { number, pace_ms })?;
        pieces.push(job.call(PIECE, piece));
    }
    let sum = job.gather(SUM, pieces);
    Ok((job, sum))
}
