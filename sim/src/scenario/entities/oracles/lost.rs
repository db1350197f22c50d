//! While nobody crashes, no link breaks and no lease ends, all that entities are told they hear, however often they move.

use crate::scenario::entities::book::Book;

pub(in crate::scenario::entities) const PROMISE: &str = "no message to an entity is lost while nobody crashes";

pub(in crate::scenario::entities) fn breach(book: &Book) -> Option<String> {
    if !book.is_calm || book.lapsed {
        return None;
    }
    book.heard.iter().find_map(|((sender, key), numbers)| {
        let given_up = |number: u64| book.given_up.contains(&(sender.clone(), key.clone(), number));
        let mut due = 1;
        for number in numbers {
            // What comes later was told later: a gap is a loss.
            if let Some(lost) = (due..*number).find(|lost| !given_up(*lost)) {
                return Some(format!("{key} heard {number} of {sender} where {lost} was due"));
            }
            due = number + 1;
        }
        None
    })
}
