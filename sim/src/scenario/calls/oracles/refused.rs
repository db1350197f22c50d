//! Who is told that nothing ran may call again, whatever the function does.

use std::collections::BTreeMap;

use crate::scenario::calls::book::{Book, Told};

pub(in crate::scenario::calls) const PROMISE: &str = "what is said not to have run has not, and does not";

pub(in crate::scenario::calls) fn breach(book: &Book) -> Option<String> {
    let ran: BTreeMap<u64, &str> = book.runs.iter().map(|run| (run.number, run.node.as_str())).collect();
    book.told.iter().find_map(|(number, _, told)| match (told, ran.get(number)) {
        (Told::NotRun(why), Some(node)) => Some(format!("call {number} ran on {node}; its caller was told: {why}")),
        _ => None,
    })
}
