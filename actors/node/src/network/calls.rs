//! What this node asked of another one, or watches there, and that has not ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use playhouse_actors::{AskError, Exit};
use playhouse_rt::sync::oneshot;
use playhouse_wire::{ActorName, CallId, Lane, RemoteError};

use super::items::Items;
use super::{BadPeer, Refused, lock};
use crate::limits::{OUTBOUND_ASKS, OUTBOUND_STREAMS, OUTBOUND_WATCHES};

/// Where an answer goes.
pub(crate) type Reply = oneshot::Sender<Result<Bytes, AskError>>;

/// One of them.
pub(crate) enum Open {
    Ask { to: ActorName, lane: Lane, reply: Reply },
    Stream { to: ActorName, lane: Lane, items: Arc<Items> },
    Watch(oneshot::Sender<Exit>),
}

impl Open {
    fn kind(&self) -> usize {
        match self {
            Open::Ask { .. } => 0,
            Open::Stream { .. } => 1,
            Open::Watch(_) => 2,
        }
    }
}

/// How many of each kind may be open through one connection.
const MOST: [usize; 3] = [OUTBOUND_ASKS, OUTBOUND_STREAMS, OUTBOUND_WATCHES];

/// The calls through one connection. Each ends with its answer, or when it is cancelled, or with the connection.
pub(crate) struct Calls {
    /// One for all connections of the node: a number that is cancelled means the same everywhere.
    next: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<CallId, Open>,
    counts: [usize; 3],
    over: bool,
}

impl State {
    fn remove(&mut self, call: CallId) -> Option<Open> {
        let open = self.open.remove(&call)?;
        self.counts[open.kind()] -= 1;
        Some(open)
    }

    fn remove_if(&mut self, call: CallId, is: impl FnOnce(&Open) -> bool) -> Option<Open> {
        if is(self.open.get(&call)?) { self.remove(call) } else { None }
    }
}

impl Calls {
    pub(crate) fn new(next: Arc<AtomicU64>) -> Calls {
        Calls { next, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// Opens a call. Gives it back when too many are open or the connection has ended.
    pub(crate) fn open(&self, open: Open) -> Result<CallId, (Refused, Open)> {
        let mut state = self.lock();
        if state.over {
            return Err((Refused::Over, open));
        }
        let kind = open.kind();
        if state.counts[kind] >= MOST[kind] {
            return Err((Refused::Full, open));
        }
        state.counts[kind] += 1;
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        state.open.insert(call, open);
        Ok(call)
    }

    /// Forgets a call whose answer nobody wants. Gives the lane on which the other node is to be told; `None` when it has ended.
    pub(crate) fn forget(&self, call: CallId) -> Option<Lane> {
        let open = self.lock().remove(call);
        open.map(|open| match open {
            Open::Ask { lane, .. } | Open::Stream { lane, .. } => lane,
            Open::Watch(_) => Lane::System,
        })
    }

    // What the other node says. A call that nobody waits for any more changes nothing.

    pub(crate) fn reply(&self, call: CallId, payload: Bytes) {
        let open = self.lock().remove_if(call, |open| matches!(open, Open::Ask { .. }));
        if let Some(Open::Ask { reply, .. }) = open {
            // An asker that gave up needs no answer.
            let _ = reply.send(Ok(payload));
        }
    }

    pub(crate) fn failed(&self, call: CallId, error: RemoteError) {
        let open = self.lock().remove_if(call, |open| !matches!(open, Open::Watch(_)));
        match open {
            Some(Open::Ask { to, reply, .. }) => {
                let _ = reply.send(Err(AskError::from_remote(error, &to)));
            }
            Some(Open::Stream { to, items, .. }) => items.end(Some(AskError::from_remote(error, &to))),
            _ => {}
        }
    }

    /// An item came. Gives the room that is to be granted at once, which is right only for a planted bug.
    pub(crate) fn item(&self, call: CallId, payload: Bytes) -> Result<Option<(u32, usize)>, BadPeer> {
        let items = match self.lock().open.get(&call) {
            Some(Open::Stream { items, .. }) => items.clone(),
            _ => return Ok(None),
        };
        items.push(payload)
    }

    pub(crate) fn done(&self, call: CallId) {
        let open = self.lock().remove_if(call, |open| matches!(open, Open::Stream { .. }));
        if let Some(Open::Stream { items, .. }) = open {
            items.end(None);
        }
    }

    pub(crate) fn ended(&self, call: CallId, exit: Exit) {
        let open = self.lock().remove_if(call, |open| matches!(open, Open::Watch(_)));
        if let Some(Open::Watch(watcher)) = open {
            let _ = watcher.send(exit);
        }
    }

    /// The connection ended: what was asked may or may not have been handled, what was watched may or may not live.
    pub(crate) fn end(&self, reason: &str) {
        let lost = {
            let mut state = self.lock();
            state.over = true;
            state.counts = [0; 3];
            std::mem::take(&mut state.open)
        };
        for open in lost.into_values() {
            match open {
                Open::Ask { reply, .. } => drop(reply.send(Err(AskError::Unknown(reason.to_string())))),
                Open::Stream { items, .. } => items.end(Some(AskError::Unknown(reason.to_string()))),
                Open::Watch(watcher) => drop(watcher.send(Exit::NodeLost(reason.to_string()))),
            }
        }
    }
}
