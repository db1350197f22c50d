//! Carries a plan out, fault by fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use playhouse_rt as rt;
use playhouse_rt::sim::DiskFault;

use crate::plan::{DiskTrouble, Fault, Plan};
use crate::weather::LinkFault;
use crate::world::World;

/// What the scenario has to do itself: it alone knows how its nodes are started and stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Take the power from this node, with [`World::crash`] or [`fell`]; it comes back with [`Cue::Back`], if it does.
    Crash {
        /// Which node.
        node: String,
        /// Its disk goes, too: [`World::lose_disk`].
        lose_disk: bool,
    },
    /// Stop this node in good order.
    Stop(String),
    /// Start this node again. If it is being stopped, its end is the scenario's to wait for.
    Back(String),
    /// A fault that only the scenario knows begins.
    Own {
        /// Its name...
        name: String,
        /// ...what it is about...
        numbers: Vec<u64>,
        /// ...and for how long.
        lasts: Duration,
    },
}

/// Carries a plan out. The scenario asks it for the next [`Cue`]; what needs no help from the scenario happens meanwhile.
pub struct Director {
    began: Instant,
    /// The next one last.
    turns: Vec<Turn>,
    faults: Vec<Fault>,
    /// Those of them with which a swizzle begins.
    swizzles: BTreeSet<usize>,
    /// How many faults hold a node down or still, or its clock wrong: it ends with the last of them.
    holds: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: Duration,
    /// Ends come before beginnings of the same moment.
    begins: bool,
    fault: usize,
}

impl Director {
    /// The load begins now.
    pub fn new(plan: &Plan) -> Director {
        let mut faults: Vec<Fault> = plan.faults.iter().map(|timed| timed.fault.clone()).collect();
        let (mut turns, mut swizzles) = (Vec::new(), BTreeSet::new());
        for (fault, timed) in plan.faults.iter().enumerate() {
            let at = Duration::from_millis(timed.at_ms);
            if let Fault::Swizzle { nodes, back, ms } = &timed.fault {
                swizzles.insert(faults.len());
                swizzle(at, nodes, back, Duration::from_millis(*ms), &mut faults, &mut turns);
                continue;
            }
            turns.push(Turn { at, begins: true, fault });
            if let Some(ms) = timed.fault.lasts_ms() {
                turns.push(Turn { at: at + Duration::from_millis(ms), begins: false, fault });
            }
        }
        turns.sort();
        turns.reverse();
        Director { began: rt::now(), turns, faults, swizzles, holds: BTreeMap::new() }
    }

    /// The next thing that the scenario has to do; `None` when the plan is done. Cancel-safe: what was carried out is not lost, and what
    /// is due comes next time.
    pub async fn next(&mut self, world: &World) -> Option<Cue> {
        while let Some(turn) = self.turns.last().copied() {
            rt::sleep_until(self.began + turn.at).await;
            self.turns.pop();
            let fault = self.faults[turn.fault].clone();
            let (number, nodes) = (turn.fault, fault.nodes().join(","));
            let on = if nodes.is_empty() { String::new() } else { format!(" on {nodes}") };
            if turn.begins {
                rt::ledger::record("fault", || format!("begin {number} {fault}{on}"));
                if matches!(fault, Fault::Stop { .. } | Fault::Own { .. }) {
                    // The world counts all others when they take effect.
                    world.count(fault.kind());
                }
                if self.swizzles.contains(&turn.fault) {
                    world.count("swizzle");
                }
            } else {
                rt::ledger::record("fault", || format!("end {number}"));
            }
            if let Some(cue) = self.turn(world, &fault, turn.begins) {
                return Some(cue);
            }
        }
        None
    }

    fn turn(&mut self, world: &World, fault: &Fault, begins: bool) -> Option<Cue> {
        match fault {
            Fault::Crash { node, lose_disk, .. } if begins => {
                self.hold(format!("down {node}"), true);
                return Some(Cue::Crash { node: node.clone(), lose_disk: *lose_disk });
            }
            Fault::Stop { node, .. } if begins => {
                // Who is down already has nothing to stop.
                return self.hold(format!("down {node}"), true).then(|| Cue::Stop(node.clone()));
            }
            Fault::Crash { node, .. } | Fault::Stop { node, .. } => {
                return self.hold(format!("down {node}"), false).then(|| Cue::Back(node.clone()));
            }
            Fault::Own { name, numbers, ms } if begins => {
                return Some(Cue::Own { name: name.clone(), numbers: numbers.clone(), lasts: Duration::from_millis(*ms) });
            }
            Fault::Own { .. } => {}
            Fault::Pause { node, .. } => {
                if self.hold(format!("pause {node}"), begins) {
                    if begins {
                        let _ = world.pause(node);
                    } else {
                        world.resume(node);
                    }
                }
            }
            Fault::Cut { from, to, one_way: true, .. } if begins => world.cut_one_way(from, to),
            Fault::Cut { from, to, one_way: true, .. } => world.mend_one_way(from, to),
            Fault::Cut { from, to, .. } if begins => world.cut(from, to),
            Fault::Cut { from, to, .. } => world.mend(from, to),
            // Was divided into its parts before.
            Fault::Swizzle { .. } => {}
            Fault::Isolate { node, .. } if begins => world.isolate(node),
            Fault::Isolate { node, .. } => world.rejoin(node),
            Fault::Link {
                from, to, latency_ms, loss_ppm, duplication_ppm, jitter_ms, corruption_ppm, mtu, bandwidth, ..
            } => {
                let slower = world.weather().climate().latency_us.saturating_add(latency_ms.saturating_mul(1_000));
                let parts = [
                    (*latency_ms > 0, LinkFault::Latency(slower)),
                    (*jitter_ms > 0, LinkFault::Jitter(u64::from(*jitter_ms) * 1_000)),
                    (*loss_ppm > 0, LinkFault::Loss(*loss_ppm)),
                    (*duplication_ppm > 0, LinkFault::Duplication(*duplication_ppm)),
                    (*corruption_ppm > 0, LinkFault::Corruption(*corruption_ppm)),
                    (*mtu > 0, LinkFault::Mtu(*mtu)),
                    (*bandwidth > 0, LinkFault::Bandwidth(*bandwidth)),
                ];
                for (_, part) in parts.into_iter().filter(|(exists, _)| *exists) {
                    if begins { world.begin_link(from, to, part) } else { world.end_link(from, to, part) }
                }
            }
            Fault::Move { node } => {
                world.readdress(node);
            }
            Fault::Clock { node, jump_ms, drift_ppm, .. } => {
                let held = self.hold(format!("clock {node}"), begins);
                if begins {
                    world.jump_clock(node, jump_ms.saturating_mul(1_000));
                    world.drift_clock(node, *drift_ppm);
                } else if held {
                    world.restore_clock(node);
                }
            }
            // What rots does not heal by itself: the end changes nothing.
            Fault::Disk { node, trouble: DiskTrouble::BitRot, under, .. } => {
                if begins {
                    world.rot(node, scope(under));
                }
            }
            Fault::Disk { node, trouble, hard, under, .. } => {
                let ppm = u32::try_from(*hard).unwrap_or(u32::MAX);
                let fault = match trouble {
                    DiskTrouble::LostSync => DiskFault::LostSync { ppm },
                    DiskTrouble::ReadError => DiskFault::ReadError { ppm },
                    DiskTrouble::WriteError => DiskFault::WriteError { ppm },
                    DiskTrouble::Full => DiskFault::Full { room: *hard },
                    DiskTrouble::Slow | DiskTrouble::BitRot => DiskFault::Slow { micros: *hard },
                };
                if begins { world.begin_disk(node, scope(under), fault) } else { world.end_disk(node, scope(under), fault) }
            }
            Fault::SlowPolls { node, us, .. } if begins => world.begin_slow_polls(node, Duration::from_micros(*us)),
            Fault::SlowPolls { node, us, .. } => world.end_slow_polls(node, Duration::from_micros(*us)),
        }
        None
    }

    /// Counts who holds `what`: true when it begins, or ends, to be held at all.
    fn hold(&mut self, what: String, begins: bool) -> bool {
        let held = self.holds.entry(what).or_default();
        if begins {
            *held += 1;
            *held == 1
        } else {
            *held -= 1;
            *held == 0
        }
    }
}

/// Divides a swizzle into isolations: with `n` nodes, each of the `2 n` steps takes as long.
fn swizzle(at: Duration, nodes: &[String], back: &[String], lasts: Duration, faults: &mut Vec<Fault>, turns: &mut Vec<Turn>) {
    let steps = (2 * nodes.len() as u32).max(2);
    let at_step = |step: usize| at + lasts * u32::try_from(step).unwrap_or(steps).min(steps) / (steps - 1);
    for (goes, node) in nodes.iter().enumerate() {
        // A plan of somebody's hand may forget to name it again: it comes back last.
        let comes = back.iter().position(|other| other == node).unwrap_or(nodes.len() - 1);
        let (begin, end) = (at_step(goes), at_step(nodes.len() + comes));
        let ms = u64::try_from((end - begin).as_millis()).unwrap_or(u64::MAX);
        for (at, begins) in [(begin, true), (end, false)] {
            turns.push(Turn { at, begins, fault: faults.len() });
        }
        faults.push(Fault::Isolate { node: node.clone(), ms });
    }
}

/// Does what [`Cue::Crash`] says, for scenarios that need to know nothing of it.
pub async fn fell(world: &World, node: &str, lose_disk: bool) {
    world.crash(node).await;
    // Also of one that was down already.
    if lose_disk {
        world.lose_disk(node);
    }
}

/// Where a fault of a disk is at work.
fn scope(under: &str) -> &Path {
    Path::new(if under.is_empty() { "/" } else { under })
}
