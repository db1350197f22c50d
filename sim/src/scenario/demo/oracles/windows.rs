//! Each window holds what belongs into it, and closed once.

use playhouse::WindowResult;

use crate::scenario::demo::Seen;
use crate::verdict::Verdict;

pub(in crate::scenario::demo) const PROMISE: &str = "every window is right";

pub(in crate::scenario::demo) fn check(seen: &Seen, windows: &[WindowResult]) -> Result<(), Verdict> {
    Verdict::check(PROMISE, seen.windows == windows, || {
        let wrong = windows.iter().find(|window| !seen.windows.contains(window));
        format!("{} windows for {}; missing: {wrong:?}", seen.windows.len(), windows.len())
    })
}
