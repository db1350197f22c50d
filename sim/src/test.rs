//! Tests of an application's own actors: what `#[playhouse::sim]` writes calls this.
//!
//! `cargo playhouse sim` starts a process for each seed, and says what it wants by variables of the environment. Without it (`cargo test -- --ignored`
//! in the simulated world) each seed has a thread of its own, which is nearly as good: process-wide entropy is shared then.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use playhouse_rt::sim::{self, ledger::Line};
use serde_json::json;

use crate::plan::{DICE, Plan, PlanFile};
use crate::rehearse::{Ended, How, Sink, arm, rehearse, whose};
use crate::scenario::Outcome;
use crate::timeline::{Entry, Run, Timeline, page};
use crate::verdict::Verdict;
use crate::world::World;

/// What `cargo playhouse` and a test's process say to each other.
pub mod talk {
    /// Print the test's range of seeds as `playhouse-sim: seeds A..B`, and ` canary` if it is one, and run nothing.
    pub const ASK: &str = "PLAYHOUSE_SIM_ASK";
    /// Run this one seed.
    pub const SEED: &str = "PLAYHOUSE_SIM_SEED";
    /// Write the report here, as JSON.
    pub const REPORT: &str = "PLAYHOUSE_SIM_REPORT";
    /// Write the ledger's lines here, and whose each is behind [`OF`].
    pub const LEDGER: &str = "PLAYHOUSE_SIM_LEDGER";
    /// The faults are those of this plan, whatever the test would draw.
    pub const PLAN: &str = "PLAYHOUSE_SIM_PLAN";
    /// Write a page that shows the run here.
    pub const HTML: &str = "PLAYHOUSE_SIM_HTML";
    /// Between a line of the ledger and whose it is.
    pub const OF: char = '\t';
    /// How the answer to [`ASK`] begins.
    pub const SEEDS: &str = "playhouse-sim: seeds ";
}

/// A task that has been running for so long, by the clock on the wall, never yields.
const POLL_MAX: Duration = Duration::from_secs(10);

/// Kinds of lines that have no place on a page: the executor's and the dice's own.
const UNSEEN: [&str; 3] = ["poll", "draw", "entropy"];

/// What is said of a canary that lives.
const NO_SEED_FAILED: &str = "no seed failed, though the test makes a mistake on purpose: the simulator does not see it";

type Body = fn(World) -> Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static PLANS: RefCell<Plans> = RefCell::default();
}

/// The plan that a test was given, and the one that it drew.
#[derive(Default)]
struct Plans {
    given: Option<Plan>,
    drawn: Option<Plan>,
}

/// The plan to use instead of drawing one.
pub(crate) fn given() -> Option<Plan> {
    PLANS.with_borrow(|plans| plans.given.clone())
}

/// Notes what was drawn, for the report.
pub(crate) fn drawn(plan: &Plan) {
    PLANS.with_borrow_mut(|plans| plans.drawn = Some(plan.clone()));
}

/// Runs a test as it is wanted: for one seed, or for each of `seeds`. A `canary` must fail for one of them.
///
/// # Panics
/// When a seed fails, with what was seen and how to run it again.
pub fn run(name: &str, seeds: Range<u64>, canary: bool, body: Body) {
    rehearsed(name, seeds, canary, None, body);
}

/// Runs a test with a saved plan, with each of its [`DICE`]: the failure that it was saved for must not come back. What `cargo playhouse shrink`
/// prints calls this.
///
/// # Panics
/// When it fails, with what was seen; when `text` is no plan.
pub fn pinned(name: &str, text: &str, body: Body) {
    let plan = PlanFile::parse(text).unwrap_or_else(|error| panic!("{name}: {error}")).plan;
    rehearsed(name, 0..DICE, false, Some(plan), body);
}

fn rehearsed(name: &str, seeds: Range<u64>, canary: bool, pinned: Option<Plan>, body: Body) {
    let thrown = |seed| pinned.clone().map(|plan| Plan { dice: plan.dice.wrapping_add(seed), ..plan });
    let wanted = |variable: &str| std::env::var_os(variable);
    if wanted(talk::ASK).is_some() {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "\n{}{}..{}{}", talk::SEEDS, seeds.start, seeds.end, if canary { " canary" } else { "" });
        return;
    }
    let Some(seed) = wanted(talk::SEED) else {
        let mut held = true;
        for seed in seeds {
            let given = thrown(seed);
            let ended = std::thread::spawn(move || one(seed, given, body, None)).join();
            let ended = ended.unwrap_or_else(|_| panic!("seed {seed}: the simulation itself panicked"));
            held &= ended.outcome.verdict == Verdict::Held;
            if !canary {
                judge(name, seed, &ended);
            }
        }
        assert!(!(canary && held), "{NO_SEED_FAILED}");
        return;
    };
    let seed = seed.to_str().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| panic!("{} is no number", talk::SEED));
    let given = wanted(talk::PLAN).map(|path| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", PathBuf::from(&path).display()));
        PlanFile::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", PathBuf::from(&path).display())).plan
    });
    let given = given.or_else(|| thrown(seed));
    let create = |path| File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", PathBuf::from(&path).display()));
    let html = wanted(talk::HTML);
    let mut lines = wanted(talk::LEDGER).map(|path| BufWriter::new(create(path)));
    let timeline = Rc::new(RefCell::new(html.is_some().then(Timeline::new)));
    let seen = timeline.clone();
    let read = lines.is_some() || html.is_some();
    let sink = move |line: &Line<'_>| {
        if let Some(lines) = &mut lines {
            let _ = writeln!(lines, "{line}{}{}", talk::OF, whose(line));
        }
        if let Some(timeline) = seen.borrow_mut().as_mut().filter(|_| !UNSEEN.contains(&line.kind)) {
            let Line { at, node, actor, kind, detail, .. } = *line;
            timeline.add(&Entry { at, node, actor, kind, detail });
        }
    };
    let sink = read.then(|| Box::new(sink) as Sink);
    watch(wanted(talk::REPORT).map(PathBuf::from));
    let ended = one(seed, given, body, sink);
    if let Some(path) = wanted(talk::REPORT) {
        let mut report = ended.json();
        report["plan"] = json!(PLANS.with_borrow(|plans| plans.drawn.clone().or(plans.given.clone())));
        let _ = write!(create(path), "{report}");
    }
    if let (Some(path), Some(timeline)) = (html, timeline.take()) {
        let command = format!("cargo playhouse replay {} --seed {seed}", short(name));
        let run = Run { scenario: short(name).into(), seed, command, hash: ended.hash.clone() };
        let _ = write!(create(path), "{}", page(&timeline.finish(run, ended.outcome.verdict.json())));
    }
    judge(name, seed, &ended);
}

/// Reports a task that never yields, and which it is. It is for the parent to end this process then.
fn watch(report: Option<PathBuf>) {
    let tell = move |spinning: sim::Spinning| {
        let verdict = Verdict::Stuck(spinning.to_string());
        if let Some(path) = &report {
            let _ = std::fs::write(path, json!({ "verdict": verdict.json(), "spinning": true }).to_string());
        }
        let _ = writeln!(std::io::stderr(), "{spinning}");
    };
    sim::watch(POLL_MAX, tell).expect("the operating system gives a thread");
}

fn one(seed: u64, given: Option<Plan>, body: Body, sink: Option<Sink>) -> Ended {
    let dice = given.as_ref().map_or(seed, |plan| plan.dice);
    let climate = given.as_ref().map(|plan| plan.climate);
    let buggy = given.as_ref().is_none_or(Plan::is_buggy);
    if let Some(plan) = &given {
        arm(plan);
    }
    PLANS.set(Plans { given, drawn: None });
    rehearse(
        &How { dice, ..How::default() },
        || async move {
            if buggy {
                playhouse_rt::sim::buggify_on(dice);
            }
            let world = climate.map_or_else(|| World::new(dice), |climate| World::with_climate(dice, climate));
            body(world.clone()).await;
            Outcome { verdict: Verdict::Held, faults: world.faults() }
        },
        sink,
    )
}

/// The test's own name, from its path: the last part but `simulated`.
fn short(name: &str) -> &str {
    name.rsplit("::").nth(1).unwrap_or(name)
}

fn judge(name: &str, seed: u64, ended: &Ended) {
    match &ended.outcome.verdict {
        Verdict::Held => {}
        Verdict::Broken { seen, .. } | Verdict::Stuck(seen) | Verdict::Crashed(seen) => {
            let test = short(name);
            panic!("seed {seed}: {seen}\n  cargo playhouse replay {test} --seed {seed}");
        }
    }
}
