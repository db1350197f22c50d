//! How fast the simulator is, on one core: virtual time beside real time, and small runs in processes of their own.
//!
//! The simulator is another build of the same sources, so this bench has cargo build and run it. Real time is the processor time of the
//! runs' processes: the machine may do something else meanwhile.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::options::Plan;
use crate::report::{Better, Report, Row};
use crate::rounds::{Figures, take_turns};

/// What is run, and how its figure is made.
#[derive(Clone, Copy)]
struct Load {
    metric: &'static str,
    scenario: &'static str,
    seeds: usize,
    unit: &'static str,
    figure: fn(&Value) -> Option<f64>,
    peer: &'static str,
    theirs: f64,
    note: &'static str,
}

fn speedup(run: &Value) -> Option<f64> {
    Some(run["virtual_s"].as_f64()? / run["cpu_s"].as_f64()?)
}

fn runs_per_s(run: &Value) -> Option<f64> {
    Some(run["seeds"].as_f64()? / run["cpu_s"].as_f64()?)
}

const LOADS: [Load; 3] = [
    Load {
        metric: "speedup",
        scenario: "quiet",
        seeds: 10,
        unit: "x",
        figure: speedup,
        peer: "real time",
        theirs: 1.0,
        note: "five nodes that beat, ten virtual minutes a run",
    },
    Load {
        metric: "speedup_under_load",
        scenario: "demo",
        seeds: 40,
        unit: "x",
        figure: speedup,
        peer: "real time",
        theirs: 1.0,
        note: "four nodes, the demo's job with its faults, a few virtual seconds a run",
    },
    Load {
        metric: "runs_per_s",
        scenario: "brief",
        seeds: 100,
        unit: "runs/s",
        figure: runs_per_s,
        peer: "goal",
        theirs: 100.0,
        note: "three nodes for ten virtual seconds, a process each",
    },
];

pub(crate) fn run(plan: &Plan) -> Result<Report, String> {
    let figures = take_turns(plan.rounds, &LOADS, |load| {
        let value = simulate(load.scenario, plan.size(load.seeds))?;
        (load.figure)(&value).filter(|figure| figure.is_finite()).ok_or_else(|| format!("{}: no figures: {value}", load.scenario))
    })?;
    let rows = LOADS.iter().zip(figures).map(|(load, ours)| Row {
        metric: load.metric,
        unit: load.unit,
        better: Better::Higher,
        ours,
        peer: load.peer,
        theirs: Figures::constant(load.theirs),
        ours_note: load.note,
        theirs_note: "a constant",
        more: vec![("scenario", json!(load.scenario))],
    });
    Ok(Report { bench: "sim", plan: *plan, rows: rows.collect() })
}

/// Runs seeds one after the other, in a release build of the simulated world.
fn simulate(scenario: &str, seeds: usize) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--release", "--package", "playhouse-sim", "--target-dir", "target/sim"]);
    command.args(["--config", "target.'cfg(all())'.rustflags=['--cfg=madsim']", "--", "run", scenario]);
    command.args(["--seeds", &format!("0..{seeds}"), "--jobs", "1", "--json"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{scenario}: {}\n{text}", output.status));
    }
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| format!("{scenario}: its last line is no JSON ({error}): {last}"))
}
