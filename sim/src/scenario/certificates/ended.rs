//! A certificate that has ended opens no door, however long its owner knocks.

use super::{ENDS, Seen};

pub(super) const PROMISE: &str = "nobody is connected anew with a certificate that has ended";

pub(super) fn breach(seen: &Seen) -> Option<String> {
    let look = seen.looks.iter().find(|look| !look.good && look.connected.contains(&ENDS))?;
    Some(format!("{} came back, and was connected to {ENDS}, whose certificate had ended before", look.node))
}
