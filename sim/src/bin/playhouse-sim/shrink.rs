//! `cargo sim shrink`: the smallest plan that still fails, found with processes of their own for each try.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use playhouse_sim::plan::{Plan, PlanFile};
use playhouse_sim::shrink::{Aim, Trial, shrink};
use serde_json::{Value, json};

use crate::common::{BAD_USAGE, files, out};
use crate::plans::{self, Case};
use crate::pool::{self, Request};

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
    wanted: Aim,
    /// How the last one that failed was seen.
    verdict: Value,
    /// Where the best plan so far is.
    path: &'a Path,
    /// Why it is not there.
    unsaved: Option<String>,
    jobs: usize,
    until: Instant,
    runs: u64,
    shown: bool,
    first: usize,
}

impl Trial for Processes<'_> {
    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
        let requests = plans.iter().enumerate().map(|(index, plan)| Request {
            plan: Some(plan.clone()),
            // The place in the list, so that the report can be told from the others.
            seed: index as u64,
            ..self.case.request()
        });
        let mut first: Option<(usize, Value)> = None;
        let (wanted, runs, until) = (&self.wanted, &mut self.runs, self.until);
        pool::run_all(requests, self.jobs, |report| {
            *runs += 1;
            if let Some(verdict) = report.failure().filter(|verdict| wanted.is_met_by(verdict)) {
                let index = report.seed as usize;
                if first.as_ref().is_none_or(|(first, _)| index < *first) {
                    first = Some((index, verdict.clone()));
                }
            }
            first.is_none() && Instant::now() < until
        });
        let (index, verdict) = first?;
        self.verdict = verdict;
        Some(index)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until || self.unsaved.is_some()
    }

    /// Saved at once: whoever interrupts this keeps what was found.
    fn found(&mut self, plan: &Plan) {
        self.unsaved = files::save(self.path, &file(self.case, plan, &self.verdict)).err();
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
        return BAD_USAGE;
    };
    let shown = std::io::stderr().is_terminal();
    let path = order.file.clone().unwrap_or_else(|| plans::folder().join(format!("{}-shrunk.json", order.case.slug())));
    if let Err(error) = files::save(&path, &file(&order.case, &plan, &verdict)) {
        out(&error);
        return BAD_USAGE;
    }
    let mut trial = Processes {
        case: &order.case,
        wanted: Aim::of(&verdict),
        verdict,
        path: &path,
        unsaved: None,
        jobs: order.jobs,
        until: began + order.budget,
        runs: 1,
        shown,
        first: plan.troubles(),
    };
    let small = shrink(&plan, &mut trial);
    let over = trial.is_over();
    let Processes { runs, verdict, unsaved, .. } = trial;
    if shown {
        eprint!("\r\x1b[K");
    }
    if let Some(error) = unsaved {
        out(&error);
        return BAD_USAGE;
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

fn file(case: &Case, plan: &Plan, verdict: &Value) -> PlanFile {
    PlanFile { verdict: verdict.clone(), ..case.file(plan.clone()) }
}

/// A test that pins the plan, to be copied.
fn test(case: &Case, path: &Path) -> String {
    let name = case.slug().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("#[test]\nfn {name}() {{\n    playhouse_sim::pinned(include_str!(\"{file}\"));\n}}")
}
