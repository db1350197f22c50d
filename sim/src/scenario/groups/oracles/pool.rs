//! No more offloaded work runs at once on a node than its pool has places.

use playhouse::rt;
use playhouse_actors::limits::BLOCKING;

use crate::scenario::groups::book::Book;

pub(in crate::scenario::groups) const PROMISE: &str = "no more offloaded work runs at once than the pool has places";

pub(in crate::scenario::groups) fn breach(_: &Book) -> Option<String> {
    let most = rt::sim::most_at_work();
    (most > BLOCKING).then(|| format!("{most} pieces of work ran at once, where {BLOCKING} may"))
}
