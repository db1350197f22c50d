//! While nobody crashes, no link breaks and no lease ends, all that entities are told they hear, however often they move.

use crate::scenario::entities::book::Book;

pub(in crate::scenario::entities) const PROMISE: &str = "no message to an entity is lost while nobody crashes";

pub(in crate::scenario::entities) fn breach(book: &Book) -> Option<String> {
    if !book.is_calm || book.lapsed {
        return None;
    }
    // What comes later was told later: a gap is a loss.
    book.heard.iter().find_map(|((sender, key), numbers)| {
        let gap = (1..).zip(numbers).find(|(expected, number)| expected != *number)?;
        Some(format!("{key} heard {} of {sender} where {} was due", gap.1, gap.0))
    })
}
