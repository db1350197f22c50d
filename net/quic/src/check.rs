//! What must hold for any bytes: the bodies that the property tests and the fuzz targets share.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use playhouse_wire::limits::WIRE_VERSION;
use playhouse_wire::packet::Hello;
use playhouse_wire::{Frames, Incarnation, NodeName};

use crate::hello::{self, Greeting};
use crate::queue::{Queue, SendError};
use crate::refusal::Refusal;

/// How many bytes one operation on a lane takes.
const OPERATION: usize = 3;
/// Small, so that few operations fill it.
const QUEUE_MAX: usize = 300_000;
const LANE_MESSAGE_MAX: usize = 1 << 20;

/// Takes `bytes` for the first words of a peer whose certificate proves that it is `b`, in pieces of `cut` bytes: they are
/// understood alike however cut, and nobody is believed beyond the certificate.
///
/// # Panics
/// When a promise is broken.
pub fn any_first_words(bytes: &[u8], cut: usize) {
    let whole = first_words(bytes, bytes.len());
    assert_eq!(whole, first_words(bytes, cut), "the same words cut into pieces of {cut} are understood otherwise");
    if let Some(Ok(hello)) = whole.0 {
        assert_eq!((hello.version, hello.cluster.as_str(), hello.node.as_str()), (WIRE_VERSION, "demo", "b"));
    } else {
        assert!(whole.1.is_empty(), "somebody is heard who was not believed");
    }
}

/// What is thought of the hello, if there is one, and the messages behind it if it is believed.
fn first_words(bytes: &[u8], cut: usize) -> (Option<Result<Hello, Refusal>>, Vec<Bytes>) {
    let name = |name| NodeName::new(name).expect("a name");
    let own = Hello { version: WIRE_VERSION, cluster: "demo".into(), node: name("a"), incarnation: Incarnation(1) };
    let mut pieces = bytes.chunks(cut.max(1)).map(Bytes::copy_from_slice);
    let mut greeting = Greeting::default();
    let hello = loop {
        let Some(piece) = pieces.next() else { return (None, Vec::new()) };
        match greeting.push(piece) {
            Ok(Some(hello)) => break hello::check(&own, &name("b"), &hello),
            Ok(None) => {}
            Err(refusal) => break Err(refusal),
        }
    };
    let mut heard = Vec::new();
    if hello.is_ok() {
        let mut frames = greeting.into_frames();
        loop {
            match frames.next_message() {
                Ok(Some(message)) => heard.push(message),
                Ok(None) => match pieces.next() {
                    Some(piece) => frames.push(piece),
                    None => break,
                },
                Err(_) => break,
            }
        }
    }
    (Some(hello), heard)
}

/// Sends messages over a lane without a network, as `bytes` spell: what its queue takes comes out of the other end, once, whole and
/// in order, however it is cut on the way; and the room in the queue comes back.
///
/// # Panics
/// When a promise is broken.
pub fn any_messages(bytes: &[u8]) {
    let mut lane = Lane {
        queue: Queue::with_max(LANE_MESSAGE_MAX, QUEUE_MAX),
        frames: Frames::new(LANE_MESSAGE_MAX),
        pushed: Vec::new(),
        got: Vec::new(),
        counted: 0,
    };
    for (number, operation) in bytes.chunks_exact(OPERATION).enumerate() {
        let length = usize::from(u16::from_le_bytes([operation[1], operation[2]]));
        match operation[0] % 4 {
            0 => lane.push(number as u8, length),
            1 => lane.push(number as u8, length % 100),
            // Several frames each.
            2 => lane.push(number as u8, length * 5),
            _ => drop(lane.carry(length)),
        }
    }
    while lane.carry(usize::MAX) {}
    assert_eq!(lane.counted, lane.pushed.len() as u64);
    assert!(lane.got == lane.pushed, "other messages came out than went in");
    assert!(lane.frames.is_between_messages());
    assert_eq!(lane.queue.room_left(), QUEUE_MAX);
}

/// Both ends of a lane.
struct Lane {
    queue: Queue,
    frames: Frames,
    pushed: Vec<Bytes>,
    got: Vec<Bytes>,
    counted: u64,
}

impl Lane {
    fn push(&mut self, with: u8, length: usize) {
        let message = Bytes::from(vec![with; length]);
        match self.queue.try_push(message.clone()) {
            Ok(()) => self.pushed.push(message),
            Err(error) => assert_eq!(error, SendError::Full(message)),
        }
    }

    /// Takes what the writer would take, and reads it in pieces of `cut` bytes. Whether there was something.
    fn carry(&mut self, cut: usize) -> bool {
        let taken = pin!(self.queue.take()).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Some(batch)) = taken else { return false };
        self.counted += batch.messages;
        for mut bytes in batch.pieces {
            while !bytes.is_empty() {
                self.frames.push(bytes.split_to(bytes.len().min(cut.max(1))));
                while let Some(message) = self.frames.next_message().expect("our own frames") {
                    self.got.push(message);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use playhouse_wire::frame::write_message;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_first_words_are_understood_alike(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 1usize..30) {
            any_first_words(&bytes, cut);
        }

        #[test]
        fn whoever_says_the_right_hello_is_heard_however_cut(life in any::<u64>(), behind in proptest::collection::vec(any::<u8>(), 0..40), cut in 1usize..60) {
            let b = NodeName::new("b").expect("a name");
            let hello = Hello { version: WIRE_VERSION, cluster: "demo".into(), node: b, incarnation: Incarnation(life) };
            let mut words = BytesMut::from(&[0u8][..]);
            write_message(&mut words, &hello.encode().expect("a short hello"));
            write_message(&mut words, &behind);
            any_first_words(&words, cut);
            let (said, heard) = first_words(&words, cut);
            prop_assert_eq!(said, Some(Ok(hello)));
            prop_assert_eq!(heard, [behind]);
        }

        #[test]
        fn what_goes_into_a_lane_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            any_messages(&bytes);
        }
    }
}
