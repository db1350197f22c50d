//! A stream of another node's actor, at its reader.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use playhouse_actors::{AskError, PollItems};
use playhouse_wire::limits::{STREAM_BYTES, STREAM_ITEMS, TELL_WEIGHT};
use playhouse_wire::{CallId, Lane, Packet};

use super::conn::Conn;
use super::{BadPeer, lock, wake};

/// What has come and was not taken.
pub(crate) struct Items {
    state: Mutex<State>,
    /// A planted bug: room is granted when an item comes.
    generous: bool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    /// The stream has ended, perhaps with an error that was not given out yet.
    end: Option<Option<AskError>>,
    waker: Option<Waker>,
    /// Came, and the sender was not told that there is room again.
    used: (u32, usize),
    /// Of that, what was taken.
    taken: (u32, usize),
}

fn weight(item: &Bytes) -> usize {
    item.len() + TELL_WEIGHT
}

impl Items {
    pub(super) fn new(generous: bool) -> Items {
        Items { state: Mutex::default(), generous }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// An item came. Gives the room that is to be granted at once.
    pub(super) fn push(&self, item: Bytes) -> Result<Option<(u32, usize)>, BadPeer> {
        let grant = self.generous.then(|| (1, weight(&item)));
        let waker = {
            let mut state = self.lock();
            let (items, bytes) = state.used;
            if items == STREAM_ITEMS || (bytes > STREAM_BYTES / 4 && bytes + weight(&item) > STREAM_BYTES) {
                return Err(BadPeer("more of a stream came than was granted"));
            }
            if grant.is_none() {
                state.used = (items + 1, bytes + weight(&item));
            }
            state.waiting.push_back(item);
            state.waker.take()
        };
        wake(waker);
        Ok(grant)
    }

    pub(super) fn end(&self, error: Option<AskError>) {
        let waker = {
            let mut state = self.lock();
            state.end.get_or_insert(error);
            state.waker.take()
        };
        wake(waker);
    }
}

/// The reader's end. Dropped, the sender is told that no more are wanted.
pub(crate) struct Reader {
    pub(super) conn: Arc<Conn>,
    pub(super) call: CallId,
    pub(super) items: Arc<Items>,
}

impl PollItems for Reader {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AskError>>> {
        let (item, grant) = {
            let mut state = self.items.lock();
            let Some(item) = state.waiting.pop_front() else {
                return match &mut state.end {
                    Some(error) => Poll::Ready(error.take().map(Err)),
                    None => {
                        state.waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                };
            };
            state.taken.0 += 1;
            state.taken.1 += weight(&item);
            let (items, bytes) = state.taken;
            // In large steps; with less than these in our hand the sender can still send.
            let grant = (items >= STREAM_ITEMS / 2 || bytes >= STREAM_BYTES / 4) && state.end.is_none() && !self.items.generous;
            if grant {
                state.used = (state.used.0 - items, state.used.1 - bytes);
                state.taken = (0, 0);
            }
            (item, grant.then_some((items, bytes)))
        };
        if let Some((items, bytes)) = grant {
            self.conn.post(Lane::System, &Packet::More { call: self.call, items, bytes: bytes as u64 });
        }
        Poll::Ready(Some(Ok(item)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.conn.cancel(self.call);
    }
}
