//! The ledger of a simulated run: what happened, in order, with a running hash. In production it is nothing, and costs nothing.

use std::borrow::Cow;

/// Records what happened at the node whose task runs now. The closure is called only in a simulation whose ledger is open.
///
/// `kind` is a short word (`spawn`, `message`, `datagram`, `timer`); the closure gives the rest of the line.
#[inline(always)]
pub fn record(kind: &'static str, detail: impl FnOnce() -> String) {
    #[cfg(madsim)]
    if crate::sim::ledger::is_open() {
        crate::sim::ledger::append(kind, &detail());
    }
    #[cfg(not(madsim))]
    let _ = (kind, detail);
}

/// The running task is called so from now on, in what a simulation says of it. The closure is called only in a simulation.
#[inline(always)]
pub fn name_task(name: impl FnOnce() -> String) {
    #[cfg(madsim)]
    crate::sim::track::name_task(name());
    #[cfg(not(madsim))]
    let _ = name;
}

/// The running task will be pending until this comes, or something else that it says in the same poll: for the report of who waits on what.
/// Timers and sockets say so themselves. The closure is called only in a simulation.
#[inline(always)]
pub fn waits(on: impl FnOnce() -> Cow<'static, str>) {
    #[cfg(madsim)]
    crate::sim::track::waits(on);
    #[cfg(not(madsim))]
    let _ = on;
}
