//! What befalls the nodes.

use playhouse::rt::Random;

use super::{CLIENT, HEAD, NODES};
use crate::plan::{Draw, Fault, Offer, Plan, offers};

/// Faults begin within so much time.
const TROUBLED_MS: u64 = 4_000;

/// For so long something is away at the most.
const LONGEST_MS: u64 = 3_000;

pub(crate) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("callers", 1, (3, 8));
    draw.dial("pace", 5, (20, 200));
    let node = |random: &mut Random| NODES[random.below(2) as usize].to_string();
    let crash = |random: &mut Random| Fault::Crash {
        node: node(random),
        down_ms: Some(random.between(2, LONGEST_MS)),
        lose_disk: random.chance(0.2),
    };
    let headless = |random: &mut Random| Fault::Crash {
        node: HEAD.into(),
        down_ms: Some(random.between(200, LONGEST_MS)),
        lose_disk: false,
    };
    let cut = |one_way: bool| {
        move |random: &mut Random| {
            let (node, ms) = (node(random), random.between(200, 2 * LONGEST_MS));
            let (from, to) = if random.chance(0.5) { (CLIENT.into(), node) } else { (node, CLIENT.into()) };
            Fault::Cut { from, to, one_way, ms }
        }
    };
    let isolate = |random: &mut Random| Fault::Isolate { node: node(random), ms: random.between(200, 2 * LONGEST_MS) };
    draw.swarm(
        TROUBLED_MS,
        &[
            Offer::new(50, 2, crash),
            Offer::new(40, 1, headless),
            Offer::new(30, 2, cut(false)),
            Offer::new(30, 2, cut(true)),
            Offer::new(20, 1, isolate),
            offers::pauses(30, 2, &NODES, LONGEST_MS),
            offers::slow_polls(20, 2, &NODES, 4_000, 1_500),
        ],
    );
    draw.finish()
}
