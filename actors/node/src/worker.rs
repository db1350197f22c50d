//! A worker: an actor that runs one task at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use playhouse_actors::prelude::*;
use playhouse_plane::{Fence, WorkerId};
use playhouse_wire::{ActorName, MessageId};

use crate::ground::Ground;
use crate::messages::{Run, TaskIsDone};
use crate::report::report;
use crate::tasks::{Progress, TaskCx, progress_key};

/// The name of a worker's actor on its node. It tells the lives of the node apart: an order for an earlier one finds nobody.
pub(crate) fn worker_name(id: &WorkerId) -> ActorName {
    ActorName::new(&format!("worker/{}/{}", id.incarnation.0, id.number)).expect("digits make a name")
}

pub(crate) struct Worker {
    ground: Ground,
    id: WorkerId,
    runs: Option<Fence>,
}

impl Worker {
    pub(crate) fn new(ground: Ground, id: WorkerId) -> Worker {
        Worker { ground, id, runs: None }
    }
}

impl Actor for Worker {
    type Context = Ctx<Self>;
}

impl Remote for Worker {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Run>(MessageId { id: 1, version: 2 }, Lane::Bulk);
    }
}

/// A task in the roster; leaves it when dropped, also when the worker panics or stops.
struct Held(Ground, Fence);

impl Held {
    /// None: the node leaves.
    fn new(ground: &Ground, fence: Fence) -> Option<Held> {
        ground.roster.add(fence).then(|| Held(ground.clone(), fence))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.roster.remove(self.1);
    }
}

impl Handler<Run> for Worker {
    type Result = MessageResult<Run>;

    fn handle(&mut self, run: Run, ctx: &mut Ctx<Self>) -> MessageResult<Run> {
        if let Err(reason) = self.ground.is_order(ctx, run.term) {
            return MessageResult(Err(reason));
        }
        if let Some(fence) = self.runs {
            playhouse_rt::reachable!("busy-worker");
            playhouse_rt::ledger::record("busy-worker", || format!("{} runs {fence}, and is given {}", self.id, run.fence));
            return MessageResult(Err(format!("the worker runs {fence}")));
        }
        let Run { fence, function, inputs, .. } = run;
        let Some(held) = Held::new(&self.ground, fence) else {
            return MessageResult(Err(format!("{} leaves", self.ground.node)));
        };
        self.runs = Some(fence);
        let Ground { tasks, disk, blocking, node, store, .. } = self.ground.clone();
        let used = Arc::new(AtomicBool::new(false));
        let progress = Progress { store, claimed: ctx.system().planted().progress_claimed, used: used.clone() };
        let cx = TaskCx::new(fence, node, disk).keeping(progress);
        let work = async move {
            playhouse_rt::ledger::record("task", || format!("{fence} {function} begins"));
            let outcome = blocking.run(move || tasks.call(&function, cx, &inputs)).await;
            outcome.unwrap_or_else(|panic| Err(format!("the function panicked: {panic}")))
        };
        ctx.spawn(work.into_actor(self).map(move |outcome, worker: &mut Worker, ctx: &mut Ctx<Worker>| {
            // Free for the next task at once: the plane may give it before it has answered our report.
            worker.runs = None;
            playhouse_rt::ledger::record("task", || format!("{fence} {}", if outcome.is_ok() { "done" } else { "failed" }));
            let (coordinators, id) = (worker.ground.coordinators.clone(), worker.id.clone());
            let kept = used.load(Ordering::Relaxed).then(|| worker.ground.store.clone()).filter(|_| outcome.is_ok());
            let report = async move {
                let done = TaskIsDone { fence, worker: id.clone(), outcome };
                if let Err(error) = report(&coordinators, done).await {
                    // The result itself cannot be sent (too large): that is a failure of the task, which can.
                    let outcome = Err(format!("the result cannot be sent: {error}"));
                    drop(crate::report::report(&coordinators, TaskIsDone { fence, worker: id, outcome }).await);
                } else if let Some(store) = kept
                    && let Err(error) = store.release(&progress_key(fence), u64::from(fence.attempt)).await
                {
                    tracing::debug!(%error, "the progress of a task that is done stays");
                }
                drop(held);
            };
            ctx.spawn(report.into_actor(worker));
        }));
        MessageResult(Ok(()))
    }
}
