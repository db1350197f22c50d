//! Bad weather is no reason to give a node up.

use crate::verdict::Verdict;

pub(in crate::scenario::quiet) const PROMISE: &str = "nobody is given up who lives";

pub(in crate::scenario::quiet) fn judge(given_up: u64) -> Result<(), Verdict> {
    Verdict::check(PROMISE, given_up == 0, || format!("{given_up} nodes were given up"))
}
