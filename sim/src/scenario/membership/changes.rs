//! Whoever operates the cluster: makes one change of the coordinators after the other, as the documentation says.

use std::collections::BTreeSet;
use std::time::Duration;

use playhouse::rt;
use playhouse::{Client, ClientError, ClusterStatus, NodeName};

use super::book::{BOOK, Emptied, enter};
use super::plan::{AWAY, DISMISS, EMPTY, ENROL, FORGET, MOVE, Order, REPLACE};
use super::{DONE_WITHIN, HEADS, ORACLES, STOP_WITHIN, Starter};
use crate::scenario::frame::{PORT, wait};
use crate::verdict::Verdict;

/// How often it looks how far a change is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Nobody is dismissed when no more than so many are coordinators: the others would have to be all there.
const LEAST: usize = 4;

/// For so long one of three hears nothing, before two others forget or go.
const BEHIND_FOR: Duration = Duration::from_millis(300);

/// Makes the changes as they are asked for, until there are no more; and waits until the coordinators are those that were asked for.
pub(super) async fn make(starter: &Starter, client: &Client) -> Result<(), Verdict> {
    loop {
        match enter(|book| (book.orders.pop_front(), book.no_more_orders)) {
            Some((Some(order), _)) => change(starter, client, &order).await?,
            Some((None, false)) => rt::sleep(LOOK_EVERY).await,
            _ => return settled(client).await,
        }
    }
}

async fn change(starter: &Starter, client: &Client, order: &Order) -> Result<(), Verdict> {
    rt::ledger::record("change", || format!("{} {:?}", order.name, order.numbers));
    match order.name.as_str() {
        ENROL => enrol(starter, client, order.number(0)).await,
        DISMISS => dismiss(starter, client, order).await,
        REPLACE => {
            enrol(starter, client, order.number(0)).await?;
            dismiss(starter, client, order).await
        }
        EMPTY => {
            // When a majority of those who remember is there without it.
            settled(client).await?;
            let name = pick(order.number(0), |_| true);
            starter.fell(name, true).await;
            rt::sleep(order.lasts).await;
            starter.start(name)
        }
        MOVE => {
            let name = pick(order.number(0), |_| true);
            starter.fell(name, false).await;
            rt::sleep(order.lasts).await;
            let port = starter.ports.borrow().get(name).map_or(PORT + 1, |port| port + 1);
            starter.ports.borrow_mut().insert(name, port);
            starter.start(name)
        }
        FORGET => forget(starter, client, order).await,
        AWAY => away(starter, client, order).await,
        name => panic!("the plan has a change that this scenario does not know: {name:?}"),
    }
}

/// One of those who are to be coordinators.
fn pick(number: usize, which: impl Fn(&str) -> bool) -> &'static str {
    let asked = enter(|book| book.asked.clone()).unwrap_or_default();
    let all: Vec<_> = asked.into_iter().filter(|name| which(name)).collect();
    all[number % all.len()]
}

async fn enrol(starter: &Starter, client: &Client, number: usize) -> Result<(), Verdict> {
    let asked = enter(|book| book.asked.clone()).unwrap_or_default();
    let free: Vec<_> = HEADS.into_iter().filter(|name| !asked.contains(name)).collect();
    if free.is_empty() {
        return Ok(());
    }
    let name = free[number % free.len()];
    // What it had as a coordinator of before was removed.
    starter.world.lose_disk(name);
    enter(|book| {
        book.dismissed.remove(name);
        book.emptied.remove(name);
        book.asked.insert(name);
    });
    starter.start(name)?;
    let is_in = async || {
        let votes = look(client).await.is_ok_and(|ClusterStatus { coordinator, .. }| {
            !coordinator.is_changing && coordinator.voters.iter().any(|voter| voter == name)
        });
        votes && enter(|book| book.started.contains(name)) == Some(true)
    };
    wait(DONE_WITHIN, &format!("{name} is not enrolled"), is_in).await?;
    rt::reachable!("enrolled");
    Ok(())
}

async fn dismiss(starter: &Starter, client: &Client, order: &Order) -> Result<(), Verdict> {
    settled(client).await?;
    if enter(|book| book.asked.len()).unwrap_or_default() < LEAST {
        return Ok(());
    }
    dismiss_one(starter, client, pick(order.number(0), |_| true), order.number(1) == 1, order.lasts).await
}

async fn dismiss_one(
    starter: &Starter,
    client: &Client,
    name: &'static str,
    falls_first: bool,
    lasts: Duration,
) -> Result<(), Verdict> {
    let node = NodeName::new(name).map_err(|error| Verdict::Crashed(error.to_string()))?;
    // From now on nobody starts it again.
    enter(|book| {
        book.asked.remove(name);
        book.dismissed.insert(name, None);
    });
    if falls_first {
        starter.fell(name, false).await;
    }
    let mut tries = 0;
    let is_out = async || {
        tries += 1;
        match client.dismiss(&node).await {
            Ok(()) => true,
            // It was done, and nobody was told.
            Err(ClientError::Failed(why)) if tries > 1 && why.contains("no coordinator is called") => true,
            Err(error) => {
                rt::ledger::record("not-dismissed", || error.to_string());
                false
            }
        }
    };
    wait(DONE_WITHIN, &format!("{name} is not dismissed"), is_out).await?;
    enter(|book| {
        let term = book.term();
        book.dismissed.insert(name, Some(term));
    });
    rt::reachable!("dismissed");
    if !falls_first {
        rt::sleep(lasts.min(STOP_WITHIN)).await;
        starter.fell(name, false).await;
    }
    Ok(())
}

/// See [`FORGET`].
async fn forget(starter: &Starter, client: &Client, order: &Order) -> Result<(), Verdict> {
    settled(client).await?;
    let Ok(status) = look(client).await else { return Ok(()) };
    let leader = HEADS.into_iter().find(|name| *name == status.coordinator.name.as_str());
    let (Some(leader), 3) = (leader, status.coordinator.voters.len()) else { return Ok(()) };
    let behind = pick(order.number(0), |name| name != leader);
    let forgets = pick(0, |name| name != leader && name != behind);
    let world = &starter.world;
    [leader, forgets].into_iter().for_each(|other| world.cut(behind, other));
    rt::sleep(BEHIND_FOR).await;
    starter.fell(forgets, true).await;
    starter.fell(leader, false).await;
    [leader, forgets].into_iter().for_each(|other| world.mend(behind, other));
    starter.start(forgets)?;
    rt::reachable!("nobody knows");
    rt::sleep(order.lasts).await;
    starter.start(leader)
}

/// See [`AWAY`].
async fn away(starter: &Starter, client: &Client, order: &Order) -> Result<(), Verdict> {
    settled(client).await?;
    let Ok(status) = look(client).await else { return Ok(()) };
    let leader = HEADS.into_iter().find(|name| *name == status.coordinator.name.as_str());
    let (Some(leader), true) = (leader, status.coordinator.voters.len() < HEADS.len()) else { return Ok(()) };
    let cut_off = pick(order.number(0), |name| name != leader);
    let others = || HEADS.into_iter().filter(|name| *name != cut_off);
    others().for_each(|other| starter.world.cut(cut_off, other));
    let changed = async {
        enrol(starter, client, order.number(1)).await?;
        // It runs: without it and the one that is cut off there may be no majority.
        dismiss_one(starter, client, leader, false, order.lasts).await
    };
    let changed = changed.await;
    others().for_each(|other| starter.world.mend(cut_off, other));
    rt::reachable!("away");
    changed
}

/// Asks how the cluster is: those who vote are all to be coordinators.
async fn look(client: &Client) -> Result<ClusterStatus, ClientError> {
    let status = client.status().await?;
    enter(|book| {
        let back = |voter: &&String| matches!(book.dismissed.get(voter.as_str()), Some(Some(_)));
        if let Some(voter) = status.coordinator.voters.iter().find(back) {
            book.leads_again = Some(format!("{voter} was dismissed, and votes"));
        }
    });
    Ok(status)
}

/// Waits until those are coordinators who were asked to be, a majority has that on its disks, all of them run, and none has forgotten anything:
/// before that, one that loses its disk may be one too many.
async fn settled(client: &Client) -> Result<(), Verdict> {
    let mut last = None;
    let is_settled = async || {
        let Ok(status) = look(client).await else { return false };
        last = Some(status.coordinator.voters.clone());
        let voters: BTreeSet<&str> = status.coordinator.voters.iter().map(String::as_str).collect();
        enter(|book| {
            let none_is_empty = !book.emptied.values().any(|emptied| matches!(emptied, Emptied::Counted | Emptied::Removed));
            !status.coordinator.is_changing
                && voters == book.asked
                && none_is_empty
                && book.asked.iter().all(|name| book.started.contains(name))
        })
        .unwrap_or(true)
    };
    let late = wait(DONE_WITHIN, "the coordinators are not those that were asked for", is_settled).await;
    if late.is_err() {
        enter(|book| book.last = last);
        BOOK.judge(ORACLES)?;
    }
    late
}
