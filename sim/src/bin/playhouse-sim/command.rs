//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use playhouse_sim::plan::PlanFile;
use playhouse_sim::rehearse::{first_line, when_parent_ends};
use playhouse_sim::scenario::{ALL, BUGS, Scenario, find};
use playhouse_sim::verdict::Verdict;
use serde_json::{Value, json};

use crate::common::arguments::{duration, jobs as as_wanted, range};
use crate::common::claimed::Claimed;
use crate::common::{BAD_USAGE, difference, files, out};
use crate::explore;
use crate::one::{self, Trap};
use crate::plans::{self, Case, DEPTH_MAX};
use crate::pool::{self, Request};
use crate::replay;
use crate::shrink::{self, Order};
use crate::table::{Progress, print};

/// Rehearses the whole cluster: the real code over a simulated network, disk, clock and dice.
#[derive(Debug, Parser)]
#[command(
    name = "cargo sim",
    max_term_width = 100,
    after_help = "Examples:
  cargo sim run demo --seeds 0..50
  cargo sim run actors --seeds 0..100000 --budget 5m
  cargo sim replay demo --seed 7
  cargo sim replay --plan FILE --why
  cargo sim replay demo --seed 7 --html out.html --pcap out.pcap --keylog keys.txt
  cargo sim twice demo --seed 7
  cargo sim shrink demo --seed 7 --bug late-watermark

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
        /// Start no more runs after this time, such as 90s, 5m or 2h
        #[arg(long, value_name = "TIME", value_parser = duration)]
        budget: Option<Duration>,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
        /// Run tasks by priorities that fall at DEPTH - 1 points: finds what needs so many constraints on the order
        #[arg(long, value_name = "DEPTH", value_parser = clap::value_parser!(u32).range(1..=i64::from(DEPTH_MAX)))]
        pct: Option<u32>,
        /// Put a bug in on purpose
        #[arg(long, value_parser = bug)]
        bug: Option<&'static str>,
        /// Fail if something that should happen sometimes happened with no seed
        #[arg(long)]
        require_sometimes: bool,
    },
    /// Print the plan that a seed draws: all that befalls its run
    Plan {
        #[arg(value_parser = scenario)]
        scenario: &'static str,
        #[arg(long)]
        seed: u64,
    },
    /// Run every saved plan of a folder: those with a bug must find it, the others hold
    Plans {
        #[arg(default_value = "sim/plans")]
        folder: PathBuf,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
    },
    /// Find the smallest plan with which the same promise breaks
    Shrink {
        #[command(flatten)]
        what: What,
        /// Runs at once; as many as there are cores, if not given
        #[arg(long)]
        jobs: Option<usize>,
        /// End with what there is after this time
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2m")]
        budget: Duration,
        /// Where the plan goes, each time that a smaller one is found; under target/rehearsals/, if not given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
    },
    /// Run one seed, or a saved plan, and print what happened, in order, or write it to files
    Replay {
        #[command(flatten)]
        what: What,
        /// Print every datagram, timer, poll and draw as well
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        outputs: replay::Outputs,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
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
        #[arg(long, value_enum, hide = true)]
        trap: Option<Trap>,
    },
    /// Run seeds, and go on from where a few of them reached something rare, each time with other dice
    Explore {
        #[arg(value_parser = scenario)]
        scenario: &'static str,
        /// The first plain seed
        #[arg(long, default_value_t = 0)]
        first_seed: u64,
        /// Start no more runs after this time, such as 90s, 5m or 2h
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
        budget: Duration,
        /// Runs at once; as many as there are cores, if not given
        #[arg(long)]
        jobs: Option<usize>,
        /// Put a bug in on purpose
        #[arg(long, value_parser = bug)]
        bug: Option<&'static str>,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
    },
    /// Put known bugs in and see whether the promises find them
    Planted {
        /// Give up on a bug after so many seeds
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// Compare the ways of looking: dice, priorities of depths 2 and 3, and going on from rare moments
        #[arg(long)]
        ways: bool,
        /// The first seed, to compare with other luck
        #[arg(long, default_value_t = 0, requires = "ways")]
        first_seed: u64,
        /// Only this bug
        #[arg(long, value_parser = bug, requires = "ways")]
        bug: Option<&'static str>,
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
        /// End when standard input does: whoever started this run is gone
        #[arg(long)]
        with_parent: bool,
        /// Read the plan from the first line of standard input
        #[arg(long)]
        plan_from_stdin: bool,
        #[arg(long)]
        ledger: bool,
        /// Run without a ledger, to measure what it costs
        #[arg(long, conflicts_with = "ledger")]
        no_ledger: bool,
        #[arg(long, value_enum, hide = true)]
        trap: Option<Trap>,
        #[arg(long)]
        pct: Option<u32>,
        #[arg(long, value_parser = bug)]
        bug: Option<&'static str>,
    },
}

/// What a command is about: a seed of a scenario, or a saved plan.
#[derive(Debug, clap::Args)]
struct What {
    #[arg(value_parser = scenario, required_unless_present = "plan", conflicts_with = "plan")]
    scenario: Option<&'static str>,
    #[arg(long, required_unless_present = "plan", conflicts_with = "plan")]
    seed: Option<u64>,
    /// A saved plan, which names its scenario and needs no seed: a JSON file, as `run` saves of each failure under target/rehearsals/
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Put a bug in on purpose
    #[arg(long, value_parser = bug, conflicts_with = "plan")]
    bug: Option<&'static str>,
    /// Run tasks by priorities that fall at DEPTH - 1 points: finds what needs so many constraints on the order
    #[arg(long, value_name = "DEPTH", value_parser = clap::value_parser!(u32).range(1..=i64::from(DEPTH_MAX)), conflicts_with = "plan")]
    pct: Option<u32>,
}

impl What {
    fn case(&self) -> Result<Case, String> {
        match (&self.plan, self.scenario.and_then(find), self.seed) {
            (Some(path), ..) => Case::read(path),
            (None, Some(scenario), Some(seed)) => Ok(Case::drawn(scenario, seed, self.bug).with_pct(self.pct)),
            _ => unreachable!("the parser asks for both or for a plan"),
        }
    }
}

/// Does `work` with what the command is about, or says why there is no such thing.
fn with(what: &What, work: impl FnOnce(Case) -> u8) -> u8 {
    match what.case() {
        Ok(case) => work(case),
        Err(error) => {
            eprintln!("{error}");
            BAD_USAGE
        }
    }
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
        Command::Run { scenario, seeds, jobs, budget, json, pct, bug, require_sometimes } => {
            let range = Range { scenario: named(scenario), seeds, jobs: as_wanted(jobs), budget, pct, bug };
            run(&range, require_sometimes, json)
        }
        Command::Plan { scenario, seed } => {
            out(Case::drawn(named(scenario), seed, None).plan().to_string().trim_end());
            0
        }
        Command::Plans { folder, json } => plans::all(&folder, as_wanted(None), json),
        Command::Shrink { what, jobs, budget, out, json } => {
            with(&what, |case| shrink::run(&Order { case, jobs: as_wanted(jobs), budget, file: out, json }))
        }
        Command::Replay { what, all, outputs, json } => with(&what, |case| replay::replay(&case, all, &outputs, json)),
        Command::Twice { scenario, seed, seeds, json, trap } => {
            let seeds = seeds.unwrap_or_else(|| seed.map_or(0..0, |seed| seed..seed + 1));
            twice(scenario, seeds, json, trap)
        }
        Command::Explore { scenario, first_seed, budget, jobs, bug, json } => {
            let jobs = as_wanted(jobs);
            explore::run(&explore::Order { scenario: named(scenario), first_seed, jobs, budget, bug, json })
        }
        Command::Planted { seeds, ways: true, first_seed, bug, json } => explore::ways(first_seed, seeds, bug, json),
        Command::Planted { seeds, json, .. } => planted(seeds, json),
        Command::One { scenario, seed, with_parent, plan_from_stdin, ledger, no_ledger, trap, pct, bug } => {
            let plan = plan_from_stdin.then(|| serde_json::from_str(&first_line()));
            if with_parent {
                when_parent_ends(|| std::process::exit(Verdict::Stuck(String::new()).exit_code().into()));
            }
            let plan = match plan {
                None => (named(scenario).draw)(seed),
                Some(Ok(plan)) => plan,
                Some(Err(error)) => {
                    eprintln!("standard input is no plan: {error}");
                    return ExitCode::from(BAD_USAGE);
                }
            };
            let scenario = named(scenario);
            let order = one::Order { scenario, seed, plan, bug, pct, unrecorded: no_ledger, to_people: false, trap };
            let (verdict, report) = one::run(order, ledger.then(one::to_stdout));
            out(&report.to_string());
            verdict.exit_code()
        }
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

/// Seeds to be run, and how.
struct Range {
    scenario: &'static Scenario,
    seeds: std::ops::Range<u64>,
    jobs: usize,
    budget: Option<Duration>,
    pct: Option<u32>,
    bug: Option<&'static str>,
}

/// Saves the plan of a run that failed.
fn save(range: &Range, report: &pool::Report) -> Result<PathBuf, String> {
    let case = Case::drawn(range.scenario, report.seed, range.bug).with_pct(range.pct);
    let file = PlanFile { verdict: report.value["verdict"].clone(), ..case.file(case.plan()) };
    let path = plans::folder().join(format!("{}.json", case.slug()));
    files::save(&path, &file).map(|()| path)
}

/// The median, the 99th percentile and the greatest of what was measured.
fn spread(mut values: Vec<u64>) -> Value {
    values.sort_unstable();
    let at = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1));
    json!({ "p50": at(50), "p99": at(99), "max": values.last(), "count": values.len() })
}

fn run(range: &Range, require_sometimes: bool, json: bool) -> u8 {
    let Range { scenario, ref seeds, jobs, budget, pct, bug } = *range;
    let began = Instant::now();
    let mut progress = Progress::new(seeds.end - seeds.start);
    let requests = seeds.clone().map(|seed| Request { scenario: scenario.name, seed, bug, pct, ..Request::default() });
    let (mut ran, mut passed, mut virtual_s, mut cpu_s, mut events) = (0u64, 0u64, 0.0, 0.0, 0u64);
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let mut measures: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut claimed = Claimed::new(scenario.reaches);
    let mut failures = Vec::new();
    pool::run_all(requests, jobs, |report| {
        progress.step(report.failure().is_some());
        virtual_s += report.value["virtual_s"].as_f64().unwrap_or(0.0);
        cpu_s += report.value["cpu_s"].as_f64().unwrap_or(0.0);
        events += report.value["events"].as_u64().unwrap_or(0);
        for (fault, count) in report.value["faults"].as_object().into_iter().flatten() {
            *faults.entry(fault.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
        for (measure, values) in report.value["measures"].as_object().into_iter().flatten() {
            let values = values.as_array().into_iter().flatten().filter_map(Value::as_u64);
            measures.entry(measure.clone()).or_default().extend(values);
        }
        claimed.add(&report.value);
        match report.failure() {
            None => passed += 1,
            Some(_) => {
                // At once: whoever interrupts this keeps what was found.
                if failures.len() < SHOWN_FAILURES {
                    // What is wrong with the file is said at the end.
                    let _ = save(range, &report);
                }
                failures.push(report);
            }
        }
        ran += 1;
        budget.is_none_or(|budget| began.elapsed() < budget)
    });
    drop(progress);
    failures.sort_by_key(|report| report.seed);
    let wall_s = began.elapsed().as_secs_f64();
    out(&format!("{}: {passed} of {ran} seeds held", scenario.name));
    if ran < seeds.end - seeds.start {
        out(&format!("  the time was up after {ran} of {} seeds", seeds.end - seeds.start));
    }
    out(&format!(
        "  {virtual_s:.0} virtual seconds in {wall_s:.1} s ({:.0} times real time), {events} events",
        virtual_s / wall_s
    ));
    let counts: Vec<String> = faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    out(&format!("  faults: {}", counts.join(", ")));
    claimed.show();
    let measures: BTreeMap<String, Value> = measures.into_iter().map(|(name, values)| (name, spread(values))).collect();
    for (name, spread) in &measures {
        out(&format!("  {name}: p50 {}, p99 {}, max {} of {}", spread["p50"], spread["p99"], spread["max"], spread["count"]));
    }
    for fault in scenario.faults.iter().filter(|fault| faults.get(**fault).is_none_or(|count| *count == 0)) {
        out(&format!("  no seed of this range exercised: {fault}"));
    }
    for report in failures.iter().take(SHOWN_FAILURES) {
        let verdict = &report.value["verdict"];
        let promise = verdict["promise"].as_str().map(|promise| format!(" {promise}:")).unwrap_or_default();
        out(&format!(
            "  seed {}: {}:{promise} {}",
            report.seed,
            verdict["kind"].as_str().unwrap_or("?"),
            verdict["seen"].as_str().unwrap_or("?")
        ));
        match save(range, report) {
            Ok(path) => out(&format!("    plan: {}", path.display())),
            Err(error) => out(&format!("    its plan could not be saved: {error}")),
        }
        let bug = bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default();
        let pct = pct.map(|depth| format!(" --pct {depth}")).unwrap_or_default();
        out(&format!("    cargo sim replay {} --seed {}{pct}{bug}", scenario.name, report.seed));
        out(&format!("    cargo sim shrink {} --seed {}{pct}{bug}", scenario.name, report.seed));
    }
    if failures.len() > SHOWN_FAILURES {
        out(&format!("  and {} more", failures.len() - SHOWN_FAILURES));
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
            json!({ "scenario": scenario.name, "seeds": ran, "passed": passed, "failed": failed, "virtual_s": virtual_s, "wall_s": wall_s, "cpu_s": cpu_s, "events": events, "faults": faults, "measures": measures, "sometimes": claimed.sometimes, "never": claimed.never(), "buggify": claimed.buggify })
        ));
    }
    let missed = u8::from(require_sometimes && !claimed.never().is_empty());
    failures.iter().map(pool::Report::exit_code).max().unwrap_or(0).max(missed)
}

/// More failures of one range than this are counted, and not shown: the first ones say enough.
const SHOWN_FAILURES: usize = 10;

fn twice(scenario: &'static str, seeds: std::ops::Range<u64>, as_json: bool, trap: Option<Trap>) -> u8 {
    let mut code = 0;
    let mut last = json!(null);
    // More than these are shown together.
    let (few, range) = (seeds.end - seeds.start <= 20, seeds.clone());
    for seed in seeds {
        let requests = (0..2).map(|_| Request { scenario, seed, ledger: true, trap, ..Request::default() });
        let mut reports = Vec::new();
        pool::run_all(requests, 2, |report| {
            reports.push(report);
            true
        });
        let [first, second] = reports.as_slice() else { unreachable!("two were asked for") };
        let hash = first.value["hash"].as_str().unwrap_or("none");
        let events = &first.value["events"];
        let equal = first.value["hash"].is_string() && first.value["hash"] == second.value["hash"];
        if !equal || few {
            out(&format!("{scenario} seed {seed}: {} {hash}, {events} events", if equal { "equal" } else { "DIFFERENT" }));
        }
        last = json!({ "scenario": scenario, "seed": seed, "equal": equal, "hash": hash, "events": events });
        if !equal {
            match difference::first(&first.ledger, &second.ledger) {
                Some(found) => {
                    let show = difference::with_owner;
                    out(&format!("  the first event that differs:\n  - {}\n  + {}", show(found.one), show(found.other)));
                    last["first_difference"] = json!([found.one, found.other]);
                }
                None => out(&format!("  the ledgers read the same: {} {}", first.value, second.value)),
            }
            code = 1;
            break;
        }
    }
    if !few && code == 0 {
        out(&format!("{scenario} seeds {range:?}: each gives the same history twice"));
    }
    if as_json {
        out(&last.to_string());
    }
    code
}

fn planted(seeds: u64, as_json: bool) -> u8 {
    let mut rows = Vec::new();
    let mut found = 0;
    for bug in BUGS {
        let (mut tried, mut cpu_s, mut how) = (0u64, 0.0, None);
        let requests = (0..seeds).map(|seed| Request { scenario: bug.scenario, seed, bug: Some(bug.name), ..Request::default() });
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
