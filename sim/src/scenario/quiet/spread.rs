//! A node uses its threads: none of them has nearly all of the actors.

use playhouse::rt;

use crate::verdict::Verdict;

pub(super) const PROMISE: &str = "the actors of a node are shared out among its threads";

/// A thread may have so many of a hundred actors, where there are two threads or more.
const MOST_PERCENT: u64 = 75;

pub(super) fn judge() -> Result<(), Verdict> {
    let nodes = rt::sim::given_to_threads();
    let all = |node: &[u64]| node.iter().sum::<u64>();
    let uneven = nodes.iter().find(|node| node.len() > 1 && node.iter().any(|one| one * 100 > all(node) * MOST_PERCENT));
    Verdict::check(PROMISE, uneven.is_none(), || format!("the threads of a node were given {uneven:?} actors"))
}
