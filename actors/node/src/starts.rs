//! Orders to start workers: so many at a time for each node; what it is to start beyond that waits here, and not in its connection.
//!
//! A node that joins with room for a thousand workers is told to start all of them in one event of the plane.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_actors::prelude::*;
use playhouse_plane::{PlaneEvent, WorkerId};

use crate::agent::{AGENT, Agent};
use crate::coordinator::Coordinator;
use crate::finder::Finder;
use crate::limits::{ORDER_DEADLINE, STARTS_AT_ONCE};
use crate::messages::StartWorker;
use crate::shell::Happened;

/// What one coordinator has nodes start. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts(Arc<Mutex<BTreeMap<NodeName, Orders>>>);

#[derive(Debug, Default)]
struct Orders {
    /// Given, and not answered.
    under_way: usize,
    /// Each with the term in which it was last wanted.
    waiting: BTreeMap<WorkerId, u64>,
}

impl Starts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Orders>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the worker started, now or when its node has answered others. It reports itself up; an order that got lost is given again by the
    /// plane.
    pub(crate) fn start(&self, id: WorkerId, finder: &Finder, term: u64, plane: &Ref<Coordinator>) {
        let Some(id) = self.admit(id, term) else { return };
        // Sent before this returns, so that orders to one actor keep the order of the plane's effects.
        let (agent, node) = (finder.find::<Agent>(&id.node, AGENT), id.node.clone());
        let order = move |id: &WorkerId, term| {
            let order = StartWorker { term, id: id.clone() };
            agent.as_ref().map(|agent| agent.ask_within(order, ORDER_DEADLINE))
        };
        let (mut asked, mut id) = (order(&id, term), id);
        let (starts, plane) = (self.clone(), plane.clone());
        playhouse_rt::spawn(async move {
            loop {
                if let Some(answer) = asked
                    && let Ok(Err(reason)) = answer.await
                {
                    // The plane's own mailbox: when it is full, its orders' answers wait for it.
                    let _ = plane.tell_when_ready(Happened(PlaneEvent::WorkerDown { id, reason })).await;
                }
                let Some((next, term)) = starts.next(&node) else { return };
                (asked, id) = (order(&next, term), next);
            }
        });
    }

    /// The worker, if its order is to be given at once.
    fn admit(&self, id: WorkerId, term: u64) -> Option<WorkerId> {
        let mut nodes = self.lock();
        let orders = nodes.entry(id.node.clone()).or_default();
        if orders.under_way < STARTS_AT_ONCE {
            orders.under_way += 1;
            return Some(id);
        }
        orders.waiting.insert(id, term);
        None
    }

    /// An order was answered, or will not be: which is next?
    fn next(&self, node: &NodeName) -> Option<(WorkerId, u64)> {
        let mut nodes = self.lock();
        let orders = nodes.get_mut(node)?;
        let next = orders.waiting.pop_first();
        if next.is_none() {
            orders.under_way -= 1;
            if orders.under_way == 0 {
                nodes.remove(node);
            }
        }
        next
    }

    /// The worker is not wanted any more. An order to stop it that follows finds nobody, and says so. One that is being given at this moment is
    /// not caught: its node's next beat names a worker that nobody wants, which is stopped then.
    pub(crate) fn forget(&self, id: &WorkerId) {
        if let Some(orders) = self.lock().get_mut(&id.node) {
            orders.waiting.remove(id);
        }
    }

    /// None of the node's workers is wanted any more.
    pub(crate) fn forget_node(&self, node: &NodeName) {
        if let Some(orders) = self.lock().get_mut(node) {
            orders.waiting.clear();
        }
    }

    /// Another coordinator gives the orders.
    pub(crate) fn forget_all(&self) {
        self.lock().values_mut().for_each(|orders| orders.waiting.clear());
    }
}

#[cfg(test)]
mod tests {
    use playhouse_wire::Incarnation;

    use super::*;

    #[test]
    fn a_node_is_given_so_many_orders_at_a_time_and_all_in_the_end() {
        let id = |node: &str, number| WorkerId { node: NodeName::new(node).unwrap(), incarnation: Incarnation(1), number };
        let starts = Starts::default();
        let all = STARTS_AT_ONCE as u32 + 3;
        let at_once = (1..=all).filter_map(|number| starts.admit(id("a", number), 1)).count();
        assert_eq!(at_once, STARTS_AT_ONCE);
        assert_eq!(starts.admit(id("b", 1), 1), Some(id("b", 1)), "another node has its own");
        assert_eq!(starts.admit(id("a", all), 1), None, "told again: it waits already");
        starts.forget(&id("a", all - 1));
        let a = NodeName::new("a").unwrap();
        assert_eq!([starts.next(&a), starts.next(&a)], [Some((id("a", all - 2), 1)), Some((id("a", all), 1))]);
        assert_eq!((0..STARTS_AT_ONCE).filter_map(|_| starts.next(&a)).count(), 0);
        assert!(!starts.lock().contains_key(&a), "nothing is kept of a node that has answered all");
        // Those under way are not forgotten with the others: each is answered.
        (1..=all).for_each(|number| drop(starts.admit(id("a", number), 1)));
        starts.forget_all();
        assert_eq!(starts.lock()[&a].under_way, STARTS_AT_ONCE);
        // It leads again while orders of before are not answered: what it wants now is not given in the old term.
        assert_eq!(starts.admit(id("a", 9), 3), None);
        assert_eq!(starts.next(&a), Some((id("a", 9), 3)));
        assert_eq!(starts.next(&a), None);
    }
}
