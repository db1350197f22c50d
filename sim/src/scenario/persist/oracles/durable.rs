//! What an actor answered as durable is in what every later life of it finds, wherever that is; also when the answer came late.

use crate::scenario::persist::book::{Book, Stand};

pub(in crate::scenario::persist) const PROMISE: &str = "what was answered as durable survives";

pub(in crate::scenario::persist) fn breach(book: &Book) -> Option<String> {
    let lost =
        |found: &Stand| book.acks.iter().find(|ack| found.follows(ack) && !found.numbers.starts_with(&ack.numbers)).cloned();
    book.found.iter().find_map(|found| {
        let ack = lost(found)?;
        let Stand { actor, fence, life, .. } = found;
        let known = found.numbers.iter().zip(&ack.numbers).take_while(|(one, other)| one == other).count();
        Some(format!(
            "list {actor} in life {life} with fence {fence} found {} numbers, the first {known} of the {} that life {} with fence {} answered for",
            found.numbers.len(),
            ack.numbers.len(),
            ack.life,
            ack.fence
        ))
    })
}
