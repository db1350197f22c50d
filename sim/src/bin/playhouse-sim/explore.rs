//! `cargo sim explore`, and `cargo sim planted --ways`: runs that go on from rare moments of others, and whether that is worth it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use playhouse_sim::explore::{Explorer, Reached, Way};
use playhouse_sim::plan::{Plan, PlanFile};
use playhouse_sim::scenario::{BUGS, Scenario, find};
use serde_json::{Value, json};

use crate::common::{files, out};
use crate::plans::{self, Case};
use crate::pool::{self, Report, Request};
use crate::table::print;

/// More failures than this are counted, and not saved.
const SAVED_MAX: usize = 10;

/// What is wanted.
pub(crate) struct Order {
    pub(crate) scenario: &'static Scenario,
    pub(crate) first_seed: u64,
    pub(crate) jobs: usize,
    pub(crate) budget: Duration,
    pub(crate) bug: Option<&'static str>,
    pub(crate) json: bool,
}

fn plan(scenario: &Scenario, way: &Way) -> Plan {
    Plan { turns: way.turns.clone(), ..(scenario.draw)(way.seed) }
}

fn reached(report: &Report) -> Reached {
    let times = report.value["reached_us"].as_object().into_iter().flatten();
    times.filter_map(|(what, at)| Some((what.clone(), at.as_u64()?))).collect()
}

/// Runs as the explorer says, `jobs` at once; `done` gets each report with the way that it went, and says whether there are to be more.
fn explore(
    scenario: &'static Scenario,
    bug: Option<&'static str>,
    first_seed: u64,
    jobs: usize,
    mut done: impl FnMut(&Way, &Report) -> bool,
) -> Explorer {
    let state = RefCell::new((Explorer::new(first_seed), Vec::<Way>::new()));
    let requests = std::iter::from_fn(|| {
        let (explorer, ways) = &mut *state.borrow_mut();
        let way = explorer.next();
        let plan = plan(scenario, &way);
        // The place in the list: reports come in any order, and several ways may have one seed.
        let seed = ways.len() as u64;
        ways.push(way);
        Some(Request { scenario: scenario.name, seed, plan: Some(plan), bug, ..Request::default() })
    });
    pool::run_all(requests, jobs, |report| {
        let (explorer, ways) = &mut *state.borrow_mut();
        let way = &ways[report.seed as usize];
        explorer.saw(way, &reached(&report));
        done(way, &report)
    });
    state.into_inner().0
}

pub(crate) fn run(order: &Order) -> u8 {
    let Order { scenario, first_seed, jobs, budget, bug, json: as_json } = *order;
    let began = Instant::now();
    let (mut plain, mut continued, mut failures) = (0u64, 0u64, Vec::new());
    let explorer = explore(scenario, bug, first_seed, jobs, |way, report| {
        *if way.turns.is_empty() { &mut plain } else { &mut continued } += 1;
        if report.failure().is_some() {
            failures.push((way.clone(), report.clone()));
        }
        began.elapsed() < budget
    });
    let wall_s = began.elapsed().as_secs_f64();
    out(&format!(
        "{}: {plain} plain seeds and {continued} continuations in {wall_s:.1} s, {} failed",
        scenario.name,
        failures.len()
    ));
    let counts: Vec<String> = explorer.counts().map(|(what, plain, all)| format!("{what} {plain} of {all}")).collect();
    out(&format!("  plain seeds among the runs that reached: {}", counts.join(", ")));
    match explorer.beyond().as_slice() {
        [] => out("  no continuation reached what no plain seed of this exploration had reached"),
        beyond => out(&format!("  only continuations reached: {}", beyond.join(", "))),
    }
    let never: Vec<&str> =
        scenario.reaches.iter().copied().filter(|what| !explorer.counts().any(|(known, ..)| known == *what)).collect();
    never.iter().for_each(|what| out(&format!("  no run reached: {what}")));
    let mut failed = Vec::new();
    for (number, (way, report)) in failures.iter().take(SAVED_MAX).enumerate() {
        failed.push(save(scenario, bug, number, way, report));
    }
    if failures.len() > SAVED_MAX {
        out(&format!("  and {} more", failures.len() - SAVED_MAX));
    }
    if as_json {
        let counts: Vec<Value> =
            explorer.counts().map(|(what, plain, all)| json!({ "what": what, "plain": plain, "runs": all })).collect();
        let value = json!({
            "scenario": scenario.name, "bug": bug, "plain": plain, "continuations": continued, "wall_s": wall_s, "reached": counts,
            "beyond": explorer.beyond(), "never": never, "failures": failures.len(), "failed": failed,
        });
        out(&value.to_string());
    }
    failures.iter().map(|(_, report)| report.exit_code()).max().unwrap_or(0)
}

/// Shows a failure, and saves the plan that runs it again.
fn save(scenario: &'static Scenario, bug: Option<&'static str>, number: usize, way: &Way, report: &Report) -> Value {
    let verdict = &report.value["verdict"];
    let case = Case::drawn(scenario, way.seed, bug);
    let turns = way.turns.len();
    let seen = verdict["promise"].as_str().map(|promise| format!("{promise}: ")).unwrap_or_default();
    out(&format!("  seed {}, {turns} turns: {seen}{}", way.seed, verdict["seen"].as_str().unwrap_or("?")));
    let file = PlanFile { verdict: verdict.clone(), ..case.file(plan(scenario, way)) };
    let path = plans::folder().join(format!("{}-explored-{number}.json", case.slug()));
    match files::save(&path, &file) {
        Ok(()) => out(&format!("    cargo sim replay --plan {}", path.display())),
        Err(error) => out(&format!("    its plan could not be saved as {}: {error}", path.display())),
    }
    json!({ "seed": way.seed, "turns": turns, "verdict": verdict, "plan": path })
}

/// What one way of looking for a bug took.
struct Took {
    found: bool,
    runs: u64,
    cpu_s: f64,
}

impl Took {
    fn text(&self) -> String {
        let Took { found, runs, cpu_s } = self;
        if *found { format!("{runs:>4} {cpu_s:>7.2}") } else { format!("   - {cpu_s:>7.2}") }
    }

    /// Takes a report; true when there is to be another.
    fn add(&mut self, report: &Report, most: u64) -> bool {
        self.runs += 1;
        self.cpu_s += report.value["cpu_s"].as_f64().unwrap_or(0.0);
        // As everywhere: only a broken promise has found something.
        self.found |= report.failure().is_some_and(|verdict| verdict["promise"].is_string());
        !self.found && self.runs < most
    }
}

/// Looks for each planted bug by dice, by priorities of depths 2 and 3, and by continuations; each with at most `most` runs, from `first_seed` on.
pub(crate) fn ways(first_seed: u64, most: u64, only: Option<&str>, as_json: bool) -> u8 {
    const WAYS: [&str; 4] = ["dice", "pct 2", "pct 3", "continue"];
    let mut rows = Vec::new();
    for bug in BUGS.iter().filter(|bug| only.is_none_or(|only| bug.name == only)) {
        let scenario = find(bug.scenario).expect("each bug names a scenario that exists");
        let seeds = |pct: Option<u32>| {
            let mut took = Took { found: false, runs: 0, cpu_s: 0.0 };
            let seeds = first_seed..first_seed.saturating_add(most);
            let requests =
                seeds.map(|seed| Request { scenario: bug.scenario, seed, bug: Some(bug.name), pct, ..Request::default() });
            // One after the other, so that what is counted does not depend on the machine.
            pool::run_all(requests, 1, |report| took.add(&report, most));
            took
        };
        let mut took = vec![seeds(None), seeds(Some(2)), seeds(Some(3))];
        let mut continued = Took { found: false, runs: 0, cpu_s: 0.0 };
        explore(scenario, Some(bug.name), first_seed, 1, |_, report| continued.add(report, most));
        took.push(continued);
        rows.push((bug.name, took));
    }
    let cells: Vec<Vec<String>> =
        rows.iter().map(|(bug, took)| std::iter::once(bug.to_string()).chain(took.iter().map(Took::text)).collect()).collect();
    let heads = ["planted bug", "dice   cpu s", "pct 2  cpu s", "pct 3  cpu s", "continue cpu s"];
    print(&heads, &cells);
    for (at, way) in WAYS.iter().enumerate() {
        let took = || rows.iter().map(|(_, took)| &took[at]);
        let found = took().filter(|took| took.found).count();
        let (runs, cpu_s) = (took().map(|took| took.runs).sum::<u64>(), took().map(|took| took.cpu_s).sum::<f64>());
        out(&format!("{way}: found {found} of {}, with {runs} runs and {cpu_s:.1} s of processor time", rows.len()));
    }
    if as_json {
        let row = |took: &[Took]| -> serde_json::Map<String, Value> {
            let cells = WAYS.iter().zip(took);
            cells.map(|(way, t)| ((*way).into(), json!({ "found": t.found, "runs": t.runs, "cpu_s": t.cpu_s }))).collect()
        };
        let rows: Vec<Value> = rows.iter().map(|(bug, took)| json!({ "bug": bug, "ways": row(took) })).collect();
        out(&json!({ "first_seed": first_seed, "most": most, "rows": rows }).to_string());
    }
    0
}
