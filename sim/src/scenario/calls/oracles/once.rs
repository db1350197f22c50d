//! Nobody calls again for the caller.

use std::collections::BTreeMap;

use crate::scenario::calls::book::Book;

pub(in crate::scenario::calls) const PROMISE: &str = "a call runs at most once";

pub(in crate::scenario::calls) fn breach(book: &Book) -> Option<String> {
    let mut where_it_ran = BTreeMap::new();
    book.runs.iter().find_map(|run| {
        let before = where_it_ran.insert(run.number, &run.node)?;
        Some(format!("call {} ran on {before}, and on {}", run.number, run.node))
    })
}
