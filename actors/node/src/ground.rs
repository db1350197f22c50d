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
    /// Where calls run: they wait for no task.
    pub(crate) calls: Blocking,
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
        self.roster.leaves();
        // One that has no task to end need not wait until somebody leads again.
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

/// The tasks that a node holds, from the receipt of an order to run one until its result has arrived; and the calls, until their outcome is
/// said.
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
    /// So many calls.
    calls: u32,
    /// The node is about to leave, and takes no calls any more; tasks that it was given before that was heard still come.
    leaves: bool,
    /// The node leaves.
    closed: bool,
}

impl Listed {
    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.calls == 0
    }
}

/// A call in the roster; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct HeldCall(Roster);

impl Drop for HeldCall {
    fn drop(&mut self) {
        self.0.change(|tasks| tasks.calls -= 1);
    }
}

/// Why a call has no place in a roster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// There are as many as there may be.
    Full,
    /// The node leaves.
    Closed,
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
        self.change(|tasks| _ = tasks.held.remove(&fence));
    }

    fn change(&self, change: impl FnOnce(&mut Listed)) {
        let mut tasks = self.lock();
        change(&mut tasks);
        if tasks.is_idle() {
            self.0.empty.notify_waiters();
        }
    }

    /// A place for one more call, if there are fewer than `most`.
    pub(crate) fn add_call(&self, most: u32) -> Result<HeldCall, NoPlace> {
        let mut tasks = self.lock();
        match (tasks.closed || tasks.leaves, tasks.calls < most) {
            (true, _) => Err(NoPlace::Closed),
            (false, false) => Err(NoPlace::Full),
            (false, true) => {
                tasks.calls += 1;
                drop(tasks);
                Ok(HeldCall(self.clone()))
            }
        }
    }

    /// Takes no calls any more.
    pub(crate) fn leaves(&self) {
        self.lock().leaves = true;
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
                if tasks.is_idle() {
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
        assert_eq!(roster.add_call(1).unwrap_err(), NoPlace::Closed);
    }

    #[test]
    fn a_node_that_leaves_waits_for_its_calls_and_has_no_more_than_it_takes() {
        let roster = Roster::default();
        let [first, second] = [roster.add_call(2).unwrap(), roster.add_call(2).unwrap()];
        assert_eq!(roster.add_call(2).unwrap_err(), NoPlace::Full);
        drop(first);
        let third = roster.add_call(2).unwrap();
        let mut closes = pin!(roster.closes());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(closes.as_mut().poll(&mut context), Poll::Pending);
        drop(second);
        assert_eq!(closes.as_mut().poll(&mut context), Poll::Pending);
        roster.leaves();
        assert_eq!(roster.add_call(9).unwrap_err(), NoPlace::Closed, "or it would never be empty");
        drop(third);
        assert_eq!(closes.as_mut().poll(&mut context), Poll::Ready(()));
    }
}
