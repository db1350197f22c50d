//! A reader hears the end of its stream, or why there is none. Where nothing befell the nodes, the link and the source, there is no error.

use crate::scenario::streams::book::{Book, End, Stream};
use crate::scenario::trio::{Phase, State, phase, state};

pub(in crate::scenario::streams) const PROMISE: &str = "a reader hears the end of its stream, or truly why it has none";

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    book.streams.iter().enumerate().find_map(|(number, stream)| {
        let title = || format!("stream {number} {}", stream.title());
        match &stream.end {
            End::Open if is_silent(stream) => {
                Some(format!("{}: after {} items its reader waits for ever", title(), stream.taken))
            }
            End::Failed(why) if stream.is_spared() && !has_failed(book, stream) => Some(format!("{}: {why}", title())),
            _ => None,
        }
    })
}

fn is_silent(stream: &Stream) -> bool {
    phase() >= Phase::Settled && state(stream.reader) == State::Up
}

fn has_failed(book: &Book, stream: &Stream) -> bool {
    book.failed.iter().any(|at| crate::scenario::trio::place_of(*at) == stream.place)
}
