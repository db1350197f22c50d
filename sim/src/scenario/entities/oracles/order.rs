//! Whatever happens, an entity hears a sender's messages in order, and none twice.

use crate::scenario::entities::book::Book;

pub(in crate::scenario::entities) const PROMISE: &str = "an entity hears what it is told in order, and once";

pub(in crate::scenario::entities) fn breach(book: &Book) -> Option<String> {
    book.heard.iter().find_map(|((sender, key), numbers)| {
        let wrong = numbers.windows(2).find(|two| two[0] >= two[1])?;
        Some(format!("{key} heard {} of {sender} after {}", wrong[1], wrong[0]))
    })
}
