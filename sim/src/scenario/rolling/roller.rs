//! Whoever operates the cluster: restarts one node after the other, and goes on when the one before is well again.

use std::time::Duration;

use playhouse::rt;
use playhouse::{Client, ClientError, ClusterStatus, NodeName};

use super::book::enter;
use super::plan::{Order, is_hand};
use super::{DONE_WITHIN, DRAIN_WITHIN, STOP_WITHIN, Starter, WORKERS};
use crate::scenario::frame::wait;
use crate::verdict::Verdict;

/// How often it looks whether a node is well.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Carries the orders out as they come, until there are no more.
pub(super) async fn roll(starter: &Starter, client: &Client) -> Result<(), Verdict> {
    loop {
        match enter(|book| (book.orders.pop_front(), book.no_more_orders)) {
            Some((Some(order), _)) => restart(starter, client, order).await?,
            Some((None, false)) => rt::sleep(LOOK_EVERY).await,
            _ => return Ok(()),
        }
    }
}

async fn restart(starter: &Starter, client: &Client, order: Order) -> Result<(), Verdict> {
    let Order { name, afar, down } = order;
    let node = NodeName::new(name).map_err(|error| Verdict::Crashed(error.to_string()))?;
    rt::ledger::record("restart", || format!("{name} for {down:?}"));
    if is_hand(name) && afar {
        match client.drain(&node).await {
            Ok(()) => drained(client, &node, DRAIN_WITHIN).await,
            // It has lost its power, and is counted as lost.
            Err(error) => rt::ledger::record("not-drained", || error.to_string()),
        }
    }
    // Again and again: it may lose its power meanwhile, and be back.
    let tell = || enter(|book| book.signals.get(name).map(|signal| signal.notify_one()));
    tell();
    if is_hand(name) && !afar {
        drained(client, &node, Duration::ZERO).await;
    }
    let is_over = || {
        tell();
        enter(|book| book.stopped.contains(name)).unwrap_or(true) || !starter.world.is_up(name)
    };
    wait(DRAIN_WITHIN + STOP_WITHIN + STOP_WITHIN, &format!("{name} does not stop"), async || is_over()).await?;
    starter.world.end(name).await;
    rt::sleep(down).await;
    starter.start(name)?;
    rt::reachable!("restarted");
    let mut goal = None;
    let is_well = async || is_well(client, &node, &mut goal).await.unwrap_or(false);
    wait(DONE_WITHIN, &format!("{name} is not well after its restart"), is_well).await
}

/// Enters that the node drains, as all who ask are told from now on; and waits for its tasks to end, but not for longer than this.
async fn drained(client: &Client, node: &NodeName, within: Duration) {
    let mut entered = false;
    let busy = async || {
        let Ok(status) = client.status().await else { return true };
        let Some(known) = status.nodes.get(node) else { return false };
        let leaves = known.draining || format!("{:?}", known.state) == "Lost";
        if leaves && !std::mem::replace(&mut entered, true) {
            enter(|book| book.drains.push((node.to_string(), known.incarnation)));
        }
        !leaves || (!within.is_zero() && is_busy(&status, node))
    };
    let _ = rt::timeout(DRAIN_WITHIN, until_not(busy)).await;
}

async fn until_not(mut is: impl AsyncFnMut() -> bool) {
    while is().await {
        rt::sleep(LOOK_EVERY).await;
    }
}

fn is_busy(status: &ClusterStatus, node: &NodeName) -> bool {
    status.workers.iter().any(|worker| worker.id.node == *node && worker.task.is_some())
}

/// Whether a node is there as before: all workers are up, and a coordinator knows what was known when it was asked for this first.
async fn is_well(client: &Client, node: &NodeName, goal: &mut Option<u64>) -> Result<bool, ClientError> {
    let status = client.status().await?;
    let goal = *goal.get_or_insert(status.coordinator.applied);
    let up = status.workers.iter().filter(|worker| worker.up).count();
    if up < WORKERS as usize {
        return Ok(false);
    }
    if is_hand(node.as_str()) {
        let life = enter(|book| book.lives.get(node.as_str()).copied()).flatten();
        let known = status.nodes.get(node);
        return Ok(known
            .is_some_and(|known| Some(known.incarnation) == life && !known.draining && format!("{:?}", known.state) == "Alive"));
    }
    let standing = client.coordinator(node).await?;
    Ok(standing.waits.is_none() && standing.applied >= goal)
}
