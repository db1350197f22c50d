//! A child that is added at run time begins each life once; a life follows another only for a reason that its specification gives, or by
//! request; once it is removed there is nothing of it, and after the load what is to be up is up.

use playhouse_actors::supervise::Lifetime;

use crate::scenario::groups::book::{Book, Child, LastEnd};
use crate::scenario::trio::{Phase, State, phase, state};

pub(in crate::scenario::groups) const PROMISE: &str =
    "a child that is added starts once, is restarted as it specifies, and is gone when it is removed";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    book.children.iter().enumerate().find_map(|(number, child)| {
        odd(child).map(|what| format!("hand-{number} of {}, {:?}: {what}", book.title(child.at), child.lifetime))
    })
}

fn odd(child: &Child) -> Option<String> {
    let Child { lifetime, born, started, alive, ends, restarts, last, .. } = *child;
    if alive > 1 {
        return Some(format!("{alive} lives at once"));
    }
    if started > born {
        return Some(format!("{born} lives were started {started} times"));
    }
    if lifetime == Lifetime::Temporary && born > 1 || born > 1 + ends + restarts {
        return Some(format!("{born} lives after {ends} ends and {restarts} requests"));
    }
    if let Some(lives) = child.removed
        && (alive > 0 || born > lives)
    {
        return Some(format!("it was removed after {lives} lives; it has had {born}, and {alive} goes on"));
    }
    let settled = phase() == Phase::Settled && state(child.at) == State::Up;
    if !settled || !child.added || child.removing {
        return None;
    }
    let up = match lifetime {
        Lifetime::Permanent => true,
        Lifetime::Transient => last != LastEnd::Left,
        Lifetime::Temporary => last == LastEnd::None,
    };
    (up != (alive > 0)).then(|| format!("{alive} lives after its last end, {last:?}"))
}
