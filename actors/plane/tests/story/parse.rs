//! Words of a story as values. A word that cannot be read is the author's mistake, so these panic.

use std::time::Duration;

use playhouse_plane::{Fence, Input, JobId, JobSpec, ShardId, StreamEvent, StreamSpec, TaskSpec, TenantId, ValueRef, WorkerId};
use playhouse_wire::{Incarnation, NodeName, Time};

/// The value of `name=value` among the words.
pub(super) fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

pub(super) fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a number"))
}

/// Values with commas between them; none for an empty word.
pub(super) fn list<T>(word: &str, item: impl Fn(&str) -> T) -> Vec<T> {
    word.split(',').filter(|part| !part.is_empty()).map(item).collect()
}

pub(super) fn name(word: &str) -> NodeName {
    NodeName::new(word).unwrap()
}

/// `NAME` or `NAME#LIFE`.
pub(super) fn node(word: &str) -> (NodeName, Incarnation) {
    let (node, life) = word.split_once('#').unwrap_or((word, "1"));
    (name(node), Incarnation(number(life)))
}

/// `NODE[#LIFE]/NUMBER`.
pub(super) fn worker(word: &str) -> WorkerId {
    let (at, index) = word.split_once('/').expect("NODE/NUMBER");
    let (node, incarnation) = node(at);
    WorkerId { node, incarnation, number: number(index) }
}

/// `JOB/TASK#ATTEMPT`.
pub(super) fn fence(word: &str) -> Fence {
    let (job, rest) = word.split_once('/').expect("JOB/TASK#ATTEMPT");
    let (task, attempt) = rest.split_once('#').expect("JOB/TASK#ATTEMPT");
    Fence { job: JobId(number(job)), task: number(task), attempt: number(attempt) }
}

/// `JOB:SHARD`.
pub(super) fn shard(word: &str) -> ShardId {
    let (job, index) = word.split_once(':').expect("JOB:SHARD");
    ShardId { job: JobId(number(job)), shard: number(index) }
}

/// `2s` or `150ms`.
pub(super) fn duration(word: &str) -> Duration {
    match word.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(number(millis)),
        None => Duration::from_secs(number(word.strip_suffix('s').expect("s or ms"))),
    }
}

/// `TIME:KEY:VALUE`.
pub(super) fn event(word: &str) -> StreamEvent {
    let parts: Vec<_> = word.split(':').collect();
    StreamEvent { time: Time::ZERO + duration(parts[0]), key: parts[1].into(), value: number(parts[2]) }
}

/// A job from its options and tasks.
pub(super) fn job(words: &[&str]) -> JobSpec {
    let value = |task: &str| ValueRef { task: number(task), output: 0 };
    let attempts = option(words, "attempts").map_or(3, number);
    let stream = option(words, "stream").map(|word| {
        let (shards, window) = word.split_once('x').expect("SHARDSxWINDOW");
        StreamSpec { shards: number(shards), window: duration(window).as_nanos() as u64 }
    });
    let task = |word: &&str| {
        let (call, floor) =
            word.split_once('@').map_or((*word, None), |(call, floor)| (call, Some(Time::ZERO + duration(floor))));
        let (function, inputs) = call.strip_suffix(')').and_then(|call| call.split_once('(')).unwrap_or((call, ""));
        let inputs = list(inputs, |task| Input::Value(value(task)));
        TaskSpec { function: function.into(), inputs, outputs: 1, max_attempts: attempts, event_floor: floor }
    };
    JobSpec {
        tenant: TenantId(option(words, "tenant").unwrap_or("default").into()),
        tasks: words.iter().filter(|word| !word.contains('=')).map(task).collect(),
        stream,
        output: list(option(words, "out").unwrap_or(""), value),
    }
}
