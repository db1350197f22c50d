//! How much may be told to the actors of another node: what they have not taken yet is bounded for each of them.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use playhouse_wire::limits::{TELL_FLOWS, TELL_WINDOW};
use playhouse_wire::{ActorName, Lane};

use super::{BadPeer, lock, wake};

/// The lanes on which tells need credit. The others carry what must not wait.
pub(crate) fn needs_credit(lane: Lane) -> Option<usize> {
    match lane {
        Lane::System | Lane::Control => None,
        Lane::Data => Some(0),
        Lane::Bulk => Some(1),
    }
}

/// Tells to one actor on one lane through one connection.
pub(crate) struct Flow {
    pub(crate) to: ActorName,
    pub(crate) lane: Lane,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sent, and the mailbox has not taken it yet, for all that we know.
    used: usize,
    /// What the last tell that found no credit would have used.
    refused: usize,
    waiting: VecDeque<Arc<Waiter>>,
    /// Who waited longest may send as much now, before the others who wait.
    pass: usize,
    /// It is no longer what counts: the connection ended, or it was forgotten while it was idle.
    dead: bool,
}

struct Waiter {
    wants: usize,
    waker: Mutex<Option<Waker>>,
}

/// Why a flow takes nothing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCredit {
    Full,
    /// Look for the flow anew.
    Dead,
}

/// Whether so much more may be sent: what is not granted back for want of a full step must not stop a long message for ever.
pub(crate) fn fits(used: usize, weight: usize) -> bool {
    used <= TELL_WINDOW / 4 || used + weight <= TELL_WINDOW
}

impl State {
    /// The waker of who may go on, to be woken outside the lock.
    fn next(&self) -> Option<Waker> {
        let first = self.waiting.front()?;
        if self.dead || fits(self.used, first.wants) { lock(&first.waker).take() } else { None }
    }
}

impl Flow {
    fn new(to: ActorName, lane: Lane) -> Flow {
        Flow { to, lane, state: Mutex::default() }
    }

    /// Takes credit for one message. Nobody overtakes those who wait.
    pub(crate) fn take(&self, weight: usize) -> Result<(), NoCredit> {
        let waker = {
            let mut state = lock(&self.state);
            if state.dead {
                return Err(NoCredit::Dead);
            }
            if !fits(state.used, weight) || (!state.waiting.is_empty() && weight > state.pass) {
                state.refused = weight;
                return Err(NoCredit::Full);
            }
            state.used += weight;
            state.pass = 0;
            state.next()
        };
        wake(waker);
        Ok(())
    }

    /// The credit of a message that was not sent.
    pub(crate) fn give_back(&self, weight: usize) {
        let _ = self.grant(weight);
    }

    /// The other node grants more.
    fn grant(&self, bytes: usize) -> Result<(), BadPeer> {
        let waker = {
            let mut state = lock(&self.state);
            let left = state.used.checked_sub(bytes);
            state.used = left.ok_or(BadPeer("more was granted than was used"))?;
            state.next()
        };
        wake(waker);
        Ok(())
    }

    /// Waits until the tell that was refused last would find credit, or the flow is dead.
    pub(crate) fn ready(&self) -> Ready<'_> {
        Ready { flow: self, waiter: None }
    }

    fn end(&self) {
        let waiting = {
            let mut state = lock(&self.state);
            state.dead = true;
            std::mem::take(&mut state.waiting)
        };
        for waiter in waiting {
            let waker = lock(&waiter.waker).take();
            wake(waker);
        }
    }
}

/// See [`Flow::ready`]. Those who wait are served in order.
pub(crate) struct Ready<'a> {
    flow: &'a Flow,
    waiter: Option<Arc<Waiter>>,
}

impl Future for Ready<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.flow.state);
        if state.dead {
            return Poll::Ready(());
        }
        let waiter = match &self.waiter {
            Some(waiter) => waiter.clone(),
            None if state.waiting.is_empty() && fits(state.used, state.refused) => return Poll::Ready(()),
            None => {
                let waiter = Arc::new(Waiter { wants: state.refused, waker: Mutex::new(None) });
                state.waiting.push_back(waiter.clone());
                waiter
            }
        };
        let is_first = state.waiting.front().is_some_and(|first| Arc::ptr_eq(first, &waiter));
        if is_first && fits(state.used, waiter.wants) {
            state.waiting.pop_front();
            state.pass = waiter.wants;
            drop(state);
            self.waiter = None;
            return Poll::Ready(());
        }
        *lock(&waiter.waker) = Some(cx.waker().clone());
        drop(state);
        self.waiter = Some(waiter);
        Poll::Pending
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        let waker = {
            let mut state = lock(&self.flow.state);
            state.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
            state.next()
        };
        wake(waker);
    }
}

/// The flows of one connection.
#[derive(Default)]
pub(crate) struct Flows(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_lane: [BTreeMap<ActorName, Arc<Flow>>; 2],
    over: bool,
}

impl Flows {
    /// The flow to an actor; `None` when too many others have something under way, or the connection has ended.
    pub(crate) fn find(&self, lane: Lane, to: &ActorName) -> Option<Arc<Flow>> {
        let mut table = lock(&self.0);
        if table.over {
            return None;
        }
        let flows = &mut table.by_lane[needs_credit(lane)?];
        if let Some(flow) = flows.get(to) {
            return Some(flow.clone());
        }
        if flows.len() >= TELL_FLOWS {
            flows.retain(|_, flow| {
                let mut state = lock(&flow.state);
                state.dead = state.used == 0 && state.waiting.is_empty();
                !state.dead
            });
            if flows.len() >= TELL_FLOWS {
                return None;
            }
        }
        let flow = Arc::new(Flow::new(to.clone(), lane));
        flows.insert(to.clone(), flow.clone());
        Some(flow)
    }

    /// The other node grants more for an actor.
    pub(crate) fn grant(&self, lane: Lane, to: &str, bytes: u64) -> Result<(), BadPeer> {
        let flow = needs_credit(lane).and_then(|lane| lock(&self.0).by_lane[lane].get(to).cloned());
        let flow = flow.ok_or(BadPeer("credit came for an actor that was told nothing"))?;
        flow.grant(bytes.try_into().unwrap_or(usize::MAX))
    }

    /// Bytes that were told and not granted back.
    pub(crate) fn used(&self) -> usize {
        lock(&self.0).by_lane.iter().flat_map(BTreeMap::values).map(|flow| lock(&flow.state).used).sum()
    }

    pub(crate) fn end(&self) {
        let flows = {
            let mut table = lock(&self.0);
            table.over = true;
            std::mem::take(&mut table.by_lane)
        };
        for flow in flows.iter().flat_map(BTreeMap::values) {
            flow.end();
        }
    }
}
