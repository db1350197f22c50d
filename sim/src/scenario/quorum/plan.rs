//! What befalls the cluster.

use playhouse::rt::Random;

use super::{HANDS, HEADS};
use crate::plan::{Draw, Fault, Offer, Plan, offers};
use crate::scenario::frame::DATA;

/// The kinds of trouble; each is a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Coordinators lose their power, first of all the one that leads.
    Leaders,
    /// Coordinators are cut off from each other.
    Partitions,
    /// The disks of coordinators are sick.
    Disks,
}

/// The leader loses its power.
const KILL: &str = "kill-leader";

/// The leader, and one client, reach nobody else.
pub(super) const SPLIT: &str = "split";

/// Faults begin within so much time.
const TROUBLED_MS: u64 = 5_000;

/// For so long something is away at the most.
const LONGEST_MS: u64 = 4_000;

/// A clock that is wrong by more than this could keep a node out for longer than the cluster may take to heal: lives are numbered by clocks.
const FURTHEST_CLOCK_MS: u64 = 5_000;

pub(crate) fn draw(seed: u64, trouble: Trouble) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("questions", 4, (15, 30));
    draw.dial("pause", 10, (40, 200));
    let any = |random: &mut Random| HEADS[random.below(HEADS.len() as u64) as usize].to_string();
    let kill = |random: &mut Random| Fault::Own { name: KILL.into(), numbers: vec![], ms: random.between(20, LONGEST_MS) };
    let crash =
        |random: &mut Random| Fault::Crash { node: any(random), down_ms: Some(random.between(2, LONGEST_MS)), lose_disk: false };
    let split = |random: &mut Random| {
        let (client, ms) = (random.below(3), random.between(1_500, LONGEST_MS));
        Fault::Own { name: SPLIT.into(), numbers: vec![client], ms }
    };
    let worker = |random: &mut Random| Fault::Crash {
        node: HANDS[random.below(2) as usize].to_string(),
        down_ms: Some(random.between(2, LONGEST_MS)),
        lose_disk: random.chance(0.3),
    };
    let isolate = |random: &mut Random| Fault::Isolate { node: any(random), ms: random.between(200, LONGEST_MS) };
    let cut = |one_way: bool| {
        move |random: &mut Random| {
            let from = random.below(HEADS.len() as u64) as usize;
            let to = (from + 1 + random.below(2) as usize) % HEADS.len();
            let (from, to) = (HEADS[from].to_string(), HEADS[to].to_string());
            Fault::Cut { from, to, one_way, ms: random.between(200, LONGEST_MS) }
        }
    };
    let common = [
        Offer::new(25, 1, worker),
        offers::links(25, 3, &HEADS, 3_000),
        offers::pauses(30, 2, &HEADS, 3_000),
        offers::slow_polls(15, 2, &HEADS, 4_000, 1_500),
        offers::clocks(20, 2, &HEADS, FURTHEST_CLOCK_MS, 3_000),
    ];
    let mut all: Vec<Offer<'_>> = match trouble {
        Trouble::Leaders => vec![Offer::new(95, 3, kill), Offer::new(40, 2, crash)],
        Trouble::Partitions => vec![
            Offer::new(60, 2, split),
            Offer::new(60, 2, cut(false)),
            Offer::new(40, 2, cut(true)),
            Offer::new(60, 2, isolate),
            offers::swizzles(20, 1, &HEADS, LONGEST_MS),
            Offer::new(20, 1, kill),
        ],
        Trouble::Disks => vec![
            offers::slow_disks(40, 2, &HEADS, DATA, 20_000),
            offers::write_errors(50, 2, &HEADS, DATA),
            offers::read_errors(25, 2, &HEADS, DATA),
            offers::full_disks(30, 1, &HEADS, DATA),
            Offer::new(60, 2, crash),
            Offer::new(30, 1, kill),
        ],
    };
    all.extend(common);
    draw.swarm(TROUBLED_MS, &all);
    draw.finish()
}
