//! The ledger of a simulated run: what happened, in order, with a running hash. In production it is nothing, and costs nothing.

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
