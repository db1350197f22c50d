//! What the workers and shards of a node stand on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_actors::prelude::*;
use playhouse_plane::Fence;
use playhouse_rt::{Blocking, Disk};
use playhouse_store::Store;
use playhouse_wire::Incarnation;

use crate::coordinators::Coordinators;
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
}

impl Ground {
    /// Whether the message being handled is an order of the coordinator that leads in this term. Nobody else gives any.
    pub(crate) fn is_order<A: Actor<Context = Ctx<A>>>(&self, ctx: &Ctx<A>, term: u64) -> Result<(), String> {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node);
        self.coordinators.is_order(from, term)
    }
}

/// The tasks that a node holds: from the receipt of an order to run one until its result has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster(Arc<Mutex<BTreeSet<Fence>>>);

impl Roster {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeSet<Fence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
