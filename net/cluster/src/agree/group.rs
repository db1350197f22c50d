//! One member's part in the agreement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, InitializeError, RaftError};
use openraft::{ChangeMembers, Config, Raft, ServerState, SnapshotPolicy};
use playhouse_rt::{Blocking, Disk};
use playhouse_store::{Journal, JournalError};
use playhouse_wire::NodeName;

use super::kept::Kept;
use super::log::Log;
use super::network::{self, Transport, Ways};
use super::state::{Copy, Replicated};
use super::types::{Command, Member, Number, Types};
use crate::limits::{COMMAND_MAX, ENTRIES_PER_CALL, SNAPSHOT_CHUNK, SNAPSHOT_DEADLINE, SNAPSHOT_EVERY};

/// How fast the group notices that its leader is gone, and how long its log becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How often the leader says that it lives.
    pub beat: Duration,
    /// Between three and four times this without it (the members draw), somebody wants to be elected: the leader's lease is twice as long,
    /// and only then does the wait begin.
    pub silence: Duration,
    /// After so many commands a snapshot is made. A tenth as many before it are kept, for members that are a little behind.
    pub snapshot_every: u64,
}

impl Profile {
    /// For members that are a millisecond or a few apart.
    pub const FAST: Profile =
        Profile { beat: Duration::from_millis(100), silence: Duration::from_millis(400), snapshot_every: SNAPSHOT_EVERY };
    /// For members that are far apart, or on machines that stand still at times.
    pub const SLOW: Profile =
        Profile { beat: Duration::from_millis(1_000), silence: Duration::from_millis(5_000), snapshot_every: SNAPSHOT_EVERY };
}

/// What a member is in its group at the moment, and whom it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it leads. It may have been voted out and not know it: what it proposes then fails.
    pub leads: bool,
    /// The term: it rises with each election, and nobody leads twice in one.
    pub term: u64,
    /// The leader's name, if one is known.
    pub leader: Option<String>,
    /// The last command that was applied here.
    pub applied: u64,
    /// Who votes.
    pub voters: Vec<String>,
}

/// A member could not take part.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Its journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is in the journal cannot be used.
    #[error("the journal {file} holds something that cannot be used: {reason}. It is of another version, or damaged")]
    Unusable {
        /// The journal.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The membership was not changed: nothing else is.
    #[error("the membership was not changed: {0}")]
    Refused(String),
    /// The member has stopped.
    #[error("this member has stopped: {0}")]
    Stopped(String),
}

/// A command was not applied, or nobody knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The command is longer than [`COMMAND_MAX`]. It was not applied and will not be.
    #[error("the command takes {0} bytes, more than {COMMAND_MAX}; nothing was done. Divide it")]
    Long(usize),
    /// Another one leads, or nobody known here. The command was not applied and will not be.
    #[error("this node does not lead{}; nothing was done", .0.as_ref().map_or(String::new(), |leader| format!(", {leader} does")))]
    NotLeader(Option<String>),
    /// The member has stopped, or has lost its leadership on the way. The command may be applied or not.
    #[error("whether the command was applied is not known: {0}")]
    Unknown(String),
}

/// One member of a group that agrees on the order of commands. Clones are the same member.
pub struct Group<S> {
    raft: Raft<Types>,
    copy: Copy<S>,
    name: NodeName,
}

impl<S> Clone for Group<S> {
    fn clone(&self) -> Group<S> {
        Group { raft: self.raft.clone(), copy: self.copy.clone(), name: self.name.clone() }
    }
}

impl<S: Replicated> Group<S> {
    /// Takes part as `name`, with what the journal in `file` knows from earlier lives. A new group begins with [`Group::found`] at one of its
    /// members; who comes later waits until the leader adds it.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub async fn join(
        name: NodeName,
        profile: Profile,
        (disk, file, blocking): (Disk, std::path::PathBuf, Blocking),
        state: S,
        transport: Arc<dyn Transport>,
    ) -> Result<Group<S>, GroupError> {
        let journal = Journal::open(disk, file, blocking).await?;
        let unusable = |reason: String| GroupError::Unusable { file: journal.file().display().to_string(), reason };
        let kept = Arc::new(Kept::default());
        let log =
            Log::open(journal.clone(), Member::number(&name), kept.clone()).await.map_err(|error| unusable(error.to_string()))?;
        let copy = Copy::open(journal.clone(), state, kept).await.map_err(|error| unusable(error.to_string()))?;
        let config = config(profile)?;
        let raft = Raft::new(Member::number(&name), Arc::new(config), Ways(transport), log, copy.clone()).await;
        let raft = raft.map_err(|fatal| GroupError::Stopped(fatal.to_string()))?;
        Ok(Group { raft, copy, name })
    }

    /// Begins a group of these members, of which this is one. Fine if it was begun so before.
    ///
    /// # Errors
    /// When a group with others was begun here before, or the member has stopped.
    pub async fn found(&self, members: &[Member]) -> Result<(), GroupError> {
        let members = numbered(members)?;
        match self.raft.initialize(members.clone()).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(error))) => {
                let metrics = self.raft.metrics();
                let known: BTreeMap<Number, Member> =
                    metrics.borrow().membership_config.nodes().map(|(number, member)| (*number, member.clone())).collect();
                if known == members { Ok(()) } else { Err(GroupError::Refused(error.to_string())) }
            }
            Err(RaftError::APIError(error)) => Err(GroupError::Refused(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(GroupError::Stopped(fatal.to_string())),
        }
    }

    /// Applies a command to all copies. `Ok` means that a majority has it on its disks, and that it is applied here: it will never be lost.
    /// Gives its number.
    ///
    /// Dropped, it is not taken back.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, command: impl Into<bytes::Bytes>) -> Result<u64, ProposeError> {
        let command: bytes::Bytes = command.into();
        if command.len() > COMMAND_MAX {
            return Err(ProposeError::Long(command.len()));
        }
        let before = self.standing();
        if !before.leads {
            return Err(ProposeError::NotLeader(before.leader));
        }
        match self.raft.client_write(Command(command)).await {
            Ok(written) => Ok(written.log_id.index),
            // It may be in the log of this member or of others, and a leader to come may find it there.
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(ProposeError::Unknown("this node has lost the leadership meanwhile".into()))
            }
            Err(RaftError::APIError(error)) => Err(ProposeError::Unknown(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(ProposeError::Unknown(fatal.to_string())),
        }
    }

    /// Waits until all that was acknowledged before, by anybody, is applied here: what is read then is not stale. Only the leader can.
    ///
    /// # Errors
    /// When this member does not lead, or a majority does not confirm that it does.
    pub async fn settle(&self) -> Result<(), ProposeError> {
        use openraft::error::CheckIsLeaderError;
        match self.raft.ensure_linearizable().await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
                Err(ProposeError::NotLeader(to.leader_node.map(|member| member.name)))
            }
            Err(RaftError::APIError(error)) => Err(ProposeError::Unknown(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(ProposeError::Unknown(fatal.to_string())),
        }
    }

    /// Looks at this member's copy. It may be behind that of others: see [`Group::settle`]. Commands wait meanwhile.
    pub fn read<T>(&self, read: impl FnOnce(&S) -> T) -> T {
        read(&self.copy.held().state)
    }

    /// Adds a member that hears all, and when it has caught up lets it vote. Waits for that.
    ///
    /// # Errors
    /// When this member does not lead, or another change is under way.
    pub async fn add(&self, member: Member) -> Result<(), GroupError> {
        let number = number_of(&member)?;
        self.raft.add_learner(number, member, true).await.map_err(refused)?;
        self.raft.change_membership(ChangeMembers::AddVoterIds([number].into()), false).await.map_err(refused)?;
        Ok(())
    }

    /// Removes a member, which may be this one.
    ///
    /// # Errors
    /// As with [`Group::add`].
    pub async fn remove(&self, name: &NodeName) -> Result<(), GroupError> {
        let gone = ChangeMembers::RemoveVoters([Member::number(name)].into());
        self.raft.change_membership(gone, false).await.map_err(refused)?;
        Ok(())
    }

    /// All members, those among them that only hear.
    pub fn members(&self) -> Vec<Member> {
        self.raft.metrics().borrow().membership_config.nodes().map(|(_, member)| member.clone()).collect()
    }

    /// What this member is at the moment.
    pub fn standing(&self) -> Standing {
        standing(&self.raft.metrics().borrow())
    }

    /// Waits until what this member is has changed from `seen`; `None` when it has stopped.
    pub async fn changed(&self, seen: &Standing) -> Option<Standing> {
        let mut metrics = self.raft.metrics();
        loop {
            let now = standing(&metrics.borrow_and_update());
            if now != *seen {
                return Some(now);
            }
            metrics.changed().await.ok()?;
        }
    }

    /// Answers a call of another member; see [`Transport`].
    ///
    /// # Errors
    /// When the bytes are no question of a member's.
    pub async fn answer(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        network::answer(&self.raft, question).await
    }

    /// Takes part no more, for this life. The others go on.
    pub async fn stop(&self) {
        // It ends all the same when one of its tasks panicked.
        let _ = self.raft.shutdown().await;
    }

    /// The name of this member.
    pub fn name(&self) -> &NodeName {
        &self.name
    }
}

fn refused(error: RaftError<Number, ClientWriteError<Number, Member>>) -> GroupError {
    match error {
        RaftError::APIError(error) => GroupError::Refused(error.to_string()),
        RaftError::Fatal(fatal) => GroupError::Stopped(fatal.to_string()),
    }
}

fn number_of(member: &Member) -> Result<Number, GroupError> {
    let name = NodeName::new(&member.name).map_err(|error| GroupError::Refused(format!("{:?}: {error}", member.name)))?;
    Ok(Member::number(&name))
}

fn numbered(members: &[Member]) -> Result<BTreeMap<Number, Member>, GroupError> {
    let numbered: BTreeMap<_, _> =
        members.iter().map(|member| Ok((number_of(member)?, member.clone()))).collect::<Result<_, GroupError>>()?;
    if numbered.len() == members.len() { Ok(numbered) } else { Err(GroupError::Refused("two members have one name".into())) }
}

fn standing(metrics: &openraft::RaftMetrics<Number, Member>) -> Standing {
    let membership = metrics.membership_config.membership();
    let name = |number: Number| membership.get_node(&number).map(|member| member.name.clone());
    Standing {
        leads: metrics.state == ServerState::Leader,
        term: metrics.current_term,
        leader: metrics.current_leader.and_then(name),
        applied: metrics.last_applied.map_or(0, |at| at.index),
        voters: membership.voter_ids().filter_map(name).collect(),
    }
}

fn config(profile: Profile) -> Result<Config, GroupError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: "playhouse".into(),
        heartbeat_interval: millis(profile.beat),
        election_timeout_min: millis(profile.silence),
        election_timeout_max: millis(profile.silence * 2),
        install_snapshot_timeout: millis(SNAPSHOT_DEADLINE),
        max_payload_entries: ENTRIES_PER_CALL,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(profile.snapshot_every.max(1)),
        max_in_snapshot_log_to_keep: profile.snapshot_every / 10,
        snapshot_max_chunk_size: SNAPSHOT_CHUNK,
        ..Config::default()
    }
    .validate()
    .map_err(|error| GroupError::Refused(error.to_string()))
}
