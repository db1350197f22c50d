//! The harness itself: what no run may do is found, and named.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::process::{Command, Output};

fn sim(args: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_playhouse-sim")).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

#[test]
fn two_histories_of_one_seed_are_told_apart_by_who_differs_first() {
    let (output, said) = sim(&["twice", "demo", "--seed", "1", "--trap", "unsteady"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("demo seed 1: DIFFERENT"), "{said}");
    for (line, of) in [(lines[2], lines[3]), (lines[4], lines[5])] {
        assert!(line.contains("trap#1") && line.contains("draw      process "), "{said}");
        assert!(
            of.trim_start().starts_with("by task 3 of node trap#1, the walker, started at sim/src/bin/playhouse-sim/one.rs:"),
            "{said}"
        );
    }
}

#[test]
fn who_waits_is_told_when_nothing_can_happen_any_more() {
    let (output, said) = sim(&["one", "demo", "--seed", "1", "--trap", "deadlock"]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let report: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(report["verdict"]["kind"], "stuck", "{said}");
    let walker = &report["waiting"][0];
    assert_eq!((&walker["name"], &walker["on"]), (&"the walker".into(), &"what never comes".into()), "{said}");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_the_run() {
    let (output, said) = sim(&["replay", "brief", "--seed", "1", "--html", "no/such/folder.html"]);
    assert!(output.status.code() == Some(4) && said.contains("cannot be written") && !said.contains("events"), "{said}");
}
