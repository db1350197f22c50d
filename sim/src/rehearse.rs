//! One run in this process: its ledger, its verdict, what it cost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use playhouse_rt::sim::claims::{self, Claims};
use playhouse_rt::sim::{self, Schedule, Waiting, ledger};
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::scenario::{Outcome, WANTED};
use crate::verdict::Verdict;

/// So many who wait are listed: actors, then others; those who wait for longest come first.
const WAITING_MAX: usize = 40;

/// About how many polls a run has, if nothing else is known.
const STEPS: u64 = 5_000;

/// About how many polls a run of each of our scenarios has, as measured without priorities: with too few of them nothing would ever fall in the later
/// part of a run, with too many hardly anything in it. A test compares them with what runs have now.
const STEPS_OF: [(&str, u64); 17] = [
    ("demo", 5_000),
    ("amnesia", 6_000),
    ("actors", 15_000),
    ("quiet", 260_000),
    ("brief", 3_500),
    ("streams", 31_000),
    ("groups", 38_000),
    ("work", 8_000),
    ("calls", 9_000),
    ("certificates", 2_000),
    ("leader-kill", 31_000),
    ("partition", 32_000),
    ("disk", 31_000),
    ("entities", 50_000),
    ("persist", 7_500),
    ("membership", 45_000),
    ("rolling", 60_000),
];

/// About how many polls a run of that scenario has: where priorities fall is drawn among so many.
pub fn steps_of(scenario: &str) -> u64 {
    STEPS_OF.iter().find(|(name, _)| *name == scenario).map_or(STEPS, |(_, steps)| *steps)
}

/// Who reads the ledger's lines.
pub type Sink = Box<dyn FnMut(&ledger::Line<'_>)>;

/// Whose a line is: its task, that task's place and name.
pub fn whose(line: &ledger::Line<'_>) -> String {
    match (line.task, line.name) {
        (0, _) => "no task of the product".to_string(),
        (task, "") => format!("task {task} of node {}, started at {}", line.node, line.place),
        (task, name) => format!("task {task} of node {}, {name}, started at {}", line.node, line.place),
    }
}

/// How a run is ordered and noted down.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// What every chance comes from.
    pub dice: u64,
    /// Tasks have priorities: the depth of probabilistic concurrency testing.
    pub pct: Option<u32>,
    /// About how many polls the run has, as [`steps_of`] says; 0: unknown.
    pub steps: u64,
    /// Without a ledger, to measure what the ledger costs.
    pub unrecorded: bool,
}

/// What a run gave.
#[derive(Debug)]
pub struct Ended {
    /// How it ended, and which faults there were.
    pub outcome: Outcome,
    /// Where panics happened, caught or not, but for those that scenarios ask for.
    pub panics: Vec<String>,
    /// Who waited for what, when the run did not come to its end.
    pub waiting: Vec<Waiting>,
    /// What the code itself claimed.
    pub claims: Claims,
    /// How much virtual time passed.
    pub virtual_time: Duration,
    /// How much real time passed.
    pub wall_time: Duration,
    /// The ledger's hash, in hexadecimal digits.
    pub hash: String,
    /// How many lines the ledger had...
    pub events: u64,
    /// ...of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// What madsim panics with when no task can run and no timer is left.
const DEADLOCK: &str = "all tasks will block forever";

/// What panics leave behind: when they are caught, the simulation is gone.
#[derive(Default)]
struct Wreck {
    places: RefCell<Vec<String>>,
    waiting: RefCell<Vec<Waiting>>,
    at: Cell<Duration>,
}

thread_local! {
    static WRECK: Rc<Wreck> = Rc::default();
    static REHEARSES: Cell<bool> = const { Cell::new(false) };
}

/// Panics of actors are caught and part of many histories; remember where they were instead of printing them. Other threads, and this one
/// when nothing is rehearsed on it, speak as ever.
fn remember_panics() -> Rc<Wreck> {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(hook);
    REHEARSES.set(true);
    WRECK.with(Clone::clone)
}

fn hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !REHEARSES.try_with(Cell::get).unwrap_or(false) {
            return before(info);
        }
        let text = info.payload_as_str().unwrap_or_default();
        if text == WANTED {
            return;
        }
        WRECK.with(|wreck| {
            if text.contains(DEADLOCK) {
                *wreck.waiting.borrow_mut() = sim::waiting();
            }
            wreck.at.set(sim::elapsed());
            wreck.places.borrow_mut().push(info.location().map(ToString::to_string).unwrap_or_default());
        });
    }));
}

/// The dice of this thread's next run turn as the plan says.
pub(crate) fn arm(plan: &Plan) {
    sim::turns(plan.turns.iter().map(|turn| (Duration::from_micros(turn.at_us), turn.dice)));
}

/// Runs `main` in a simulation; each line of the ledger goes to `sink`.
///
/// At most one run at a time in a thread; the history is that of the dice only in a fresh thread of a fresh process.
pub fn rehearse<F>(how: &How, main: impl FnOnce() -> F, sink: Option<Sink>) -> Ended
where
    F: Future<Output = Outcome>,
{
    let wreck = remember_panics();
    let began = Instant::now();
    let virtual_time = Cell::new(None);
    match sink {
        _ if how.unrecorded => {}
        Some(sink) => ledger::open(sink),
        None => ledger::open_unread(),
    }
    claims::open();
    let steps = if how.steps == 0 { STEPS } else { how.steps };
    sim::schedule(how.pct.map_or(Schedule::Random, |depth| Schedule::Pct { depth, steps }));
    let result = catch_unwind(AssertUnwindSafe(|| {
        sim::run(how.dice, async {
            let outcome = main().await;
            virtual_time.set(Some(sim::elapsed()));
            if hangs(&outcome.verdict) {
                *wreck.waiting.borrow_mut() = sim::waiting();
            }
            outcome
        })
    }));
    REHEARSES.set(false);
    let claims = claims::close();
    let kinds = ledger::kinds();
    let (hash, events) = ledger::close();
    let mut outcome = result.unwrap_or_else(|panic| {
        let text = playhouse_rt::panic_text(&*panic);
        let verdict = if text.contains(DEADLOCK) {
            Verdict::Stuck("nothing can happen any more".into())
        } else {
            let place = wreck.places.borrow().last().cloned().unwrap_or_default();
            Verdict::Crashed(format!("{text} ({place})"))
        };
        Outcome { verdict, faults: BTreeMap::new(), measures: BTreeMap::new() }
    });
    // A claim within the code that did not hold says more than what came of it.
    if let Some(breach) = &claims.breach {
        outcome.verdict = Verdict::Broken { promise: breach.promise, seen: breach.to_string() };
    }
    Ended {
        outcome,
        panics: wreck.places.take(),
        waiting: wreck.waiting.take(),
        claims,
        virtual_time: virtual_time.get().unwrap_or(wreck.at.get()),
        wall_time: began.elapsed(),
        hash,
        events,
        kinds,
    }
}

/// Whether somebody waits for what does not come: then the report says who.
fn hangs(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Stuck(_) => true,
        Verdict::Broken { promise, .. } => ["heal", "up again"].iter().any(|word| promise.contains(word)),
        Verdict::Held | Verdict::Crashed(_) => false,
    }
}

impl Ended {
    /// Where the panic was that ended the run, as `file:line:column`, if one did and it is known.
    pub fn place(&self) -> Option<&str> {
        let Verdict::Crashed(seen) = &self.outcome.verdict else { return None };
        // What is said of a crash ends with its place; most panics of a run are caught, and end nothing.
        let seen = seen.trim_end_matches(')');
        self.panics.iter().rev().map(String::as_str).find(|place| !place.is_empty() && seen.ends_with(place))
    }

    /// As scripts read it.
    pub fn json(&self) -> Value {
        let mut verdict = self.outcome.verdict.json();
        if let Some((line, _column)) = self.place().and_then(|place| place.rsplit_once(':')) {
            verdict["place"] = line.into();
        }
        json!({
            "verdict": verdict,
            "virtual_s": self.virtual_time.as_secs_f64(),
            "wall_s": self.wall_time.as_secs_f64(),
            "cpu_s": cpu_seconds(),
            "hash": self.hash,
            "events": self.events,
            "faults": self.outcome.faults,
            "measures": self.outcome.measures,
            "kinds": self.kinds,
            "sometimes": self.claims.sometimes,
            "reached_us": self.claims.reached.iter().map(|(what, at)| (*what, micros(*at))).collect::<BTreeMap<_, _>>(),
            "buggify": self.claims.buggify,
            "waiting": self.waiting_json(),
        })
    }

    fn waiting_json(&self) -> Value {
        let mut rows: Vec<&Waiting> = self.waiting.iter().collect();
        // Actors first: of what serves them, much waits from beginning to end.
        rows.sort_by_key(|row| row.name.is_none());
        let rows = rows.into_iter().take(WAITING_MAX).map(|row| {
            let Waiting { node, task, place, name, since, on } = row;
            let since_s = since.as_secs_f64();
            json!({ "node": node, "task": task, "name": name, "place": place, "since_s": since_s, "on": on, "text": row.to_string() })
        });
        rows.collect()
    }
}

/// The first line of standard input; empty when there is none.
pub fn first_line() -> String {
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    line
}

/// Calls `end` when standard input ends: whoever started this process is gone, and nobody reads what it finds.
pub fn when_parent_ends(end: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        end();
    });
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Processor time of this process's threads so far.
fn cpu_seconds() -> f64 {
    // The first field of schedstat, in nanoseconds (the kernel's sched-stats.rst); 0 where there is no such file.
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(Result::ok);
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    let nanos: u64 = stats.filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok()).sum();
    nanos as f64 / 1e9
}
