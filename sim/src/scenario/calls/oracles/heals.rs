//! When the faults are over, whoever calls is served again.

use std::time::Duration;

use crate::scenario::calls::book::{Book, Told};

pub(in crate::scenario::calls) const PROMISE: &str = "when the faults are over, every caller has results again";

pub(in crate::scenario::calls) const HEALED_WITHIN: Duration = Duration::from_secs(30);

pub(in crate::scenario::calls) fn breach(book: &Book) -> Option<String> {
    let since = book.since_the_end()?;
    (book.gave_again() < book.callers).then(|| {
        let refused: Vec<_> = since.iter().filter(|(_, _, told)| !matches!(told, Told::Gave { .. })).collect();
        let (gave, all, last) = (book.gave_again(), book.callers, refused.last());
        format!(
            "{gave} of {all} callers had a result within {HEALED_WITHIN:?}; {} calls gave none, at last {last:?}",
            refused.len()
        )
    })
}
