//! When a supervisor stops, its children stop in the reverse of the order in which they were added.

use crate::scenario::groups::book::Book;

pub(in crate::scenario::groups) const PROMISE: &str = "children that were added last stop first";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    book.stops.windows(2).find_map(|pair| {
        let [(one_at, first), (other_at, then)] = [pair[0], pair[1]];
        // Several nodes may stop at once.
        let wrong = one_at == other_at && first < then;
        wrong.then(|| format!("hand-{first} of {} stopped before hand-{then}, which was added later", book.title(one_at)))
    })
}
