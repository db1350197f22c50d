//! After the last trouble all actors come back that are to be up.

use std::time::Duration;

use crate::scenario::actors::book::{Book, NodeState};

pub(in crate::scenario::actors) const PROMISE: &str = "what is to be up is up again";

/// So much virtual time there is for it.
pub(in crate::scenario::actors) const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// Whether it is so now, or another promise is broken already.
pub(in crate::scenario::actors) fn is_well(book: &Book) -> bool {
    let well = |open: &Option<String>| open.as_ref().is_some_and(String::is_empty);
    book.breach.is_some() || book.nodes.iter().all(|node| node.state != NodeState::Up || well(&node.open))
}

/// What is not up.
pub(in crate::scenario::actors) fn open(book: &Book) -> String {
    let open: Vec<_> = book.nodes.iter().filter_map(|node| node.open.clone()).collect();
    format!("{HEALED_WITHIN:?} after the last trouble: {}", open.join("; "))
}
