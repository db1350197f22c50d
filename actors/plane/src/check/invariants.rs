//! What must hold after every step, and at the end. A row per promise.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use super::jobs;
use super::world::World;
use playhouse_wire::NodeName;

use crate::plane::JobOutcome;
use crate::scheduler::job::TaskState;

type Check = fn(&World) -> Result<(), String>;

/// After every step.
const ALWAYS: &[(&str, Check)] = &[
    ("no worker has two tasks", one_task_per_worker),
    ("a tenant never runs more than its slots", slots),
    ("a tenant's queue holds its unfinished tasks", queue),
    ("a result is accepted at most once", accepted_once),
    ("events are taken with their result, once", events_once),
    ("there are no more workers than wanted and offered", workers),
    ("a name has one owner, and the plane knows it", names),
];

/// When all is done.
const AT_THE_END: &[(&str, Check)] = &[
    ("a job that is done gives the right values", values),
    ("windows equal the oracle's", windows),
    ("a job fails only for a reason", reasons),
];

pub(super) fn hold(world: &World) {
    check(world, ALWAYS);
}

pub(super) fn hold_at_the_end(world: &World) {
    check(world, AT_THE_END);
}

fn check(world: &World, table: &[(&str, Check)]) {
    for (promise, check) in table {
        if let Err(found) = check(world) {
            panic!("broken promise: {promise}: {found}");
        }
    }
}

fn expect(holds: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(found()) }
}

fn one_task_per_worker(world: &World) -> Result<(), String> {
    let busy: BTreeMap<_, _> = world.plane.scheduler.slots.busy().map(|(worker, busy)| (worker, busy.fence)).collect();
    let mut seen = BTreeSet::new();
    for (id, job) in &world.plane.scheduler.jobs {
        for (index, task) in (0..).zip(&job.tasks) {
            let TaskState::Running(worker) = &task.state else { continue };
            expect(seen.insert(worker), || format!("{worker} has {id}/{index} and another"))?;
            let fence = crate::Fence { job: *id, task: index, attempt: task.attempt };
            expect(busy.get(worker) == Some(&fence), || format!("{worker} should be busy with {fence}: {busy:?}"))?;
        }
    }
    Ok(())
}

fn slots(world: &World) -> Result<(), String> {
    for (tenant, quota) in &world.plane.config.tenants {
        let busy = world.plane.scheduler.slots.busy().filter(|(_, busy)| busy.tenant == *tenant).count() as u32;
        let used = world.plane.used(tenant).map(|(running, _)| running);
        expect(busy <= quota.slots && used == Some(busy), || {
            format!("{tenant} runs {busy}, counted {used:?}, of {}", quota.slots)
        })?;
    }
    Ok(())
}

fn queue(world: &World) -> Result<(), String> {
    for (tenant, quota) in &world.plane.config.tenants {
        let jobs = world.plane.scheduler.jobs.values().filter(|job| job.tenant == *tenant);
        let open = jobs.flat_map(|job| &job.tasks).filter(|task| !task.state.is_final()).count() as u32;
        let queued = world.plane.used(tenant).map(|(_, queued)| queued);
        expect(open <= quota.queued && queued == Some(open), || format!("{tenant} has {open}, counted {queued:?}"))?;
    }
    Ok(())
}

fn accepted_once(world: &World) -> Result<(), String> {
    let tasks = world.plane.scheduler.jobs.values().flat_map(|job| &job.tasks);
    let done = tasks.filter(|task| task.state == TaskState::Done).count() as u64;
    let accepted = world.plane.counters().completed;
    expect(done == accepted, || format!("{accepted} results accepted for {done} tasks"))
}

fn events_once(world: &World) -> Result<(), String> {
    for (id, job) in world.plane.scheduler.jobs.iter().filter(|(_, job)| job.is_running()) {
        let Some(stream) = world.plane.job_status(*id).and_then(|status| status.stream) else { continue };
        let done = (0..).zip(&job.tasks).filter(|(_, task)| task.state == TaskState::Done);
        let brought: u64 = done.map(|(index, _)| jobs::event_count(&world.jobs[id], index)).sum();
        expect(stream.events == brought, || format!("job {id} has {} events instead of {brought}", stream.events))?;
        expect(stream.late == 0, || format!("job {id} has {} late events", stream.late))?;
    }
    Ok(())
}

fn workers(world: &World) -> Result<(), String> {
    // A worker that stops may be there beside the one that takes its place.
    let mut by_node: BTreeMap<_, u32> = BTreeMap::new();
    let mut up = 0;
    let stays = |node: &NodeName| !world.plane.nodes()[node].draining;
    for worker in world.plane.workers() {
        *by_node.entry(worker.id.node.clone()).or_default() += 1;
        // One on a node that is about to leave has its successor elsewhere already.
        up += u32::from(worker.up && stays(&worker.id.node));
    }
    expect(up <= world.plane.config.workers && by_node.values().all(|n| *n <= 2), || format!("{up} up, {by_node:?}"))
}

fn names(world: &World) -> Result<(), String> {
    let torn = world.plane.names.torn();
    expect(torn.is_none(), || torn.unwrap_or_default())?;
    for node in &world.nodes {
        for (name, fence) in node.claims.held_at(world.now) {
            let owner = world.plane.owner(name);
            let is_its =
                owner.as_ref().is_some_and(|o| o.node == node.name && o.incarnation == node.incarnation && o.fence == *fence);
            expect(is_its, || format!("{}{} holds {name} by fence {fence}: {owner:?}", node.name, node.incarnation))?;
        }
    }
    Ok(())
}

fn values(world: &World) -> Result<(), String> {
    for (id, spec) in world.jobs.iter().filter(|(id, _)| world.finished[id] == JobOutcome::Done) {
        let (found, expected) = (world.plane.result(*id), jobs::expected_result(spec));
        expect(found.as_ref() == Some(&expected), || format!("job {id} gives {found:?} instead of {expected:?}"))?;
    }
    Ok(())
}

fn windows(world: &World) -> Result<(), String> {
    for (id, spec) in world.jobs.iter().filter(|(id, _)| world.finished[id] == JobOutcome::Done) {
        let (found, expected) = (world.plane.windows(*id), jobs::expected_windows(spec));
        expect(found == expected, || format!("job {id} has {found:?} instead of {expected:?}"))?;
    }
    Ok(())
}

fn reasons(world: &World) -> Result<(), String> {
    for (id, outcome) in &world.finished {
        let JobOutcome::Failed(reason) = outcome else { continue };
        expect(reason.contains("injected") || reason.contains("was lost"), || format!("job {id}: {reason}"))?;
    }
    Ok(())
}
