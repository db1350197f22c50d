//! Priorities fall where runs are: what is assumed of their length is about what they have.
#![cfg(madsim)]
#![allow(missing_docs)]

use playhouse_sim::rehearse::{How, steps_of};
use playhouse_sim::scenario::{ALL, run_after};

#[test]
fn each_scenario_has_about_as_many_polls_as_are_assumed() {
    let mut wrong = Vec::new();
    for scenario in ALL {
        const SEEDS: u64 = 6;
        let polls = |seed| {
            let run = move || {
                let how = How { dice: seed, ..How::default() };
                run_after(std::future::ready(()), scenario, (scenario.draw)(seed), None, &how, None).kinds["poll"]
            };
            std::thread::spawn(run).join().unwrap()
        };
        let (mean, assumed) = ((1..=SEEDS).map(polls).sum::<u64>() / SEEDS, steps_of(scenario.name));
        if !(mean / 2..mean * 2).contains(&assumed) {
            wrong.push(format!("{}: runs have {mean} polls, and {assumed} are assumed", scenario.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Within the run, and late in it, too.
#[test]
fn priorities_fall_in_all_parts_of_a_long_run() {
    let scenario = playhouse_sim::scenario::find("streams").unwrap();
    let mut falls = Vec::new();
    for seed in 0..6 {
        let run = move || {
            let (mut polls, mut at) = (0_u64, Vec::new());
            let (tell, told) = std::sync::mpsc::channel();
            let how = How { dice: seed, pct: Some(3), ..How::default() };
            let sink = move |line: &playhouse_rt::sim::ledger::Line<'_>| match line.kind {
                "poll" => polls += 1,
                "fall" => drop(tell.send(polls)),
                _ => {}
            };
            run_after(std::future::ready(()), scenario, (scenario.draw)(seed), None, &how, Some(Box::new(sink)));
            at.extend(told.try_iter());
            at
        };
        falls.extend(std::thread::spawn(run).join().unwrap());
    }
    assert!(falls.iter().any(|at| *at > 10_000) && falls.iter().any(|at| *at < 10_000), "{falls:?}");
}
