//! Who is there is known to the coordinator.

use playhouse::{ClientError, ClusterStatus};

use crate::verdict::Verdict;

pub(in crate::scenario::quiet) const PROMISE: &str = "at the end everybody knows everybody";

pub(in crate::scenario::quiet) fn judge(status: Result<ClusterStatus, ClientError>, workers: usize) -> Result<(), Verdict> {
    let status = status.map_err(|error| Verdict::Broken { promise: PROMISE, seen: error.to_string() })?;
    // One whose last beats were lost, or skipped on purpose, may be suspect for a moment.
    let known = status.nodes.values().filter(|node| format!("{:?}", node.state) != "Lost").count();
    Verdict::check(PROMISE, known == workers, || format!("{:?}", status.nodes))
}
