//! What stands inside a message between nodes: the hello of a connection, then tells, asks and replies.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::limits::{ERROR_TEXT_MAX, MESSAGE_MAX, SYSTEM_MESSAGE_MAX};
use crate::name::{Incarnation, NodeName};

/// Classes of traffic. Each has a stream of its own, so that none waits behind another; within a lane order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Stop, death, heartbeat.
    System,
    /// Decisions: dispatch, results, leases.
    Control,
    /// What users' actors say to each other.
    Data,
    /// Large payloads.
    Bulk,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Lane; 4] = [Lane::System, Lane::Control, Lane::Data, Lane::Bulk];

    /// The longest message of this lane, in bytes.
    pub const fn message_max(self) -> usize {
        match self {
            Lane::System => SYSTEM_MESSAGE_MAX,
            Lane::Control | Lane::Data | Lane::Bulk => MESSAGE_MAX,
        }
    }
}

/// The first message of a connection on its system lane, from both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::limits::WIRE_VERSION`] of the sender.
    pub version: u16,
    /// The cluster that the sender belongs to.
    pub cluster: String,
    /// The sender. Its certificate must prove the same name.
    pub node: NodeName,
    /// Which life of the sender this is.
    pub incarnation: Incarnation,
}

/// A message type on the wire: explicit and stable, chosen by the author of the message, with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// The type's number, unique among the messages that one actor understands.
    pub id: u32,
    /// The version of its encoding.
    pub version: u16,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}v{}", self.id, self.version)
    }
}

/// How urgent a message is to its receiver: a mailbox gives out the more urgent first, and keeps the order within one priority.
/// Senders choose it, those on other nodes too: a protocol that must not let them keeps what is urgent in another actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Handled when nothing else waits.
    Low,
    /// What a message has unless something else is said.
    #[default]
    Normal,
    /// Handled before all that waits.
    High,
}

/// Joins the spans of one course of messages, across actors and nodes. The numbers are those of the W3C's trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The whole course.
    pub id: u128,
    /// The span that sent the message.
    pub span: u64,
}

/// Why an actor is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Exit {
    /// It was stopped, or stopped itself.
    #[error("it was stopped")]
    Stopped,
    /// Nobody could reach it any more and it had nothing left to do.
    #[error("nobody held a reference to it any more")]
    Unreferenced,
    /// It panicked more often than its restart policy allows; the last panic's text.
    #[error("it panicked too often, at last with: {0}")]
    Panicked(String),
    /// It failed more often than its restart policy allows; the last error's text.
    #[error("it failed too often, at last with: {0}")]
    Failed(String),
    /// Its node stopped.
    #[error("its node stopped")]
    NodeStopped,
    /// It was linked to an actor that ended otherwise than by a stop; that actor and its reason.
    #[error("it was linked to {0}")]
    Linked(String),
    /// No actor of that name lives there, so whatever had it before has ended, nobody knows why.
    #[error("no actor of that name lives there")]
    NoActor,
    /// The connection to its node ended: the node died, or the network parted and the actor may live on.
    #[error("its node is lost: {0}")]
    NodeLost(String),
}

impl Exit {
    /// Whether it ended as it should: stopped, with its node, or because nobody needed it. Links and transient children go by it.
    pub fn is_normal(&self) -> bool {
        matches!(self, Exit::Stopped | Exit::Unreferenced | Exit::NodeStopped)
    }
}

/// Joins a reply to its ask; unique among the open asks of one connection and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// A message, as it goes to an actor of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel<'a> {
    /// The actor's name on the receiving node.
    pub to: &'a str,
    /// The type of the payload.
    pub message: MessageId,
    /// How urgent it is.
    pub priority: Priority,
    /// What it is part of, if somebody traces.
    pub trace: Option<Trace>,
    /// The encoded message.
    #[serde(with = "raw")]
    pub payload: &'a [u8],
}

/// What nodes say to each other for their actors. Borrows from the bytes that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packet<'a> {
    /// One way; at most once.
    #[serde(borrow)]
    Tell(Parcel<'a>),
    /// Wants a [`Packet::Reply`] with the same call id.
    Ask {
        /// Chosen by the asker.
        call: CallId,
        /// How long the asker still waits, in milliseconds from the receipt of this packet.
        deadline_ms: u32,
        /// The question.
        parcel: Parcel<'a>,
    },
    /// The answer to an ask: the encoded result.
    Reply {
        /// That of the ask.
        call: CallId,
        /// The encoded result.
        #[serde(with = "raw")]
        payload: &'a [u8],
    },
    /// The ask was not answered, or the stream was not opened or broke off.
    Failed {
        /// That of the ask.
        call: CallId,
        /// Why.
        error: RemoteError,
    },
    /// Whoever asked, watched or opened a stream does not want it any more.
    Cancel {
        /// That of the ask.
        call: CallId,
    },
    /// Wants a [`Packet::Ended`] with the same call id when the actor is no more.
    Watch {
        /// Chosen by the watcher.
        call: CallId,
        /// The actor's name on the receiving node.
        to: &'a str,
        /// The actor is to be stopped, with this reason, when the connection ends before the watch is cancelled: the watcher's name.
        link: Option<&'a str>,
    },
    /// The actor that was watched is no more.
    Ended {
        /// That of the watch.
        call: CallId,
        /// Why.
        exit: Exit,
    },
    /// Stops an actor that allows it.
    Stop {
        /// The actor's name on the receiving node.
        to: &'a str,
        /// The reason that it ends with.
        exit: Exit,
    },
    /// Wants many answers: a [`Packet::Item`] each, then [`Packet::Done`].
    Open {
        /// Chosen by the asker.
        call: CallId,
        /// How long the asker waits for the stream to begin, in milliseconds from the receipt of this packet.
        deadline_ms: u32,
        /// How many items may be sent before the first [`Packet::More`].
        window: u32,
        /// The question.
        parcel: Parcel<'a>,
    },
    /// One answer of many.
    Item {
        /// That of the opening.
        call: CallId,
        /// The encoded item.
        #[serde(with = "raw")]
        payload: &'a [u8],
    },
    /// So many more items, with so many more bytes in them, may be sent: see [`crate::limits::STREAM_BYTES`].
    More {
        /// That of the opening.
        call: CallId,
        /// How many were taken since the last grant.
        items: u32,
        /// Their bytes, each item counted with [`crate::limits::TELL_WEIGHT`].
        bytes: u64,
    },
    /// All items were sent.
    Done {
        /// That of the opening.
        call: CallId,
    },
    /// So many more bytes of tells may be sent to an actor on a lane.
    Credit {
        /// The actor's name on the node that granted it.
        to: &'a str,
        /// The lane of the tells.
        lane: Lane,
        /// How many bytes, each message counted with [`crate::limits::TELL_WEIGHT`].
        bytes: u64,
    },
    /// Whether tells of this message to this actor may come as datagrams, each a [`Packet::Tell`]. Said in a datagram itself: a node that
    /// does not know this packet drops it there unread, and is sent no tells that way.
    Datagrams {
        /// The actor's name on the node that says so.
        to: &'a str,
        /// The message.
        message: MessageId,
        /// They may. If not, they take their lane.
        may: bool,
    },
}

/// What the numbers of a packet take at the most, in bytes: kind, call, id, version, priority, trace, deadline, window and two lengths, as
/// variable-length numbers.
const NUMBERS_MAX: usize = 1 + 10 + 5 + 3 + 1 + (1 + 19 + 10) + 5 + 5 + 10 + 10;

impl<'a> Packet<'a> {
    /// The packet as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let room = match self {
            Packet::Tell(parcel) | Packet::Ask { parcel, .. } | Packet::Open { parcel, .. } => {
                parcel.to.len() + parcel.payload.len()
            }
            Packet::Reply { payload, .. } | Packet::Item { payload, .. } => payload.len(),
            _ => 0,
        };
        let mut bytes = Vec::with_capacity(room + NUMBERS_MAX);
        self.encode_into(&mut bytes);
        bytes
    }

    /// The packet as bytes behind those in `buffer`.
    pub fn encode_into(&self, buffer: &mut Vec<u8>) {
        *buffer = postcard::to_extend(self, core::mem::take(buffer))
            .unwrap_or_else(|e| unreachable!("a packet is made of encodable parts: {e}"));
    }

    /// Reads a packet from the bytes of a whole message.
    ///
    /// # Errors
    /// When they are not a packet, or longer than one.
    pub fn decode(bytes: &'a [u8]) -> Result<Packet<'a>, DecodeError> {
        let type_name = "packet";
        match postcard::take_from_bytes(bytes) {
            Ok((packet, [])) => Ok(packet),
            Ok((_, rest)) => Err(DecodeError::Trailing { type_name, left: rest.len() }),
            Err(error) => Err(DecodeError::Malformed { type_name, error }),
        }
    }
}

impl Hello {
    /// The hello as bytes.
    ///
    /// # Errors
    /// When the cluster's name is absurdly long.
    pub fn encode(&self) -> Result<Vec<u8>, codec::EncodeError> {
        codec::encode(self)
    }

    /// Reads a hello.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Hello, DecodeError> {
        codec::decode(bytes)
    }
}

/// Why the other node did not answer an ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RemoteError {
    /// No actor of that name lives there. The message was not handled.
    #[error("no actor of that name lives there")]
    UnknownActor,
    /// The actor does not understand that message, or not that version of it. The message was not handled.
    #[error("the actor does not understand message {0}")]
    UnknownMessage(MessageId),
    /// The payload is not a value of the message's type. The message was not handled.
    #[error("the payload is not such a message: {0}")]
    Undecodable(String),
    /// The actor's mailbox is full. The message was not handled.
    #[error("the actor's mailbox is full")]
    Full,
    /// The actor stopped before it answered. The message may have been handled in part.
    #[error("the actor stopped: {0}")]
    Gone(String),
    /// The actor panicked before it answered. The message may have been handled in part.
    #[error("the actor panicked: {0}")]
    Panicked(String),
    /// The deadline passed at the actor's node. The message may have been handled.
    #[error("no answer within the deadline")]
    Timeout,
    /// The answer could not be sent (it refuses to be serialised, or is too long). The message was handled.
    #[error("the answer could not be sent: {0}")]
    Unsendable(String),
    /// The actor was restarted before it answered. The message may have been handled in part.
    #[error("the actor was restarted: {0}")]
    Restarted(String),
}

/// Cuts `text` to what an error may carry across the wire.
pub fn error_text(mut text: String) -> String {
    if text.len() > ERROR_TEXT_MAX {
        let mut end = ERROR_TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// Byte strings as one copy instead of a sequence of numbers.
mod raw {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<&'a [u8], D::Error> {
        <&'de [u8]>::deserialize(d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parcel<'a>(to: &'a str, payload: &'a [u8]) -> Parcel<'a> {
        Parcel { to, message: MessageId { id: 300, version: 1 }, priority: Priority::Normal, trace: None, payload }
    }

    proptest! {
        #[test]
        fn packets_round_trip(kind in 0..13, call in any::<u64>(), to in "[a-z/]{1,20}", id in any::<u32>(), version in any::<u16>(), number in any::<u32>(), trace in proptest::option::of(any::<(u128, u64)>()), payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let (call, message, to, payload) = (CallId(call), MessageId { id, version }, to.as_str(), payload.as_slice());
            let trace = trace.map(|(id, span)| Trace { id, span });
            let parcel = Parcel { message, priority: Priority::High, trace, ..parcel(to, payload) };
            let packet = match kind {
                0 => Packet::Tell(parcel),
                1 => Packet::Ask { call, deadline_ms: number, parcel },
                2 => Packet::Reply { call, payload },
                3 => Packet::Failed { call, error: RemoteError::UnknownMessage(message) },
                4 => Packet::Cancel { call },
                5 => Packet::Watch { call, to, link: (number % 2 == 0).then_some(to) },
                6 => Packet::Ended { call, exit: Exit::Failed(to.into()) },
                7 => Packet::Stop { to, exit: Exit::Stopped },
                8 => Packet::Open { call, deadline_ms: number, window: number, parcel },
                9 => Packet::Item { call, payload },
                10 => Packet::More { call, items: number, bytes: u64::from(number) << 7 },
                11 => Packet::Datagrams { to, message, may: number % 2 == 0 },
                _ => Packet::Credit { to, lane: Lane::Data, bytes: u64::from(number) },
            };
            let bytes = packet.encode();
            prop_assert_eq!(&Packet::decode(&bytes).unwrap(), &packet);
            let mut behind = b"before".to_vec();
            packet.encode_into(&mut behind);
            prop_assert_eq!(&behind[6..], &bytes);
            prop_assert!(Packet::decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn the_encoding_is_pinned() {
        // N and N+1 must read each other: a change here needs a new version.
        let tell = Packet::Tell(parcel("a", b"xy"));
        assert_eq!(tell.encode(), [0, 1, b'a', 0xac, 0x02, 1, 1, 0, 2, b'x', b'y']);
        let failed = Packet::Failed { call: CallId(5), error: RemoteError::Full };
        assert_eq!(failed.encode(), [3, 5, 3]);
        assert_eq!(Packet::Done { call: CallId(5) }.encode(), [11, 5]);
        assert_eq!(Packet::Ended { call: CallId(5), exit: Exit::NodeStopped }.encode(), [6, 5, 4]);
    }

    #[test]
    fn long_error_texts_are_cut_between_characters() {
        let text = error_text("ä".repeat(ERROR_TEXT_MAX));
        assert!(text.len() <= ERROR_TEXT_MAX && text.chars().all(|c| c == 'ä'));
    }
}
