//! Whatever befalls the nodes, the job comes to its end.

use playhouse::ClientError;

use crate::verdict::Verdict;

pub(in crate::scenario::demo) const PROMISE: &str = "a job that can be done is done";

pub(in crate::scenario::demo) fn broken(error: &ClientError) -> Verdict {
    Verdict::Broken { promise: PROMISE, seen: error.to_string() }
}
