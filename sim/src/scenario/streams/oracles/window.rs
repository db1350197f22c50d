//! A source is never further ahead of its sink than the windows between them: the producer's own channel, and for another node what may be
//! under way or wait at the reader.

use playhouse_actors::limits::STREAM_WINDOW;
use playhouse_wire::limits::STREAM_ITEMS;

use crate::scenario::streams::book::Book;

pub(in crate::scenario::streams) const PROMISE: &str = "a source is never further ahead of its sink than their window";

/// In the hands of the task between the channel and the connection.
const BETWEEN: u64 = 2;

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    book.streams.iter().enumerate().find_map(|(number, stream)| {
        let far = if stream.is_local() { 0 } else { u64::from(STREAM_ITEMS) + BETWEEN };
        let window = STREAM_WINDOW as u64 + far;
        let ahead = stream.most_ahead;
        (ahead > window).then(|| {
            format!("stream {number} {}: its source was {ahead} items ahead, where {window} are allowed", stream.title())
        })
    })
}
