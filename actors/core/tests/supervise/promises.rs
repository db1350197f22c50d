//! Any events against the supervisor's promises, and its bounds.

use std::collections::BTreeMap;

use playhouse_actors::supervise::check::{any_events, bytes, events};
use playhouse_actors::supervise::limits::MAX_CHILDREN;
use playhouse_actors::supervise::{ChildId, ChildSpec, Effect, End, Event, Ignored, Planted, Supervisor, SupervisorSpec};
use playhouse_wire::Time;
use proptest::prelude::*;

proptest! {
    #[test]
    fn promises_hold_whatever_happens(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        any_events(&bytes);
    }
}

#[test]
fn the_checks_meet_what_matters() {
    let mut met = BTreeMap::new();
    for seed in 0..2000 {
        for what in events(&bytes(seed), Planted::default()) {
            *met.entry(what).or_insert(0) += 1;
        }
    }
    let wanted = [
        "did not start",
        "failure in a group that stops",
        "gave up",
        "late child",
        "many lives",
        "request during the restart of a group",
        "rest",
        "restart of a group",
        "stop during start",
    ];
    for what in wanted {
        assert!(met.get(what).is_some_and(|seeds| *seeds >= 20), "{what} is rare: {met:?}");
    }
}

#[test]
fn there_is_room_for_so_many_children_and_no_more() {
    let mut supervisor = Supervisor::new(SupervisorSpec::new("many")).unwrap();
    let mut effects = Vec::new();
    supervisor.on(Time::ZERO, Event::Start, &mut effects).unwrap();
    let mut tell = |event, expected: &[Effect]| {
        effects.clear();
        supervisor.on(Time::ZERO, event, &mut effects).map(|()| assert_eq!(effects, expected))
    };
    for child in (1..=MAX_CHILDREN as u64).map(ChildId) {
        tell(Event::Add { child, spec: ChildSpec::new("") }, &[Effect::StartChild { child, life: 1 }]).unwrap();
        tell(Event::Started { child, life: 1 }, &[]).unwrap();
    }
    let (first, child) = (ChildId(1), ChildId(MAX_CHILDREN as u64 + 1));
    assert_eq!(tell(Event::Add { child, spec: ChildSpec::new("") }, &[]), Err(Ignored::Full));
    tell(
        Event::Ended { child: first, life: 1, end: End::Normal, dice: 0 },
        &[Effect::SetTimer { child: first, timer: 1, after: std::time::Duration::from_millis(10) }],
    )
    .unwrap();
    tell(Event::Remove { child: first }, &[Effect::ClearTimer { child: first }, Effect::Forgotten { child: first }]).unwrap();
    tell(Event::Add { child, spec: ChildSpec::new("") }, &[Effect::StartChild { child, life: 1 }]).unwrap();
    assert_eq!(tell(Event::Add { child, spec: ChildSpec::new("") }, &[]), Err(Ignored::Full));
    tell(
        Event::Stop,
        &[Effect::StopChild { child, life: 1, within: std::time::Duration::from_secs(5), restart: false }, {
            Effect::SetTimer { child, timer: 2, after: std::time::Duration::from_secs(5) }
        }],
    )
    .unwrap();

    let children = vec![ChildSpec::new(""); MAX_CHILDREN + 1];
    assert_eq!(Supervisor::new(SupervisorSpec { children, ..SupervisorSpec::new("too many") }).err(), Some(Ignored::Full));
}

#[test]
fn a_number_is_given_once() {
    let mut supervisor = Supervisor::new(SupervisorSpec::new("numbers")).unwrap();
    let mut add = |number, next| {
        let event = Event::Add { child: ChildId(number), spec: ChildSpec::new("") };
        let taken = supervisor.on(Time::ZERO, event, &mut Vec::new());
        assert_eq!(supervisor.next_child(), ChildId(next));
        taken
    };
    assert_eq!(add(1, 2), Ok(()));
    assert_eq!(add(1, 2), Err(Ignored::NumberTaken));
    assert_eq!(add(7, 8), Ok(()));
    assert_eq!(add(3, 8), Err(Ignored::NumberTaken));
    assert_eq!(add(u64::MAX, 8), Err(Ignored::NumberTaken));
}

#[test]
fn reports_are_trees_and_bounded() {
    let supervisor = |name: &str, child: &str| {
        let mut spec = SupervisorSpec { children: vec![ChildSpec::new(child)], ..SupervisorSpec::new(name) };
        spec.intensity.max = u32::MAX;
        let mut supervisor = Supervisor::new(spec).unwrap();
        supervisor.on(Time::ZERO, Event::Start, &mut Vec::new()).unwrap();
        supervisor
    };
    let (mut top, below) = (supervisor("top", "middle"), supervisor("middle", "leaf"));
    let child = ChildId(1);
    for life in 1..=20 {
        let end = End::Failed("é".repeat(400));
        top.on(Time::ZERO, Event::Ended { child, life, end, dice: 0 }, &mut Vec::new()).unwrap();
        top.on(Time::ZERO, Event::Restart { child }, &mut Vec::new()).unwrap();
    }
    let mut report = top.report();
    let ends = std::mem::take(&mut report.children[0].ends);
    assert_eq!(ends.iter().map(|end| end.life).collect::<Vec<_>>(), (13..=20).collect::<Vec<_>>());
    assert!(ends.iter().all(|end| end.end == End::Failed("é".repeat(256))));
    report.children[0].below = Some(below.report());
    let tree = "top: starting, OneForOne\n  1 middle: starting, 20 restarts, Permanent\n    middle: starting, OneForOne\n      \
                1 leaf: starting, Permanent\n";
    assert_eq!(report.to_string(), tree);
}
