//! `shrink`: the smallest plan with which a test still fails, found with processes of their own for each try.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use playhouse_sim::plan::{Built, Extras, FORMAT, Plan, PlanFile};
use serde_json::Value;

use crate::common::trial::{self, Order};
use crate::common::{BAD_USAGE, files, out};
use crate::report::{self, Request};
use crate::run::{From, read};
use crate::tests::{Test, short};

/// A plan as it is saved.
pub(crate) fn file(test: &Test, seed: u64, plan: &Plan, verdict: Value) -> PlanFile {
    PlanFile {
        format: FORMAT.into(),
        scenario: test.name.clone(),
        seed,
        bug: None,
        pct: None,
        verdict,
        built: Built::of(test.folder().unwrap_or(Path::new("."))),
        plan: plan.clone(),
    }
}

pub(crate) fn run(test: &Test, from: &From, jobs: usize, budget: Duration, path: Option<PathBuf>) -> Result<u8, String> {
    let began = Instant::now();
    let (seed, given) = match from {
        From::Seed(seed) => (*seed, None),
        From::Plan(path) => read(test, path).map(|file| (file.seed, Some(file.plan)))?,
    };
    let first = report::run(&Request { plan: given, ..Request::new(test, seed) });
    let (Some(verdict), Some(plan)) = (first.verdict(), first.plan()) else {
        let why = match first.failure() {
            None => "it holds".to_string(),
            Some(failure) => format!("it draws no faults with `world.draw`, and fails without: {failure}"),
        };
        eprintln!("{} seed {seed}: {why}; there is nothing to shrink", test.name);
        return Ok(BAD_USAGE);
    };
    let path = path.unwrap_or_else(|| PathBuf::from(format!("{}-{seed}.plan.json", short(&test.name))));
    let order = Order {
        request: &|number, plan| Request { plan: Some(plan), ..Request::new(test, number) },
        run: report::run,
        judge: |report| (report.seed, report.verdict()),
        save: &|plan, verdict| files::save(&path, &file(test, seed, plan, verdict.clone())),
        // What a test can do without, nobody but the test knows.
        extras: Extras::NONE,
        jobs,
        began,
        budget,
    };
    let small = trial::smallest(&plan, verdict, &order)?;
    trial::show(&format!("{} seed {seed}", test.name), &plan, &small, &order);
    out(&format!("  plan: {}", path.display()));
    out(&format!("    cargo playhouse replay {} --plan {}", short(&test.name), path.display()));
    out("  as a test, beside the other one, in a module with #[playhouse::sim]; the plan goes into the folder of its file:");
    pinned(test, seed, &path).lines().for_each(|line| out(&format!("    {line}")));
    Ok(0)
}

/// A test that runs the plan from now on, to be copied. `cargo playhouse sim` finds it by its name, as the others.
fn pinned(test: &Test, seed: u64, path: &Path) -> String {
    let (name, file) = (short(&test.name), path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    format!(
        "mod {name}_{seed} {{\n    #[test]\n    #[ignore = \"it runs in the simulator: cargo playhouse sim\"]\n    fn simulated() {{\n        \
         ::playhouse_sim::test::pinned(concat!(module_path!(), \"::simulated\"), include_str!(\"{file}\"), |world| {{\n            \
         Box::pin(super::{name}(world))\n        }});\n    }}\n}}"
    )
}
