//! A job gives what its tasks give: none is left out, and none is taken for done that was not.

use crate::scenario::work::book::Book;

pub(in crate::scenario::work) const PROMISE: &str = "a job that can be done is done, and its result is that of all its tasks";

pub(in crate::scenario::work) fn breach(book: &Book) -> Option<String> {
    match book.seen.as_ref()? {
        Ok(seen) => (seen.sum != seen.expected).then(|| format!("{} instead of {}", seen.sum, seen.expected)),
        Err(error) => Some(error.to_string()),
    }
}
