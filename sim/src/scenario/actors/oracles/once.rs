//! Delivery is at most once.

use crate::scenario::actors::book::Book;

pub(in crate::scenario::actors) const PROMISE: &str = "no message is handled twice";

impl Book {
    /// A message arrives, or is handled, for this time.
    pub(in crate::scenario::actors) fn check_once(&mut self, times: u32, what: impl FnOnce(&Book) -> String) {
        self.check(PROMISE, times <= 1, |book| format!("{} for the second time", what(book)));
    }
}
