//! A supervisor that restarts too often gives up.

use std::time::Duration;

use playhouse_actors::supervise::{Intensity, Strategy};

use crate::scenario::actors::book::Book;
use crate::scenario::actors::plan::{Cast, NAMES};

pub(in crate::scenario::actors) const PROMISE: &str = "restarts keep to their intensity";

/// The longest time between the moment when a restart is allowed and the birth that it leads to.
const BIRTH_DELAY: Duration = Duration::from_secs(2);

/// No supervisor restarts more often than it may.
pub(in crate::scenario::actors) fn births(book: &mut Book, cast: &Cast) {
    let mut wrong = None;
    for births in book.births.values() {
        let (strategy, Intensity { max, within }) =
            if births.iter().any(|(_, name)| matches!(name, 2 | 3)) { cast.inner } else { cast.top };
        // In a group one restart is a birth of each child; else each birth but the first is a restart.
        let parts: Vec<Vec<_>> = if strategy == Strategy::OneForOne {
            let mut first = [true; NAMES.len()];
            let restarts = births.iter().filter(|(_, name)| !std::mem::take(&mut first[*name]));
            vec![restarts.map(|(at, _)| *at).collect()]
        } else {
            let of = |name| births.iter().filter(|(_, other)| *other == name).skip(1).map(|(at, _)| *at).collect();
            (0..NAMES.len()).map(of).collect()
        };
        for births in parts {
            let most = max as usize;
            let window = within.saturating_sub(BIRTH_DELAY);
            if let Some(burst) = births.windows(most + 1).find(|burst| burst[most] - burst[0] < window) {
                wrong = Some(format!(
                    "{} restarts within {:?}, where {max} are allowed within {within:?}",
                    burst.len(),
                    burst[most] - burst[0]
                ));
            }
        }
    }
    if let Some(wrong) = wrong {
        book.breach(PROMISE, |_| wrong);
    }
}
