//! Fault plans: all that befalls a run, as data.
//!
//! A seed draws one plan before anything happens. The plan is printed, saved and run again without the draw, so a failure outlives
//! changes that shift the dice; [`crate::shrink`] takes away from it what a failure does not need.

mod climate;
mod draw;
mod fault;
mod file;
pub mod offers;

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

pub use climate::Climate;
pub use draw::{Draw, Offer};
pub(crate) use fault::round;
pub use fault::{DiskTrouble, Fault};
pub use file::{Built, FORMAT, FileError, PlanFile};

/// All that befalls a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the dice of the run begin with: those of the executor, the datagrams, the application. The plan itself is drawn already.
    pub dice: u64,
    /// How the network behaves between its faults.
    pub climate: Climate,
    /// How large the run is, by name.
    pub dials: BTreeMap<String, Dial>,
    /// The faults, in the order of their beginning.
    pub faults: Vec<Timed>,
    /// When the dice are turned: this run goes on where another one was, and then its own way.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few_turns")]
    pub turns: Vec<Turn>,
    /// Nodes of the scenario that do not take part: never started. No seed draws any; shrinking leaves out what a failure does not need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

/// Nodes that a scenario can do without, as long as enough of them take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extras {
    /// Which.
    pub nodes: &'static [&'static str],
    /// So many of them must take part.
    pub least: usize,
}

impl Extras {
    /// Every node is needed.
    pub const NONE: Extras = Extras { nodes: &[], least: 0 };

    /// Whether a plan may leave `absent` out.
    ///
    /// # Errors
    /// When one of them is needed, or is named twice, or too few are left.
    pub fn allow(&self, absent: &[String]) -> Result<(), String> {
        let mut left: Vec<&str> = self.nodes.to_vec();
        for name in absent {
            let at = left.iter().position(|node| node == name);
            left.remove(at.ok_or_else(|| format!("it leaves the node {name:?} out, which is needed, or is left out already"))?);
        }
        match left.len() < self.least {
            true => {
                Err(format!("it leaves out {}; {} of {} must take part", absent.join(", "), self.least, self.nodes.join(", ")))
            }
            false => Ok(()),
        }
    }
}

/// The most turns of the dice in one run.
pub const TURNS_MAX: usize = 64;

#[cfg(madsim)]
const _: () = assert!(TURNS_MAX <= playhouse_rt::sim::TURNS_MAX, "a plan that can be read can be run");

/// A plan comes from outside: what a run would panic at is refused by whoever reads it.
fn few_turns<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Turn>, D::Error> {
    let turns = Vec::<Turn>::deserialize(reader)?;
    let count = turns.len();
    if count <= TURNS_MAX {
        Ok(turns)
    } else {
        Err(D::Error::custom(format!("{count} turns of the dice; {TURNS_MAX} is the most")))
    }
}

/// A size of the run: a number of files, of nodes, of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dial {
    /// The size.
    pub is: u64,
    /// The least that makes sense.
    pub least: u64,
}

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// Virtual milliseconds after the load began.
    pub at_ms: u64,
    /// Which call of [`World::draw`](crate::World::draw) gives it, if a test has several: 0 is the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub call: u32,
    /// What happens.
    pub fault: Fault,
}

fn is_first(call: &u32) -> bool {
    *call == 0
}

/// From a virtual time on, every chance of the run comes from other dice. The faults that are planned stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Virtual microseconds after the beginning of the run.
    pub at_us: u64,
    /// The other dice.
    pub dice: u64,
}

/// The longest time, in virtual milliseconds, that the faults of a plan may take: a day.
pub const LASTS_MAX_MS: u64 = 86_400_000;

/// The size that says whether product code takes its rare ways: 1 or 0.
pub(crate) const BUGGIFY: &str = "buggify";

/// A saved plan is run with so many dice. It outlives changes of the code that shift the dice; what it provokes may then need another throw.
pub const DICE: u64 = 20;

impl Plan {
    /// The same plan with each of its [`DICE`].
    pub fn thrown(&self) -> impl Iterator<Item = Plan> + '_ {
        (0..DICE).map(|more| Plan { dice: self.dice.wrapping_add(more), ..self.clone() })
    }

    /// The size called `name`.
    ///
    /// # Panics
    /// When the plan has none of that name: it is the plan of another scenario, or of an older form of this one.
    pub fn dial(&self, name: &str) -> u64 {
        self.dials.get(name).unwrap_or_else(|| panic!("the plan has no size called {name:?}")).is
    }

    /// The same, as an index or a count.
    ///
    /// # Panics
    /// As [`Plan::dial`].
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.dial(name)).unwrap_or(usize::MAX)
    }

    /// Whether a node of the scenario takes part.
    pub fn has(&self, node: &str) -> bool {
        !self.absent.iter().any(|absent| absent == node)
    }

    /// The same without a node, and without all that befalls it.
    pub fn without_node(&self, node: &str) -> Plan {
        let mut plan = self.clone();
        plan.faults =
            plan.faults.into_iter().filter_map(|timed| Some(Timed { fault: timed.fault.sparing(node)?, ..timed })).collect();
        plan.absent.push(node.to_string());
        plan
    }

    /// Whether product code takes its rare ways: `buggify!`.
    pub fn is_buggy(&self) -> bool {
        self.dials.get(BUGGIFY).is_some_and(|dial| dial.is > 0)
    }

    /// How many things go wrong: faults, and ways in which the climate is not calm.
    pub fn troubles(&self) -> usize {
        self.faults.len() + self.climate.hazards()
    }

    /// The last moment, in virtual milliseconds after the load began, at which a fault of the plan is still at work.
    pub fn last_ms(&self) -> u64 {
        self.faults.iter().map(|timed| timed.at_ms.saturating_add(timed.fault.lasts_ms().unwrap_or(0))).max().unwrap_or(0)
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.climate)?;
        let dials: Vec<String> = self.dials.iter().map(|(name, dial)| format!("{name} {}", dial.is)).collect();
        if !dials.is_empty() {
            writeln!(f, "sizes: {}", dials.join(", "))?;
        }
        if !self.absent.is_empty() {
            writeln!(f, "without the nodes: {}", self.absent.join(", "))?;
        }
        for Timed { at_ms, call, fault } in &self.faults {
            let of = if is_first(call) { String::new() } else { format!(" (draw {})", call + 1) };
            writeln!(f, "{at_ms:>7} ms  {fault}{of}")?;
        }
        for Turn { at_us, dice } in &self.turns {
            writeln!(f, "{at_us:>7} us after the beginning of the run: the dice turn to {dice}")?;
        }
        Ok(())
    }
}
