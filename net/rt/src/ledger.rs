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

/// Joins the lines about one message: where it was sent, handled, answered or lost. In production it takes no room and does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// 0: nothing is known of the message.
    #[cfg(madsim)]
    number: u64,
}

impl Tag {
    /// Records that a message is sent, under a number of its own.
    #[inline(always)]
    pub fn sent(kind: &'static str, detail: impl FnOnce() -> String) -> Tag {
        let tag = Tag::new();
        tag.record(kind, detail);
        tag
    }

    #[inline(always)]
    fn new() -> Tag {
        #[cfg(madsim)]
        return Tag { number: crate::sim::ledger::next_tag() };
        #[cfg(not(madsim))]
        Tag {}
    }

    /// Records what became of the message.
    #[inline(always)]
    pub fn record(self, kind: &'static str, detail: impl FnOnce() -> String) {
        #[cfg(madsim)]
        record(kind, || match self.number {
            0 => detail(),
            number => format!("#{number} {}", detail()),
        });
        #[cfg(not(madsim))]
        let _ = (kind, detail);
    }

    /// The message leaves by `way`, which must keep the order of what goes by it: a lane of a connection, from one end.
    #[inline(always)]
    pub fn leaves(self, way: impl FnOnce() -> String) {
        #[cfg(madsim)]
        if crate::sim::ledger::is_open() {
            crate::sim::ledger::leaves(self.number, way());
        }
        #[cfg(not(madsim))]
        let _ = way;
    }

    /// A message came by `way`: the first that left by it and has not come yet.
    #[inline(always)]
    pub fn arrived(way: impl FnOnce() -> String) -> Tag {
        #[cfg(madsim)]
        if crate::sim::ledger::is_open() {
            return Tag { number: crate::sim::ledger::arrived(&way()) };
        }
        #[cfg(not(madsim))]
        let _ = way;
        Tag::default()
    }
}

/// Says in the ledger whose code runs: until the guard is dropped, lines carry this actor's name.
#[inline(always)]
pub fn enter(actor: &str) -> Entered {
    #[cfg(madsim)]
    return Entered { before: crate::sim::ledger::set_actor(actor.to_string()) };
    #[cfg(not(madsim))]
    {
        let _ = actor;
        Entered {}
    }
}

/// See [`enter`].
#[derive(Debug)]
#[must_use = "the name holds until this is dropped"]
pub struct Entered {
    #[cfg(madsim)]
    before: String,
}

#[cfg(madsim)]
impl Drop for Entered {
    fn drop(&mut self) {
        crate::sim::ledger::set_actor(std::mem::take(&mut self.before));
    }
}
