//! Items come in order, each at most once and without a gap, up to the end or the error; who hears of an end without an error has had all
//! of them.

use crate::scenario::streams::book::{Book, End};

pub(in crate::scenario::streams) const PROMISE: &str =
    "the items of a stream come in order, each once and without a gap, and all of them before its end";

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    book.streams.iter().enumerate().find_map(|(number, stream)| {
        let title = || format!("stream {number} {}", stream.title());
        if let Some((came, next)) = stream.odd {
            return Some(format!("{}: item {came} came where {next} was the next", title()));
        }
        let all = if stream.slow { stream.produced } else { stream.items };
        if stream.end == End::Done && stream.taken != all {
            return Some(format!("{}: it ended after {} items", title(), stream.taken));
        }
        (stream.asked > 1).then(|| format!("{}: its source was asked {} times", title(), stream.asked))
    })
}
