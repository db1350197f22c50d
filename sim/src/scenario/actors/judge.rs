//! What can only be judged when all is quiet, or over.

use std::task::{Context, Poll, Waker};

use playhouse_actors::Exit;

use super::book::{Book, Index};
use super::oracles::{account, answered, intensity, linked, notice};
use super::plan::{Cast, Troubles};

/// When the load is long over and nothing has been stopped yet.
pub(super) fn quiet(book: &mut Book, troubles: &Troubles) {
    notice::silence(book);
    linked::ties(book, troubles);
    answered::open(book);
}

/// When all nodes have stopped.
pub(super) fn stopped(book: &mut Book, troubles: &Troubles, cast: &Cast) {
    intensity::births(book, cast);
    notice::false_losses(book, troubles);
    account::balance(book, troubles);
}

pub(super) fn has_ended(book: &Book, cell: Index) -> bool {
    exit(book, cell).is_some()
}

/// Why an actor ended, if it has.
pub(super) fn exit(book: &Book, cell: Index) -> Option<Exit> {
    let ended = std::pin::pin!(book.cells[cell].me.ended());
    match ended.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(exit) => Some(exit),
        Poll::Pending => None,
    }
}
