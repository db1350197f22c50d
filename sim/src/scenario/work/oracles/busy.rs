//! Nothing is planned for a worker that has something to do. Orders that are late by more than a heartbeat's grace could excuse it, and
//! nothing that befalls these nodes makes them so late.

use playhouse::rt;

use crate::scenario::work::book::Book;

pub(in crate::scenario::work) const PROMISE: &str = "a worker that has a task is given no other";

pub(in crate::scenario::work) fn breach(_: &Book) -> Option<String> {
    let times = rt::sim::claims::reached("busy-worker");
    (times > 0).then(|| format!("workers that ran a task were given another one {times} times"))
}
