//! One member's part in the agreement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::error::{ClientWriteError, Fatal, RaftError};
use openraft::{Config, Raft, ServerState, SnapshotPolicy};
use playhouse_rt::sync::{Notify, Semaphore};
use playhouse_rt::{Blocking, Disk, Random};
use playhouse_store::{Journal, JournalError};
use playhouse_wire::NodeName;

use super::election::{self, Hearing};
use super::kept::Kept;
use super::log::Log;
use super::network::{Known, Transport, Ways};
use super::seat::{Seat, Waits};
use super::state::{Copy, Replicated};
use super::types::{Command, Member, Number, Types};
use crate::limits::{COMMAND_MAX, ENTRIES_PER_CALL, SNAPSHOT_CHUNK, SNAPSHOT_DEADLINE, SNAPSHOT_EVERY, VOTERS_MAX};

/// How fast the group notices that its leader is gone, and how long its log becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How often the leader says that it lives.
    pub beat: Duration,
    /// After so long without it somebody wants to be elected: one member after the other, each a tenth of this later. Nobody gives a vote
    /// before three quarters of this are over, so no member that hears badly throws a leader over that the others hear. At least three
    /// beats; nothing that is acknowledged or read depends on it.
    pub silence: Duration,
    /// After so many commands a snapshot is made. A tenth as many before it are kept, for members that are a little behind.
    pub snapshot_every: u64,
    /// Bugs put in on purpose, to test the tests. All off.
    #[doc(hidden)]
    pub planted: Planted,
}

/// Bugs put in on purpose, each honoured in exactly one place, so that the simulator's oracles can be shown to find them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// A member without a seat gives its vote to whoever asks for it.
    pub empty_disk_votes: bool,
    /// With a member that is removed goes another one.
    pub removes_two: bool,
    /// A member that was away while another one came never asks who that is.
    pub strangers_stay: bool,
}

impl Planted {
    const NONE: Planted = Planted { empty_disk_votes: false, removes_two: false, strangers_stay: false };
}

impl Profile {
    /// For members that are a few milliseconds apart, on disks that need less than a tenth of a second for a sync: when the leader is lost,
    /// another one leads after some 0.5 s.
    pub const FAST: Profile = Profile {
        beat: Duration::from_millis(100),
        silence: Duration::from_millis(400),
        snapshot_every: SNAPSHOT_EVERY,
        planted: Planted::NONE,
    };
    /// For members that are far apart, on slower disks, or on machines that stand still at times: after some 6 s.
    pub const SLOW: Profile = Profile {
        beat: Duration::from_millis(1_000),
        silence: Duration::from_millis(5_000),
        snapshot_every: SNAPSHOT_EVERY,
        planted: Planted::NONE,
    };
}

/// What a member is in its group at the moment, and whom it follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Who hears all and does not vote.
    pub learners: Vec<String>,
    /// Whether who votes and learns is about to change: no majority has it on its disks yet. Those who vote before and after it do until then.
    pub is_changing: bool,
}

/// A member could not take part.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Its journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The profile contradicts itself. Nothing was begun.
    #[error("the profile cannot be kept: its silence, {:?}, is shorter than three of its beats, {:?}", .0.silence, .0.beat)]
    Profile(Profile),
    /// What is in the journal cannot be used.
    #[error("the journal {file} holds something that cannot be used: {reason}. It is of another version, or damaged")]
    Unusable {
        /// The journal.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody founds a group where there is one. This member takes no part; if it belonged to that group and has lost its disk, its leader
    /// replaces it.
    #[error(
        "no group was founded: {member} belongs to one already. Do not found another one: let the leader of that one add this member"
    )]
    Exists {
        /// Who belongs to it.
        member: String,
    },
    /// A member did not say what it is, or did not take its seat. Nothing was changed.
    #[error("{member} did not answer within {within:?}: {why}. Start it, or look at the connection, and try again")]
    Silent {
        /// Who.
        member: String,
        /// How long it was asked.
        within: Duration,
        /// What was in the way.
        why: String,
    },
    /// Something takes longer than it may. It may still come to its end: look at [`Standing::voters`], or do it again, which does no harm.
    #[error(
        "{what} has taken longer than {within:?}; it may still come to its end. See that a majority of the voters runs, and try again"
    )]
    Late {
        /// What.
        what: String,
        /// How long it was given.
        within: Duration,
    },
    /// There are as many voters as there may be. Nothing was changed.
    #[error("{VOTERS_MAX} members vote, and no more may; let {member} learn, or demote or remove another one first")]
    Full {
        /// Who was to vote.
        member: String,
    },
    /// This member takes no part, so it can change nothing.
    #[error(transparent)]
    Waits(#[from] Waits),
    /// This member does not lead. Nothing was changed.
    #[error("this node does not lead{}; nothing was changed", .0.as_ref().map_or(String::new(), |leader| format!(", {leader} does")))]
    NotLeader(Option<String>),
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
pub struct Group<S>(pub(super) Arc<Inner<S>>);

pub(super) struct Inner<S> {
    pub(super) name: NodeName,
    pub(super) me: Number,
    pub(super) profile: Profile,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) journal: Journal,
    pub(super) log: Log,
    pub(super) hearing: Hearing,
    pub(super) known: Arc<Known>,
    copy: Copy<S>,
    config: Arc<Config>,
    place: Mutex<Place>,
    /// Its seat changes one change after the other.
    pub(super) seating: Semaphore,
    /// So does the membership, if this member leads.
    pub(super) changing: Arc<Semaphore>,
    /// Its place has changed, or will not any more.
    moved: Notify,
    pub(super) welcoming: AtomicBool,
    stopped: AtomicBool,
}

/// Where a member is.
struct Place {
    seat: Seat,
    /// Begun with the first seat.
    raft: Option<Raft<Types>>,
    /// What it was told that it forgot.
    forgot: Option<Waits>,
    /// The same, also when it has its seat again.
    has_forgotten: Option<Waits>,
}

impl<S> Clone for Group<S> {
    fn clone(&self) -> Group<S> {
        Group(self.0.clone())
    }
}

impl<S> Inner<S> {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn seat(&self) -> Seat {
        self.place().seat
    }

    /// openraft's part, if it has begun.
    pub(super) fn raft(&self) -> Option<Raft<Types>> {
        self.place().raft.clone()
    }

    /// The same, if this member has a seat.
    pub(super) fn taking_part(&self) -> Option<Raft<Types>> {
        let place = self.place();
        place.raft.clone().filter(|_| matches!(place.seat, Seat::In { .. }))
    }

    pub(super) fn why_it_waits(&self) -> Option<Waits> {
        let place = self.place();
        let new = || Waits::New { file: self.journal.file().display().to_string() };
        matches!(place.seat, Seat::Out { .. }).then(|| place.forgot.clone().unwrap_or_else(new))
    }

    pub(super) fn stands(&self, seat: Seat, forgot: Option<Waits>) {
        let mut place = self.place();
        place.seat = seat;
        place.has_forgotten = forgot.clone().or(place.has_forgotten.take());
        place.forgot = forgot;
        drop(place);
        self.moved.notify_waiters();
    }
}

impl<S: Replicated> Inner<S> {
    /// Begins openraft's part, if it has not begun.
    pub(super) async fn begin(&self) -> Result<(), GroupError> {
        if self.raft().is_none() {
            self.hearing.hears();
            let ways = Ways { transport: self.transport.clone(), known: self.known.clone() };
            let raft = Raft::new(self.me, self.config.clone(), ways, self.log.clone(), self.copy.clone()).await;
            let stopped = |fatal: &dyn std::fmt::Display| GroupError::Stopped(fatal.to_string());
            let raft = raft.map_err(|fatal| stopped(&fatal))?;
            // It answers when it knows what its log says, who belongs to the group above all.
            raft.with_raft_state(|_| ()).await.map_err(|fatal| stopped(&fatal))?;
            self.place().raft = Some(raft);
            self.moved.notify_waiters();
        }
        Ok(())
    }
}

impl<S: Replicated> Group<S> {
    /// Takes part as `name`, with what the journal in `file` knows from earlier lives. A journal that is new takes no part until its group
    /// is founded ([`Group::found`], at one of the members), or a leader adds the member, who may ask for it ([`Group::enter`]). That holds
    /// also for a member that has lost its disk: its leader notices, removes it and adds it anew.
    ///
    /// # Errors
    /// When the journal cannot be used, or the profile not be kept.
    pub async fn join(
        name: NodeName,
        profile: Profile,
        (disk, file, blocking): (Disk, std::path::PathBuf, Blocking),
        state: S,
        transport: Arc<dyn Transport>,
    ) -> Result<Group<S>, GroupError> {
        let config = Arc::new(config(profile)?);
        let journal = Journal::open(disk, file, name.as_str(), blocking).await?;
        let unusable = |reason: String| GroupError::Unusable { file: journal.file().display().to_string(), reason };
        let kept = Arc::new(Kept::default());
        let me = Member::number(&name);
        let log = Log::open(journal.clone(), me, kept.clone()).await.map_err(|error| unusable(error.to_string()))?;
        let copy = Copy::open(journal.clone(), state, kept).await.map_err(|error| unusable(error.to_string()))?;
        let life = Random::here("life of a journal").next_u64();
        let seat = Seat::of(&journal, life).await.map_err(|error| unusable(error.to_string()))?;
        let inner = Arc::new(Inner {
            name,
            me,
            profile,
            transport,
            journal,
            log,
            hearing: Hearing::new(),
            known: Arc::default(),
            copy,
            config,
            place: Mutex::new(Place { seat, raft: None, forgot: None, has_forgotten: None }),
            seating: Semaphore::new(1),
            changing: Arc::new(Semaphore::new(1)),
            moved: Notify::new(),
            welcoming: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        if let Seat::In { .. } = seat {
            inner.begin().await?;
        }
        playhouse_rt::spawn(election::drive(Arc::downgrade(&inner)));
        Ok(Group(inner))
    }

    /// Applies a command to all copies. `Ok` means that a majority has it on its disks, and that it is applied here: it will never be lost.
    /// Gives its number.
    ///
    /// Dropped, it is not taken back.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, command: impl Into<bytes::Bytes>) -> Result<u64, ProposeError> {
        self.write(command.into()).await.map(|(number, _)| number)
    }

    /// The same, as the leader of this term: nothing of it may be in the log as that of another one.
    pub(crate) async fn propose_in(&self, term: u64, command: bytes::Bytes) -> Result<u64, ProposeError> {
        match self.write(command).await? {
            (number, written) if written == term => Ok(number),
            (_, written) => Err(ProposeError::Unknown(format!("this node led in term {term}, and does in term {written}"))),
        }
    }

    /// Gives the number of the command, and the term in which it was written.
    async fn write(&self, command: bytes::Bytes) -> Result<(u64, u64), ProposeError> {
        if command.len() > COMMAND_MAX {
            return Err(ProposeError::Long(command.len()));
        }
        let before = self.standing();
        if !before.leads {
            return Err(ProposeError::NotLeader(before.leader));
        }
        let Some(raft) = self.0.taking_part() else { return Err(ProposeError::NotLeader(None)) };
        match raft.client_write(Command(command)).await {
            Ok(written) => Ok((written.log_id.index, written.log_id.leader_id.term)),
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
        let Some(raft) = self.0.taking_part() else { return Err(ProposeError::NotLeader(None)) };
        match raft.ensure_linearizable().await {
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
        read(&self.0.copy.held().state)
    }

    /// All members, those among them that only hear.
    pub fn members(&self) -> Vec<Member> {
        let Some(raft) = self.0.raft() else { return Vec::new() };
        let metrics = raft.metrics().borrow().clone();
        metrics.membership_config.nodes().map(|(_, member)| member.clone()).collect()
    }

    /// What this member is at the moment.
    pub fn standing(&self) -> Standing {
        self.0.taking_part().map_or_else(Standing::default, |raft| standing(&raft.metrics().borrow()))
    }

    /// Why this member takes no part, if it takes none.
    pub fn waits(&self) -> Option<Waits> {
        self.0.why_it_waits()
    }

    /// What this member was told to have forgotten, in this life, whether or not it was added anew since then.
    pub fn has_forgotten(&self) -> Option<Waits> {
        self.0.place().has_forgotten.clone()
    }

    /// Waits until what this member is has changed from `seen`; `None` when it has stopped.
    pub async fn changed(&self, seen: &Standing) -> Option<Standing> {
        loop {
            let mut moved = std::pin::pin!(self.0.moved.notified());
            moved.as_mut().enable();
            let raft = self.0.raft();
            let now = self.standing();
            if now != *seen {
                return Some(now);
            }
            match raft {
                None if self.0.has_stopped() => return None,
                None => moved.await,
                Some(raft) => {
                    let mut metrics = raft.metrics();
                    if standing(&metrics.borrow_and_update()) == *seen || self.0.taking_part().is_none() {
                        playhouse_rt::select! {
                            changed = metrics.changed() => changed.ok()?,
                            () = moved => {}
                        }
                    }
                }
            }
        }
    }

    /// Why this member takes part no more, if it did not want to: names the file that is at fault.
    pub fn fault(&self) -> Option<String> {
        if let Some(why) = self.0.journal.failed().or_else(|| self.0.copy.beside()?.failed()) {
            return Some(why);
        }
        let fatal = match self.0.raft()?.metrics().borrow().running_state.clone() {
            Ok(()) | Err(Fatal::Stopped) => return None,
            Err(fatal) => fatal,
        };
        // openraft's words about its own parts come first, and ours last.
        let mut why: &dyn std::error::Error = &fatal;
        while let Some(source) = why.source() {
            why = source;
        }
        let (why, file) = (why.to_string(), self.0.journal.file().display().to_string());
        Some(if why.contains(&file) { why } else { format!("the journal {file} cannot be used any more: {why}") })
    }

    /// Takes part no more, for this life. The others go on.
    pub async fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.moved.notify_waiters();
        if let Some(raft) = self.0.raft() {
            // It ends all the same when one of its tasks panicked.
            let _ = raft.shutdown().await;
        }
        if let Some(annals) = self.0.copy.beside() {
            // What is not written is written again by the next life.
            let _ = annals.sync().await;
        }
    }

    /// The name of this member.
    pub fn name(&self) -> &NodeName {
        &self.0.name
    }
}

pub(super) fn standing(metrics: &openraft::RaftMetrics<Number, Member>) -> Standing {
    let membership = metrics.membership_config.membership();
    let name = |number: Number| membership.get_node(&number).map(|member| member.name.clone());
    Standing {
        leads: metrics.state == ServerState::Leader,
        term: metrics.current_term,
        leader: metrics.current_leader.and_then(name),
        applied: metrics.last_applied.map_or(0, |at| at.index),
        voters: membership.voter_ids().filter_map(name).collect(),
        learners: membership.learner_ids().filter_map(name).collect(),
        is_changing: is_changing(metrics),
    }
}

pub(super) fn is_changing(metrics: &openraft::RaftMetrics<Number, Member>) -> bool {
    let stored = &metrics.membership_config;
    stored.membership().get_joint_config().len() > 1 || *stored.log_id() > metrics.last_applied
}

fn config(profile: Profile) -> Result<Config, GroupError> {
    if profile.silence < profile.beat * 3 || profile.beat.is_zero() {
        return Err(GroupError::Profile(profile));
    }
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: "playhouse".into(),
        // How long a call with entries may take; and two thirds of the time between looks at whether a leader that was removed is to go.
        heartbeat_interval: millis(profile.beat),
        // How long a call for a vote may take, with the sync of the voter's disk.
        election_timeout_min: millis(profile.silence * 5 / 8),
        // How long after a beat no vote is given.
        election_timeout_max: millis(profile.silence * 3 / 4),
        // We do both, on time.
        enable_heartbeat: false,
        enable_elect: false,
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
