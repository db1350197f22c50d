//! Why a promise broke: from the event that broke it backwards through the ledger, to the faults of the plan.
//!
//! [`Why`] eats the ledger's lines and gives a [`Slice`]: for each fault, the shortest chain of recorded events by which it reaches the break. What
//! joins two events is in `links.rs`. A chain is what *can* have led there, for the ledger knows messages, tasks and lives, and not
//! what an actor remembers: such a joint is marked. Nothing here knows the simulation: lines in, text out.

mod links;
mod paths;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use serde_json::{Value, json};

use links::Links;

/// The most events that are remembered; of a longer run, the last ones.
pub const EVENTS_MAX: usize = 500_000;

/// The most lines of a slice. Of a plan with more faults than fit, those are shown that reach the break by the shortest chains.
pub const SLICE_MAX: usize = 48;

/// The longest text of one line of a slice, in characters.
const TEXT_MAX: usize = 150;

/// Kinds of lines that lead nowhere.
const IDLE: [&str; 8] = ["poll", "draw", "entropy", "work", "timer", "send", "arrive", "buggify"];

/// Kinds of lines that only pass something on: a chain leads through them, and a slice does not show them.
const PASSING: [&str; 4] = ["begin", "tell", "ask", "answer"];

/// A line of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number.
    pub number: u64,
    /// Virtual nanoseconds since the start.
    pub at: u64,
    /// The life of a node that did it (`name#life`); `-` for the world.
    pub node: &'a str,
    /// The task that did it; 0 for none.
    pub task: u64,
    /// The actor whose code did it; empty when it was none.
    pub actor: &'a str,
    /// A short word.
    pub kind: &'static str,
    /// The rest.
    pub detail: &'a str,
}

/// The same, kept.
#[derive(Clone, Debug)]
struct Event {
    number: u64,
    at: u64,
    node: String,
    task: u64,
    actor: String,
    kind: &'static str,
    detail: String,
}

/// Remembers a run, to say why it broke.
#[derive(Debug, Default)]
pub struct Why {
    events: VecDeque<Event>,
    forgotten: u64,
}

/// What led to the break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The events, in order.
    pub events: Vec<Step>,
    /// The promise, and what was seen instead.
    pub broken: String,
    /// What is to be known of it.
    pub notes: Vec<String>,
}

/// An event of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in the ledger.
    pub number: u64,
    /// Virtual nanoseconds since the start.
    pub at: u64,
    /// The life of a node; `-` for the world.
    pub node: String,
    /// What happened.
    pub text: String,
    /// What led to it, as numbers in the slice from 1; `false`: it may have.
    pub from: Vec<(usize, bool)>,
}

impl Why {
    /// Nothing has happened yet.
    pub fn new() -> Why {
        Why::default()
    }

    /// The next line.
    pub fn add(&mut self, entry: &Entry<'_>) {
        if IDLE.contains(&entry.kind) {
            return;
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.forgotten += 1;
        }
        let Entry { number, at, task, kind, .. } = *entry;
        let [node, actor, detail] = [entry.node, entry.actor, entry.detail].map(str::to_string);
        self.events.push_back(Event { number, at, node, task, actor, kind, detail });
    }

    /// What led to the break; `None` when no promise is broken, or nothing happened. `verdict` is what the run's report says.
    pub fn slice(mut self, verdict: &Value) -> Option<Slice> {
        let broken =
            verdict["promise"].as_str().map(|promise| format!("{promise}: {}", verdict["seen"].as_str().unwrap_or("?")))?;
        let events: &[Event] = self.events.make_contiguous();
        let mut notes = Vec::new();
        if self.forgotten > 0 {
            notes.push(format!("the run is long: its first {} events are forgotten", self.forgotten));
        }
        let anchor = anchor(events, &mut notes)?;
        let links = Links::of(events);
        let toward = paths::shortest(&links.causes, anchor);
        let mut faults: Vec<(u64, usize)> = Vec::new();
        let mut apart = Vec::new();
        for fault in &links.faults {
            match toward[*fault] {
                Some((cost, _, _)) => faults.push((cost, *fault)),
                None => apart.push(*fault),
            }
        }
        faults.sort_unstable();
        let mut shown = BTreeSet::from([anchor]);
        let mut left_out = 0;
        // If no fault leads there: from where it all began.
        let begins = || links.begins.iter().filter_map(|begin| Some((toward[*begin]?.0, *begin))).min();
        let ends = if faults.is_empty() { begins().into_iter().collect() } else { faults };
        for (_, end) in ends {
            let mut more = shown.clone();
            more.extend(paths::back(&toward, end).filter(|event| *event < events.len()));
            if more.iter().filter(|event| is_shown(events, **event, anchor)).count() > SLICE_MAX {
                left_out += 1;
            } else {
                shown = more;
            }
        }
        if left_out > 0 {
            notes.push(format!("{left_out} more faults reach it by longer chains; shrink the plan first"));
        }
        notes.extend(apart.iter().map(|fault| format!("nothing that is recorded joins this to it: {}", events[*fault].detail)));
        Some(Slice { events: steps(events, &shown, &toward, anchor), broken, notes })
    }
}

/// The event that broke the promise.
fn anchor(events: &[Event], notes: &mut Vec<String>) -> Option<usize> {
    let of = |kind: &str| events.iter().position(|event| event.kind == kind);
    let seen = || events.iter().rposition(|event| event.kind == "seen");
    of("breach").or_else(seen).or_else(|| {
        notes.push("no event says that it broke the promise: this is what happened last".into());
        events.len().checked_sub(1)
    })
}

fn is_shown(events: &[Event], event: usize, anchor: usize) -> bool {
    event == anchor || !PASSING.contains(&events[event].kind)
}

/// The events that are shown, each with those of them that led to it.
fn steps(events: &[Event], slice: &BTreeSet<usize>, toward: &[Option<paths::Toward>], anchor: usize) -> Vec<Step> {
    let shown: Vec<usize> = slice.iter().copied().filter(|event| is_shown(events, *event, anchor)).collect();
    let mut from: BTreeMap<usize, Vec<(usize, bool)>> = BTreeMap::new();
    for (number, event) in shown.iter().enumerate() {
        // To the next that is shown, through what only passes on.
        let (mut at, mut sure) = (*event, true);
        while let Some((_, Some(next), surely)) = toward[at] {
            (at, sure) = (next, sure && surely);
            if at < events.len() && is_shown(events, at, anchor) {
                from.entry(at).or_default().push((number + 1, sure));
                break;
            }
        }
    }
    let step = |event: &usize| {
        let Event { number, at, node, actor, kind, detail, .. } = &events[*event];
        let by = if actor.is_empty() || *kind == "message" { String::new() } else { format!(" [{actor}]") };
        let mut text: String = format!("{kind} {detail}").chars().take(TEXT_MAX).collect();
        text.push_str(&by);
        Step { number: *number, at: *at, node: node.clone(), text, from: from.remove(event).unwrap_or_default() }
    };
    shown.iter().map(step).collect()
}

impl Slice {
    /// As scripts read it.
    pub fn json(&self) -> Value {
        let steps = self.events.iter().zip(1..).map(|(step, n)| {
            let Step { number, at, node, text, from } = step;
            let named = |wanted: bool| from.iter().filter(|(_, sure)| *sure == wanted).map(|(n, _)| *n).collect::<Vec<usize>>();
            json!({ "n": n, "event": number, "at_ns": at, "node": node, "text": text, "from": named(true), "perhaps_from": named(false) })
        });
        json!({ "events": steps.collect::<Vec<Value>>(), "broken": self.broken, "notes": self.notes })
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.events.iter().enumerate() {
            let Step { at, node, text, from, .. } = step;
            let from: Vec<String> = from.iter().map(|(n, sure)| format!("{}{n}", if *sure { "" } else { "~" })).collect();
            let from = if from.is_empty() { String::new() } else { format!("  <- {}", from.join(", ")) };
            writeln!(f, "{:>3} {:>11.6} {node:<9} {text}{from}", n + 1, *at as f64 / 1e9)?;
        }
        writeln!(f, "    broken: {}", self.broken)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}
