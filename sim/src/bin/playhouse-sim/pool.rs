//! Runs in processes of their own: one seed is one process.

use std::process::Command;

use playhouse_sim::plan::Plan;
use serde_json::{Value, json};

use crate::common::process;
use crate::one::Trap;

/// What a run is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) scenario: &'static str,
    pub(crate) seed: u64,
    /// What befalls the run; drawn from the seed, if not given.
    pub(crate) plan: Option<Plan>,
    pub(crate) bug: Option<&'static str>,
    /// The depth of probabilistic concurrency testing, instead of a random order.
    pub(crate) pct: Option<u32>,
    /// What no run may do, put in to see whether it is found.
    pub(crate) trap: Option<Trap>,
    /// Also give the ledger's lines.
    pub(crate) ledger: bool,
}

/// What came of it: the child's report, or one made here when it could not give one.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) value: Value,
    /// The ledger's lines, if they were asked for.
    pub(crate) ledger: String,
}

impl Report {
    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<&Value> {
        Some(&self.value["verdict"]).filter(|verdict| !verdict.is_null())
    }

    /// The exit code of its failure.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.failure().and_then(|verdict| verdict["kind"].as_str()) {
            None => 0,
            Some("broken") => 1,
            Some("stuck") => 2,
            Some(_) => 3,
        }
    }
}

/// Runs all `requests`, `jobs` at once, and gives each report to `done` as it comes. Stops asking for more when `done` says so.
pub(crate) fn run_all(requests: impl Iterator<Item = Request>, jobs: usize, done: impl FnMut(Report) -> bool) {
    process::all(requests, jobs, run, done);
}

/// Runs one request in a process of its own.
pub(crate) fn run(request: &Request) -> Report {
    let (value, ledger) = heard(request).unwrap_or_else(|error| {
        let seen = format!("the run's process: {error}");
        (json!({ "seed": request.seed, "verdict": { "kind": "crashed", "seen": seen } }), String::new())
    });
    Report { seed: request.seed, value, ledger }
}

/// The report and the ledger's lines.
fn heard(request: &Request) -> std::io::Result<(Value, String)> {
    let plan = request.plan.as_ref().map(serde_json::to_string).transpose()?;
    let ended = process::run(command(request)?, plan.as_deref())?;
    let text = ended.stdout.trim_end();
    let (ledger, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let report = ended.status.and_then(|_| serde_json::from_str::<Value>(last).ok()).filter(Value::is_object);
    let value = report.unwrap_or_else(|| {
        let (kind, seen) = ended.without_report();
        json!({ "seed": request.seed, "verdict": { "kind": kind, "seen": seen } })
    });
    Ok((value, ledger.to_string()))
}

fn command(request: &Request) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("one").arg(request.scenario).arg("--seed").arg(request.seed.to_string());
    command.arg("--with-parent");
    if request.plan.is_some() {
        command.arg("--plan-from-stdin");
    }
    if let Some(bug) = request.bug {
        command.arg("--bug").arg(bug);
    }
    if let Some(depth) = request.pct {
        command.arg("--pct").arg(depth.to_string());
    }
    if let Some(trap) = request.trap.as_ref().and_then(clap::ValueEnum::to_possible_value) {
        command.arg("--trap").arg(trap.get_name());
    }
    if request.ledger {
        command.arg("--ledger");
    }
    Ok(command)
}
