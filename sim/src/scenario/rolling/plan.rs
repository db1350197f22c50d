//! What befalls the cluster.

use std::time::Duration;

use playhouse::rt::Random;

use super::{HANDS, ROLLED};
use crate::plan::{Draw, Fault, Offer, Plan, offers};

/// A node is stopped in good order, and started again a while later.
const RESTART: &str = "restart";

/// Restarts are asked for, and faults begin, within so much time.
const TROUBLED_MS: u64 = 8_000;

/// A node is stopped for so long at the most.
const LONGEST_MS: u64 = 1_500;

/// A restart: of whom, how, and how long it is away.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) name: &'static str,
    /// Drained by the operator first, and stopped when it has nothing to do; else told to stop, and it drains itself.
    pub(super) afar: bool,
    pub(super) down: Duration,
}

impl Order {
    pub(super) fn of(numbers: &[u64], down: Duration) -> Order {
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        Order { name: ROLLED[number(0) as usize % ROLLED.len()], afar: number(1) == 1, down }
    }
}

pub(crate) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("pause", 50, (100, 300));
    // Milliseconds for the longest tasks.
    draw.dial("pace", 50, (300, 1_500));
    let mut random = draw.random("restarts");
    let mut order: Vec<u64> = (0..ROLLED.len() as u64).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    for (turn, node) in order.into_iter().enumerate() {
        let afar = u64::from(random.chance(0.5));
        let ms = random.between(5, LONGEST_MS);
        // One after the other, whatever the times say: a restart begins when the one before it is over.
        draw.fault(1 + turn as u64, Fault::Own { name: RESTART.into(), numbers: vec![node, afar], ms });
    }
    let mut offered: Vec<Offer<'_>> =
        vec![offers::links(40, 3, &ROLLED, 3_000), offers::slow_polls(20, 2, &ROLLED, 4_000, 1_500)];
    // In most runs nobody loses its power: then nothing excuses a task that runs twice.
    if draw.random("calm").below(3) == 0 {
        offered.push(Offer::new(100, 1, |random: &mut Random| Fault::Crash {
            node: ROLLED[random.below(ROLLED.len() as u64) as usize].to_string(),
            down_ms: Some(random.between(2, LONGEST_MS)),
            lose_disk: false,
        }));
    }
    draw.swarm(TROUBLED_MS, &offered);
    draw.finish()
}

/// Whether nobody loses its power.
pub(super) fn is_calm(plan: &Plan) -> bool {
    !plan.faults.iter().any(|timed| matches!(timed.fault, Fault::Crash { .. }))
}

/// Whether it offers workers.
pub(super) fn is_hand(name: &str) -> bool {
    HANDS.contains(&name)
}
