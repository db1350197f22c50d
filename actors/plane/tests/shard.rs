//! A shard that crashes anywhere and is restored from any older checkpoint gives the windows that brute force gives.

use std::collections::BTreeMap;

use playhouse_plane::{Feed, Shard, ShardState, StreamEvent, WindowResult};
use playhouse_wire::Time;
use proptest::prelude::*;

const WINDOW: u64 = 10;

/// One thing that happens to a shard.
#[derive(Clone, Debug)]
enum Step {
    /// It is fed so many events, and the answer arrives or not.
    Feed(usize, bool),
    /// Its state is written.
    Checkpoint,
    /// It dies, and comes back from one of the checkpoints.
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..6, any::<bool>()).prop_map(|(n, answered)| Step::Feed(n, answered)),
        1 => Just(Step::Checkpoint),
        1 => any::<usize>().prop_map(Step::Crash),
    ]
}

/// Events that are never late: each with the watermark in force when it came.
fn log() -> impl Strategy<Value = Vec<(StreamEvent, Time)>> {
    let entry = (0u64..4, 0u64..30, 0u8..3, 0u64..100);
    proptest::collection::vec(entry, 0..60).prop_map(|entries| {
        let mut watermark = 0;
        let event = |(rise, ahead, key, value): (u64, u64, u8, u64)| {
            watermark += rise;
            let time = Time::from_nanos(watermark + ahead);
            (StreamEvent { time, key: format!("k{key}"), value }, Time::from_nanos(watermark))
        };
        entries.into_iter().map(event).collect()
    })
}

/// The windows, and how many events were late. `rule`: whether a watermark waits for the events that came before it.
fn play(log: &[(StreamEvent, Time)], steps: &[Step], rule: bool) -> (Vec<WindowResult>, u64) {
    let mut shard = Shard::new(WINDOW);
    let mut checkpoints = vec![ShardState::default()];
    let mut recorded: BTreeMap<u64, WindowResult> = BTreeMap::new();
    let mut late = 0;
    let mut newest = 0;
    let end = [Step::Feed(log.len(), true), Step::Feed(0, true)];
    for step in steps.iter().chain(&end) {
        match step {
            Step::Feed(count, answered) => {
                let from = shard.seq() as usize;
                let to = (from + count).min(log.len());
                newest = newest.max(to);
                let in_force = |at: usize| log.get(at).map_or(Time::MAX, |(_, watermark)| *watermark);
                let watermark = in_force(if rule { to } else { newest });
                let events = log[from..to].iter().map(|(event, _)| event.clone()).collect();
                let feed = Feed { first_seq: from as u64 + 1, events, watermark, windows_seen: recorded.len() as u64 };
                shard.feed(&feed).unwrap();
                if *answered {
                    let reply = shard.reply();
                    late = reply.late;
                    for (number, window) in (reply.closed_first..).zip(reply.closed) {
                        let before = recorded.entry(number).or_insert_with(|| window.clone());
                        if rule {
                            assert_eq!(*before, window, "the window with number {number} changed");
                        }
                    }
                }
            }
            Step::Checkpoint => checkpoints.push(shard.state().clone()),
            Step::Crash(which) => shard = Shard::restore(WINDOW, checkpoints[which % checkpoints.len()].clone()),
        }
    }
    let mut windows: Vec<_> = recorded.into_values().collect();
    windows.sort();
    (windows, late)
}

fn oracle(log: &[(StreamEvent, Time)]) -> Vec<WindowResult> {
    let mut windows: BTreeMap<(String, u64), (u64, u64)> = BTreeMap::new();
    for (event, _) in log {
        let nanos = event.time.as_nanos();
        let (count, sum) = windows.entry((event.key.clone(), nanos - nanos % WINDOW)).or_default();
        *count += 1;
        *sum += event.value;
    }
    let window = |((key, start), (count, sum))| WindowResult { key, start: Time::from_nanos(start), count, sum };
    windows.into_iter().map(window).collect()
}

proptest! {
    #[test]
    fn windows_are_the_same_however_it_crashes(log in log(), steps in proptest::collection::vec(step(), 0..60)) {
        prop_assert_eq!(play(&log, &steps, true), (oracle(&log), 0));
    }
}

#[test]
fn a_watermark_that_overtakes_replayed_events_makes_them_late() {
    let event =
        |time, watermark| (StreamEvent { time: Time::from_nanos(time), key: "k".into(), value: 1 }, Time::from_nanos(watermark));
    let log = [event(1, 0), event(2, 0), event(25, 20)];
    // All is applied, then lost; the past comes again in two batches.
    let steps = [Step::Feed(3, false), Step::Crash(0), Step::Feed(1, false), Step::Feed(1, false)];
    assert_eq!(play(&log, &steps, true), (oracle(&log), 0));
    let (windows, late) = play(&log, &steps, false);
    assert!(windows != oracle(&log) && late == 2, "the rule is not needed?");
}
