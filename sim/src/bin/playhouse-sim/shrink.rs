//! `cargo sim shrink`: the smallest plan that still fails, found with processes of their own for each try.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use playhouse_sim::plan::PlanFile;
use serde_json::json;

use crate::common::{BAD_USAGE, files, out, trial};
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

pub(crate) fn run(order: &Order) -> u8 {
    let began = Instant::now();
    let plan = order.case.plan();
    let report = pool::run(&Request { plan: Some(plan.clone()), ..order.case.request() });
    let Some(verdict) = report.failure().cloned() else {
        out(&format!("{}: every promise held, so there is nothing to shrink", order.case.title()));
        return BAD_USAGE;
    };
    let path = order.file.clone().unwrap_or_else(|| plans::folder().join(format!("{}-shrunk.json", order.case.slug())));
    let trials = trial::Order {
        // The place in the list instead of the seed: with a plan it is not used.
        request: &|seed, plan| Request { plan: Some(plan), seed, ..order.case.request() },
        run: pool::run,
        judge: |report| (report.seed, report.failure()),
        save: &|plan, verdict| files::save(&path, &PlanFile { verdict: verdict.clone(), ..order.case.file(plan.clone()) }),
        extras: order.case.scenario().extras,
        jobs: order.jobs,
        began,
        budget: order.budget,
    };
    let small = match trial::smallest(&plan, &verdict, &trials) {
        Ok(small) => small,
        Err(error) => {
            out(&error);
            return BAD_USAGE;
        }
    };
    trial::show(&order.case.title(), &plan, &small, &trials);
    out(&format!("  plan: {}", path.display()));
    out(&format!("    cargo sim replay --plan {}", path.display()));
    out("  as a test:");
    test(&order.case, &path).lines().for_each(|line| out(&format!("    {line}")));
    if order.json {
        let value = json!({
            "scenario": order.case.scenario().name, "seed": order.case.seed(), "faults": plan.faults.len(), "shrunk": small.plan.faults.len(),
            "hazards": plan.climate.hazards(), "hazards_shrunk": small.plan.climate.hazards(), "runs": small.runs,
            "wall_s": began.elapsed().as_secs_f64(), "promise": small.verdict["promise"], "absent": small.plan.absent, "plan": path,
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
