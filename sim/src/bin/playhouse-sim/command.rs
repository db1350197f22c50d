//! The command line.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use playhouse_rt::sim::ledger::Line;
use playhouse_sim::scenario::{ALL, BUGS, Scenario, find};
use serde_json::json;

use crate::claimed::Claimed;
use crate::one;
use crate::pool::{self, Request};
use crate::table::{Progress, out, print};

/// Wrong arguments.
const BAD_USAGE: u8 = 4;

/// Rehearses the whole cluster: the real code over a simulated network, disk, clock and dice.
#[derive(Debug, Parser)]
#[command(
    name = "cargo sim",
    max_term_width = 100,
    after_help = "Examples:
  cargo sim run demo --seeds 0..50
  cargo sim replay demo --seed 7
  cargo sim twice demo --seed 7

Exit codes: 0 all held, 1 a broken promise, 2 stuck, 3 a crash in the product, 4 wrong arguments."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the scenarios and what they promise
    List,
    /// Run a scenario with every seed of a range, each in a process of its own
    Run {
        #[arg(value_parser = scenario)]
        scenario: &'static str,
        /// The first seed and the one after the last
        #[arg(long, value_name = "A..B", value_parser = range)]
        seeds: std::ops::Range<u64>,
        /// Runs at once; as many as there are cores, if not given
        #[arg(long)]
        jobs: Option<usize>,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
        /// Put a bug in on purpose
        #[arg(long, value_parser = bug)]
        bug: Option<&'static str>,
        /// Fail if something that should happen sometimes happened with no seed
        #[arg(long)]
        require_sometimes: bool,
    },
    /// Run one seed and print what happened, in order
    Replay {
        #[arg(value_parser = scenario)]
        scenario: &'static str,
        #[arg(long)]
        seed: u64,
        /// Print every datagram, timer and task as well
        #[arg(long)]
        all: bool,
        /// Put a bug in on purpose
        #[arg(long, value_parser = bug)]
        bug: Option<&'static str>,
    },
    /// Run a seed in two fresh processes and compare their ledgers
    Twice {
        #[arg(value_parser = scenario)]
        scenario: &'static str,
        #[arg(long, required_unless_present = "seeds", conflicts_with = "seeds")]
        seed: Option<u64>,
        /// Do so for every seed of a range
        #[arg(long, value_name = "A..B", value_parser = range)]
        seeds: Option<std::ops::Range<u64>>,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
    },
    /// Put known bugs in and see whether the promises find them
    Planted {
        /// Give up on a bug after so many seeds
        #[arg(long, default_value_t = 50)]
        seeds: u64,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
    },
    /// Run one seed in this process; what `run` starts
    #[command(hide = true)]
    One {
        #[arg(value_parser = scenario)]
        scenario: &'static str,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        ledger: bool,
        #[arg(long, value_parser = bug)]
        bug: Option<&'static str>,
    },
}

fn scenario(text: &str) -> Result<&'static str, String> {
    let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    find(text).map(|scenario| scenario.name).ok_or_else(|| format!("there is no such scenario; there are: {}", names.join(", ")))
}

fn bug(text: &str) -> Result<&'static str, String> {
    let names: Vec<&str> = BUGS.iter().map(|bug| bug.name).collect();
    BUGS.iter()
        .map(|bug| bug.name)
        .find(|name| *name == text)
        .ok_or_else(|| format!("there is no such bug; there are: {}", names.join(", ")))
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("it must look like 0..50")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("it is empty".into()) } else { Ok(range) }
}

pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_USAGE } else { 0 });
        }
    };
    let named = |name: &str| find(name).expect("the parser checked it");
    let code = match args.command {
        Command::List => list(),
        Command::Run { scenario, seeds, jobs, json, bug, require_sometimes } => {
            run(named(scenario), seeds, jobs, json, bug, require_sometimes)
        }
        Command::Replay { scenario, seed, all, bug } => replay(named(scenario), seed, all, bug),
        Command::Twice { scenario, seed, seeds, json } => {
            let seeds = seeds.unwrap_or_else(|| seed.map_or(0..0, |seed| seed..seed + 1));
            twice(scenario, seeds, json)
        }
        Command::Planted { seeds, json } => planted(seeds, json),
        Command::One { scenario, seed, ledger, bug } => in_this_process(named(scenario), seed, bug, ledger),
    };
    ExitCode::from(code)
}

fn list() -> u8 {
    let rows: Vec<Vec<String>> = ALL.iter().map(|s| vec![s.name.into(), s.about.into()]).collect();
    print(&["scenario", "what happens"], &rows);
    for scenario in ALL {
        out(&format!("\n{} promises:", scenario.name));
        scenario.promises.iter().for_each(|promise| out(&format!("  - {promise}")));
    }
    0
}

fn in_this_process(scenario: &Scenario, seed: u64, bug: Option<&str>, ledger: bool) -> u8 {
    let (verdict, report) =
        if ledger { one::run(scenario, seed, bug, one::to_stdout()) } else { one::run(scenario, seed, bug, |_| {}) };
    out(&report.to_string());
    verdict.exit_code()
}

fn run(
    scenario: &Scenario,
    seeds: std::ops::Range<u64>,
    jobs: Option<usize>,
    json: bool,
    bug: Option<&'static str>,
    require_sometimes: bool,
) -> u8 {
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    let mut progress = Progress::new(seeds.end - seeds.start);
    let requests = seeds.clone().map(|seed| Request { scenario: scenario.name, seed, bug, ledger: false });
    let (mut passed, mut virtual_s, mut events) = (0u64, 0.0, 0u64);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let mut claimed = Claimed::new(scenario.reaches);
    let mut failures = Vec::new();
    pool::run_all(requests, jobs, |report| {
        progress.step(report.failure().is_some());
        virtual_s += report.value["virtual_s"].as_f64().unwrap_or(0.0);
        events += report.value["events"].as_u64().unwrap_or(0);
        for (fault, count) in report.value["faults"].as_object().into_iter().flatten() {
            *faults.entry(fault.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        claimed.add(&report.value);
        match report.failure() {
            None => passed += 1,
            Some(_) => failures.push(report),
        }
        true
    });
    drop(progress);
    failures.sort_by_key(|report| report.seed);
    let wall_s = began.elapsed().as_secs_f64();
    let total = seeds.end - seeds.start;
    out(&format!("{}: {passed} of {total} seeds held", scenario.name));
    out(&format!(
        "  {virtual_s:.0} virtual seconds in {wall_s:.1} s ({:.0} times real time), {events} events",
        virtual_s / wall_s
    ));
    let counts: Vec<String> = faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    out(&format!("  faults: {}", counts.join(", ")));
    claimed.show();
    for fault in scenario.faults.iter().filter(|fault| faults.get(**fault).is_none_or(|count| *count == 0)) {
        out(&format!("  no seed of this range exercised: {fault}"));
    }
    for report in &failures {
        let verdict = &report.value["verdict"];
        let promise = verdict["promise"].as_str().map(|promise| format!(" {promise}:")).unwrap_or_default();
        out(&format!(
            "  seed {}: {}:{promise} {}",
            report.seed,
            verdict["kind"].as_str().unwrap_or("?"),
            verdict["seen"].as_str().unwrap_or("?")
        ));
        let bug = bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default();
        out(&format!("    cargo sim replay {} --seed {}{bug}", scenario.name, report.seed));
    }
    if json {
        let failed: Vec<_> = failures
            .iter()
            .map(|report| {
                let mut failure = report.value["verdict"].clone();
                failure["seed"] = report.seed.into();
                failure
            })
            .collect();
        out(&format!(
            "{}",
            json!({ "scenario": scenario.name, "seeds": total, "passed": passed, "failed": failed, "virtual_s": virtual_s, "wall_s": wall_s, "events": events, "faults": faults, "sometimes": claimed.sometimes, "never": claimed.never(), "buggify": claimed.buggify })
        ));
    }
    let missed = u8::from(require_sometimes && !claimed.never().is_empty());
    failures.iter().map(pool::Report::exit_code).max().unwrap_or(0).max(missed)
}

/// Kinds of lines that are left out unless all are wanted: there are thousands of them.
const FINE: [&str; 4] = ["send", "arrive", "timer", "task"];

fn replay(scenario: &Scenario, seed: u64, all: bool, bug: Option<&str>) -> u8 {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let (verdict, report) = one::run(scenario, seed, bug, move |line: &Line<'_>| {
        if all || !FINE.contains(&line.kind) || line.detail.starts_with(|c: char| c.is_ascii_digit()) && line.kind == "task" {
            // A closed pipe (`| head`) is no reason to stop the run half-way.
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        }
    });
    let text = match report["verdict"].as_object() {
        None => "all promises held".to_string(),
        Some(_) => format!("{}", report["verdict"]),
    };
    let _ = writeln!(
        std::io::stdout(),
        "\n{} seed {seed}: {text}\n{} events, ledger {}, {:.1} virtual seconds",
        scenario.name,
        report["events"],
        report["hash"].as_str().unwrap_or("?"),
        report["virtual_s"].as_f64().unwrap_or(0.0)
    );
    verdict.exit_code()
}

fn twice(scenario: &'static str, seeds: std::ops::Range<u64>, as_json: bool) -> u8 {
    let mut code = 0;
    let mut last = json!(null);
    for seed in seeds {
        let requests = (0..2).map(|_| Request { scenario, seed, bug: None, ledger: true });
        let mut reports = Vec::new();
        pool::run_all(requests, 2, |report| {
            reports.push(report);
            true
        });
        let [first, second] = reports.as_slice() else { unreachable!("two were asked for") };
        let hash = first.value["hash"].as_str().unwrap_or("none");
        let events = &first.value["events"];
        let equal = first.value["hash"].is_string() && first.value["hash"] == second.value["hash"];
        out(&format!("{scenario} seed {seed}: {} {hash}, {events} events", if equal { "equal" } else { "DIFFERENT" }));
        last = json!({ "scenario": scenario, "seed": seed, "equal": equal, "hash": hash, "events": events });
        if !equal {
            match first_difference(&first.ledger, &second.ledger) {
                Some((a, b)) => {
                    out(&format!("  the first event that differs:\n  - {a}\n  + {b}"));
                    last["first_difference"] = json!([a, b]);
                }
                None => out(&format!("  the ledgers read the same: {} {}", first.value, second.value)),
            }
            code = 1;
            break;
        }
    }
    if as_json {
        out(&last.to_string());
    }
    code
}

fn first_difference<'a>(a: &'a str, b: &'a str) -> Option<(&'a str, &'a str)> {
    const END: &str = "(the ledger ends here)";
    let (mut a, mut b) = (a.lines(), b.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (x, y) if x != y => return Some((x.unwrap_or(END), y.unwrap_or(END))),
            _ => {}
        }
    }
}

fn planted(seeds: u64, as_json: bool) -> u8 {
    let mut rows = Vec::new();
    let mut found = 0;
    for bug in BUGS {
        let (mut tried, mut cpu_s, mut how) = (0u64, 0.0, None);
        let requests = (0..seeds).map(|seed| Request { scenario: bug.scenario, seed, bug: Some(bug.name), ledger: false });
        // One after the other, so that what is counted does not depend on the machine.
        pool::run_all(requests, 1, |report| {
            tried += 1;
            cpu_s += report.value["cpu_s"].as_f64().unwrap_or(0.0);
            // Only a broken promise counts: a run that crashed or did not start has found nothing.
            how = report.failure().and_then(|verdict| verdict["promise"].as_str()).map(str::to_string);
            how.is_none()
        });
        found += u64::from(how.is_some());
        rows.push((bug.name, how, tried, cpu_s));
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(bug, how, tried, cpu)| {
            vec![(*bug).into(), how.clone().unwrap_or_else(|| "NOT FOUND".into()), tried.to_string(), format!("{cpu:.2}")]
        })
        .collect();
    print(&["planted bug", "found by", "seeds", "cpu s"], &cells);
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(bug, how, tried, cpu)| json!({ "bug": bug, "found": how.is_some(), "by": how, "seeds": tried, "cpu_s": cpu }))
            .collect();
        out(&format!("{}", json!({ "planted": BUGS.len(), "found": found, "rows": rows })));
    }
    u8::from(found < BUGS.len() as u64)
}
