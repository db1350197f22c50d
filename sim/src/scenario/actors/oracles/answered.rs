//! An ask has an end, and its error is true.

use std::time::Duration;

use playhouse::rt;
use playhouse_actors::AskError;

use crate::scenario::actors::book::{Book, NodeState};

pub(in crate::scenario::actors) const PROMISE: &str = "each ask ends within its deadline, and what its error says is so";

/// An ask may end so much after its deadline: a turn of whoever polls it.
const ANSWER_SLACK: Duration = Duration::from_millis(10);

/// When all is quiet: all asks have ended.
pub(in crate::scenario::actors) fn open(book: &mut Book) {
    let now = rt::now();
    let open = book.asks.iter().position(|ask| {
        !ask.done && ask.until + ANSWER_SLACK < now && matches!(book.nodes[ask.node].state, NodeState::Up | NodeState::Stopped)
    });
    if let Some(open) = open {
        book.breach(PROMISE, |_| format!("ask {open} has not ended"));
    }
}

impl Book {
    /// An ask is handled.
    pub(in crate::scenario::actors) fn check_unrefused(&mut self, id: u64, refused: bool) {
        self.check(PROMISE, !refused, |_| format!("ask {id} is handled, after its asker was told that it was not"));
    }

    /// An ask ends so.
    pub(in crate::scenario::actors) fn check_answer(&mut self, id: u64, answer: &Result<u64, AskError>) {
        use AskError::{NotInProtocol, NotUnderstood, Undecodable, Unsendable};
        let ask = &self.asks[id as usize];
        let slack = ANSWER_SLACK + self.held[self.nodes[ask.node].place];
        let (late, handled, refused) = (rt::now() > ask.until + slack, ask.handled > 0, ask.refused);
        let wrong = matches!(answer, Err(NotUnderstood(_) | NotInProtocol(_) | Undecodable(_) | Unsendable(_)));
        self.check(PROMISE, !late, |_| format!("ask {id} ends after its deadline"));
        self.check(PROMISE, !(refused && handled), |_| format!("ask {id} was handled, and its asker is told: {answer:?}"));
        self.check(PROMISE, answer.as_ref().map_or(!wrong, |n| *n == id && handled), |_| {
            format!("ask {id} is answered {answer:?}")
        });
    }
}
