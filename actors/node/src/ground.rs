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
        let until = playhouse_rt::now() + within;
        let (node, incarnation) = (self.node.clone(), self.incarnation);
        let drains = Drains { node: node.clone(), incarnation };
        let told = self.coordinators.ask(drains, REPORT_DEADLINE, Some(until)).await.is_ok();
        let left = until.saturating_duration_since(playhouse_rt::now());
        let done = playhouse_rt::timeout(left, self.roster.is_empty()).await.is_ok();
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
    held: Mutex<BTreeSet<Fence>>,
    /// The last one is gone.
    empty: Notify,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Fence>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fence: Fence) {
        self.lock().insert(fence);
    }

    pub(crate) fn remove(&self, fence: Fence) {
        let mut held = self.lock();
        held.remove(&fence);
        if held.is_empty() {
            self.0.empty.notify_waiters();
        }
    }

    pub(crate) fn all(&self) -> Vec<Fence> {
        self.lock().iter().copied().collect()
    }

    /// Waits until it holds none.
    pub(crate) async fn is_empty(&self) {
        loop {
            let empty = self.0.empty.notified();
            if self.lock().is_empty() {
                return;
            }
            empty.await;
        }
    }
}
