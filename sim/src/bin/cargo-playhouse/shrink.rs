//! `shrink`: the smallest plan with which a test still fails, found with processes of their own for each try.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use playhouse_sim::plan::{Built, FORMAT, Plan, PlanFile};
use playhouse_sim::shrink::{Aim, Trial, shrink};
use serde_json::Value;

use crate::common::{BAD_USAGE, files, out, process};
use crate::report::{self, Request};
use crate::run::{From, read};
use crate::tests::{Test, short};

/// Runs candidates, `jobs` at once, until the time is over.
struct Processes<'a> {
    test: &'a Test,
    seed: u64,
    jobs: usize,
    until: Instant,
    runs: u64,
    wanted: Aim,
    /// How the last one that failed was seen.
    verdict: Value,
    /// Where the best plan so far is.
    path: &'a Path,
    /// Why it is not there.
    unsaved: Option<String>,
}

impl Trial for Processes<'_> {
    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
        // The place in the list, so that the report can be told from the others: with a plan the seed is not used.
        let requests = plans
            .iter()
            .enumerate()
            .map(|(index, plan)| Request { plan: Some(plan.clone()), ..Request::new(self.test, index as u64) });
        let mut first: Option<(usize, Value)> = None;
        let (wanted, runs, until) = (&self.wanted, &mut self.runs, self.until);
        process::all(requests, self.jobs, report::run, |report| {
            *runs += 1;
            if let Some(verdict) = report.verdict().filter(|verdict| wanted.is_met_by(verdict)) {
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

    /// At once: whoever interrupts this keeps what was found.
    fn found(&mut self, plan: &Plan) {
        self.unsaved = files::save(self.path, &file(self.test, self.seed, plan, self.verdict.clone())).err();
    }
}

fn file(test: &Test, seed: u64, plan: &Plan, verdict: Value) -> PlanFile {
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
        From::Plan(path) => read(path).map(|file| (file.seed, Some(file.plan)))?,
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
    files::save(&path, &file(test, seed, &plan, verdict.clone()))?;
    let mut trial = Processes {
        test,
        seed,
        jobs,
        until: began + budget,
        runs: 1,
        wanted: Aim::of(verdict),
        verdict: verdict.clone(),
        path: &path,
        unsaved: None,
    };
    let small = shrink(&plan, &mut trial);
    if let Some(error) = trial.unsaved {
        return Err(error);
    }
    let counts = |plan: &Plan| (plan.faults.len(), plan.climate.hazards());
    let ((faults, hazards), (few, mild)) = (counts(&plan), counts(&small));
    out(&format!("{} seed {seed}: {faults} faults -> {few}, {hazards} hazards of the network -> {mild}", test.name));
    let over = if Instant::now() >= trial.until { "; the time was up" } else { "" };
    out(&format!("  {} runs in {:.1} s{over}", trial.runs, began.elapsed().as_secs_f64()));
    out(&format!("  seen: {}", playhouse_sim::shrink::words(&trial.verdict).unwrap_or_default()));
    small.to_string().lines().for_each(|line| out(&format!("  {line}")));
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
