//! What the workers and shards of a node stand on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_actors::prelude::*;
use playhouse_plane::Fence;
use playhouse_rt::sync::Notify;
use playhouse_rt::{Blocking, Disk};
use playhouse_store::Store;
use playhouse_wire::Incarnation;

use crate::coordinators::Coordinators;
use crate::limits::REPORT_DEADLINE;
use crate::messages::{Drains, Leaves};
use crate::tasks::Tasks;

/// What all of one node's workers and shards stand on.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) node: NodeName,
    pub(crate) incarnation: Incarnation,
    pub(crate) coordinators: Coordinators,
    pub(crate) tasks: Tasks,
    pub(crate) disk: Disk,
    pub(crate) store: Store,
    pub(crate) blocking: Blocking,
    pub(crate) roster: Roster,
    /// Why this life of the node is over, once it is.
    pub(crate) over: Arc<std::sync::OnceLock<String>>,
}

impl Ground {
    /// Whether the message being handled is an order of the coordinator that leads in this term. Nobody else gives any.
    pub(crate) fn is_order<A: Actor<Context = Ctx<A>>>(&self, ctx: &Ctx<A>, term: u64) -> Result<(), String> {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node);
        self.coordinators.is_order(from, term)
    }
}

impl Ground {
    /// Lets the node leave: it gets no new work, what it has comes to its end, and then it is gone for the cluster. False: `within` was too
    /// short for one of them.
    pub(crate) async fn drain(&self, within: Duration) -> bool {
        // One that has nothing to end need not wait until somebody leads again.
        let patience = if self.roster.all().is_empty() { within.min(REPORT_DEADLINE) } else { within };
        let until = playhouse_rt::now() + patience;
        let (node, incarnation) = (self.node.clone(), self.incarnation);
        let drains = Drains { node: node.clone(), incarnation };
        let told = self.coordinators.ask(drains, REPORT_DEADLINE, Some(until)).await.is_ok();
        let left = (until + (within - patience)).saturating_duration_since(playhouse_rt::now());
        let done = playhouse_rt::timeout(left, self.roster.closes()).await.is_ok();
        self.roster.close();
        // What is left is planned anew at once, and not when the silence is noticed.
        let leaves = Leaves { node, incarnation };
        let until = playhouse_rt::now() + REPORT_DEADLINE;
        self.coordinators.ask(leaves, REPORT_DEADLINE, Some(until)).await.is_ok() && told && done
    }
}

/// The tasks that a node holds: from the receipt of an order to run one until its result has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    tasks: Mutex<Listed>,
    /// The last one is gone.
    empty: Notify,
}

#[derive(Debug, Default)]
struct Listed {
    held: BTreeSet<Fence>,
    /// The node leaves.
    closed: bool,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False: the node leaves, and takes none any more.
    pub(crate) fn add(&self, fence: Fence) -> bool {
        let mut tasks = self.lock();
        if !tasks.closed {
            tasks.held.insert(fence);
        }
        !tasks.closed
    }

    pub(crate) fn remove(&self, fence: Fence) {
        let mut tasks = self.lock();
        tasks.held.remove(&fence);
        if tasks.held.is_empty() {
            self.0.empty.notify_waiters();
        }
    }

    pub(crate) fn all(&self) -> Vec<Fence> {
        self.lock().held.iter().copied().collect()
    }

    /// Waits until it holds none; from that moment it takes none. An order that was given before the coordinators heard that the node leaves
    /// may still be under way: it is refused, for the task is given to others when the node has left.
    pub(crate) async fn closes(&self) {
        loop {
            let empty = self.0.empty.notified();
            {
                let mut tasks = self.lock();
                if tasks.held.is_empty() {
                    tasks.closed = true;
                    return;
                }
            }
            empty.await;
        }
    }

    /// Takes none any more, whatever it holds.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use playhouse_plane::JobId;

    use super::*;

    #[test]
    fn a_roster_that_was_found_empty_takes_no_task_that_comes_late() {
        let fence = |task| Fence { job: JobId(1), task, attempt: 1 };
        let roster = Roster::default();
        assert!(roster.add(fence(1)));
        let mut closes = pin!(roster.closes());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(closes.as_mut().poll(&mut context), Poll::Pending);
        // The order was given before the coordinators heard that the node leaves.
        assert!(roster.add(fence(2)), "what it has is not over yet");
        roster.remove(fence(1));
        assert_eq!(closes.as_mut().poll(&mut context), Poll::Pending);
        roster.remove(fence(2));
        assert_eq!(closes.as_mut().poll(&mut context), Poll::Ready(()));
        assert!(!roster.add(fence(3)), "it would run here and where it is given next");
        assert_eq!(roster.all(), []);
    }
}
