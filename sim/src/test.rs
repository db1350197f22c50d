//! Tests of an application's own actors: what `#[playhouse::sim]` writes calls this.
//!
//! `cargo playhouse sim` starts a process for each seed, and says what it wants by variables of the environment. Without it (`cargo test -- --ignored`
//! in the simulated world) each seed has a thread of its own, which is nearly as good: process-wide entropy is shared then.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::panic::Location;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use playhouse_rt::sim::{self, ledger::Line};
use serde_json::json;

use crate::plan::{DICE, Plan, PlanFile};
use crate::rehearse::{Ended, How, Sink, arm, first_line, rehearse, when_parent_ends, whose};
use crate::scenario::Outcome;
use crate::shrink::words;
use crate::talk;
use crate::timeline::{Entry, Run, Timeline, page};
use crate::verdict::Verdict;
use crate::world::World;

/// A task that has been running for so long, by the clock on the wall, never yields.
const POLL_MAX: Duration = Duration::from_secs(10);

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

/// Notes what was drawn, for the report: of all calls, one plan.
pub(crate) fn drawn(plan: &Plan) {
    PLANS.with_borrow_mut(|plans| match &mut plans.drawn {
        Some(drawn) => drawn.faults.extend(plan.faults.iter().cloned()),
        None => plans.drawn = Some(plan.clone()),
    });
}

/// A test, as it was written.
struct Test {
    name: String,
    /// The file that it stands in.
    file: &'static str,
    /// It makes a mistake on purpose, and must show it with one of its seeds.
    canary: bool,
}

/// Runs a test as it is wanted: for one seed, or for each of `seeds`. A `canary` must break a promise for one of them, or panic in its own code.
///
/// # Panics
/// When a seed fails, with what was seen and how to run it again.
#[track_caller]
pub fn run(name: &str, seeds: Range<u64>, canary: bool, body: Body) {
    let test = Test { name: name.into(), file: Location::caller().file(), canary };
    rehearsed(&test, seeds, None, body);
}

/// Runs a test with a saved plan, with each of its [`DICE`]: the failure that it was saved for must not come back. What `cargo playhouse shrink`
/// prints calls this.
///
/// # Panics
/// When it fails, with what was seen; when `text` is no plan.
#[track_caller]
pub fn pinned(name: &str, text: &str, body: Body) {
    let test = Test { name: name.into(), file: Location::caller().file(), canary: false };
    let plan = PlanFile::parse(text).unwrap_or_else(|error| panic!("{name}: {error}")).plan;
    rehearsed(&test, 0..DICE, Some(plan), body);
}

fn rehearsed(test: &Test, seeds: Range<u64>, pinned: Option<Plan>, body: Body) {
    let thrown = |seed| pinned.clone().map(|plan| Plan { dice: plan.dice.wrapping_add(seed), ..plan });
    let wanted = |variable: &str| std::env::var_os(variable);
    if wanted(talk::ASK).is_some() {
        say(&format!("{}{}..{}{}", talk::SEEDS, seeds.start, seeds.end, if test.canary { " canary" } else { "" }));
        return;
    }
    let Some(seed) = wanted(talk::SEED) else {
        let mut seen = false;
        for seed in seeds {
            let given = thrown(seed);
            let ended = std::thread::spawn(move || one(seed, given, body, None)).join();
            let ended = ended.unwrap_or_else(|_| panic!("seed {seed}: the simulation itself panicked"));
            if test.canary && sees(test, &ended) {
                seen = true;
            } else {
                judge(test, seed, &ended);
            }
        }
        assert!(seen || !test.canary, "{NO_SEED_FAILED}");
        return;
    };
    let seed = seed.to_str().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| panic!("{} is no number", talk::SEED));
    let given = wanted(talk::PLAN).map(|_| {
        let plan = serde_json::from_str(&first_line());
        plan.unwrap_or_else(|error| panic!("standard input is no plan: {error}"))
    });
    let given = given.or_else(|| thrown(seed));
    when_parent_ends(end_stuck);
    let html = wanted(talk::HTML).map(|path| {
        let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", PathBuf::from(&path).display()));
        (file, wanted(talk::COMMAND).and_then(|command| command.into_string().ok()).unwrap_or_default())
    });
    let listed = wanted(talk::LEDGER).is_some();
    let timeline = Rc::new(RefCell::new(html.is_some().then(Timeline::new)));
    let shown = timeline.clone();
    let read = listed || html.is_some();
    let sink = move |line: &Line<'_>| {
        if listed {
            say(&format!("{}{line}{}{}", talk::EVENT, talk::OF, whose(line)));
        }
        if let Some(timeline) = shown.borrow_mut().as_mut().filter(|_| !talk::UNSEEN.contains(&line.kind)) {
            let Line { at, node, actor, kind, detail, .. } = *line;
            timeline.add(&Entry { at, node, actor, kind, detail });
        }
    };
    let sink = read.then(|| Box::new(sink) as Sink);
    watch();
    let ended = one(seed, given, body, sink);
    let mut report = ended.json();
    report["plan"] = json!(PLANS.with_borrow(|plans| plans.drawn.clone().or(plans.given.clone())));
    report["sees"] = sees(test, &ended).into();
    if let (Some((mut file, command)), Some(timeline)) = (html, timeline.take()) {
        let run = Run { scenario: short(&test.name).into(), seed, command, hash: ended.hash.clone() };
        let written = file.write_all(page(&timeline.finish(run, ended.outcome.verdict.json())).as_bytes());
        report["html"] = json!(written.map_err(|error| error.to_string()));
    }
    say(&format!("{}{report}", talk::REPORT));
    judge(test, seed, &ended);
}

/// Prints a line for whoever started this; for `cargo test`, it is one among others. A line at a time, so that what the test prints is not in
/// the midst of it.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// Ends the process, whatever runs in it. This is a library, but the process is one test's, its main is the test harness's, and a task that never yields
/// would never hear of an error.
fn end_stuck() {
    std::process::exit(Verdict::Stuck(String::new()).exit_code().into());
}

/// Ends the process when a task never yields, and says which.
fn watch() {
    let tell = move |spinning: sim::Spinning| {
        let verdict = Verdict::Stuck(spinning.to_string());
        let mut told = verdict.json();
        told["place"] = spinning.place.as_str().into();
        say(&format!("{}{}", talk::REPORT, json!({ "verdict": told })));
        end_stuck();
    };
    sim::watch(POLL_MAX, tell).expect("the operating system gives a thread");
}

/// Whether a canary has done what it is for: a promise was broken, or the test's own code panicked. A crash of what it stands on, or a run
/// without an end, shows nothing of the simulator.
fn sees(test: &Test, ended: &Ended) -> bool {
    match &ended.outcome.verdict {
        Verdict::Broken { .. } => true,
        Verdict::Crashed(_) => ended.place().is_some_and(|place| is_own(test.file, place)),
        Verdict::Held | Verdict::Stuck(_) => false,
    }
}

/// Whether a panic at `place` is one of the test's own code: in its file, or in one beside it or below, in a folder `tests`.
fn is_own(file: &str, place: &str) -> bool {
    let of = |path: &str| place.strip_prefix(path).is_some_and(|rest| rest.starts_with(':'));
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let beside =
        folder.rsplit('/').next() == Some("tests") && place.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    of(file) || beside
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
            Outcome::of(Verdict::Held, &world)
        },
        sink,
    )
}

/// The test's own name, from its path: the last part but `simulated`.
fn short(name: &str) -> &str {
    name.rsplit("::").nth(1).unwrap_or(name)
}

fn judge(test: &Test, seed: u64, ended: &Ended) {
    if let Some(words) = words(&ended.outcome.verdict.json()) {
        panic!("seed {seed}: {words}\n  cargo playhouse replay {} --seed {seed}", short(&test.name));
    }
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn a_canary_counts_what_panics_in_its_own_code_only() {
        assert!(is_own("tests/bank.rs", "tests/bank.rs:7:9") && is_own("tests/bank.rs", "tests/common/mod.rs:1:2"));
        assert!(is_own("src/lib.rs", "src/lib.rs:70:1") && is_own("apps/bank/tests/a.rs", "apps/bank/tests/b.rs:1:1"));
        let others = ["src/lib.rs:7:9", "/elsewhere/sim/src/nodes.rs:7:9", "tests.rs:7:9", "testsuite/bank.rs:7:9", ""];
        assert!(!others.into_iter().any(|place| is_own("tests/bank.rs", place)));
        assert!(!is_own("src/lib.rs", "src/account.rs:7:9"), "the product is no test");
    }
}
