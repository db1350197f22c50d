//! The kinds of faults that most scenarios can take, ready to be offered.
//!
//! Each says first in how many of a hundred runs it exists and how many of it there are at most (see [`Offer`]), then whom it befalls.

use playhouse_rt::Random;

use super::{DiskTrouble, Fault, Offer};

/// The shortest datagram that every link of the Internet passes, and so must one of ours (RFC 9000, 14).
const LEAST_MTU: u64 = 1_200;

/// The longest that links pass as a rule.
const COMMON_MTU: u64 = 1_500;

fn one_of(nodes: &[&str], random: &mut Random) -> String {
    nodes[random.below(nodes.len() as u64) as usize].to_string()
}

/// Two of them, the order drawn.
fn two_of(nodes: &[&str], random: &mut Random) -> (String, String) {
    let from = random.below(nodes.len() as u64) as usize;
    let step = 1 + random.below(nodes.len() as u64 - 1) as usize;
    (nodes[from].to_string(), nodes[(from + step) % nodes.len()].to_string())
}

/// Crashes: a node loses its power, and comes back within `longest_ms`; one of five loses its disk, too.
pub fn crashes<'a>(percent: u64, most: u64, nodes: &'a [&'a str], longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| {
        let (node, down_ms) = (one_of(nodes, random), Some(random.between(2, longest_ms)));
        Fault::Crash { node, down_ms, lose_disk: random.chance(0.2) }
    })
}

/// A node stands still.
pub fn pauses<'a>(percent: u64, most: u64, nodes: &'a [&'a str], longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| Fault::Pause { node: one_of(nodes, random), ms: random.between(10, longest_ms) })
}

/// Two nodes are cut off from each other, of five times once in one direction only. For two nodes and more.
pub fn cuts<'a>(percent: u64, most: u64, nodes: &'a [&'a str], longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| {
        let (from, to) = two_of(nodes, random);
        Fault::Cut { from, to, one_way: random.chance(0.2), ms: random.between(20, longest_ms) }
    })
}

/// The way from one node to another is slow, lossy and narrow, each of it or not. No connection is lost by it. For two nodes and more.
pub fn links<'a>(percent: u64, most: u64, nodes: &'a [&'a str], longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| {
        let (from, to) = two_of(nodes, random);
        let mut part = |from: u64, to: u64| if random.chance(0.5) { random.between(from, to) } else { 0 };
        let (loss, corruption) = (part(10_000, 200_000) as u32, part(500, 5_000) as u32);
        let (mtu, bandwidth) = (part(LEAST_MTU, COMMON_MTU), part(100_000, 1_000_000));
        let (duplication, jitter) = (part(20_000, 300_000) as u32, part(5, 80) as u32);
        // Latency always: else there could be nothing of it.
        let latency_ms = random.between(1, 60);
        Fault::Link {
            from,
            to,
            latency_ms,
            loss_ppm: loss,
            duplication_ppm: duplication,
            jitter_ms: jitter,
            corruption_ppm: corruption,
            mtu,
            bandwidth,
            ms: random.between(20, longest_ms),
        }
    })
}

/// Nodes, two at least if there are as many, go one after the other and come back in another order.
pub fn swizzles<'a>(percent: u64, most: u64, nodes: &'a [&'a str], longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| {
        let mut shuffled: Vec<String> = nodes.iter().map(|node| (*node).to_string()).collect();
        shuffle(&mut shuffled, random);
        shuffled.truncate(random.between(2, nodes.len() as u64 + 1) as usize);
        let mut back = shuffled.clone();
        shuffle(&mut back, random);
        Fault::Swizzle { nodes: shuffled, back, ms: random.between(40, longest_ms) }
    })
}

/// Fisher and Yates.
fn shuffle(nodes: &mut [String], random: &mut Random) {
    for last in (1..nodes.len()).rev() {
        nodes.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// A node's address changes. Connections that it dialled go on; those that others dialled end, and it must dial.
pub fn moves<'a>(percent: u64, most: u64, nodes: &'a [&'a str]) -> Offer<'a> {
    Offer::new(percent, most, move |random| Fault::Move { node: one_of(nodes, random) })
}

/// A node's wall clock jumps by up to `furthest_ms`, forwards or back, and drifts by up to a tenth; then it is right again.
pub fn clocks<'a>(percent: u64, most: u64, nodes: &'a [&'a str], furthest_ms: u64, longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| {
        let signed = |random: &mut Random, most: u64| {
            let by = random.below(most + 1) as i64;
            if random.chance(0.5) { by } else { -by }
        };
        let (node, jump_ms) = (one_of(nodes, random), signed(random, furthest_ms));
        let drift_ppm = signed(random, 100_000);
        Fault::Clock { node, jump_ms, drift_ppm, ms: random.between(100, longest_ms) }
    })
}

/// Calls to a node's disk take up to `longest_us` each, under a folder.
pub fn slow_disks<'a>(percent: u64, most: u64, nodes: &'a [&'a str], under: &'a str, longest_us: u64) -> Offer<'a> {
    disk(percent, most, nodes, under, DiskTrouble::Slow, (100, longest_us))
}

/// Reads from a node's disk fail, up to every second one, under a folder.
pub fn read_errors<'a>(percent: u64, most: u64, nodes: &'a [&'a str], under: &'a str) -> Offer<'a> {
    disk(percent, most, nodes, under, DiskTrouble::ReadError, (10_000, 500_000))
}

/// Writes to a node's disk fail, up to every second one, under a folder.
pub fn write_errors<'a>(percent: u64, most: u64, nodes: &'a [&'a str], under: &'a str) -> Offer<'a> {
    disk(percent, most, nodes, under, DiskTrouble::WriteError, (10_000, 500_000))
}

/// A node's disk has room for up to a kilobyte more under a folder, and no more.
pub fn full_disks<'a>(percent: u64, most: u64, nodes: &'a [&'a str], under: &'a str) -> Offer<'a> {
    disk(percent, most, nodes, under, DiskTrouble::Full, (0, 1_024))
}

fn disk<'a>(
    percent: u64,
    most: u64,
    nodes: &'a [&'a str],
    under: &'a str,
    trouble: DiskTrouble,
    (least, hardest): (u64, u64),
) -> Offer<'a> {
    Offer::new(percent, most, move |random| {
        let (node, hard) = (one_of(nodes, random), random.between(least, hardest));
        Fault::Disk { node, trouble, hard, under: under.into(), ms: random.between(50, 4_000) }
    })
}

/// A node's tasks run up to `longest_us` late at each turn.
pub fn slow_polls<'a>(percent: u64, most: u64, nodes: &'a [&'a str], longest_us: u64, longest_ms: u64) -> Offer<'a> {
    Offer::new(percent, most, move |random| Fault::SlowPolls {
        node: one_of(nodes, random),
        us: random.between(500, longest_us),
        ms: random.between(20, longest_ms),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NODES: [&str; 3] = ["a", "b", "c"];

    fn drawn(offer: &Offer<'_>) -> Vec<Fault> {
        let mut random = Random::new(1, "an offer");
        (0..200).map(|_| (offer.draw)(&mut random)).collect()
    }

    #[test]
    fn what_befalls_a_link_befalls_two_nodes_and_each_pair_of_them() {
        for offer in [cuts(100, 1, &NODES, 1_000), links(100, 1, &NODES, 1_000)] {
            let faults = drawn(&offer);
            let pairs: BTreeSet<Vec<&str>> = faults.iter().map(Fault::nodes).collect();
            assert!(pairs.iter().all(|pair| pair[0] != pair[1]), "{pairs:?}");
            assert_eq!(pairs.len(), 6, "{pairs:?}");
        }
    }

    #[test]
    fn clocks_are_wrong_in_both_directions_and_never_by_more_than_was_offered() {
        let faults = drawn(&clocks(100, 1, &NODES, 5_000, 1_000));
        let jumps: Vec<i64> = faults
            .iter()
            .filter_map(|fault| if let Fault::Clock { jump_ms, .. } = fault { Some(*jump_ms) } else { None })
            .collect();
        assert!(
            jumps.iter().all(|jump| jump.abs() <= 5_000)
                && jumps.iter().any(|jump| *jump < -2_000)
                && jumps.iter().any(|jump| *jump > 2_000)
        );
    }
}
