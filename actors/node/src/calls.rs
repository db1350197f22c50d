//! Asks to other nodes that wait for their answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use playhouse_actors::AskError;
use playhouse_net::Peer;
use playhouse_rt::sync::oneshot;
use playhouse_wire::{ActorName, CallId, RemoteError};

use crate::limits::OUTBOUND_ASKS;

/// Where an answer goes.
pub(crate) type Reply = oneshot::Sender<Result<Bytes, AskError>>;

/// Open asks of one node. Each ends with the answer, or with its connection, or, when its asker gave up, as soon as its place is
/// needed.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: AtomicU64,
    open: Mutex<BTreeMap<CallId, Open>>,
}

#[derive(Debug)]
struct Open {
    peer: Peer,
    to: ActorName,
    reply: Reply,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CallId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an ask; `None` when too many are open.
    pub(crate) fn open(&self, peer: &Peer, to: &ActorName, reply: Reply) -> Option<CallId> {
        let mut open = self.lock();
        if open.len() >= OUTBOUND_ASKS {
            // Those whose askers gave up are kept until their answer comes; make room only when it is needed.
            open.retain(|_, open| !open.reply.is_closed());
            if open.len() >= OUTBOUND_ASKS {
                return None;
            }
        }
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        open.insert(call, Open { peer: peer.clone(), to: to.clone(), reply });
        Some(call)
    }

    /// Forgets an ask that was not sent.
    pub(crate) fn forget(&self, call: CallId) {
        self.lock().remove(&call);
    }

    /// An answer came. One that nobody waits for, or that comes from another peer than the one that was asked, changes nothing.
    pub(crate) fn answer(&self, peer: &Peer, call: CallId, answer: Result<Bytes, RemoteError>) {
        let open = {
            let mut calls = self.lock();
            match calls.get(&call) {
                Some(open) if open.peer == *peer => calls.remove(&call),
                _ => None,
            }
        };
        if let Some(open) = open {
            // An asker that gave up needs no answer.
            let _ = open.reply.send(answer.map_err(|error| AskError::from_remote(error, &open.to)));
        }
    }

    /// A connection ended: what was asked through it may or may not have been handled.
    pub(crate) fn lost(&self, peer: &Peer, reason: &str) {
        let lost: Vec<Open> = self.lock().extract_if(.., |_, open| open.peer == *peer).map(|(_, open)| open).collect();
        for open in lost {
            let _ = open.reply.send(Err(AskError::Unknown(reason.to_string())));
        }
    }
}
