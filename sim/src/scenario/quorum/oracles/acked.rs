//! A job that was acknowledged is known to whoever leads later, and gives what it must.

use crate::scenario::quorum::book::Book;

pub(in crate::scenario::quorum) const PROMISE: &str = "what was acknowledged is never lost";

pub(in crate::scenario::quorum) fn breach(book: &Book) -> Option<String> {
    let seen = book.seen.as_ref()?;
    book.acked.iter().find_map(|(job, value)| match seen.results.get(job) {
        Some(Ok(found)) if found == value => None,
        Some(Ok(found)) => Some(format!("job {job} gave {found}, not {value}")),
        Some(Err(why)) => Some(format!("job {job} was acknowledged: {why}")),
        None => Some(format!("job {job} was acknowledged, and nobody asked for it")),
    })
}
