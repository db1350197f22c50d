//! Which connection to each node is the one that counts, and who still dials.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_rt::sync::Notify;
use playhouse_rt::{Instant, now};
use playhouse_wire::{Incarnation, NodeName};

use crate::peer::{Dialler, Link};
use crate::refusal::Refusal;
use crate::signal::{Signal, lock};

/// The nodes that an endpoint knows. Each change wakes all who wait; there are as many as nodes, and changes are rare.
#[derive(Default)]
pub(crate) struct Table {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    slots: BTreeMap<NodeName, Slot>,
    /// Connections whose end the receiver does not know yet.
    pub(crate) links: usize,
}

/// What is known of one node.
#[derive(Default)]
struct Slot {
    current: Option<Arc<Link>>,
    dial: Option<Arc<Dial>>,
    /// An attempt to dial is under way.
    dialling: bool,
    last_error: Option<String>,
    /// Since when it refuses this node for a later life of it.
    outlived_since: Option<Instant>,
}

/// The wish to be connected to a node.
pub(crate) struct Dial {
    pub(crate) address: Mutex<SocketAddr>,
    /// There is a new address: worth an attempt at once.
    pub(crate) moved: Notify,
    pub(crate) stop: Signal,
    /// Somebody wants it until it is forgotten, not only for a visit.
    pub(crate) kept: AtomicBool,
}

impl State {
    pub(crate) fn current(&self, node: &NodeName) -> Option<&Arc<Link>> {
        self.slots.get(node)?.current.as_ref()
    }

    /// Why the last dial failed, if it did and none has succeeded since.
    pub(crate) fn last_error(&self, node: &NodeName) -> Option<&String> {
        self.slots.get(node)?.last_error.as_ref()
    }

    /// Who has refused this node for a later life of it for longer than this, and what it says.
    pub(crate) fn outlived(&self, longer: Duration) -> Option<(NodeName, String)> {
        let is_over = |slot: &Slot| slot.outlived_since.is_some_and(|since| now().duration_since(since) > longer);
        let (node, slot) = self.slots.iter().find(|(_, slot)| is_over(slot))?;
        Some((node.clone(), slot.last_error.clone().unwrap_or_default()))
    }

    pub(crate) fn is_dialling(&self, node: &NodeName) -> bool {
        self.slots.get(node).is_some_and(|slot| slot.dialling)
    }

    /// Forgets a node of which nothing is left to know: elastic workers come and go under ever new names.
    fn tidy(&mut self, node: &NodeName) {
        if self.slots.get(node).is_some_and(|slot| slot.current.is_none() && slot.dial.is_none()) {
            self.slots.remove(node);
        }
    }
}

impl Table {
    /// Waits until `look` finds what it wants.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Listening begins before the look, so that no change is lost in between.
            changed.as_mut().enable();
            if let Some(found) = look(&lock(&self.state)) {
                return found;
            }
            changed.await;
        }
    }

    /// Looks once.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&lock(&self.state))
    }

    /// The connections that count, in the order of their nodes' names.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        lock(&self.state).slots.values().filter_map(|slot| slot.current.clone()).collect()
    }

    /// Makes `link` the connection that counts, if it may be. Gives the one that it replaces, which is to be ended.
    pub(crate) fn admit(&self, own: &NodeName, link: &Arc<Link>) -> Result<Option<Arc<Link>>, Refusal> {
        let old = self.change(|state| {
            let slot = state.slots.entry(link.node.clone()).or_default();
            if let Some(old) = &slot.current
                && !old.has_ended()
            {
                decide(own, &link.node, (old.incarnation, old.dialler), (link.incarnation, link.dialler))?;
                playhouse_rt::always!(
                    old.incarnation <= link.incarnation,
                    "an earlier life of a node takes no connection from a later one",
                    "{}: {} after {}",
                    link.node,
                    link.incarnation,
                    old.incarnation
                );
                playhouse_rt::reachable!("connection-replaced");
            }
            (slot.last_error, slot.outlived_since) = (None, None);
            state.links += 1;
            Ok(slot.current.replace(link.clone()))
        })?;
        Ok(old)
    }

    /// `link` is gone. It may have been replaced already.
    pub(crate) fn release(&self, link: &Arc<Link>) {
        self.change(|state| {
            state.links -= 1;
            if let Some(slot) = state.slots.get_mut(&link.node)
                && slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link))
            {
                slot.current = None;
            }
            state.tidy(&link.node);
        });
    }

    /// Wishes for a connection. Gives the new wish if there was none; otherwise the old one has the new address.
    pub(crate) fn wish(&self, node: &NodeName, address: SocketAddr, keep: bool) -> Option<Arc<Dial>> {
        self.change(|state| {
            let slot = state.slots.entry(node.clone()).or_default();
            if let Some(dial) = &slot.dial {
                dial.kept.fetch_or(keep, Ordering::Relaxed);
                let before = std::mem::replace(&mut *lock(&dial.address), address);
                if before != address {
                    dial.moved.notify_one();
                }
                return None;
            }
            let (moved, stop, kept) = (Notify::new(), Signal::default(), AtomicBool::new(keep));
            let dial = Dial { address: Mutex::new(address), moved, stop, kept };
            let dial = Arc::new(dial);
            slot.dial = Some(dial.clone());
            Some(dial)
        })
    }

    pub(crate) fn forget(&self, node: &NodeName) {
        self.change(|state| {
            if let Some(dial) = state.slots.get_mut(node).and_then(|slot| slot.dial.take()) {
                dial.stop.set();
            }
            state.tidy(node);
        });
    }

    /// As [`Table::forget`], unless somebody wants it for longer.
    pub(crate) fn leave(&self, node: &NodeName) {
        self.change(|state| {
            let slot = state.slots.get_mut(node);
            if let Some(dial) = slot.and_then(|slot| slot.dial.take_if(|dial| !dial.kept.load(Ordering::Relaxed))) {
                dial.stop.set();
                state.tidy(node);
            }
        });
    }

    pub(crate) fn failed(&self, node: &NodeName, error: String, outlived: bool) {
        self.change(|state| {
            // Once connected, it is no news that the other dial of two was refused.
            if let Some(slot) = state.slots.get_mut(node)
                && slot.current.is_none()
            {
                slot.last_error = Some(error);
                slot.outlived_since = outlived.then(|| slot.outlived_since.unwrap_or_else(now));
            }
        });
    }

    pub(crate) fn dialling(&self, node: &NodeName, dialling: bool) {
        self.change(|state| {
            if let Some(slot) = state.slots.get_mut(node) {
                slot.dialling = dialling;
            }
        });
    }

    /// Wakes all who wait: something that they may look at has changed outside.
    pub(crate) fn touch(&self) {
        self.changed.notify_waiters();
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_waiters();
        result
    }
}

/// Whether a new connection may take the place of a live one to the same node. Both ends come to the same answer.
///
/// A later life replaces an earlier one. Within one life, the connection that was dialled by the node with the smaller name is
/// preferred: when both dial at once, both keep that one. A second connection from the same dialler means that it has lost the first.
fn decide(
    own: &NodeName,
    peer: &NodeName,
    (live, live_by): (Incarnation, Dialler),
    (new, new_by): (Incarnation, Dialler),
) -> Result<(), Refusal> {
    if new < live {
        return Err(Refusal::Stale { node: peer.clone(), theirs: new, live });
    }
    let preferred = if own < peer { Dialler::Us } else { Dialler::Them };
    if new > live || new_by == live_by || new_by == preferred { Ok(()) } else { Err(Refusal::Duplicate(peer.clone())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mirrored(dialler: Dialler) -> Dialler {
        if dialler == Dialler::Us { Dialler::Them } else { Dialler::Us }
    }

    #[test]
    fn the_earlier_life_is_refused_and_the_later_one_taken() {
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let at = |n| (Incarnation(n), Dialler::Them);
        assert!(matches!(decide(&a, &b, at(2), at(1)), Err(Refusal::Stale { .. })));
        assert_eq!(decide(&a, &b, at(1), at(2)), Ok(()));
        assert_eq!(decide(&a, &b, at(1), at(1)), Ok(()));
    }

    proptest! {
        /// Two connections of the same lives, dialled from both ends: whichever end sees which one first, both keep the same.
        #[test]
        fn both_ends_keep_the_same(a in "[a-c]{1,2}", b in "[d-f]{1,2}", swap in any::<bool>(), life in 0u64..3) {
            let (own, peer): (NodeName, NodeName) = if swap { (b.parse().unwrap(), a.parse().unwrap()) } else { (a.parse().unwrap(), b.parse().unwrap()) };
            let life = Incarnation(life);
            // Connection X is dialled by `own`. What each end keeps, seeing first X or first Y.
            let keeps_x = |own: &NodeName, peer: &NodeName, x: Dialler, x_first: bool| {
                let (first, second) = if x_first { (x, mirrored(x)) } else { (mirrored(x), x) };
                decide(own, peer, (life, first), (life, second)).is_ok() != x_first
            };
            let all = [true, false].map(|x_first| [keeps_x(&own, &peer, Dialler::Us, x_first), keeps_x(&peer, &own, Dialler::Them, x_first)]);
            prop_assert!(all.as_flattened().iter().all(|keeps| *keeps == all[0][0]), "{:?}", all);
            prop_assert_eq!(all[0][0], own < peer);
        }
    }
}
