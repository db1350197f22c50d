//! Order holds from one sender through one reference.

use crate::scenario::actors::book::Book;

pub(in crate::scenario::actors) const PROMISE: &str =
    "what one sender tells through one reference is handled in the order of sending";

impl Book {
    /// Number `seq` of what one sender told through one reference is handled, after `last`.
    pub(in crate::scenario::actors) fn check_order(&mut self, seq: u64, last: Option<u64>, what: impl FnOnce(&Book) -> String) {
        self.check(PROMISE, last.is_none_or(|last| last < seq), |book| {
            format!("{}, number {seq}, comes after number {last:?}", what(book))
        });
    }
}
