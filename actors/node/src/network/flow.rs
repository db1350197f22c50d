//! How much may be told to the actors of another node: what they have not taken yet is bounded for each of them.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use playhouse_wire::limits::{TELL_FLOWS, TELL_TOTAL, TELL_WINDOW};
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
    /// Of all flows of the connection together.
    total: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    /// Sent, and the mailbox has not taken it yet, for all that we know.
    used: usize,
    /// What the last tell that found no credit would have used.
    refused: usize,
    waiting: VecDeque<Arc<Waiter>>,
    /// Those who waited longest may send as much now, before the others who wait.
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
    fn new(to: ActorName, lane: Lane, total: Arc<AtomicUsize>) -> Flow {
        Flow { to, lane, state: Mutex::default(), total }
    }

    /// Takes credit for one message. Nobody overtakes those who wait.
    pub(crate) fn take(&self, weight: usize) -> Result<(), NoCredit> {
        let mut state = lock(&self.state);
        if state.dead {
            return Err(NoCredit::Dead);
        }
        let may = fits(state.used, weight) && (state.waiting.is_empty() || weight <= state.pass);
        let count = |total| (total < TELL_TOTAL).then_some(total + weight);
        if !may || self.total.fetch_update(SeqCst, SeqCst, count).is_err() {
            state.refused = weight;
            playhouse_rt::reachable!("no-credit");
            return Err(NoCredit::Full);
        }
        state.used += weight;
        state.pass = if state.waiting.is_empty() { 0 } else { state.pass.saturating_sub(weight) };
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
            self.total.fetch_sub(bytes, SeqCst);
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
            state.pass += waiter.wants;
            // Now, and not when it has sent: it may be given up before it does.
            let next = state.next();
            drop(state);
            self.waiter = None;
            wake(next);
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
pub(crate) struct Flows {
    table: Mutex<Table>,
    /// Bytes that were told and not granted back.
    total: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Table {
    by_lane: [BTreeMap<ActorName, Arc<Flow>>; 2],
    over: bool,
}

impl Flows {
    /// The flow to an actor; `None` when too many others have something under way, or the connection has ended.
    pub(crate) fn find(&self, lane: Lane, to: &ActorName) -> Option<Arc<Flow>> {
        let mut table = lock(&self.table);
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
        let flow = Arc::new(Flow::new(to.clone(), lane, self.total.clone()));
        flows.insert(to.clone(), flow.clone());
        Some(flow)
    }

    /// The other node grants more for an actor.
    pub(crate) fn grant(&self, lane: Lane, to: &str, bytes: u64) -> Result<(), BadPeer> {
        let flow = needs_credit(lane).and_then(|lane| lock(&self.table).by_lane[lane].get(to).cloned());
        let flow = flow.ok_or(BadPeer("credit came for an actor that was told nothing"))?;
        flow.grant(bytes.try_into().unwrap_or(usize::MAX))
    }

    /// Bytes that were told and not granted back.
    pub(crate) fn used(&self) -> usize {
        self.total.load(SeqCst)
    }

    /// Whether nothing may be told to any actor now.
    pub(crate) fn are_full(&self) -> bool {
        self.used() >= TELL_TOTAL
    }

    pub(crate) fn end(&self) {
        let flows = {
            let mut table = lock(&self.table);
            table.over = true;
            std::mem::take(&mut table.by_lane)
        };
        for flow in flows.iter().flat_map(BTreeMap::values) {
            flow.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn flows() -> (Flows, [Arc<Flow>; 2]) {
        let flows = Flows::default();
        let flow = |name| flows.find(Lane::Data, &ActorName::new(name).unwrap()).unwrap();
        let two = [flow("one"), flow("two")];
        (flows, two)
    }

    fn poll(ready: &mut Ready<'_>, woken: &Arc<Woken>) -> bool {
        Pin::new(ready).poll(&mut Context::from_waker(&Waker::from(woken.clone()))).is_ready()
    }

    #[test]
    fn who_may_go_on_and_does_not_stops_nobody() {
        let (_flows, [flow, _]) = flows();
        flow.take(TELL_WINDOW).unwrap();
        let woken = [(); 3].map(|()| Arc::new(Woken::default()));
        let mut waiting = [(); 3].map(|()| {
            assert_eq!(flow.take(1_000), Err(NoCredit::Full));
            flow.ready()
        });
        for (ready, woken) in waiting.iter_mut().zip(&woken) {
            assert!(!poll(ready, woken));
        }
        flow.grant(TELL_WINDOW).unwrap();
        // The first goes on, and is given up before it sends: it is not its credit that the next one waits for.
        for (n, ready) in waiting.iter_mut().enumerate() {
            assert_eq!(woken[n].0.load(SeqCst), 1, "{n}");
            assert!(poll(ready, &woken[n]));
        }
    }

    #[test]
    fn who_waited_goes_before_those_who_come() {
        let (_flows, [flow, _]) = flows();
        flow.take(TELL_WINDOW).unwrap();
        let woken = Arc::new(Woken::default());
        let mut waiting = [10, 20].map(|weight| {
            assert_eq!(flow.take(weight), Err(NoCredit::Full));
            let mut ready = flow.ready();
            assert!(!poll(&mut ready, &woken));
            ready
        });
        flow.grant(TELL_WINDOW).unwrap();
        assert!(poll(&mut waiting[0], &woken));
        assert_eq!(flow.take(1_000), Err(NoCredit::Full), "another one waits");
        flow.take(10).unwrap();
        assert_eq!(flow.take(1), Err(NoCredit::Full), "the pass was used");
        assert!(poll(&mut waiting[1], &woken));
        flow.take(1_000).unwrap();
    }

    #[test]
    fn all_flows_together_are_bounded() {
        let (flows, [one, two]) = flows();
        one.take(TELL_TOTAL - 1).unwrap();
        assert!(!flows.are_full());
        two.take(1_000).unwrap();
        assert!(flows.are_full());
        assert_eq!(two.take(1), Err(NoCredit::Full));
        assert_eq!(flows.used(), TELL_TOTAL + 999);
        flows.grant(Lane::Data, "one", TELL_WINDOW as u64).unwrap();
        two.take(1).unwrap();
        one.give_back(TELL_TOTAL - 1 - TELL_WINDOW);
        assert_eq!(flows.used(), 1_001);
    }
}
