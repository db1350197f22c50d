//! Who has a good certificate comes in, also where another one's has ended, and with one that was renewed.

use super::{ENDS, PLACES, Seen};

pub(super) const PROMISE: &str = "who has a good certificate is connected anew";

pub(super) fn breach(seen: &Seen) -> Option<String> {
    seen.looks.iter().find_map(|look| {
        let wanted = PLACES.iter().filter(|peer| **peer != look.node && (look.good || **peer != ENDS));
        let missed = wanted.into_iter().find(|peer| !look.connected.contains(peer))?;
        Some(format!("{} came back, and was not connected to {missed}", look.node))
    })
}
