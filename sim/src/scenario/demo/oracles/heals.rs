//! After the last fault everything comes back: all nodes alive, all workers up.

use std::time::Duration;

use playhouse::ClusterStatus;

use crate::scenario::demo::WORKERS;
use crate::verdict::Verdict;

pub(in crate::scenario::demo) const PROMISE: &str = "the cluster heals";

/// So much virtual time there is for it.
pub(in crate::scenario::demo) const HEALED_WITHIN: Duration = Duration::from_secs(20);

/// Whether all is well with so many worker nodes.
pub(in crate::scenario::demo) fn is_healed(status: &ClusterStatus, nodes: usize) -> bool {
    let alive = status.nodes.values().filter(|node| format!("{:?}", node.state) == "Alive").count();
    let up = status.workers.iter().filter(|worker| worker.up).count();
    alive == nodes && status.workers.len() == up && up == WORKERS as usize
}

/// What was not well when the time was over.
pub(in crate::scenario::demo) fn check(open: &str) -> Result<(), Verdict> {
    Verdict::check(PROMISE, open.is_empty(), || format!("{HEALED_WITHIN:?} after the last fault: {open}"))
}
