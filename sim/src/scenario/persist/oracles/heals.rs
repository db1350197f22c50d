//! After the last fault each actor answers at its home, and the job gives what it must.

use std::time::Duration;

use crate::scenario::persist::book::Book;

pub(in crate::scenario::persist) const PROMISE: &str = "all comes back";

/// So much virtual time there is for it.
pub(in crate::scenario::persist) const HEALED_WITHIN: Duration = Duration::from_secs(20);

pub(in crate::scenario::persist) fn breach(book: &Book) -> Option<String> {
    if let Some((given, expected)) = book.result.filter(|(given, expected)| given != expected) {
        return Some(format!("the job gave {given}, not {expected}"));
    }
    let silent = book.silent();
    (book.over && !silent.is_empty())
        .then(|| format!("{HEALED_WITHIN:?} after the last fault the lists {silent:?} do not answer"))
}
