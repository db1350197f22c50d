//! What befalls the cluster.

use playhouse::rt::Random;

use super::{HEADS, HOSTS, SENDERS};
use crate::plan::{Draw, Fault, Offer, Plan, offers};

/// A host hands over all that it has, and hosts again a while later.
const LEAVE: &str = "leave";

/// An entity is moved to a host.
pub(super) const MOVE: &str = "move";

/// Faults begin within so much time.
const TROUBLED_MS: u64 = 8_000;

/// For so long something is away at the most.
const LONGEST_MS: u64 = 5_000;

/// Shorter than what lies between the end of a lease and the gift of its names to others: whoever stood still for longer may find messages in
/// a mailbox when it goes on, before it finds that it owns nothing any more.
const LONGEST_PAUSE_MS: u64 = 900;

pub(crate) fn draw(seed: u64) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("messages", 10, (80, 200));
    draw.dial("pause", 5, (10, 60));
    draw.dial("keys", 1, (2, 8));
    // Milliseconds for each message. Where they are many, entities that move have much to do first.
    let slow = draw.random("slow").chance(0.4);
    draw.dial("work", 1, if slow { (30, 100) } else { (1, 30) });
    let host = |random: &mut Random| random.below(HOSTS.len() as u64);
    let leave =
        |random: &mut Random| Fault::Own { name: LEAVE.into(), numbers: vec![host(random)], ms: random.between(20, LONGEST_MS) };
    let moves = |random: &mut Random| Fault::Own { name: MOVE.into(), numbers: vec![host(random), random.below(8)], ms: 1 };
    let all = ["x", "y", "z", "a", "b", "c"];
    let others = [HOSTS[0], HOSTS[1], HOSTS[2], SENDERS[0], SENDERS[1]];
    let crash = move |random: &mut Random| Fault::Crash {
        node: all[random.below(all.len() as u64) as usize].to_string(),
        down_ms: Some(random.between(2, LONGEST_MS)),
        lose_disk: false,
    };
    let isolate = |random: &mut Random| Fault::Isolate {
        node: HOSTS[host(random) as usize].to_string(),
        ms: random.between(200, LONGEST_MS),
    };
    let mut offered: Vec<Offer<'_>> = vec![
        Offer::new(90, 4, leave),
        Offer::new(80, 5, moves),
        offers::links(30, 2, &others, 2_000),
        offers::slow_polls(15, 2, &others, 4_000, 1_500),
    ];
    // In a third of the runs nobody crashes, and no link breaks.
    if draw.random("calm").below(3) > 0 {
        offered.extend([
            Offer::new(60, 2, crash),
            Offer::new(50, 2, isolate),
            offers::cuts(40, 2, &all, LONGEST_MS),
            offers::pauses(40, 2, &all, LONGEST_PAUSE_MS),
            offers::clocks(20, 2, &HEADS, 5_000, 3_000),
        ]);
    }
    draw.swarm(TROUBLED_MS, &offered);
    draw.finish()
}

/// Whether nobody crashes or is cut off: then no message may be lost.
pub(super) fn is_calm(plan: &Plan) -> bool {
    plan.faults.iter().all(|timed| matches!(timed.fault, Fault::Own { .. } | Fault::Link { .. } | Fault::SlowPolls { .. }))
}
