//! What befalls the cluster, and which changes are asked for.

use std::time::Duration;

use playhouse::rt::Random;

use super::{HANDS, HEADS};
use crate::plan::{Draw, Fault, Offer, Plan, offers};

/// A node becomes a coordinator.
pub(super) const ENROL: &str = "enrol";

/// A coordinator is dismissed. The numbers: which, and whether it is stopped first.
pub(super) const DISMISS: &str = "dismiss";

/// The one, then the other.
pub(super) const REPLACE: &str = "replace";

/// A coordinator loses its disk, and comes back with an empty one.
pub(super) const EMPTY: &str = "empty-disk";

/// A coordinator is stopped, and comes back at another address.
pub(super) const MOVE: &str = "another-address";

/// Of three coordinators one hears nothing for a while. Then the one that leads loses its power, and the other one its disk: nobody who runs
/// knows the last that was acknowledged.
pub(super) const FORGET: &str = "two-who-do-not-know";

/// A coordinator is cut off while another one joins and the one that leads is dismissed.
pub(super) const AWAY: &str = "away";

/// Changes are asked for, and faults begin, within so much time.
const TROUBLED_MS: u64 = 6_000;

/// For so long something is away at the most.
const LONGEST_MS: u64 = 3_000;

/// A change that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) numbers: Vec<u64>,
    pub(super) lasts: Duration,
}

impl Order {
    pub(super) fn number(&self, at: usize) -> usize {
        self.numbers.get(at).copied().unwrap_or_default() as usize
    }
}

pub(crate) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    // The cluster remembers 64 jobs that are done; all that are acknowledged are asked for in the end.
    draw.dial("questions", 4, (15, 32));
    draw.dial("pause", 10, (100, 450));
    let change = |name: &'static str, shortest: u64, longest: u64| {
        move |random: &mut Random| {
            let numbers = vec![random.below(HEADS.len() as u64), random.below(2)];
            Fault::Own { name: name.into(), numbers, ms: random.between(shortest, longest) }
        }
    };
    let all = [HEADS.as_slice(), HANDS.as_slice()].concat();
    let crash = |random: &mut Random| Fault::Crash {
        node: all[random.below(all.len() as u64) as usize].to_string(),
        down_ms: Some(random.between(2, LONGEST_MS)),
        lose_disk: false,
    };
    let isolate = |random: &mut Random| Fault::Isolate {
        node: HEADS[random.below(HEADS.len() as u64) as usize].to_string(),
        ms: random.between(200, LONGEST_MS),
    };
    let offered: Vec<Offer<'_>> = vec![
        Offer::new(30, 1, change(ENROL, 1, 2)),
        Offer::new(30, 1, change(DISMISS, 1, 2_000)),
        Offer::new(70, 2, change(REPLACE, 1, 2_000)),
        Offer::new(40, 1, change(EMPTY, 5, LONGEST_MS)),
        Offer::new(30, 1, change(MOVE, 5, LONGEST_MS)),
        Offer::new(25, 1, change(FORGET, 2_000, 4_000)),
        Offer::new(25, 1, change(AWAY, 1, 2_000)),
        Offer::new(40, 2, crash),
        Offer::new(25, 2, isolate),
        offers::cuts(30, 2, &HEADS, LONGEST_MS),
        offers::links(25, 3, &HEADS, 3_000),
        offers::pauses(25, 2, &HEADS, LONGEST_MS),
        offers::slow_polls(15, 2, &HEADS, 4_000, 1_500),
    ];
    draw.swarm(TROUBLED_MS, &offered);
    draw.finish()
}
