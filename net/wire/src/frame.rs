//! Messages on a lane: each is cut into frames of at most [`FRAME_MAX`] bytes, one behind the other.
//!
//! A frame is a header of four bytes (little-endian: the body's length, and in the top bit whether more of the same message
//! follows) and its body. A lane is an ordered stream, so the frames of one message stand together and need no number.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::limits::{FRAME_HEADER, FRAME_MAX};

const MORE: u32 = 1 << 31;

/// Bytes on a lane that are no frames. The peer is at fault; the lane cannot be trusted from here on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame says that it is longer than frames may be.
    #[error("a frame of {0} bytes is longer than {FRAME_MAX}")]
    FrameTooLong(usize),
    /// The frames of one message add up to more than this lane allows.
    #[error("a message of more than {max} bytes on a lane that allows {max}")]
    MessageTooLong {
        /// What the lane allows.
        max: usize,
    },
    /// A frame that says that more follows, and is not full: only the last one may be short.
    #[error("a frame of {0} bytes says that more follows, but only a full one may")]
    ShortFragment(usize),
}

/// Appends `message` to `out` as frames.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// let mut out = BytesMut::new();
/// playhouse_wire::frame::write_message(&mut out, b"hello");
/// let mut frames = playhouse_wire::Frames::new(1024);
/// frames.push(out.freeze());
/// assert_eq!(frames.next_message().unwrap(), Some(Bytes::from_static(b"hello")));
/// assert_eq!(frames.next_message().unwrap(), None);
/// ```
pub fn write_message(out: &mut BytesMut, mut message: &[u8]) {
    out.reserve(message.len() + FRAME_HEADER * (message.len() / FRAME_MAX + 1));
    while message.len() > FRAME_MAX {
        let (head, rest) = message.split_at(FRAME_MAX);
        out.put_u32_le(FRAME_MAX as u32 | MORE);
        out.put_slice(head);
        message = rest;
    }
    out.put_u32_le(message.len() as u32);
    out.put_slice(message);
}

/// Puts messages together from the bytes of one lane, in whatever pieces they arrive.
///
/// Holds at most one incomplete frame and one incomplete message: less than `FRAME_HEADER + FRAME_MAX + message_max` bytes,
/// beside the chunk that was pushed last.
#[derive(Debug)]
pub struct Frames {
    /// What was pushed and not looked at yet.
    chunk: Bytes,
    /// The beginning of a frame whose rest has not arrived.
    partial: BytesMut,
    /// The frames of a message whose last frame has not arrived.
    message: BytesMut,
    message_max: usize,
}

impl Frames {
    /// For a lane whose messages are at most `message_max` bytes long.
    pub fn new(message_max: usize) -> Frames {
        Frames { chunk: Bytes::new(), partial: BytesMut::new(), message: BytesMut::new(), message_max }
    }

    /// Adds the next bytes of the lane. Take out all messages before pushing again.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut both = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            both.put_slice(&self.chunk);
            both.put_slice(&chunk);
            self.chunk = both.freeze();
        }
    }

    /// The next whole message, or `None` when more bytes are needed. A message within one chunk is not copied.
    ///
    /// # Errors
    /// When the bytes are no frames or break a limit. Ask no more after an error.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        while let Some((more, body)) = self.next_frame()? {
            if self.message.len() + body.len() > self.message_max {
                return Err(FrameError::MessageTooLong { max: self.message_max });
            }
            if more && body.len() != FRAME_MAX {
                return Err(FrameError::ShortFragment(body.len()));
            }
            if !more && self.message.is_empty() {
                return Ok(Some(body));
            }
            self.message.put_slice(&body);
            if !more {
                return Ok(Some(self.message.split().freeze()));
            }
        }
        Ok(None)
    }

    /// Whether the lane could end here without cutting a message in two.
    pub fn is_between_messages(&self) -> bool {
        self.chunk.is_empty() && self.partial.is_empty() && self.message.is_empty()
    }

    fn next_frame(&mut self) -> Result<Option<(bool, Bytes)>, FrameError> {
        if self.partial.is_empty() {
            let Some((more, length)) = header(&self.chunk)? else {
                self.partial.put_slice(&self.chunk);
                self.chunk.clear();
                return Ok(None);
            };
            if self.chunk.len() >= FRAME_HEADER + length {
                self.chunk.advance(FRAME_HEADER);
                return Ok(Some((more, self.chunk.split_to(length))));
            }
        }
        // The frame spans chunks: collect exactly it.
        self.collect(FRAME_HEADER);
        let Some((more, length)) = header(&self.partial)? else { return Ok(None) };
        self.collect(FRAME_HEADER + length);
        if self.partial.len() < FRAME_HEADER + length {
            return Ok(None);
        }
        self.partial.advance(FRAME_HEADER);
        Ok(Some((more, self.partial.split().freeze())))
    }

    /// Moves bytes from the chunk until `partial` has `wanted` of them.
    fn collect(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.partial.len()).min(self.chunk.len());
        self.partial.put_slice(&self.chunk.split_to(missing));
    }
}

fn header(bytes: &[u8]) -> Result<Option<(bool, usize)>, FrameError> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER>() else { return Ok(None) };
    let word = u32::from_le_bytes(*header);
    let length = (word & !MORE) as usize;
    if length > FRAME_MAX {
        return Err(FrameError::FrameTooLong(length));
    }
    Ok(Some((word & MORE != 0, length)))
}

/// What the fuzz target and the property test both do: bytes of any kind, in pieces of any size, never panic, and give the same
/// messages or the same error however they are cut.
#[doc(hidden)]
pub fn check_any_bytes(bytes: &[u8], cut: usize) {
    let read = |piece: usize| {
        let mut frames = Frames::new(256 * 1024);
        let mut messages = alloc::vec::Vec::new();
        for piece in bytes.chunks(piece.max(1)) {
            frames.push(Bytes::copy_from_slice(piece));
            loop {
                match frames.next_message() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    };
    let whole = read(bytes.len());
    assert_eq!(whole, read(cut), "the same bytes cut into pieces of {cut} read otherwise");
    for message in &whole.0 {
        let _ = crate::Packet::decode(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn roundtrip(messages: &[Vec<u8>], piece: usize) -> Vec<Vec<u8>> {
        let mut out = BytesMut::new();
        for message in messages {
            write_message(&mut out, message);
        }
        let mut frames = Frames::new(1 << 20);
        let mut got = Vec::new();
        for chunk in out.chunks(piece) {
            frames.push(Bytes::copy_from_slice(chunk));
            while let Some(message) = frames.next_message().unwrap() {
                got.push(message.to_vec());
            }
        }
        assert!(frames.is_between_messages());
        got
    }

    #[test]
    fn a_message_longer_than_a_frame_arrives_whole() {
        for length in [FRAME_MAX - 1, FRAME_MAX, FRAME_MAX + 1, 3 * FRAME_MAX, 3 * FRAME_MAX + 5] {
            let message: Vec<u8> = (0..length).map(|i| i as u8).collect();
            assert_eq!(roundtrip(&[message.clone(), Vec::new()], 1000), [message, Vec::new()]);
        }
    }

    #[test]
    fn hostile_lengths_are_refused_before_they_cost_memory() {
        let mut frames = Frames::new(100);
        frames.push(Bytes::copy_from_slice(&(FRAME_MAX as u32 + 1).to_le_bytes()));
        assert_eq!(frames.next_message(), Err(FrameError::FrameTooLong(FRAME_MAX + 1)));

        let mut frames = Frames::new(100);
        let mut out = BytesMut::new();
        write_message(&mut out, &[0; 101]);
        frames.push(out.freeze());
        assert_eq!(frames.next_message(), Err(FrameError::MessageTooLong { max: 100 }));

        let mut frames = Frames::new(100);
        frames.push(Bytes::copy_from_slice(&[1, 0, 0, 0x80, 9]));
        assert_eq!(frames.next_message(), Err(FrameError::ShortFragment(1)));
    }

    proptest! {
        #[test]
        fn messages_survive_any_cut(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20), piece in 1usize..500) {
            prop_assert_eq!(roundtrip(&messages, piece), messages);
        }

        #[test]
        fn any_bytes_are_read_alike_however_cut(bytes in proptest::collection::vec(any::<u8>(), 0..400), small in any::<bool>(), cut in 1usize..50) {
            // Half of the cases look like frames, so that the reader gets past the first header.
            let bytes = if small { bytes.iter().flat_map(|b| [b % 9, 0, 0, 0, *b, 7, *b, 3]).collect() } else { bytes };
            check_any_bytes(&bytes, cut);
        }
    }
}
