//! What waits to be written on one lane: bounded, already in frames, in the order of the senders.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::{BufMut, Bytes, BytesMut};
use playhouse_rt::sync::{Notify, Semaphore};
use playhouse_wire::Lane;
use playhouse_wire::frame::write_message;
use playhouse_wire::limits::FRAME_MAX;

use crate::limits::{COPY_MAX, MESSAGE_WEIGHT, WRITE_MAX, queue_max};
use crate::signal::lock;

/// A message was not taken; it was not sent. Gives it back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The lane's queue has no room: the peer reads slower than this node writes. Try later, or wait with [`crate::Peer::send`].
    #[error("the lane's queue is full; nothing was sent")]
    Full(Bytes),
    /// The connection has ended. What was taken before may or may not have arrived.
    #[error("the connection has ended; this message was not sent")]
    Closed(Bytes),
    /// The lane allows no message of this length: split it, or take the bulk lane.
    #[error("a message of {} bytes is longer than its lane allows; nothing was sent", .0.len())]
    TooLong(Bytes),
}

impl SendError {
    /// The message.
    pub fn into_message(self) -> Bytes {
        match self {
            SendError::Full(message) | SendError::Closed(message) | SendError::TooLong(message) => message,
        }
    }
}

/// The queue of one lane. Many senders, one writer.
#[derive(Debug)]
pub(crate) struct Queue {
    message_max: usize,
    max: usize,
    /// What is left of `max`. Waiters are served in order, and nobody overtakes a waiter.
    room: Semaphore,
    state: Mutex<State>,
    /// The queue is no longer empty, or closed. Only the writer waits for it.
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    /// Short messages, copied together.
    tail: BytesMut,
    tail_messages: u64,
    tail_weight: usize,
    closed: bool,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    messages: u64,
    weight: usize,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) pieces: Vec<Bytes>,
    /// How many messages end in it.
    pub(crate) messages: u64,
}

impl Queue {
    pub(crate) fn new(lane: Lane) -> Queue {
        Queue::with_max(lane.message_max(), queue_max(lane))
    }

    pub(crate) fn with_max(message_max: usize, max: usize) -> Queue {
        Queue { message_max, max, room: Semaphore::new(max), state: Mutex::default(), filled: Notify::new() }
    }

    /// Queues the message if there is room now.
    pub(crate) fn try_push(&self, message: Bytes) -> Result<(), SendError> {
        let weight = self.weight(&message);
        if message.len() > self.message_max {
            return Err(SendError::TooLong(message));
        }
        match self.room.try_acquire_many(weight as u32) {
            Ok(room) => room.forget(),
            Err(_) if self.room.is_closed() => return Err(SendError::Closed(message)),
            Err(_) => return Err(SendError::Full(message)),
        }
        self.append(message, weight)
    }

    /// As [`Queue::try_push`], for a message of at most [`COPY_MAX`] bytes that the caller keeps: it is copied anyway.
    pub(crate) fn try_push_copy(&self, message: &[u8]) -> Result<(), SendError> {
        debug_assert!(message.len() <= COPY_MAX);
        let weight = (message.len() + MESSAGE_WEIGHT).min(self.max);
        let back = || Bytes::copy_from_slice(message);
        match self.room.try_acquire_many(weight as u32) {
            Ok(room) => room.forget(),
            Err(_) if self.room.is_closed() => return Err(SendError::Closed(back())),
            Err(_) => return Err(SendError::Full(back())),
        }
        let was_empty = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(SendError::Closed(back()));
            }
            let was_empty = state.is_empty();
            state.copy(message, weight);
            was_empty
        };
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Queues the message as soon as there is room. Dropped before, it has queued nothing.
    pub(crate) async fn push(&self, message: Bytes) -> Result<(), SendError> {
        let weight = self.weight(&message);
        if message.len() > self.message_max {
            return Err(SendError::TooLong(message));
        }
        match self.room.acquire_many(weight as u32).await {
            Ok(room) => room.forget(),
            Err(_) => return Err(SendError::Closed(message)),
        }
        self.append(message, weight)
    }

    /// Waits until a message of this length would find room, behind all who wait already. Takes none: another sender may be quicker.
    pub(crate) async fn room(&self, length: usize) {
        // An error says that it is closed, which needs no room.
        let _ = self.room.acquire_many((length + MESSAGE_WEIGHT).min(self.max) as u32).await;
    }

    /// Takes no more messages. Those queued are still to be written.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.room.close();
        self.filled.notify_one();
    }

    /// Drops what is queued: nobody will write it any more.
    pub(crate) fn clear(&self) {
        self.close();
        let mut state = lock(&self.state);
        state.pieces.clear();
        state.tail = BytesMut::new();
    }

    /// What is queued, at most about [`WRITE_MAX`] bytes; waits for it. `None` when the queue is closed and empty.
    pub(crate) async fn take(&self) -> Option<Batch> {
        loop {
            let (batch, weight) = {
                let mut state = lock(&self.state);
                if state.is_empty() && state.closed {
                    return None;
                }
                state.take()
            };
            if weight > 0 {
                self.room.add_permits(weight);
            }
            if !batch.pieces.is_empty() {
                return Some(batch);
            }
            self.filled.notified().await;
        }
    }

    /// What is left of the bound.
    pub(crate) fn room_left(&self) -> usize {
        self.room.available_permits()
    }

    /// A message longer than the whole queue takes all of it.
    fn weight(&self, message: &Bytes) -> usize {
        (message.len() + MESSAGE_WEIGHT).min(self.max)
    }

    fn append(&self, message: Bytes, weight: usize) -> Result<(), SendError> {
        let was_empty = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(SendError::Closed(message));
            }
            let was_empty = state.is_empty();
            state.append(message, weight);
            was_empty
        };
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    fn append(&mut self, message: Bytes, weight: usize) {
        if message.len() <= COPY_MAX {
            return self.copy(&message, weight);
        }
        // As `write_message` does it, but without copying the message: headers in the tail, bodies as slices.
        let mut rest = message;
        while rest.len() > FRAME_MAX {
            self.tail.put_u32_le(FRAME_MAX as u32 | 1 << 31);
            self.end_tail();
            self.pieces.push_back(Piece { bytes: rest.split_to(FRAME_MAX), messages: 0, weight: 0 });
        }
        self.tail.put_u32_le(rest.len() as u32);
        self.end_tail();
        self.pieces.push_back(Piece { bytes: rest, messages: 1, weight });
    }

    fn copy(&mut self, message: &[u8], weight: usize) {
        write_message(&mut self.tail, message);
        self.tail_messages += 1;
        self.tail_weight += weight;
        if self.tail.len() >= WRITE_MAX {
            self.end_tail();
        }
    }

    fn end_tail(&mut self) {
        let bytes = self.tail.split().freeze();
        let (messages, weight) = (std::mem::take(&mut self.tail_messages), std::mem::take(&mut self.tail_weight));
        self.pieces.push_back(Piece { bytes, messages, weight });
    }

    fn take(&mut self) -> (Batch, usize) {
        let (mut batch, mut weight, mut length) = (Batch::default(), 0, 0);
        // A batch has any length: what is written at once is nobody's business but the writer's.
        let most = if playhouse_rt::buggify!("short-batch", 0.2) { 1 } else { WRITE_MAX };
        while length < most {
            if self.pieces.is_empty() && !self.tail.is_empty() {
                self.end_tail();
            }
            let Some(piece) = self.pieces.pop_front() else { break };
            length += piece.bytes.len();
            weight += piece.weight;
            batch.messages += piece.messages;
            batch.pieces.push(piece.bytes);
        }
        (batch, weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_queue_gives_the_message_back_and_a_long_one_gets_in_alone() {
        let queue = Queue::with_max(10_000, 300);
        let message = Bytes::from(vec![7; 200]);
        queue.try_push(message.clone()).unwrap();
        assert_eq!(queue.try_push(message.clone()), Err(SendError::Full(message.clone())));
        assert!(poll_once(queue.push(message)).is_pending());

        let Poll::Ready(Some(batch)) = poll_once(queue.take()) else { panic!("it is queued") };
        assert_eq!(batch.messages, 1);
        let longer = Bytes::from(vec![7; 9_000]);
        queue.try_push(longer.clone()).unwrap();
        assert!(matches!(queue.try_push(Bytes::new()), Err(SendError::Full(_))));
        let too_long = Bytes::from(vec![7; 10_001]);
        assert_eq!(queue.try_push(too_long.clone()), Err(SendError::TooLong(too_long)));
    }

    #[test]
    fn nobody_overtakes_a_waiting_sender() {
        let queue = Queue::with_max(10_000, 300);
        queue.try_push(Bytes::from(vec![1; 150])).unwrap();
        let mut waiting = pin!(queue.push(Bytes::from(vec![2; 200])));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        // There would be room for an empty message, but somebody waits.
        assert!(matches!(queue.try_push(Bytes::new()), Err(SendError::Full(_))));
        assert!(poll_once(queue.take()).is_ready());
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing() {
        let queue = Queue::new(Lane::Data);
        queue.try_push(Bytes::from_static(b"last")).unwrap();
        queue.close();
        let late = Bytes::from_static(b"late");
        assert_eq!(queue.try_push(late.clone()), Err(SendError::Closed(late.clone())));
        assert_eq!(poll_once(queue.push(late.clone())), Poll::Ready(Err(SendError::Closed(late))));
        assert!(matches!(poll_once(queue.take()), Poll::Ready(Some(_))));
        assert!(matches!(poll_once(queue.take()), Poll::Ready(None)));
    }
}
