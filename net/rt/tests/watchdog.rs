//! The watchdog over a simulation. One test, since it watches a process with one simulation.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::sync::mpsc;
use std::time::Duration;

use playhouse_rt::sim::{self, Life};
use playhouse_rt::spawn;

#[test]
fn the_task_that_never_yields_is_named() {
    let (tell, told) = mpsc::channel();
    let limit = Duration::from_millis(200);
    sim::watch(limit, move |spinning| tell.send(spinning).unwrap()).unwrap();
    let line = line!() + 4;
    let spinning = sim::run(1, async move {
        let (done, is_done) = playhouse_rt::sync::oneshot::channel();
        let _life = Life::start("b#1", async move {
            spawn(async move {
                // It holds its thread until the watchdog has spoken.
                let _ = done.send(told.recv().unwrap());
            });
        });
        is_done.await.unwrap()
    });
    assert_eq!((spinning.node.as_str(), spinning.task), ("b#1", 3));
    assert_eq!(spinning.place, format!("net/rt/tests/watchdog.rs:{line}"));
    assert!(spinning.wall >= limit, "{spinning}");
    assert!(spinning.to_string().starts_with("task 3 of node b#1, started at net/rt/tests/watchdog.rs:"), "{spinning}");
}
