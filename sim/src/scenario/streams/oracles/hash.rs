//! A payload that is sent in chunks has the same hash at both ends; one that broke off has that of the part that came.

use crate::scenario::streams::book::Book;

pub(in crate::scenario::streams) const PROMISE: &str = "what comes through a stream is what was sent, to the byte";

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    book.streams.iter().enumerate().find_map(|(number, stream)| {
        let sent = stream.hash_at.get(stream.taken as usize);
        let same = sent == Some(&stream.hashes.1);
        (!same).then(|| format!("stream {number} {}: after {} items the hashes differ", stream.title(), stream.taken))
    })
}
