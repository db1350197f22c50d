//! The price of a call is what goes with its node, and no more.

use crate::scenario::calls::book::{Book, Told};

pub(in crate::scenario::calls) const PROMISE: &str = "a call is lost only with its node, or the way to it";

pub(in crate::scenario::calls) fn breach(book: &Book) -> Option<String> {
    book.told.iter().find_map(|(number, _, told)| match told {
        Told::Unknown { node, why } if !book.befallen.contains(node) => {
            Some(format!("call {number} was lost on {node}, which nothing befalls in this run: {why}"))
        }
        _ => None,
    })
}
