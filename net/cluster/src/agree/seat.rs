//! Whether a member takes part: its seat.
//!
//! A vote is a promise that is kept on a disk. A member whose disk was emptied has forgotten its promises, and what it held for the others:
//! if it voted, what was acknowledged with its help could be lost. So an empty disk has no seat. It is given one by the founder of a group,
//! who has asked all the others first, or by a leader, who has removed the member before, so that nobody counts on what it forgot.

use std::fmt;

use playhouse_store::{Batch, Journal};
use serde::{Deserialize, Serialize};

use super::log::{value, written};
use super::types::{Failure, LogId, Member};

const SEAT: &str = "seat";

/// What a member's journal says of its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seat {
    /// It has none. The number is another one in each life: a seat that was meant for an earlier life of the disk is not this one's.
    Out { life: u64 },
    /// It has one, in the group with this number.
    In { group: u64 },
}

impl Seat {
    /// As the journal has it. What is new, and what was told that it forgot something, is out.
    pub(crate) async fn of(journal: &Journal, life: u64) -> Result<Seat, Failure> {
        Ok(match value(journal, SEAT).await? {
            Some(Seat::In { group }) => Seat::In { group },
            Some(Seat::Out { .. }) | None => Seat::Out { life },
        })
    }

    pub(crate) async fn keep(self, journal: &Journal) -> Result<(), String> {
        let set = vec![(SEAT, written(&self).map_err(|error| error.to_string())?)];
        journal.commit(Batch { set, ..Batch::default() }).await.map_err(|error| error.to_string())
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Presence {
    pub(crate) seat: Seat,
    pub(crate) term: u64,
    pub(crate) last: Option<LogId>,
    /// Who belongs to the group, and whether he votes.
    pub(crate) members: Vec<(Member, bool)>,
    /// A majority has that on its disks, and no change is under way.
    pub(crate) is_settled: bool,
    pub(crate) leader: Option<Member>,
}

impl Presence {
    /// Whether it has voted, or holds anything.
    pub(crate) fn has_begun(&self) -> bool {
        self.term > 0 || self.last.is_some()
    }
}

/// Why a member takes no part until its group lets it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It has no seat yet: nobody has founded its group or added it. Or its disk was emptied: then its leader finds that out, and replaces it.
    New {
        /// Its journal.
        file: String,
    },
    /// Its journal does not hold what this member has acknowledged: it is an old image of the disk, or the disk loses what it calls durable.
    Forgot {
        /// Its name.
        member: String,
        /// Its journal.
        file: String,
        /// The number of the last entry that it acknowledged.
        acknowledged: u64,
        /// The number of the last entry that it has.
        found: u64,
    },
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waits::New { file } => write!(
                f,
                "the journal {file} is new: this member takes no part until its group is founded, or its leader adds it"
            ),
            Waits::Forgot { member, file, acknowledged, found } => write!(
                f,
                "the journal {file} of member {member} ends with entry {found}, but {member} has acknowledged entry {acknowledged}: it is an \
                 old image of the disk, or the disk lost what it had called durable. This member takes no part until its leader has removed \
                 it and added it anew, which it does by itself; look at the disk"
            ),
        }
    }
}

impl std::error::Error for Waits {}
