//! Carries a plan out, fault by fault.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use playhouse_rt as rt;

use crate::plan::{Fault, Plan};
use crate::world::World;

/// What the scenario has to do itself: it alone knows how its nodes are started and stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Take the power from this node, with [`World::crash`] or [`World::crash_and_lose_disk`]; it comes back with [`Cue::Back`], if it does.
    Crash {
        /// Which node.
        node: &'static str,
        /// Its disk goes, too.
        lose_disk: bool,
    },
    /// Stop this node in good order.
    Stop(&'static str),
    /// Start this node again. If it is being stopped, its end is the scenario's to wait for.
    Back(&'static str),
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
    places: Vec<&'static str>,
    /// How many faults hold each thing in its state: two cuts of one link end with the later one.
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
    /// The load begins now. `places` are the nodes of the world, by their names.
    pub fn new(plan: &Plan, places: &[&'static str]) -> Director {
        let faults: Vec<Fault> = plan.faults.iter().map(|timed| timed.fault.clone()).collect();
        let mut turns = Vec::new();
        for (fault, timed) in plan.faults.iter().enumerate() {
            let at = Duration::from_millis(timed.at_ms);
            turns.push(Turn { at, begins: true, fault });
            if let Some(ms) = timed.fault.lasts_ms() {
                turns.push(Turn { at: at + Duration::from_millis(ms), begins: false, fault });
            }
        }
        turns.sort();
        turns.reverse();
        Director { began: rt::now(), turns, faults, places: places.to_vec(), holds: BTreeMap::new() }
    }

    /// The next thing that the scenario has to do; `None` when the plan is done. Cancel-safe: what was carried out is not lost, and what
    /// is due comes next time.
    pub async fn next(&mut self, world: &mut World) -> Option<Cue> {
        while let Some(turn) = self.turns.last().copied() {
            rt::sleep_until(self.began + turn.at).await;
            self.turns.pop();
            let fault = self.faults[turn.fault].clone();
            let (number, nodes) = (turn.fault, fault.nodes().join(","));
            let on = if nodes.is_empty() { String::new() } else { format!(" on {nodes}") };
            if turn.begins {
                rt::ledger::record("fault", || format!("begin {number}{on}: {fault}"));
                if !matches!(fault, Fault::Crash { lose_disk: false, .. }) {
                    // A crash counts itself, when there is something to crash.
                    world.count(fault.kind());
                }
            } else {
                rt::ledger::record("fault", || format!("end {number}{on}"));
            }
            if let Some(cue) = self.turn(world, &fault, turn.begins) {
                return Some(cue);
            }
        }
        None
    }

    fn turn(&mut self, world: &mut World, fault: &Fault, begins: bool) -> Option<Cue> {
        match fault {
            Fault::Crash { node, lose_disk, .. } if begins => {
                return Some(Cue::Crash { node: self.place(node), lose_disk: *lose_disk });
            }
            Fault::Stop { node, .. } if begins => return Some(Cue::Stop(self.place(node))),
            Fault::Crash { node, .. } | Fault::Stop { node, .. } => return Some(Cue::Back(self.place(node))),
            Fault::Own { name, numbers, ms } if begins => {
                return Some(Cue::Own { name: name.clone(), numbers: numbers.clone(), lasts: Duration::from_millis(*ms) });
            }
            Fault::Own { .. } => {}
            Fault::Cut { from, to, one_way, .. } => {
                let (from, to) = (self.place(from), self.place(to));
                let ways: &[_] = if *one_way { &[(from, to)] } else { &[(from, to), (to, from)] };
                for (from, to) in ways {
                    self.way(world, from, to, begins);
                }
            }
            Fault::Isolate { node, .. } => {
                let node = self.place(node);
                for other in self.places.clone().into_iter().filter(|other| *other != node) {
                    self.way(world, node, other, begins);
                    self.way(world, other, node, begins);
                }
            }
            _ => {}
        }
        None
    }

    /// Cuts a way or mends it, if no other fault holds it cut.
    fn way(&mut self, world: &mut World, from: &'static str, to: &'static str, begins: bool) {
        if self.hold(format!("way {from} {to}"), begins) {
            let (from, to) = (world.ip(from), world.ip(to));
            if begins { world.weather().cut(from, to) } else { world.weather().mend(from, to) }
        }
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

    fn place(&self, name: &str) -> &'static str {
        let place = self.places.iter().find(|place| **place == name);
        place.unwrap_or_else(|| panic!("the plan names a node that is none of this scenario: {name:?}"))
    }
}
