//! openraft's calls over whatever carries bytes between members, and ours beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, RaftLogId};
use playhouse_rt::{Instant, now};
use playhouse_wire::{decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::{LogId, Member, Number, Types, Vote};
use crate::limits::{RETRY_UNREACHABLE, WISHES_MAX};

/// What a call gives, in the end.
pub type Called = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// Carries calls to other members, over connections that prove who is at the other end.
pub trait Transport: Send + Sync + 'static {
    /// Gives `request` to the member's [`Group::answer`](super::Group::answer), and its answer back, within a time. Dropped, it is given up.
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called;
}

/// What members ask each other.
#[derive(Serialize, Deserialize)]
pub(crate) enum Question {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Number>),
    Snapshot(InstallSnapshotRequest<Types>),
    /// What are you? Answered with a [`Presence`](super::seat::Presence).
    Presence,
    /// Take your seat, if this is still your life. Answered with `Result<(), String>`.
    Seat {
        life: u64,
        group: u64,
    },
    /// A leader says: you had acknowledged this. Answered with a [`Presence`](super::seat::Presence).
    Forgot {
        leader: Vote,
        acknowledged: LogId,
    },
    /// If I wanted to be elected, with a log that ends so, would you vote for me? Answered with `bool`.
    Would {
        from: Number,
        last: Option<LogId>,
    },
    /// Let me in. Answered with `Result<(), String>`: whether it will be tried.
    Admit {
        member: Member,
        votes: bool,
    },
}

/// What a member says to a question of openraft's.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply<T> {
    Raft(T),
    /// It has no seat.
    Out,
}

/// What a leader has found out about others, over all the ways to them.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Knowledge>);

#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// As which leader.
    vote: Vote,
    /// The last entry that each has acknowledged to that leader.
    acknowledged: BTreeMap<Number, LogId>,
    /// Since when this member leads, as far as it has looked.
    leads_since: Option<Instant>,
    /// When each has last answered to that leader.
    answered: BTreeMap<Number, Instant>,
    /// Unless a majority answers: how long it waits from one call of each member to the next.
    rarely: Option<Duration>,
    /// When it last began to call them, and whom it has called since then. All at about the same time: between, all hear nothing.
    opened: Option<Instant>,
    called: BTreeSet<Number>,
    /// Who has no seat, although it is a member.
    pub(crate) out: BTreeMap<Number, ()>,
    /// Who has lost what it acknowledged.
    pub(crate) forgot: BTreeMap<Number, LogId>,
    /// Who wants to be let in.
    pub(crate) wishes: BTreeMap<Number, Wish>,
    /// Whom this leader was told to remove, so that a wish of before, or of one that has not heard of it, brings nobody back.
    removed: BTreeSet<Number>,
}

/// Somebody wants to be let in.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) member: Member,
    pub(crate) votes: bool,
    /// How often it was tried.
    pub(crate) tries: u32,
}

impl Known {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Knowledge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this member has acknowledged to the leader with this vote.
    fn acknowledged(&self, vote: &Vote, target: Number) -> Option<LogId> {
        let known = self.lock();
        known.acknowledged.get(&target).copied().filter(|_| known.vote == *vote)
    }

    fn acknowledges(&self, vote: &Vote, target: Number, through: Option<LogId>) {
        let mut known = self.lock();
        if known.vote != *vote {
            // Two of its own votes are never incomparable.
            if known.vote > *vote {
                return;
            }
            known.vote = *vote;
            known.acknowledged.clear();
            known.forgot.clear();
            known.answered.clear();
        }
        known.answered.insert(target, now());
        let Some(through) = through else { return };
        let last = known.acknowledged.entry(target).or_insert(through);
        *last = (*last).max(through);
    }
}

impl Knowledge {
    /// The member begins anew: what it acknowledged before does not count.
    pub(crate) fn begins_anew(&mut self, target: Number) {
        self.acknowledged.remove(&target);
        self.forgot.remove(&target);
        self.out.remove(&target);
    }

    pub(crate) fn has_work(&self) -> bool {
        !(self.out.is_empty() && self.forgot.is_empty() && self.wishes.is_empty())
    }

    /// Whether a majority follows this leader: each of `majorities` has enough who answered within `within`, or it has not led for so long.
    /// While it is not, the others are called rarely: whoever hears them may follow somebody who hears, too.
    pub(crate) fn is_followed(&mut self, me: Number, majorities: &[BTreeSet<Number>], within: Duration) -> bool {
        let now = now();
        let begins = now < *self.leads_since.get_or_insert(now) + within;
        let answers = |voter: &&Number| **voter == me || self.answered.get(voter).is_some_and(|at| now < *at + within);
        let followed = begins || majorities.iter().all(|voters| voters.iter().filter(answers).count() * 2 > voters.len());
        self.rarely = (!followed).then_some(within);
        followed
    }

    /// Whether this member may be called now.
    fn calls(&mut self, target: Number) -> bool {
        let (Some(rarely), now) = (self.rarely, now()) else { return true };
        if self.opened.is_none_or(|opened| now >= opened + rarely) {
            self.opened = Some(now);
            self.called.clear();
        }
        self.opened.is_some_and(|opened| now < opened + rarely / 8) && self.called.insert(target)
    }

    /// This member hears one that looks for a leader: it is not deaf, and need not wait with its next call.
    pub(crate) fn is_missed(&mut self) {
        self.opened = None;
    }

    /// All that only a leader needs.
    pub(crate) fn forget(&mut self) {
        (self.leads_since, self.rarely, self.opened) = (None, None, None);
        self.answered.clear();
        self.called.clear();
        self.out.clear();
        self.forgot.clear();
        self.wishes.clear();
        self.removed.clear();
    }

    /// This leader was told to remove the member; or, by somebody who means it, to have it in again.
    pub(crate) fn is_removed(&mut self, number: Number, yes: bool) {
        if !yes {
            self.removed.remove(&number);
        } else if self.removed.len() < WISHES_MAX {
            self.removed.insert(number);
        }
    }

    pub(crate) fn was_removed(&self, number: Number) -> bool {
        self.removed.contains(&number)
    }

    /// Notes that somebody wants to be let in.
    pub(crate) fn wish(&mut self, number: Number, member: Member, votes: bool) -> Result<(), String> {
        if self.wishes.len() >= WISHES_MAX && !self.wishes.contains_key(&number) {
            return Err(format!("{WISHES_MAX} others wait to be let in; ask again"));
        }
        let wish = self.wishes.entry(number).or_insert(Wish { member: member.clone(), votes, tries: 0 });
        (wish.member, wish.votes) = (member, votes);
        Ok(())
    }
}

/// Asks a member something of ours.
pub(crate) async fn ask<T: DeserializeOwned>(
    transport: &dyn Transport,
    to: &Member,
    question: &Question,
    within: Duration,
) -> Result<T, String> {
    let request = encode(question).map_err(|error| error.to_string())?;
    let answer = transport.call(to, request, within);
    // A transport that forgets the deadline must not hold up who asks.
    let answer = playhouse_rt::timeout(within, answer).await.map_err(|late| late.to_string())??;
    decode(&answer).map_err(|error| error.to_string())
}

/// Makes the way to each member.
pub(crate) struct Ways {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) known: Arc<Known>,
}

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: Number, member: &Member) -> Way {
        Way { transport: self.transport.clone(), known: self.known.clone(), target, member: member.clone() }
    }
}

/// The way to one member.
pub(crate) struct Way {
    transport: Arc<dyn Transport>,
    known: Arc<Known>,
    target: Number,
    member: Member,
}

type Failed<E> = RPCError<Number, Member, RaftError<Number, E>>;

impl Way {
    /// See [`Knowledge::is_followed`].
    fn may_call<E: std::error::Error>(&self) -> Result<(), Failed<E>> {
        let may = self.known.lock().calls(self.target);
        may.then_some(()).ok_or_else(|| unreachable("no majority answers: the others are called rarely".into()))
    }

    async fn ask<T, E>(&self, question: Question, option: RPCOption) -> Result<T, Failed<E>>
    where
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let request = encode(&question).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let bytes = self.transport.call(&self.member, request, option.hard_ttl()).await;
        // Whatever is in the way, it may be gone soon: openraft waits a little and asks again.
        let bytes = bytes.map_err(unreachable::<E>)?;
        let answer: Reply<Result<T, RaftError<Number, E>>> =
            decode(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        match answer {
            Reply::Raft(answer) => {
                answer.map_err(|error| RPCError::RemoteError(RemoteError::new_with_node(self.target, self.member.clone(), error)))
            }
            Reply::Out => {
                self.known.lock().out.insert(self.target, ());
                Err(unreachable(format!("{} has no seat", self.member)))
            }
        }
    }
}

fn unreachable<E: std::error::Error>(why: String) -> Failed<E> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(why)))
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Number>, Failed<openraft::error::Infallible>> {
        let (vote, prev) = (request.vote, request.prev_log_id);
        let last = request.entries.last().map(|entry| *entry.get_log_id()).or(prev);
        let before = self.known.acknowledged(&vote, self.target);
        self.may_call()?;
        let answer = self.ask(Question::Append(request), option).await?;
        match &answer {
            AppendEntriesResponse::Success => self.known.acknowledges(&vote, self.target, last),
            AppendEntriesResponse::PartialSuccess(through) => self.known.acknowledges(&vote, self.target, *through),
            // It had this entry when it was asked, and nobody but this leader can have taken it away since. openraft may not see that: it
            // takes it for a bug of its own.
            AppendEntriesResponse::Conflict if prev.is_some() && prev <= before => {
                if let Some(acknowledged) = before {
                    self.known.lock().forgot.insert(self.target, acknowledged);
                }
                return Err(unreachable(format!("{} has lost what it acknowledged", self.member)));
            }
            AppendEntriesResponse::Conflict | AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(answer)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Number>,
        option: RPCOption,
    ) -> Result<VoteResponse<Number>, Failed<openraft::error::Infallible>> {
        self.ask(Question::Vote(request), option).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<Number>, Failed<InstallSnapshotError>> {
        self.may_call()?;
        let (vote, whole) = (request.vote, request.meta.last_log_id.filter(|_| request.done));
        let answer: InstallSnapshotResponse<Number> = self.ask(Question::Snapshot(request), option).await?;
        // With the last part of a snapshot all is acknowledged that it stands for.
        if answer.vote <= vote {
            self.known.acknowledges(&vote, self.target, whole);
        }
        Ok(answer)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_UNREACHABLE))
    }
}
