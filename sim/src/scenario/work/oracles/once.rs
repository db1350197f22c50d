//! Tasks cost what they cost once: one is called again only if it failed, or if its node was gone before its result can have been heard.

use std::time::Duration;

use crate::scenario::work::book::{Book, Call};

pub(in crate::scenario::work) const PROMISE: &str = "a task runs once, unless it fails or its node goes";

/// Within so much time after its end the coordinator has heard of a result, from a node that reaches it.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

pub(in crate::scenario::work) fn breach(book: &Book) -> Option<String> {
    // Its node went before what came of the call was heard, and had not come back when it was made.
    let is_lost = |call: &Call| {
        let gone = book.gone.iter().filter(|gone| gone.node == call.node);
        gone.into_iter().any(|gone| gone.at < call.ends() + HEARD_WITHIN && call.at < gone.at + gone.lasts)
    };
    book.calls.iter().enumerate().find_map(|(at, again)| {
        let before = book.calls[..at].iter().rfind(|call| call.number == again.number)?;
        if before.failed || is_lost(before) {
            return None;
        }
        let (after, number) = (again.at - before.at, again.number);
        let (old, new) = (&before.node, &again.node);
        Some(format!("task {number} ran on {old} for {:?}, and again on {new} {after:?} after it had begun there", before.pace))
    })
}
