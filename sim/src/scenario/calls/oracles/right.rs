//! A result is that of the function, and of this call.

use std::collections::BTreeSet;

use crate::scenario::calls::book::{Book, Told};

pub(in crate::scenario::calls) const PROMISE: &str = "a call gives what its function gives, which has run";

pub(in crate::scenario::calls) fn breach(book: &Book) -> Option<String> {
    let ran: BTreeSet<u64> = book.runs.iter().map(|run| run.number).collect();
    book.told.iter().find_map(|(number, _, told)| match told {
        Told::Gave { is, should } if is != should => Some(format!("call {number} gave {is} instead of {should}")),
        Told::Gave { .. } if !ran.contains(number) => Some(format!("call {number} gave a result, and has not run")),
        Told::Wrong(error) => Some(format!("call {number} failed: {error}")),
        _ => None,
    })
}
