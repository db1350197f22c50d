//! Lost and repeated tasks change nothing of what comes out.

use playhouse::demo::Index;

use crate::scenario::demo::Seen;
use crate::verdict::Verdict;

pub(in crate::scenario::demo) const PROMISE: &str = "the result is what a plain count gives";

pub(in crate::scenario::demo) fn check(seen: &Seen, index: &Index) -> Result<(), Verdict> {
    let found = &seen.found;
    Verdict::check(PROMISE, found.index == *index, || difference(&found.index, index))?;
    let top = index.top(index.words.len().min(10));
    Verdict::check(PROMISE, found.top == top, || format!("{:?} for {top:?}", found.top))
}

fn difference(found: &Index, index: &Index) -> String {
    let wrong = index.words.iter().find(|(word, count)| found.words.get(*word) != Some(count));
    let extra = found.words.keys().find(|word| !index.words.contains_key(*word));
    format!("wrong: {wrong:?}, extra: {extra:?}, files: {} for {}", found.files, index.files)
}
