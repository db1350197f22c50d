//! No life of an actor finds less than one before it found.

use crate::scenario::persist::book::Book;

pub(in crate::scenario::persist) const PROMISE: &str = "checkpoints are monotonic";

pub(in crate::scenario::persist) fn breach(book: &Book) -> Option<String> {
    book.found.iter().find_map(|later| {
        let before = book.found.iter().find(|before| later.follows(before) && !later.numbers.starts_with(&before.numbers))?;
        Some(format!(
            "list {} found {} numbers in life {} with fence {}, and had found {} in life {} with fence {}",
            later.actor,
            later.numbers.len(),
            later.life,
            later.fence,
            before.numbers.len(),
            before.life,
            before.fence
        ))
    })
}
