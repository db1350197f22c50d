//! What is drawn from the seed before anything happens: who plays, and what befalls the nodes.

use std::time::Duration;

use playhouse::prelude::*;
use playhouse::rt::Random;

/// The nodes.
pub(super) const PLACES: [&str; 3] = ["a", "b", "c"];

/// The actors of each node. The last one has no supervisor.
pub(super) const NAMES: [&str; 6] = ["stage/p0", "stage/p1", "stage/inner/q0", "stage/inner/q1", "stage/p2", "solo"];

/// The one without a supervisor.
pub(super) const SOLO: usize = 5;

/// How long actors make work for each other.
pub(super) const LOAD: Duration = Duration::from_millis(1_200);

/// A link that is cut for no longer than this keeps its connection: what was sent arrives.
pub(super) const SHORT_CUT: Duration = Duration::from_millis(1_000);

/// How an actor lives; the same on all nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) bound: usize,
    pub(super) overflow: Overflow,
    pub(super) lifetime: Lifetime,
}

/// Who plays.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) parts: [Part; NAMES.len()],
    pub(super) top: (Strategy, Intensity),
    pub(super) inner: (Strategy, Intensity),
    pub(super) backoff: Backoff,
    pub(super) stop_within: Duration,
    /// The longest pause between two things that an actor does.
    pub(super) pause: Duration,
    /// Some of what one part is told is long.
    pub(super) heavy: bool,
    /// Some link themselves to others.
    pub(super) links: bool,
}

impl Cast {
    pub(super) fn draw(random: &mut Random) -> Cast {
        let policies = [Overflow::Wait, Overflow::Refuse, Overflow::DropOldest, Overflow::DropNewest];
        let strategies = [Strategy::OneForOne, Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
        let mut group = |max| {
            let strategy = strategies[random.below(4) as usize];
            (strategy, Intensity { max: random.between(2, max) as u32, within: Duration::from_secs(5) })
        };
        let (top, inner) = (group(8), group(3));
        let lifetimes = [Lifetime::Permanent, Lifetime::Permanent, Lifetime::Transient, Lifetime::Temporary];
        let mut part = |may_rest: bool| Part {
            bound: random.between(1, 6) as usize,
            overflow: policies[random.below(4) as usize],
            lifetime: if may_rest { lifetimes[random.below(4) as usize] } else { Lifetime::Permanent },
        };
        Cast {
            parts: [part(false), part(true), part(false), part(true), part(false), part(false)],
            top,
            inner,
            backoff: Backoff { first: Duration::from_millis(5), max: Duration::from_millis(100), ..Backoff::default() },
            stop_within: Duration::from_millis(200),
            pause: Duration::from_millis([10, 25, 60][random.below(3) as usize]),
            heavy: random.chance(0.05),
            links: random.chance(0.4),
        }
    }
}

/// What befalls the nodes, and when: counted from the beginning of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Cut {
        one: usize,
        other: usize,
        lasts: Duration,
    },
    Crash {
        place: usize,
        back_after: Option<Duration>,
    },
    Stop {
        place: usize,
        back_after: Option<Duration>,
    },
    /// A part fails at its next tick, and cannot be built for a while.
    Outage {
        place: usize,
        part: usize,
        lasts: Duration,
    },
}

/// All that befalls them.
#[derive(Clone, Debug)]
pub(super) struct Troubles {
    pub(super) list: Vec<(Duration, Trouble)>,
    /// The load begins while nodes still dial each other: connections may be replaced by others.
    pub(super) hasty: bool,
}

impl Troubles {
    pub(super) fn draw(random: &mut Random) -> Troubles {
        let mut troubles = Vec::new();
        let ms = |random: &mut Random, from, to| Duration::from_millis(random.between(from, to));
        for _ in 0..random.below(3) {
            let one = random.below(3) as usize;
            let lasts = if random.chance(0.5) { ms(random, 20, 1_000) } else { ms(random, 1_001, 6_000) };
            troubles.push((ms(random, 10, 1_100), Trouble::Cut { one, other: (one + 1) % 3, lasts }));
        }
        for _ in 0..random.below(3) {
            let (place, part, lasts) = (random.below(3) as usize, random.below(5) as usize, ms(random, 5, 400));
            troubles.push((ms(random, 10, 1_100), Trouble::Outage { place, part, lasts }));
        }
        // At most one node goes, so that there is always somebody to speak to.
        let place = random.below(3) as usize;
        let back_after = random.chance(0.8).then(|| ms(random, 2, 3_000));
        match random.below(4) {
            0 => troubles.push((ms(random, 10, 1_100), Trouble::Crash { place, back_after })),
            1 => troubles.push((ms(random, 10, 1_100), Trouble::Stop { place, back_after })),
            _ => {}
        }
        troubles.sort_by_key(|(at, _)| *at);
        Troubles { list: troubles, hasty: random.chance(0.3) }
    }
}
