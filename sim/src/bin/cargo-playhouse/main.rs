//! `cargo playhouse`: runs an application's simulated tests, a process for each seed.
//!
//! It is itself an ordinary program: it has the application's tests built in the simulated world, in a target folder of their own, and starts them.

mod build;
#[path = "../common/mod.rs"]
mod common;
mod report;
mod run;
mod shrink;
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use common::BAD_USAGE;
use common::arguments::{duration, jobs, range};

/// Rehearses an application's actors: tests with `#[playhouse::sim]`, once for each seed, in the simulator.
#[derive(Debug, Parser)]
#[command(
    name = "cargo playhouse",
    bin_name = "cargo playhouse",
    max_term_width = 100,
    after_help = "Examples:
  cargo playhouse sim
  cargo playhouse sim no_coin_is_lost --seeds 0..1000 --budget 5m
  cargo playhouse replay no_coin_is_lost --seed 7
  cargo playhouse replay no_coin_is_lost --seed 7 --html out.html
  cargo playhouse doctor

Exit codes: 0 all held, 1 a test failed, 2 a run had no end, 4 wrong arguments, or the tests do not build."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run simulated tests, each with every one of its seeds
    Sim {
        /// Only tests whose names contain this
        filter: Option<String>,
        /// The first seed and the one after the last; each test's own, if not given
        #[arg(long, value_name = "A..B", value_parser = range)]
        seeds: Option<std::ops::Range<u64>>,
        /// Runs at once; as many as there are cores, if not given
        #[arg(long)]
        jobs: Option<usize>,
        /// Start no more runs after this time, such as 90s, 5m or 2h
        #[arg(long, value_name = "TIME", value_parser = duration)]
        budget: Option<Duration>,
        /// Fail if something that should happen sometimes happened with no seed
        #[arg(long)]
        require_sometimes: bool,
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        build: Build,
    },
    /// Run one test with one seed, or with a saved plan, and print what happened, in order
    Replay {
        /// The test's name, or a part that only it has
        test: String,
        #[arg(long, required_unless_present = "plan", conflicts_with = "plan")]
        seed: Option<u64>,
        /// A saved plan, as `shrink` writes it: a JSON file with the faults and dice that are used instead of a seed's
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Print every datagram, timer and task as well
        #[arg(long)]
        all: bool,
        /// Write a page that shows the run: lanes, arrows, faults
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        #[command(flatten)]
        build: Build,
    },
    /// Find the smallest plan of faults with which a test still fails
    Shrink {
        /// The test's name, or a part that only it has
        test: String,
        #[arg(long, required_unless_present = "plan", conflicts_with = "plan")]
        seed: Option<u64>,
        /// Begin with a saved plan, as an earlier `shrink` wrote it
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Runs at once; as many as there are cores, if not given
        #[arg(long)]
        jobs: Option<usize>,
        /// End with what there is after this time
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2m")]
        budget: Duration,
        /// Where the plan goes, each time that a smaller one is found; TEST-SEED.plan.json, if not given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        build: Build,
    },
    /// Run each test twice with one seed, and point at what leaks time, chance or order into it
    Doctor {
        /// Only tests whose names contain this
        filter: Option<String>,
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        build: Build,
    },
}

/// What is built, and where.
#[derive(Debug, Args)]
struct Build {
    /// The package, in a workspace of several
    #[arg(short, long)]
    package: Option<String>,
    /// The application's Cargo.toml, if it is not that of this folder
    #[arg(long, value_name = "FILE")]
    manifest_path: Option<PathBuf>,
    /// Features of the application, separated by commas
    #[arg(long)]
    features: Option<String>,
    /// Build with the lock file as it is
    #[arg(long)]
    locked: bool,
    /// Executables of tests that are built in the simulated world already
    #[arg(long, value_name = "FILE", hide = true)]
    built: Vec<PathBuf>,
    /// Where the simulated world is built; `target/sim` in the application's folder, if not given
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
}

/// What is replayed, or shrunk.
fn from(seed: Option<u64>, plan: Option<PathBuf>) -> run::From {
    plan.map_or(run::From::Seed(seed.unwrap_or_default()), run::From::Plan)
}

fn main() -> ExitCode {
    // Cargo passes the subcommand's name on: `cargo playhouse sim` comes as `cargo-playhouse playhouse sim`.
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "playhouse") {
        words.remove(1);
    }
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_USAGE } else { 0 });
        }
    };
    let code = match arguments.command {
        Command::Sim { filter, seeds, jobs: wanted, budget, require_sometimes, json, build } => {
            let found = tests::find(&build, filter.as_deref());
            found.map(|tests| run::sim(&tests, seeds, jobs(wanted), budget, require_sometimes, json))
        }
        Command::Replay { test, seed, plan, all, html, build } => {
            tests::one(&build, &test).and_then(|test| run::replay(&test, &from(seed, plan), all, html))
        }
        Command::Shrink { test, seed, plan, jobs: wanted, budget, out, build } => {
            tests::one(&build, &test).and_then(|test| shrink::run(&test, &from(seed, plan), jobs(wanted), budget, out))
        }
        Command::Doctor { filter, seed, build } => tests::find(&build, filter.as_deref()).map(|tests| run::doctor(&tests, seed)),
    };
    ExitCode::from(code.unwrap_or_else(|error| {
        eprintln!("cargo playhouse: {error}");
        BAD_USAGE
    }))
}
