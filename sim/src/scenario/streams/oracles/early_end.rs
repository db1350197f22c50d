//! A source hears soon that nobody reads its stream any more, also while it waits for something else than room. What it produces until then
//! is bounded by the window.

use std::time::Duration;

use crate::scenario::streams::book::{Book, End, Stream};
use crate::scenario::trio::{Phase, State, cut_between, held_up, phase, place_of, state};

pub(in crate::scenario::streams) const PROMISE: &str = "a source ends soon after its reader";

/// From the moment when it began, if its reader had gone before. On its own node at once; to another one the word overtakes all data, but it
/// may be lost, and again.
const SOON: Duration = Duration::from_secs(2);

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    book.streams.iter().enumerate().find_map(|(number, stream)| {
        let late = is_late(stream);
        late.then(|| {
            let title = stream.title();
            format!("stream {number} {title}: {:?}, and its source goes on after {} items", stream.end, stream.produced)
        })
    })
}

fn is_late(stream: &Stream) -> bool {
    if stream.over.is_some() || stream.source.is_none_or(|source| state(source) != State::Up) {
        return false;
    }
    let unread = stream.end != End::Open || state(stream.reader) != State::Up;
    if unread && phase() >= Phase::Settled {
        return true;
    }
    let End::Left(at) = stream.end else { return false };
    let reader = place_of(stream.reader);
    let under_way = if stream.is_local() { Duration::ZERO } else { SOON + cut_between(reader, stream.place) + held_up(reader) };
    let within = under_way + held_up(stream.place);
    let begun = stream.begun.unwrap_or(at);
    stream.lives() && stream.is_spared() && playhouse::rt::now() > at.max(begun) + within
}
