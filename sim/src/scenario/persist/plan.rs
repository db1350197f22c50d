//! What befalls the nodes.

use playhouse::rt::Random;

use super::{CHECKPOINTS, NODES, actor};
use crate::plan::{Draw, Fault, Offer, Plan, offers};

/// An actor's home is the other node from then on; the one that has it is not told.
const TAKEOVER: &str = "takeover";

/// Faults begin within so much time.
const TROUBLED_MS: u64 = 4_000;

/// For so long something is away at the most.
const LONGEST_MS: u64 = 2_500;

pub(crate) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("tasks", 2, (4, 10));
    draw.dial("pace", 5, (10, 60));
    let crash = |random: &mut Random| Fault::Crash {
        node: NODES[random.below(2) as usize].to_string(),
        down_ms: Some(random.between(2, LONGEST_MS)),
        lose_disk: false,
    };
    let takeover = |random: &mut Random| {
        let actor = random.below(actor::COUNT as u64);
        Fault::Own { name: TAKEOVER.into(), numbers: vec![actor], ms: 1 }
    };
    draw.swarm(
        TROUBLED_MS,
        &[
            Offer::new(70, 3, crash),
            Offer::new(70, 5, takeover),
            offers::pauses(40, 2, &NODES, LONGEST_MS),
            offers::slow_polls(20, 2, &NODES, 4_000, 1_500),
            offers::slow_disks(30, 2, &NODES, CHECKPOINTS, 20_000),
            offers::write_errors(50, 2, &NODES, CHECKPOINTS),
            offers::read_errors(20, 2, &NODES, CHECKPOINTS),
            offers::full_disks(30, 1, &NODES, CHECKPOINTS),
        ],
    );
    draw.finish()
}
