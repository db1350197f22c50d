//! One run in this process.

use std::io::{BufWriter, Write};

use playhouse_rt::sim::ledger;
use playhouse_sim::plan::Plan;
use playhouse_sim::scenario::{self, Scenario};
use playhouse_sim::verdict::Verdict;
use serde_json::Value;

/// Runs `scenario` with `plan`; each line of the ledger goes to `sink`. Gives what the parent reads.
pub(crate) fn run(
    scenario: &Scenario,
    plan: Plan,
    bug: Option<&str>,
    sink: impl FnMut(&ledger::Line<'_>) + 'static,
) -> (Verdict, Value) {
    let ended = scenario::run(scenario, plan, bug.and_then(scenario::find_bug), sink);
    let mut report = ended.json();
    report["scenario"] = scenario.name.into();
    (ended.outcome.verdict, report)
}

/// Writes the ledger to standard output, before the report.
pub(crate) fn to_stdout() -> impl FnMut(&ledger::Line<'_>) {
    let mut out = BufWriter::new(std::io::stdout());
    // A parent that has gone away needs no lines.
    move |line: &ledger::Line<'_>| drop(writeln!(out, "{line}"))
}
