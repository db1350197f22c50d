//! A mailbox keeps to its bound.

use crate::scenario::actors::book::{Book, Index};

pub(in crate::scenario::actors) const PROMISE: &str = "no mailbox holds more than its bound";

impl Book {
    /// How many messages wait, as somebody saw it.
    pub(in crate::scenario::actors) fn depth(&mut self, node: Index, name: usize, depth: usize) {
        let bound = self.bounds[name];
        self.check(PROMISE, depth <= bound, |book| {
            format!("{depth} messages in the mailbox of {}, which holds {bound}", book.title(node, name))
        });
    }
}
