//! Effects and answers as lines of a story.

use playhouse_plane::{Claimed, JobOutcome, JobStatus, PlaneEffect, WindowResult, WorkerStatus};
use playhouse_wire::Time;

pub(super) fn effect(effect: &PlaneEffect) -> String {
    match effect {
        PlaneEffect::Submitted { request, result: Ok(job) } => format!("submitted r{} job {job}", request.0),
        PlaneEffect::Submitted { request, result: Err(error) } => format!("refused r{}: {error}", request.0),
        PlaneEffect::StartWorker { id } => format!("start {id}"),
        PlaneEffect::StopWorker { id } => format!("stop {id}"),
        PlaneEffect::Dispatch { worker, fence, function, inputs } => {
            let inputs: Vec<_> = inputs.iter().map(|input| String::from_utf8_lossy(input)).collect();
            format!("dispatch {fence} to {worker}: {function}({})", inputs.join(", "))
        }
        PlaneEffect::OpenShard { shard, epoch, node, incarnation, .. } => {
            format!("open {shard} epoch {epoch} at {node}{incarnation}")
        }
        PlaneEffect::CloseShard { shard, epoch, node, incarnation } => {
            format!("close {shard} epoch {epoch} at {node}{incarnation}")
        }
        PlaneEffect::Feed { shard, epoch, node, feed, .. } => {
            let events: Vec<_> = feed.events.iter().map(|e| format!("{}@{}ms", e.key, e.time.as_millis())).collect();
            let (first, seen) = (feed.first_seq, feed.windows_seen);
            let batch = events.join(" ");
            format!("feed {shard} epoch {epoch} at {node}: from {first} [{batch}] watermark {} seen {seen}", time(feed.watermark))
        }
        PlaneEffect::JobFinished { job, outcome } => format!("finished {job}: {}", self::outcome(outcome)),
        PlaneEffect::NodeLost { node, incarnation } => format!("lost {node}{incarnation}"),
        PlaneEffect::Replanned { node, tasks, shards } => format!("replanned after {node}: {tasks} tasks, {shards} shards"),
        PlaneEffect::NamesFreed { node, incarnation, names } => format!("{names} names of {node}{incarnation} are free"),
    }
}

pub(super) fn claimed(name: &str, claimed: &Claimed) -> String {
    match claimed {
        Claimed::Granted(fence) => format!("{name} is granted with fence {fence}"),
        Claimed::Owned(owner) => format!("{name} is owned by {}{} with fence {}", owner.node, owner.incarnation, owner.fence),
        Claimed::Refused(why) => format!("{name} is refused: {why}"),
    }
}

pub(super) fn status(status: &Option<JobStatus>) -> String {
    let Some(s) = status else { return "unknown".into() };
    let state = s.state.as_ref().map_or("running".into(), outcome);
    let stream = s.stream.as_ref().map(|s| {
        let applied: u64 = s.shards.iter().map(|shard| shard.applied).sum();
        let replay: u64 = s.shards.iter().map(|shard| shard.replay).sum();
        format!(
            "; stream: {} events, {applied} applied, {replay} for replay, {} windows, {} late, watermark {}",
            s.events,
            s.windows,
            s.late,
            time(s.watermark)
        )
    });
    let counts = format!(
        "{} done, {} running, {} waiting, {} failed, {} skipped, {} retries",
        s.done, s.running, s.waiting, s.failed, s.skipped, s.retries
    );
    format!("{state}: {counts}{}", stream.unwrap_or_default())
}

pub(super) fn window(w: &WindowResult) -> String {
    format!("{} from {}: {} events, sum {}", w.key, time(w.start), w.count, w.sum)
}

pub(super) fn worker(w: &WorkerStatus) -> String {
    let task = w.task.map(|fence| format!(" runs {fence}")).unwrap_or_default();
    format!("{} {}{task}", w.id, if w.up { "up" } else { "not up" })
}

fn outcome(outcome: &JobOutcome) -> String {
    match outcome {
        JobOutcome::Done => "done".into(),
        JobOutcome::Failed(reason) => format!("failed: {reason}"),
    }
}

fn time(time: Time) -> String {
    if time == Time::MAX { "end".into() } else { format!("{}ms", time.as_millis()) }
}
