//! After the last fault everything comes back: all workers up, all coordinators at one.

use std::time::Duration;

use crate::scenario::quorum::book::Book;

pub(in crate::scenario::quorum) const PROMISE: &str = "the cluster heals";

/// So much virtual time there is for it.
pub(in crate::scenario::quorum) const HEALED_WITHIN: Duration = Duration::from_secs(20);

pub(in crate::scenario::quorum) fn breach(book: &Book) -> Option<String> {
    let open = &book.seen.as_ref()?.open;
    (!open.is_empty()).then(|| format!("{HEALED_WITHIN:?} after the last fault: {open}"))
}
