//! A value of an actor is made when the one before it has ended, and does nothing after its own end.

use crate::scenario::actors::book::Book;

pub(in crate::scenario::actors) const PROMISE: &str = "an actor has one life at a time";

impl Book {
    /// A value of an actor is made.
    pub(in crate::scenario::actors) fn check_alone(&mut self, node: usize, name: usize) {
        let other = self.lives.iter().any(|life| life.node == node && life.name == name && !life.over);
        self.check(PROMISE, !other, |book| {
            format!("{} was built while an earlier life of it had not ended", book.title(node, name))
        });
    }

    /// A value of an actor does something.
    pub(in crate::scenario::actors) fn check_living(&mut self, over: bool, what: impl FnOnce(&Book) -> String) {
        self.check(PROMISE, !over, |book| format!("{} by a life that has ended", what(book)));
    }
}
