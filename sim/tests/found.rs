//! Bugs of the simulator that were found, each as a test.
#![cfg(madsim)]

use std::path::Path;
use std::time::Duration;

use playhouse_rt as rt;
use playhouse_rt::sim;
use playhouse_sim::World;
use playhouse_sim::plan::{DiskTrouble, Draw, Fault, Plan, PlanFile, Timed};
use playhouse_sim::scenario::find;

fn plan(faults: &[(u64, Fault)]) -> Plan {
    let mut draw = Draw::new(1);
    faults.iter().for_each(|(at, fault)| draw.fault(*at, fault.clone()));
    draw.finish()
}

/// A plan without a bug, whose run crashes.
#[test]
#[should_panic(expected = "crashed")]
fn a_pinned_plan_whose_run_crashes_does_not_pass() {
    let saved = PlanFile::parse(include_str!("../plans/accept-stale-results.json")).unwrap();
    // A change that the scenario does not know.
    let unknown = Timed { at_ms: 1, call: 0, fault: Fault::Own { name: "juggle".into(), numbers: vec![], ms: 1 } };
    let plan = Plan { faults: vec![unknown], ..(find("membership").unwrap().draw)(1) };
    let text = PlanFile { scenario: "membership".into(), bug: None, plan, ..saved }.text();
    playhouse_sim::pinned(&text);
}

/// A bug that showed as a run that is stuck, and does not show any more.
#[test]
#[should_panic(expected = "stuck")]
fn a_pinned_bug_that_was_stuck_and_now_holds_does_not_pass() {
    let text = include_str!("../plans/accept-stale-results.json");
    let text = text
        .replace("\"bug\": \"accept-stale-results\"", "\"bug\": \"endless-asks\"")
        .replace("\"promise\": \"each task's effect is applied once\",", "")
        .replace("\"kind\": \"broken\"", "\"kind\": \"stuck\"");
    playhouse_sim::pinned(&text);
}

#[test]
fn the_end_of_bit_rot_harms_nothing() {
    let path = Path::new("/own/file");
    let content = sim::run(1, async move {
        let world = World::new(1);
        world.disk_of("a").put(path, b"old");
        let rot = Fault::Disk { node: "a".into(), trouble: DiskTrouble::BitRot, hard: 0, under: String::new(), ms: 100 };
        let plan = plan(&[(0, rot)]);
        let play = {
            let world = world.clone();
            rt::spawn(async move { world.play(&plan).await })
        };
        rt::sleep(Duration::from_millis(50)).await;
        // The product finds the damage and writes the file anew.
        world.disk_of("a").put(path, b"new");
        play.await.unwrap();
        rt::Disk::simulated(&world.disk_of("a"), 99).read(path).unwrap()
    });
    assert_eq!(content, b"new");
}

#[test]
fn slow_polls_of_a_plan_slow_polls() {
    sim::run(1, async {
        let world = World::new(1);
        world.start("a", |_| async {
            loop {
                rt::sleep(Duration::from_millis(1)).await;
            }
        });
        world.play(&plan(&[(0, Fault::SlowPolls { node: "a".into(), us: 5_000, ms: 100 })])).await;
        assert!(sim::slowed_polls() > 0, "no poll was late");
    });
}

/// `a` loses its power for a second, and within it for a moment more.
#[test]
fn who_is_down_twice_is_back_when_both_are_over() {
    sim::run(1, async {
        let world = World::new(1);
        world.cluster(["a"]);
        world.node("a", |_| async {});
        let crash = |ms| Fault::Crash { node: "a".into(), down_ms: Some(ms), lose_disk: false };
        let plan = plan(&[(10, crash(1_000)), (20, crash(50))]);
        let play = {
            let world = world.clone();
            rt::spawn(async move { world.play(&plan).await })
        };
        rt::sleep(Duration::from_millis(500)).await;
        assert!(!world.is_up("a"), "it is down until 1010 ms");
        play.await.unwrap();
    });
}

/// A name that no node has: the plan does nothing, and says nothing.
#[test]
#[should_panic(expected = "haed")]
fn a_plan_for_nodes_that_do_not_exist_does_not_hold() {
    let text = include_str!("../plans/accept-stale-results.json");
    let text = text.replace("\"bug\": \"accept-stale-results\"", "\"bug\": null").replace("\"head\"", "\"haed\"");
    playhouse_sim::pinned(&text);
}

#[test]
fn a_swizzle_goes_and_comes_in_its_orders() {
    let names = |names: [&str; 3]| names.map(str::to_string).to_vec();
    let fault = Fault::Swizzle { nodes: names(["a", "b", "c"]), back: names(["b", "c", "a"]), ms: 50 };
    let (sender, lines) = std::sync::mpsc::channel();
    sim::ledger::open(move |line| {
        if line.kind == "fault" {
            // Where it is at work, or again: `begin 1 a is cut off …`, `end 1`.
            sender.send(line.detail.split(' ').take(3).collect::<Vec<_>>().join(" ")).unwrap();
        }
    });
    let took = sim::run(1, async move {
        let (world, began) = (World::new(1), rt::now());
        world.play(&plan(&[(10, fault)])).await;
        rt::now() - began
    });
    sim::ledger::close();
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), ["begin 1 a", "begin 2 b", "begin 3 c", "end 2", "end 3", "end 1"]);
    assert_eq!(took.as_millis(), 60);
}
