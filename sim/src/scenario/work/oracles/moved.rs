//! What a node had in hand when it went is not lost, and does not wait for the node to come back.

use std::time::Duration;

use playhouse::MonitorConfig;

use crate::scenario::work::book::Book;

pub(in crate::scenario::work) const PROMISE: &str = "what a node that goes had in hand runs elsewhere in time";

/// Beside the time after which a silent node is lost: until one of the other node's workers is free, or a new one is up.
const SLACK: Duration = Duration::from_millis(1_500);

pub(in crate::scenario::work) fn breach(book: &Book) -> Option<String> {
    let within = MonitorConfig::default().lost_after + SLACK;
    book.gone.iter().find_map(|gone| {
        // Who is cut off for a moment keeps its work.
        if !gone.crash && gone.lasts < within {
            return None;
        }
        let mut in_hand = book
            .calls
            .iter()
            .filter(|call| call.node == gone.node && call.at <= gone.at && call.ends() > gone.at && !call.failed);
        in_hand.find_map(|call| {
            let again = book.calls.iter().find(|again| again.number == call.number && again.at > gone.at);
            let waited = again.map(|again| again.at - gone.at);
            if waited.is_some_and(|waited| waited <= within) {
                return None;
            }
            let (number, node) = (call.number, &gone.node);
            let when = waited.map_or("never".into(), |waited| format!("{waited:?} after that"));
            Some(format!("task {number} ran on {node} when that went, and was begun elsewhere {when}; {within:?} are allowed"))
        })
    })
}
