//! Nodes that a plan leaves out.
#![cfg(madsim)]

use playhouse_sim::plan::{Fault, Plan, PlanFile, Timed};
use playhouse_sim::scenario::{ALL, find, run_file};
use serde_json::Value;

/// Seeds of each scenario and node. Each was run with 200 when this was written.
const SEEDS: u64 = 3;

fn file(scenario: &str, plan: Plan) -> PlanFile {
    let text = include_str!("../plans/checkpoint-claimed.json");
    let file = PlanFile::parse(text).unwrap();
    PlanFile { scenario: scenario.into(), bug: None, verdict: Value::Null, plan, ..file }
}

/// How a run ends, in a thread of its own: `null` when all promises hold.
fn verdict(file: PlanFile) -> Result<Value, String> {
    std::thread::spawn(move || run_file(file).map(|ended| ended.outcome.verdict.json())).join().unwrap()
}

/// Else shrinking would find failures that come of the absence, and of nothing else.
#[test]
fn what_a_scenario_can_do_without_breaks_no_promise_by_being_absent() {
    let mut runs = 0;
    for scenario in ALL {
        for node in scenario.extras.nodes {
            for seed in 0..SEEDS {
                let plan = (scenario.draw)(seed).without_node(node);
                assert_eq!(verdict(file(scenario.name, plan)), Ok(Value::Null), "{} seed {seed} without {node}", scenario.name);
                runs += 1;
            }
        }
    }
    assert!(runs >= 2 * SEEDS, "no scenario can do without any node");
}

#[test]
fn a_plan_that_leaves_out_what_is_needed_is_refused() {
    let demo = find("demo").unwrap();
    let refused = |absent: &[&str], faults: Vec<Timed>| {
        let absent = absent.iter().map(ToString::to_string).collect();
        demo.takes(&Plan { absent, faults, ..(demo.draw)(1) }).err().unwrap_or_default()
    };
    let pause = Timed { at_ms: 1, call: 0, fault: Fault::Pause { node: "a".into(), ms: 1 } };
    assert_eq!(refused(&["a"], vec![]), "");
    assert!(refused(&["head"], vec![]).contains("needed"));
    assert!(refused(&["a", "a"], vec![]).contains("left out already"));
    assert!(refused(&["a", "b"], vec![]).contains("1 of a, b must take part"));
    assert!(refused(&["a"], vec![pause]).contains("has a fault for it"));
}

#[test]
fn a_plan_is_taken_by_the_scenario_that_drew_it_and_no_other_one_that_has_other_sizes() {
    for scenario in ALL {
        for seed in 0..100 {
            assert_eq!(scenario.takes(&(scenario.draw)(seed)), Ok(()), "{} seed {seed}", scenario.name);
        }
    }
    let (demo, plan) = (find("demo").unwrap(), (find("demo").unwrap().draw)(1));
    assert!(find("entities").unwrap().takes(&(demo.draw)(1)).is_err());
    let with = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        demo.takes(&plan).err().unwrap_or_default()
    };
    assert!(with(&|plan| plan.dials.retain(|name, _| name != "files")).contains("no size \"files\""));
    assert!(with(&|plan| plan.dials.get_mut("files").unwrap().is = 0).contains("is the least"));
    assert!(with(&|plan| plan.climate.loss_ppm = 1_000_001).contains("a million"));
}

/// The saved plan needs the node whose disk fails and that goes; the other one it does not.
#[test]
fn a_failure_that_needs_one_of_two_nodes_happens_without_the_other() {
    let saved = PlanFile::parse(include_str!("../plans/checkpoint-claimed.json")).unwrap();
    let promise = |node: &str| {
        let mut plans = saved.plan.without_node(node).thrown().map(|plan| PlanFile { plan, ..saved.clone() }).collect::<Vec<_>>();
        let found = plans.drain(..).map(|file| verdict(file).unwrap()).find(|verdict| !verdict.is_null());
        found.map(|verdict| verdict["promise"].clone())
    };
    assert_eq!(promise("b"), Some(saved.verdict["promise"].clone()));
    assert_eq!(promise("a"), None);
}
