//! What openraft is told of us.

use std::fmt;
use std::io::Cursor;

use playhouse_wire::NodeName;
use serde::{Deserialize, Serialize};

use super::runtime::Runtime;

/// The number of a member: what openraft calls a node's id.
pub(crate) type Number = u64;

/// A member: one who holds a copy of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name in its certificate; empty only in openraft's own defaults.
    pub name: String,
    /// Where it listens.
    pub address: String,
}

impl Member {
    /// The number of a member with this name: FNV-1a, so that nobody needs to give numbers out.
    pub fn number(name: &NodeName) -> Number {
        name.as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

/// A batch of commands, as one entry of the log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command(pub(crate) bytes::Bytes);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} B)", self.0.len())
    }
}

openraft::declare_raft_types!(
    /// Our types.
    pub(crate) Types:
        D = Command,
        R = (),
        NodeId = Number,
        Node = Member,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = Runtime,
);

/// An entry of the log.
pub(crate) type Entry = openraft::Entry<Types>;
/// Where an entry is.
pub(crate) type LogId = openraft::LogId<Number>;
/// Who is voted for.
pub(crate) type Vote = openraft::Vote<Number>;
/// What storage says when it fails.
pub(crate) type Failure = openraft::StorageError<Number>;
/// A membership, and since when it holds.
pub(crate) type Membership = openraft::StoredMembership<Number, Member>;
/// What is known of a snapshot.
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<Number, Member>;
