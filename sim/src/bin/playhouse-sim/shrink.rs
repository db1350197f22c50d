//! `cargo sim shrink`: the smallest plan that still fails, found with processes of their own for each try.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use playhouse_sim::plan::{Plan, PlanFile};
use playhouse_sim::shrink::{Trial, shrink};
use serde_json::{Value, json};

use crate::plans::{self, Case};
use crate::pool::{self, Request};
use crate::table::out;

/// What is wanted.
pub(crate) struct Order {
    pub(crate) case: Case,
    pub(crate) jobs: usize,
    pub(crate) budget: Duration,
    /// Where the plan goes; a name made from the scenario and the seed, if not given.
    pub(crate) file: Option<PathBuf>,
    pub(crate) json: bool,
}

/// Runs candidates, `jobs` at once, until the time is over.
struct Processes<'a> {
    case: &'a Case,
    /// The verdict's kind and promise, which must be the same.
    wanted: (Value, Value),
    jobs: usize,
    until: Instant,
    runs: u64,
    shown: bool,
    first: usize,
}

fn aim(verdict: &Value) -> (Value, Value) {
    (verdict["kind"].clone(), verdict["promise"].clone())
}

impl Trial for Processes<'_> {
    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
        let requests = plans.iter().enumerate().map(|(index, plan)| Request {
            plan: Some(plan.clone()),
            // The place in the list, so that the report can be told from the others.
            seed: index as u64,
            ..self.case.request()
        });
        let mut first = None;
        let (wanted, runs, until) = (&self.wanted, &mut self.runs, self.until);
        pool::run_all(requests, self.jobs, |report| {
            *runs += 1;
            if report.failure().is_some_and(|verdict| aim(verdict) == *wanted) {
                let index = report.seed as usize;
                first = Some(first.map_or(index, |first: usize| first.min(index)));
            }
            first.is_none() && Instant::now() < until
        });
        first
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    fn found(&mut self, plan: &Plan) {
        if self.shown {
            eprint!("\r{} -> {} troubles, {} runs \x1b[K", self.first, plan.troubles(), self.runs);
            let _ = std::io::stderr().flush();
        }
    }
}

pub(crate) fn run(order: &Order) -> u8 {
    let began = Instant::now();
    let plan = order.case.plan();
    let report = pool::run(&Request { plan: Some(plan.clone()), ..order.case.request() });
    let Some(verdict) = report.failure().cloned() else {
        out(&format!("{}: every promise held, so there is nothing to shrink", order.case.title()));
        return crate::command::BAD_USAGE;
    };
    let shown = std::io::stderr().is_terminal();
    let mut trial = Processes {
        case: &order.case,
        wanted: aim(&verdict),
        jobs: order.jobs,
        until: began + order.budget,
        runs: 1,
        shown,
        first: plan.troubles(),
    };
    let small = shrink(&plan, &mut trial);
    let over = trial.is_over();
    let runs = trial.runs;
    if shown {
        eprint!("\r\x1b[K");
    }
    // Once more, for the words of the smallest one.
    let report = pool::run(&Request { plan: Some(small.clone()), ..order.case.request() });
    let verdict = report.failure().cloned().unwrap_or(verdict);
    let file = PlanFile { verdict: verdict.clone(), ..order.case.file(small.clone()) };
    let path = order.file.clone().unwrap_or_else(|| plans::folder().join(format!("{}-shrunk.json", order.case.slug())));
    if let Err(error) = plans::write(&path, &file) {
        out(&format!("{}: {error}", path.display()));
        return crate::command::BAD_USAGE;
    }
    let counts = |plan: &Plan| (plan.faults.len(), plan.climate.hazards());
    let ((faults, hazards), (few, mild)) = (counts(&plan), counts(&small));
    out(&format!("{}: {} faults -> {few}, {} hazards of the network -> {mild}", order.case.title(), faults, hazards));
    out(&format!("  {runs} runs in {:.1} s{}", began.elapsed().as_secs_f64(), if over { "; the time was up" } else { "" }));
    out(&format!("  breaks: {}", verdict["promise"].as_str().or(verdict["seen"].as_str()).unwrap_or("?")));
    out(&format!("  seen: {}", verdict["seen"].as_str().unwrap_or("?")));
    small.to_string().lines().for_each(|line| out(&format!("  {line}")));
    out(&format!("  plan: {}", path.display()));
    out(&format!("    cargo sim replay --plan {}", path.display()));
    out("  as a test:");
    test(&order.case, &path).lines().for_each(|line| out(&format!("    {line}")));
    if order.json {
        let value = json!({
            "scenario": order.case.scenario().name, "seed": order.case.seed(), "faults": faults, "shrunk": few,
            "hazards": hazards, "hazards_shrunk": mild, "runs": runs, "wall_s": began.elapsed().as_secs_f64(),
            "promise": verdict["promise"], "plan": path,
        });
        out(&value.to_string());
    }
    0
}

/// A test that pins the plan, to be copied.
fn test(case: &Case, path: &Path) -> String {
    let name = case.slug().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("#[test]\nfn {name}() {{\n    playhouse_sim::pinned(include_str!(\"{file}\"));\n}}")
}
