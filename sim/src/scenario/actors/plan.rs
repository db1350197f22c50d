//! What is drawn from the seed before anything happens: who plays, and what befalls the nodes.

use std::time::Duration;

use playhouse::prelude::*;
use playhouse::rt::Random;

use crate::plan::{Draw, Fault, Offer, Plan};
use crate::scenario::trio::{POLLS_IN_A_ROW, ills};

/// The nodes.
pub(super) const PLACES: &[&str; 3] = &["a", "b", "c"];

/// The actors of each node. The last one has no supervisor.
pub(super) const NAMES: [&str; 6] = ["stage/p0", "stage/p1", "stage/inner/q0", "stage/inner/q1", "stage/p2", "solo"];

/// The one without a supervisor.
pub(super) const SOLO: usize = 5;

/// How long actors make work for each other.
const LOAD_MS: u64 = 1_200;

/// The fault that only this scenario knows: a part fails at its next tick, and cannot be built for a while.
pub(super) const OUTAGE: &str = "outage";

const POLICIES: [Overflow; 4] = [Overflow::Wait, Overflow::Refuse, Overflow::DropOldest, Overflow::DropNewest];
const STRATEGIES: [Strategy; 4] = [Strategy::OneForOne, Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
const LIFETIMES: [Lifetime; 4] = [Lifetime::Permanent, Lifetime::Permanent, Lifetime::Transient, Lifetime::Temporary];

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
    fn draw(draw: &mut Draw) {
        let mut random = draw.random("cast");
        for (group, max) in [("top", 8), ("inner", 3)] {
            draw.set(&format!("{group}.strategy"), 0, random.below(4));
            draw.set(&format!("{group}.max"), 2, random.between(2, max));
        }
        for part in 0..NAMES.len() {
            draw.set(&format!("part{part}.bound"), 1, random.between(1, 6));
            draw.set(&format!("part{part}.overflow"), 0, random.below(4));
            let may_rest = matches!(part, 1 | 3);
            draw.set(&format!("part{part}.lifetime"), 0, if may_rest { random.below(4) } else { 0 });
        }
        draw.set("pause-ms", 10, [10, 25, 60][random.below(3) as usize]);
        draw.set("heavy", 0, u64::from(random.chance(0.05)));
        draw.set("links", 0, u64::from(random.chance(0.4)));
    }

    /// As the plan says.
    pub(super) fn of(plan: &Plan) -> Cast {
        let group = |group| {
            let strategy = STRATEGIES[plan.count(&format!("{group}.strategy"))];
            let max = u32::try_from(plan.dial(&format!("{group}.max"))).unwrap_or(u32::MAX);
            (strategy, Intensity { max, within: Duration::from_secs(5) })
        };
        let part = |part| Part {
            bound: plan.count(&format!("part{part}.bound")),
            overflow: POLICIES[plan.count(&format!("part{part}.overflow"))],
            lifetime: LIFETIMES[plan.count(&format!("part{part}.lifetime"))],
        };
        Cast {
            parts: std::array::from_fn(part),
            top: group("top"),
            inner: group("inner"),
            backoff: Backoff { first: Duration::from_millis(5), max: Duration::from_millis(100), ..Backoff::default() },
            stop_within: Duration::from_millis(200),
            pause: Duration::from_millis(plan.dial("pause-ms")),
            heavy: plan.dial("heavy") > 0,
            links: plan.dial("links") > 0,
        }
    }
}

/// All that befalls the nodes, and how large the load is.
pub(in crate::scenario) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    Cast::draw(&mut draw);
    draw.set("load-ms", 50, LOAD_MS);
    let hasty = draw.random("hasty").chance(0.3);
    draw.set("hasty", 0, u64::from(hasty));
    let place = |number: u64| PLACES[number as usize % PLACES.len()].to_string();
    // At most one node goes, so that there is always somebody to speak to; it comes back when all is calm.
    let mut random = draw.random("who goes");
    let (node, at_ms) = (place(random.below(3)), random.between(10, 1_100));
    let down_ms = random.chance(0.8).then(|| LONGEST_CUT_MS + LOAD_MS - at_ms + random.between(2, 3_000));
    match random.below(4) {
        0 => draw.fault(at_ms, Fault::Crash { node, down_ms, lose_disk: false }),
        1 => draw.fault(at_ms, Fault::Stop { node, down_ms }),
        _ => {}
    }
    let mut offers = vec![
        Offer::new(67, 2, |random: &mut Random| {
            let one = random.below(3);
            let ms = if random.chance(0.5) { random.between(20, 1_000) } else { random.between(1_001, LONGEST_CUT_MS) };
            Fault::Cut { from: place(one), to: place(one + 1), one_way: random.chance(0.2), ms }
        }),
        Offer::new(67, 2, |random: &mut Random| {
            let numbers = vec![random.below(3), random.below(5)];
            Fault::Own { name: OUTAGE.into(), numbers, ms: random.between(5, 400) }
        }),
    ];
    offers.extend(ills());
    draw.swarm(1_100, &offers);
    draw.finish()
}

const LONGEST_CUT_MS: u64 = 6_000;

/// What of a plan the promises depend on.
#[derive(Clone, Debug)]
pub(super) struct Troubles {
    /// Ways that were cut, and for how long.
    cuts: Vec<(usize, usize, Duration)>,
    /// Places that went, or moved: QUIC lets only who dialled move, so connections end by it.
    gone: Vec<usize>,
    /// For how long the actors of each place may have been held up, in all.
    pub(super) held: [Duration; 3],
    /// The load begins while nodes still dial each other: connections may be replaced by others.
    pub(super) hasty: bool,
}

impl Troubles {
    pub(super) fn of(plan: &Plan) -> Troubles {
        let place = |name: &str| PLACES.iter().position(|place| *place == name).unwrap_or_default();
        let mut troubles =
            // To the others, one that never was there is as one that has gone.
            Troubles { cuts: Vec::new(), gone: plan.absent.iter().map(|name| place(name)).collect(), held: [Duration::ZERO; 3], hasty: plan.dial("hasty") > 0 };
        for timed in &plan.faults {
            match &timed.fault {
                Fault::Cut { from, to, ms, .. } => troubles.cuts.push((place(from), place(to), Duration::from_millis(*ms))),
                Fault::Crash { node, .. } | Fault::Stop { node, .. } | Fault::Move { node } => troubles.gone.push(place(node)),
                Fault::Pause { node, ms } => troubles.held[place(node)] += Duration::from_millis(*ms),
                Fault::SlowPolls { node, us, .. } => troubles.held[place(node)] += Duration::from_micros(*us) * POLLS_IN_A_ROW,
                _ => {}
            }
        }
        troubles
    }

    /// Whether nothing befell the connections between two places that could cost a message.
    pub(super) fn spare(&self, from: usize, to: usize) -> bool {
        let of_both = |one: usize, other: usize| (one, other) == (from, to) || (other, one) == (from, to);
        let long: Duration = self.cuts.iter().filter(|(one, other, _)| of_both(*one, *other)).map(|(_, _, lasts)| *lasts).sum();
        let held = self.held[from] + self.held[to];
        !self.hasty && long <= SHORT_CUT && held <= SHORT_CUT && !self.gone.iter().any(|place| *place == from || *place == to)
    }
}
