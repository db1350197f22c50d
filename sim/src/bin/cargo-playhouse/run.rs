//! The commands.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use playhouse_sim::plan::{Built, FORMAT, Plan, PlanFile};
use playhouse_sim::shrink::{self as shrinking, Trial};
use serde_json::{Value, json};

use crate::BAD_USAGE;
use crate::claimed::Claimed;
use crate::report::{self, Report, Request};
use crate::tests::Test;

/// More failures than this are counted, and not shown.
const SHOWN_FAILURES: usize = 10;

/// Runs `requests`, `jobs` at once, and gives each report to `done` as it comes. Starts no more when `done` says so.
fn all(requests: impl Iterator<Item = Request>, jobs: usize, mut done: impl FnMut(Report) -> bool) {
    let mut requests = requests.fuse();
    let (tell, reports) = mpsc::channel();
    let (mut running, mut more) = (0, true);
    loop {
        while more && running < jobs {
            let Some(request) = requests.next() else { break };
            let tell = tell.clone();
            running += 1;
            thread::spawn(move || drop(tell.send(report::run(&request))));
        }
        if running == 0 {
            return;
        }
        let Ok(report) = reports.recv() else { return };
        running -= 1;
        more &= done(report);
    }
}

pub(crate) fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) fn sim(
    tests: &[Test],
    seeds: Option<std::ops::Range<u64>>,
    jobs: usize,
    budget: Option<Duration>,
    require_sometimes: bool,
    as_json: bool,
) -> u8 {
    let began = Instant::now();
    let shown = std::io::stderr().is_terminal();
    let (mut total, mut passed, mut virtual_s) = (0u64, 0u64, 0.0);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut claimed = Claimed::new(&[]);
    let mut failures = Vec::new();
    let requests = tests.iter().flat_map(|test| {
        let seeds = seeds.clone().unwrap_or_else(|| test.seeds.clone());
        seeds.map(|seed| Request { test: test.clone(), seed, plan: None, ledger: false, html: None })
    });
    all(requests, jobs, |report| {
        total += 1;
        virtual_s += report.value["virtual_s"].as_f64().unwrap_or(0.0);
        for (fault, count) in report.value["faults"].as_object().into_iter().flatten() {
            *faults.entry(fault.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        claimed.add(&report.value);
        let count = counts.entry(report.test.clone()).or_default();
        count.0 += 1;
        match report.failure {
            None => (passed, count.1) = (passed + 1, count.1 + 1),
            Some(_) => failures.push(report),
        }
        if shown {
            eprint!("\r{total} runs ");
            let _ = std::io::stderr().flush();
        }
        budget.is_none_or(|budget| began.elapsed() < budget)
    });
    if shown {
        eprint!("\r\x1b[K");
    }
    failures.sort_by(|a, b| (&a.test, a.seed).cmp(&(&b.test, b.seed)));
    let mut blind = Vec::new();
    for (test, (ran, held)) in &counts {
        if !is_canary(tests, test) {
            out(&format!("{test}: {held} of {ran} seeds held"));
        } else if held < ran {
            let first = failures.iter().find(|report| report.test == *test).map_or(0, |report| report.seed);
            out(&format!("{test}: a canary: {} of {ran} seeds see the mistake, as they should, such as {first}", ran - held));
        } else {
            out(&format!("{test}: a canary: NO seed of {ran} sees the mistake that it makes on purpose"));
            blind.push(test.clone());
        }
    }
    // A canary that fails is well; one that had no end is not.
    failures.retain(|report| report.stuck || !is_canary(tests, &report.test));
    let wall_s = began.elapsed().as_secs_f64();
    out(&format!("  {virtual_s:.0} virtual seconds in {wall_s:.1} s"));
    let words: Vec<String> =
        faults.iter().filter(|(_, count)| **count > 0).map(|(fault, count)| format!("{fault} {count}")).collect();
    out(&format!("  faults: {}", words.join(", ")));
    claimed.show();
    for report in failures.iter().take(SHOWN_FAILURES) {
        let short = short(&report.test);
        out(&format!("  {} seed {}: {}", report.test, report.seed, report.failure.as_deref().unwrap_or("?")));
        out(&format!("    cargo playhouse replay {short} --seed {}", report.seed));
        if report.plan().is_some() {
            out(&format!("    cargo playhouse shrink {short} --seed {}", report.seed));
        }
    }
    if failures.len() > SHOWN_FAILURES {
        out(&format!("  and {} more", failures.len() - SHOWN_FAILURES));
    }
    if as_json {
        let failed: Vec<Value> =
            failures.iter().map(|report| json!({ "test": report.test, "seed": report.seed, "seen": report.failure })).collect();
        let value = json!({
            "tests": tests.len(), "seeds": total, "passed": passed, "failed": failed, "blind": blind, "virtual_s": virtual_s, "wall_s": wall_s, "faults": faults,
            "sometimes": claimed.sometimes, "never": claimed.never(), "buggify": claimed.buggify,
        });
        out(&value.to_string());
    }
    let missed = require_sometimes && !claimed.never().is_empty();
    failures.iter().map(|report| if report.stuck { 2 } else { 1 }).max().unwrap_or(u8::from(!blind.is_empty() || missed))
}

fn is_canary(tests: &[Test], name: &str) -> bool {
    tests.iter().any(|test| test.name == name && test.canary)
}

fn short(test: &str) -> &str {
    test.rsplit("::").next().unwrap_or(test)
}

/// Kinds of lines that are left out unless all are wanted: there are thousands of them.
const FINE: [&str; 4] = ["send", "arrive", "timer", "task"];

pub(crate) fn replay(test: &Test, seed: u64, plan: Option<&Path>, all: bool, html: Option<PathBuf>) -> u8 {
    let plan = match plan.map(std::fs::read_to_string).transpose() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{}: {error}", plan.unwrap_or(Path::new("")).display());
            return BAD_USAGE;
        }
    };
    let printed = all || html.is_none();
    let report = report::run(&Request { test: test.clone(), seed, plan, ledger: printed, html: html.clone() });
    if let Some(plan) = report.plan() {
        out(plan.to_string().trim_end());
    }
    let kind = |line: &str| line.split_whitespace().nth(3).unwrap_or_default().to_string();
    for line in report.ledger.lines().filter(|line| all || !FINE.contains(&&*kind(line))) {
        out(line.split(report::OF).next().unwrap_or(line));
    }
    let text = report.failure.as_deref().unwrap_or("it held");
    out(&format!("\n{} seed {seed}: {text}", test.name));
    out(&format!(
        "{} events, ledger {}, {:.1} virtual seconds",
        report.value["events"],
        report.value["hash"].as_str().unwrap_or("?"),
        report.value["virtual_s"].as_f64().unwrap_or(0.0)
    ));
    if let Some(path) = html {
        match std::fs::metadata(&path) {
            Ok(page) => out(&format!("{}: {:.1} MiB", path.display(), page.len() as f64 / f64::from(1 << 20))),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return BAD_USAGE;
            }
        }
    }
    u8::from(report.failure.is_some())
}

pub(crate) fn doctor(tests: &[Test], seed: u64) -> u8 {
    let mut code = 0;
    for test in tests {
        let mut reports = Vec::new();
        all((0..2).map(|_| Request { test: test.clone(), seed, plan: None, ledger: true, html: None }), 2, |report| {
            reports.push(report);
            true
        });
        let [first, second] = reports.as_slice() else { unreachable!("two were asked for") };
        if first.value["hash"].is_string() && first.value["hash"] == second.value["hash"] {
            out(&format!("{}: the same history twice, {} events", test.name, first.value["events"]));
            continue;
        }
        code = 1;
        out(&format!("{}: one seed, two histories", test.name));
        let (mut a, mut b) = (first.ledger.lines(), second.ledger.lines());
        let mut before = "(the beginning)";
        loop {
            match (a.next(), b.next()) {
                (Some(x), Some(y)) if x == y => before = x,
                (None, None) => {
                    out("  the ledgers read the same; see the reports' hashes");
                    break;
                }
                (x, y) => {
                    const END: &str = "(the ledger ends here)";
                    // Each line stands before whose it is.
                    let show = |line: &str| line.replacen(report::OF, "\n      by ", 1);
                    let before = before.split(report::OF).next().unwrap_or(before);
                    out(&format!(
                        "  after\n    {before}\n  the one says\n  - {}\n  the other\n  + {}",
                        show(x.unwrap_or(END)),
                        show(y.unwrap_or(END))
                    ));
                    break;
                }
            }
        }
        out(
            "  look there for: the system's clock, a HashMap that is walked, random numbers or threads that are not playhouse::rt's,",
        );
        out("  tokio::select! without `biased`, addresses of memory as keys or numbers.");
    }
    code
}

struct Processes<'a> {
    test: &'a Test,
    seed: u64,
    jobs: usize,
    until: Instant,
    runs: u64,
    /// How the failure begins: where it was seen is a part of it, figures are not.
    wanted: String,
}

/// The place at the end of what was seen, in brackets, says which assertion it was; else the words up to the first figure.
fn aim(failure: &str) -> String {
    match failure.rsplit_once(" (") {
        Some((_, place)) => place.into(),
        None => failure.chars().take_while(|c| !c.is_ascii_digit()).collect(),
    }
}

fn file(test: &Test, seed: u64, plan: &Plan, verdict: Value) -> PlanFile {
    let built = Built::of(Path::new("."));
    PlanFile {
        format: FORMAT.into(),
        scenario: test.name.clone(),
        seed,
        bug: None,
        pct: None,
        verdict,
        built,
        plan: plan.clone(),
    }
}

impl Trial for Processes<'_> {
    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
        let (test, seed) = (self.test, self.seed);
        let requests = plans.iter().enumerate().map(|(index, plan)| {
            let text = file(test, seed, plan, Value::Null).text();
            // The place in the list, so that the report can be told from the others: with a plan the seed is not used.
            Request { test: test.clone(), seed: index as u64, plan: Some(text), ledger: false, html: None }
        });
        let mut first = None;
        let (wanted, runs, until) = (&self.wanted, &mut self.runs, self.until);
        all(requests, self.jobs, |report| {
            *runs += 1;
            if report.failure.as_deref().map(aim).as_ref() == Some(wanted) {
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

    fn found(&mut self, _: &Plan) {}
}

/// A test that runs the plan from now on, to be copied. `cargo playhouse sim` finds it by its name, as the others.
fn pinned(test: &Test, seed: u64, path: &Path) -> String {
    let (name, file) = (short(&test.name), path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    format!(
        "mod {name}_{seed} {{\n    #[test]\n    #[ignore = \"it runs in the simulator: cargo playhouse sim\"]\n    fn simulated() {{\n        \
         playhouse_sim::test::pinned(concat!(module_path!(), \"::simulated\"), include_str!(\"{file}\"), |world| Box::pin(super::{name}(world)));\n    \
         }}\n}}"
    )
}

pub(crate) fn shrink(test: &Test, seed: u64, jobs: usize, budget: Duration, path: Option<PathBuf>) -> u8 {
    let began = Instant::now();
    let first = report::run(&Request { test: test.clone(), seed, plan: None, ledger: false, html: None });
    let (Some(failure), Some(plan)) = (&first.failure, first.plan()) else {
        let why = if first.failure.is_none() { "it holds" } else { "it draws no faults with `world.draw`" };
        eprintln!("{} seed {seed}: {why}, so there is nothing to shrink", test.name);
        return BAD_USAGE;
    };
    let mut trial = Processes { test, seed, jobs, until: began + budget, runs: 1, wanted: aim(failure) };
    let small = shrinking::shrink(&plan, &mut trial);
    let path = path.unwrap_or_else(|| PathBuf::from(format!("{}-{seed}.plan.json", short(&test.name))));
    let verdict = json!({ "kind": "broken", "seen": failure });
    if let Err(error) = std::fs::write(&path, file(test, seed, &small, verdict).text()) {
        eprintln!("{}: {error}", path.display());
        return BAD_USAGE;
    }
    let counts = |plan: &Plan| (plan.faults.len(), plan.climate.hazards());
    let ((faults, hazards), (few, mild)) = (counts(&plan), counts(&small));
    out(&format!("{} seed {seed}: {faults} faults -> {few}, {hazards} hazards of the network -> {mild}", test.name));
    out(&format!("  {} runs in {:.1} s", trial.runs, began.elapsed().as_secs_f64()));
    out(&format!("  seen: {failure}"));
    small.to_string().lines().for_each(|line| out(&format!("  {line}")));
    out(&format!("    cargo playhouse replay {} --plan {}", short(&test.name), path.display()));
    out("  as a test, beside the other one, in a module with #[playhouse::sim]:");
    pinned(test, seed, &path).lines().for_each(|line| out(&format!("    {line}")));
    0
}
