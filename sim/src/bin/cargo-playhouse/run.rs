//! The commands `sim`, `replay` and `doctor`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use playhouse_sim::plan::PlanFile;
use playhouse_sim::talk;
use serde_json::{Value, json};

use crate::common::claimed::Claimed;
use crate::common::{difference, files, out, process};
use crate::report::{self, Request};
use crate::shrink;
use crate::tests::{Test, short};

/// Where plans of failing runs go.
const PLANS: &str = "target/rehearsals";

/// More failures than this are counted, and neither shown nor saved.
const SHOWN_FAILURES: usize = 10;

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
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut claimed = Claimed::new(&[]);
    let mut failures = Vec::new();
    let requests = tests.iter().flat_map(|test| {
        let seeds = seeds.clone().unwrap_or_else(|| test.seeds.clone());
        seeds.map(|seed| Request::new(test, seed))
    });
    process::all(requests, jobs, report::run, |report| {
        total += 1;
        virtual_s += report.value["virtual_s"].as_f64().unwrap_or(0.0);
        for (fault, count) in report.value["faults"].as_object().into_iter().flatten() {
            *faults.entry(fault.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        claimed.add(&report.value);
        let count = counts.entry(report.test.clone()).or_default();
        count.ran += 1;
        if report.verdict().is_none() {
            passed += 1;
            count.held += 1;
        } else if is_canary(tests, &report.test) && report.sees() {
            count.seen.push(report.seed);
        } else {
            if failures.len() < SHOWN_FAILURES {
                // At once: whoever interrupts this keeps what was found. What is wrong with the file is said at the end.
                let _ = save(tests, &report);
            }
            failures.push(report);
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
    for (test, Count { ran, held, seen }) in &counts {
        if !is_canary(tests, test) {
            out(&format!("{test}: {held} of {ran} seeds held"));
        } else if let Some(first) = seen.iter().min() {
            out(&format!("{test}: a canary: {} of {ran} seeds see the mistake, as they should, such as {first}", seen.len()));
        } else {
            out(&format!("{test}: a canary: NO seed of {ran} sees the mistake that it makes on purpose"));
            out(
                "  what counts is a broken promise, or a panic in the test's own file; not a crash elsewhere, nor a run without an end",
            );
            blind.push(test.clone());
        }
    }
    let wall_s = began.elapsed().as_secs_f64();
    out(&format!("  {virtual_s:.0} virtual seconds in {wall_s:.1} s"));
    let words: Vec<String> =
        faults.iter().filter(|(_, count)| **count > 0).map(|(fault, count)| format!("{fault} {count}")).collect();
    out(&format!("  faults: {}", words.join(", ")));
    claimed.show();
    for report in failures.iter().take(SHOWN_FAILURES) {
        let short = short(&report.test);
        out(&format!("  {} seed {}: {}", report.test, report.seed, report.failure().unwrap_or_default()));
        match save(tests, report) {
            Some(Ok(path)) => out(&format!("    plan: {}", path.display())),
            Some(Err(error)) => out(&format!("    its plan could not be saved: {error}")),
            None => {}
        }
        out(&format!("    cargo playhouse replay {short} --seed {}", report.seed));
        if report.plan().is_some() {
            out(&format!("    cargo playhouse shrink {short} --seed {}", report.seed));
        }
    }
    if failures.len() > SHOWN_FAILURES {
        out(&format!("  and {} more", failures.len() - SHOWN_FAILURES));
    }
    if as_json {
        let failed: Vec<Value> = failures
            .iter()
            .map(|report| {
                let kind = report.value["verdict"]["kind"].clone();
                json!({ "test": report.test, "seed": report.seed, "kind": kind, "seen": report.failure() })
            })
            .collect();
        let value = json!({
            "tests": tests.len(), "seeds": total, "passed": passed, "failed": failed, "blind": blind, "virtual_s": virtual_s, "wall_s": wall_s, "faults": faults,
            "sometimes": claimed.sometimes, "never": claimed.never(), "buggify": claimed.buggify,
        });
        out(&value.to_string());
    }
    let missed = require_sometimes && !claimed.never().is_empty();
    failures.iter().map(report::Report::exit_code).max().unwrap_or(0).max(u8::from(!blind.is_empty() || missed))
}

/// Saves the plan of a run that failed; nothing, if it drew none.
fn save(tests: &[Test], report: &report::Report) -> Option<Result<PathBuf, String>> {
    let test = tests.iter().find(|test| test.name == report.test)?;
    let (plan, verdict) = (report.plan()?, report.verdict()?.clone());
    let path = Path::new(PLANS).join(format!("{}-{}.plan.json", short(&test.name), report.seed));
    Some(files::save(&path, &shrink::file(test, report.seed, &plan, verdict)).map(|()| path))
}

/// What the seeds of a test gave.
#[derive(Default)]
struct Count {
    ran: u64,
    held: u64,
    /// Of a canary: those that failed as they should.
    seen: Vec<u64>,
}

fn is_canary(tests: &[Test], name: &str) -> bool {
    tests.iter().any(|test| test.name == name && test.canary)
}

/// What a saved plan of a test says, or why it is none.
pub(crate) fn read(test: &Test, path: &Path) -> Result<PlanFile, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8(text).map_err(|_| format!("{}: it is no text, so no plan", path.display()))?;
    let file = PlanFile::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if file.scenario == test.name {
        return Ok(file);
    }
    // Its faults may name nodes that this test lacks, or say nothing of those that it has: whatever came out would mean nothing.
    Err(format!(
        "{}: it is a plan of {:?}, not of {:?}; run it with that one, or write the new name into its \"scenario\" if the test was renamed",
        path.display(),
        file.scenario,
        test.name
    ))
}

/// Where a run comes from.
pub(crate) enum From {
    Seed(u64),
    Plan(PathBuf),
}

pub(crate) fn replay(test: &Test, from: &From, all: bool, html: Option<PathBuf>) -> Result<u8, String> {
    let (seed, plan, what, again) = match from {
        From::Seed(seed) => (*seed, None, format!("seed {seed}"), format!("--seed {seed}")),
        From::Plan(path) => {
            let file = read(test, path)?;
            (file.seed, Some(file.plan), format!("with {}", path.display()), format!("--plan {}", path.display()))
        }
    };
    let command = format!("cargo playhouse replay {} {again}", short(&test.name));
    if let Some(path) = &html {
        files::writable(path)?;
    }
    let page = html.map(|path| std::path::absolute(&path).map(|path| (path, command)));
    let page = page.transpose().map_err(|error| error.to_string())?;
    let printed = all || page.is_none();
    let report = report::run(&Request { plan, ledger: printed, html: page.clone(), ..Request::new(test, seed) });
    if let Some(plan) = report.plan() {
        out(plan.to_string().trim_end());
    }
    for line in report.ledger.lines().filter(|line| all || !talk::FINE.contains(&talk::kind(line))) {
        out(bare(line));
    }
    let text = report.failure().unwrap_or_else(|| "it held".into());
    out(&format!("\n{} {what}: {text}", test.name));
    out(&format!(
        "{} events, ledger {}, {:.1} virtual seconds",
        report.value["events"],
        report.value["hash"].as_str().unwrap_or("?"),
        report.value["virtual_s"].as_f64().unwrap_or(0.0)
    ));
    if let Some((path, _)) = page {
        let size = std::fs::metadata(&path).map_or(0, |page| page.len());
        match report.value["html"]["Err"].as_str() {
            Some(error) => return Err(format!("{}: {error}", path.display())),
            None if size == 0 => return Err(format!("{}: the run ended before its page could be written", path.display())),
            None => out(&format!("{}: {:.1} MiB", path.display(), size as f64 / f64::from(1 << 20))),
        }
    }
    Ok(report.exit_code())
}

/// A line of the ledger without whose it is.
fn bare(line: &str) -> &str {
    line.split(talk::OF).next().unwrap_or(line)
}

pub(crate) fn doctor(tests: &[Test], seed: u64) -> u8 {
    let mut code = 0;
    for test in tests {
        let mut reports = Vec::new();
        process::all((0..2).map(|_| Request { ledger: true, ..Request::new(test, seed) }), 2, report::run, |report| {
            reports.push(report);
            true
        });
        let [first, second] = reports.as_slice() else { unreachable!("two were asked for") };
        if first.value["hash"].is_string() && first.value["hash"] == second.value["hash"] {
            out(&format!("{}: the same history twice, {} events", test.name, first.value["events"]));
            continue;
        }
        // Whoever left no report has no history to compare.
        if let Some(report) = reports.iter().find(|report| !report.value["hash"].is_string()) {
            out(&format!("{}: no history: {}", test.name, report.failure().unwrap_or_default()));
            code = code.max(report.exit_code().max(1));
            continue;
        }
        code = code.max(1);
        out(&format!("{}: one seed, two histories", test.name));
        match difference::first(&first.ledger, &second.ledger) {
            None => out("  the ledgers read the same; see the reports' hashes"),
            Some(found) => out(&format!(
                "  after\n    {}\n  the one says\n  - {}\n  the other\n  + {}",
                bare(found.before),
                difference::with_owner(found.one),
                difference::with_owner(found.other)
            )),
        }
        out(
            "  look there for: the system's clock, a HashMap that is walked, random numbers or threads that are not playhouse::rt's,",
        );
        out("  tokio::select! without `biased`, addresses of memory as keys or numbers.");
    }
    code
}
