//! Each term has one leader, or none.

use crate::scenario::quorum::book::Book;

pub(in crate::scenario::quorum) const PROMISE: &str = "at most one coordinator leads in a term";

pub(in crate::scenario::quorum) fn breach(book: &Book) -> Option<String> {
    let several = |names: &[String]| names.iter().any(|name| *name != names[0]);
    let (term, names) = book.terms.iter().find(|(_, names)| several(names))?;
    Some(format!("in term {term} led {}", names.join(" and ")))
}
