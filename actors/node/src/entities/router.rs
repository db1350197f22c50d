//! The way from a sender to an entity: one line for each slot, in which messages wait for its owner.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use playhouse_actors::prelude::*;
use playhouse_actors::{Outgoing, RawItems, Route, RouteError, Watching};
use playhouse_plane::Owner;
use playhouse_rt::ledger;
use playhouse_rt::sync::{Notify, oneshot};
use playhouse_wire::{ActorName, RemoteError};

use super::{Deliver, Delivered, Stage, USHER, Usher, lock};
use crate::coordinator::surely_not;
use crate::limits::{HOP_DEADLINE, LINE_MAX, OUTBOUND_ASKS, REPORT_BACKOFF, ROUTE_PATIENCE};

/// Messages to the entities of a slot, in the order of their sending.
pub(super) struct Line {
    seat: String,
    state: Mutex<Waiting>,
    /// There is room again.
    eased: Notify,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Item>,
    /// Somebody delivers.
    busy: bool,
}

struct Item {
    deliver: Deliver,
    /// It is given up then.
    until: Instant,
}

impl Line {
    pub(super) fn new(seat: String) -> Line {
        Line { seat, state: Mutex::default(), eased: Notify::new() }
    }
}

type Reply = oneshot::Sender<Result<bytes::Bytes, AskError>>;

/// Asks of this node that entities have not answered yet.
#[derive(Default)]
pub(super) struct Calls {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, (ActorName, Reply)>>,
}

impl Calls {
    fn open(&self, to: &ActorName, reply: Reply) -> Result<u64, RouteError> {
        let mut open = lock(&self.open);
        if open.len() >= OUTBOUND_ASKS {
            open.retain(|_, (_, reply)| !reply.is_closed());
        }
        if open.len() >= OUTBOUND_ASKS {
            return Err(RouteError::Full);
        }
        let call = self.next.fetch_add(1, Ordering::Relaxed);
        open.insert(call, (to.clone(), reply));
        Ok(call)
    }

    pub(super) fn answer(&self, call: u64, result: Result<bytes::Bytes, RemoteError>) {
        let open = lock(&self.open).remove(&call);
        if let Some((to, reply)) = open {
            let _ = reply.send(result.map_err(|error| AskError::from_remote(error, &to)));
        }
    }

    fn fail(&self, call: u64, error: AskError) {
        let open = lock(&self.open).remove(&call);
        if let Some((_, reply)) = open {
            let _ = reply.send(Err(error));
        }
    }
}

/// The way to one entity.
pub(super) struct EntityRoute {
    stage: Stage,
    line: Arc<Line>,
    node: NodeName,
    prefix: String,
    key: String,
}

impl EntityRoute {
    pub(super) fn new(stage: Stage, line: Arc<Line>, prefix: String, key: String) -> EntityRoute {
        let node = stage.system().node().clone();
        EntityRoute { stage, line, node, prefix, key }
    }

    fn push(&self, message: &Outgoing<'_>, call: Option<(u64, Duration)>) -> Result<(), RouteError> {
        if self.stage.0.names.stops() {
            return Err(RouteError::Unreachable("this node stops".into()));
        }
        let within = call.map_or(ROUTE_PATIENCE, |(_, within)| within);
        let deliver = Deliver {
            seat: self.line.seat.clone(),
            fence: 0,
            prefix: self.prefix.clone(),
            key: self.key.clone(),
            lane: message.lane,
            id: message.id,
            priority: message.priority,
            payload: bytes::Bytes::copy_from_slice(message.payload),
            call,
        };
        let begins = {
            let mut state = lock(&self.line.state);
            if state.queue.len() >= LINE_MAX {
                return Err(RouteError::Full);
            }
            state.queue.push_back(Item { deliver, until: playhouse_rt::now() + within });
            !std::mem::replace(&mut state.busy, true)
        };
        if begins {
            let (stage, line) = (self.stage.clone(), self.line.clone());
            drop(playhouse_rt::spawn(async move { run(&stage, &line).await }));
        }
        Ok(())
    }
}

/// Delivers what waits in a line, one after the other.
async fn run(stage: &Stage, line: &Line) {
    let mut owner = None;
    loop {
        let item = {
            let mut state = lock(&line.state);
            let item = state.queue.pop_front();
            state.busy = item.is_some();
            item
        };
        let Some(item) = item else { return };
        line.eased.notify_waiters();
        let call = item.deliver.call.map(|(call, _)| call);
        if let Err(error) = deliver(stage, item, &mut owner).await {
            ledger::record("undelivered", || format!("to {}: {error}", line.seat));
            tracing::debug!(%error, slot = %line.seat, "a message to an entity is given up");
            if let Some(call) = call {
                stage.0.calls.fail(call, error);
            }
        }
    }
}

/// Delivers a message to whoever owns the slot, when somebody does.
async fn deliver(stage: &Stage, item: Item, owner: &mut Option<Owner>) -> Result<(), AskError> {
    let Item { mut deliver, until } = item;
    let (mut wait, longest) = REPORT_BACKOFF;
    loop {
        let now = playhouse_rt::now();
        if now >= until {
            return Err(AskError::Timeout);
        }
        let left = until.saturating_duration_since(now);
        if owner.is_none() {
            let asked = playhouse_rt::timeout(left, stage.0.names.owner(&deliver.seat)).await;
            *owner = asked.ok().and_then(Result::ok).flatten();
        }
        if let Some(known) = owner {
            deliver.fence = known.fence;
            if let Some((_, within)) = &mut deliver.call {
                *within = left;
            }
            match hand(stage, known, deliver.clone(), left).await {
                Ok(Delivered::Taken) => return Ok(()),
                Ok(Delivered::Failed(error)) => {
                    let name = ActorName::new(USHER).expect("a name");
                    return Err(AskError::from_remote(error, &name));
                }
                Ok(Delivered::Again) => {}
                Ok(Delivered::NotHere) => *owner = None,
                Err(error) if surely_not(&error) => *owner = None,
                // It may have been delivered: it must not be twice.
                Err(error) => {
                    *owner = None;
                    return Err(error);
                }
            }
        }
        playhouse_rt::sleep(wait.min(left)).await;
        wait = (wait * 2).min(longest);
    }
}

/// Gives a message to the usher of a node.
async fn hand(stage: &Stage, owner: &Owner, deliver: Deliver, left: Duration) -> Result<Delivered, AskError> {
    // Not only as long as its asker waits: what becomes of it is to be known, for the sake of those behind it.
    stage.usher(owner, left).await?.ask_within(deliver, HOP_DEADLINE).await
}

impl Stage {
    /// The usher of a node, to which this one connects if it has to.
    pub(super) async fn usher(&self, owner: &Owner, within: Duration) -> Result<Ref<Usher>, AskError> {
        let finder = self.0.names.finder();
        if let Ok(address) = owner.address.parse() {
            finder.meet(&owner.node, address, within).await;
        }
        finder.find::<Usher>(&owner.node, USHER).ok_or_else(|| AskError::Gone("this node stops".into()))
    }
}

impl fmt::Debug for EntityRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityRoute({}{})", self.prefix, self.key)
    }
}

impl Route for EntityRoute {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn tell(&self, message: &Outgoing<'_>) -> Result<(), RouteError> {
        self.push(message, None)
    }

    fn ready<'a>(&'a self, _: Lane, _: &'a ActorName) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async {
            loop {
                let mut eased = std::pin::pin!(self.line.eased.notified());
                eased.as_mut().enable();
                if lock(&self.line.state).queue.len() < LINE_MAX {
                    return;
                }
                eased.await;
            }
        })
    }

    fn ask(&self, message: &Outgoing<'_>, within: Duration, reply: Reply) -> Result<u64, RouteError> {
        let call = self.stage.0.calls.open(message.to, reply)?;
        let pushed = self.push(message, Some((call, within)));
        if pushed.is_err() {
            self.cancel(call);
        }
        pushed.map(|()| call)
    }

    fn cancel(&self, call: u64) {
        lock(&self.stage.0.calls.open).remove(&call);
    }

    fn open(&self, _: &Outgoing<'_>, _: Duration) -> Result<RawItems, RouteError> {
        Err(RouteError::Unreachable("entities open no streams".into()))
    }

    fn watch(&self, _: &ActorName, _: Option<&ActorName>) -> Watching {
        // It is passivated and activated again, and never ends.
        Box::pin(std::future::pending())
    }

    fn stop(&self, _: &ActorName, _: Exit) {}
}
