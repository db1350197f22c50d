//! `cargo sim replay --why` of real runs.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::path::Path;
use std::process::Command;

use playhouse_sim::plan::PlanFile;
use serde_json::Value;

/// What the issue of this asks for: a failure that needs two faults in order, in so many events.
const EVENTS_MAX: usize = 20;

/// The exit code, and the last line. The name is that of a file of its own.
fn why(name: &str, file: &PlanFile) -> (Option<i32>, Value) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.plan.json"));
    std::fs::write(&path, file.text()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse-sim"));
    let output = command.args(["replay", "--why", "--json", "--plan"]).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    (output.status.code(), serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {said}")))
}

#[test]
fn a_failure_that_needs_two_faults_in_order_is_told_in_few_events() {
    let saved = PlanFile::parse(include_str!("../plans/checkpoint-claimed.json")).unwrap();
    let mut thrown = saved.plan.thrown().map(|plan| why("broken", &PlanFile { plan, ..saved.clone() }));
    let (_, report) = thrown.find(|(code, _)| *code == Some(1)).expect("the plan finds its bug");
    let events = report["why"]["events"].as_array().unwrap();
    let text = |event: &Value| event["text"].as_str().unwrap_or_default().to_string();
    let begins: Vec<usize> = (0..events.len()).filter(|n| text(&events[*n]).starts_with("fault begin")).collect();
    assert_eq!(begins.len(), 2, "both faults are needed, so both lead to it: {events:#?}");
    assert!(events.len() <= EVENTS_MAX && text(events.last().unwrap()).starts_with("seen "), "{events:#?}");
    for (event, n) in events.iter().zip(1..) {
        let from: Vec<u64> =
            ["from", "perhaps_from"].iter().flat_map(|way| event[*way].as_array().unwrap()).flat_map(Value::as_u64).collect();
        assert!(from.iter().all(|from| *from < n), "what led to it was before: {event}");
        assert_eq!(
            from.is_empty(),
            begins.contains(&(n as usize - 1)),
            "the plan's faults and nothing else come of nothing: {event}"
        );
    }
    let broken = report["why"]["broken"].as_str().unwrap();
    assert!(broken.starts_with(saved.verdict["promise"].as_str().unwrap()), "{broken}");
}

#[test]
fn what_holds_needs_no_explanation() {
    let saved = PlanFile::parse(include_str!("../plans/checkpoint-claimed.json")).unwrap();
    let (code, report) = why("held", &PlanFile { bug: None, ..saved });
    assert_eq!((code, &report["why"], &report["verdict"]), (Some(0), &Value::Null, &Value::Null));
}
