//! What a run's process gave.

use std::path::PathBuf;

use playhouse_sim::plan::Plan;
use playhouse_sim::{shrink, talk};
use serde_json::{Value, json};

use crate::common::process;
use crate::tests::Test;

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) test: Test,
    pub(crate) seed: u64,
    /// The faults and the dice, instead of the seed's.
    pub(crate) plan: Option<Plan>,
    /// Also give the ledger's lines.
    pub(crate) ledger: bool,
    /// Where a page goes that shows the run, and the command that is to stand on it.
    pub(crate) html: Option<(PathBuf, String)>,
}

impl Request {
    /// A seed, and nothing but its report.
    pub(crate) fn new(test: &Test, seed: u64) -> Request {
        Request { test: test.clone(), seed, plan: None, ledger: false, html: None }
    }
}

/// What came of it: the process's report, or one made here when it could not give one.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) test: String,
    pub(crate) seed: u64,
    pub(crate) value: Value,
    /// The ledger's lines, if they were asked for.
    pub(crate) ledger: String,
}

impl Report {
    /// How it ended, if not well.
    pub(crate) fn verdict(&self) -> Option<&Value> {
        Some(&self.value["verdict"]).filter(|verdict| !verdict.is_null())
    }

    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.verdict().map(|verdict| shrink::words(verdict).unwrap_or_else(|| verdict.to_string()))
    }

    /// 2 if it had no end.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.verdict() {
            None => 0,
            Some(verdict) if verdict["kind"] == "stuck" => 2,
            Some(_) => 1,
        }
    }

    /// Whether it failed as a canary should: by a broken promise, or a panic in the test's own code.
    pub(crate) fn sees(&self) -> bool {
        self.value["sees"] == true
    }

    /// The faults that the test drew, or was given.
    pub(crate) fn plan(&self) -> Option<Plan> {
        serde_json::from_value(self.value["plan"].clone()).ok()
    }
}

/// Runs one test with one seed, in a process of its own.
pub(crate) fn run(request: &Request) -> Report {
    let mut command = request.test.command();
    command.env(talk::SEED, request.seed.to_string());
    let plan = request.plan.as_ref().and_then(|plan| serde_json::to_string(plan).ok());
    if plan.is_some() {
        command.env(talk::PLAN, "1");
    }
    if request.ledger {
        command.env(talk::LEDGER, "1");
    }
    if let Some((page, by)) = &request.html {
        command.env(talk::HTML, page).env(talk::COMMAND, by);
    }
    let (value, ledger) = match process::run(command, plan.as_deref()) {
        Ok(ended) => {
            let (value, ledger) = heard(&ended.stdout);
            let value = value.unwrap_or_else(|| {
                let (kind, words) = ended.without_report();
                let hint = if kind == "crashed" { "\nis the test built with this version of playhouse-sim?" } else { "" };
                json!({ "verdict": { "kind": kind, "seen": format!("{words}{hint}") } })
            });
            (value, ledger)
        }
        Err(error) => {
            let seen = format!("the run's process: {error}");
            (json!({ "verdict": { "kind": "crashed", "seen": seen } }), String::new())
        }
    };
    Report { test: request.test.name.clone(), seed: request.seed, value, ledger }
}

/// The report and the ledger's lines, from among all that the process has printed.
fn heard(stdout: &str) -> (Option<Value>, String) {
    let (mut report, mut ledger) = (None, String::new());
    for line in stdout.lines() {
        if let Some((_, event)) = line.split_once(talk::EVENT) {
            ledger.push_str(event);
            ledger.push('\n');
        } else if let Some((_, text)) = line.split_once(talk::REPORT) {
            report = serde_json::from_str(text).ok();
        }
    }
    (report, ledger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_us_is_found_among_what_the_test_prints() {
        let text = "running 1 test\nan oddplayhouse-sim: event 1 a\nplayhouse-sim: event 2 b\nhello\nplayhouse-sim: report {\"verdict\":null}\ntest ok\n";
        let (report, ledger) = heard(text);
        assert_eq!((report, &*ledger), (Some(json!({ "verdict": null })), "1 a\n2 b\n"));
        assert_eq!(heard("running 1 test\n"), (None, String::new()));
    }
}
