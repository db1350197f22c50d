//! What a member answers when another one asks.

use std::sync::Arc;

use openraft::error::RaftError;
use openraft::raft::VoteResponse;
use openraft::{Raft, ServerState};
use playhouse_wire::{NodeName, decode, encode};

use super::election::leads;
use super::group::{Group, Inner, is_changing};
use super::network::{Question, Reply};
use super::seat::{Presence, Seat, Waits};
use super::state::Replicated;
use super::types::{LogId, Member, Number, Types, Vote};

impl<S: Replicated> Group<S> {
    /// As [`Group::answer`], for a caller whose certificate proves that it is `from`: it speaks for nobody else.
    ///
    /// # Errors
    /// When the bytes are no question of a member's, or one that only another member can ask.
    pub async fn answer_from(&self, from: &NodeName, question: &[u8]) -> Result<Vec<u8>, String> {
        let asked: Question = decode(question).map_err(|error| error.to_string())?;
        let speaks_for = match &asked {
            Question::Append(request) => request.vote.leader_id().voted_for(),
            Question::Vote(request) => request.vote.leader_id().voted_for(),
            Question::Snapshot(request) => request.vote.leader_id().voted_for(),
            Question::Forgot { leader, .. } => leader.leader_id().voted_for(),
            Question::Would { from, .. } => Some(*from),
            Question::Admit { member, .. } => super::members::number_of(member).ok(),
            Question::Presence | Question::Seat { .. } => Some(Member::number(from)),
        };
        if speaks_for != Some(Member::number(from)) {
            return Err(format!("{from} asks in another member's name"));
        }
        self.answers(asked).await
    }

    /// As [`Group::answer_from`], for a caller who is no member known here: it may ask who is, and to be let in itself. One that has lost its
    /// disk and was removed, by a leader who was lost before it could add it anew, has no other way back.
    ///
    /// # Errors
    /// When it asks anything else.
    pub async fn answer_stranger(&self, from: &NodeName, question: &[u8]) -> Result<Vec<u8>, String> {
        match decode(question) {
            Ok(Question::Presence | Question::Admit { .. }) => self.answer_from(from, question).await,
            _ => Err(format!("{from} is no member known here")),
        }
    }

    /// Answers a call of another member; see [`Transport`](crate::Transport). Whoever carries calls has seen to it that a member made it.
    ///
    /// # Errors
    /// When the bytes are no question of a member's.
    pub async fn answer(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        self.answers(decode(question).map_err(|error| error.to_string())?).await
    }

    async fn answers(&self, question: Question) -> Result<Vec<u8>, String> {
        let inner = &self.0;
        if inner.has_stopped() {
            return Err(format!("{} has stopped", inner.name));
        }
        // See [`Planted::empty_disk_votes`](super::group::Planted::empty_disk_votes).
        let gives_away = inner.profile.planted.empty_disk_votes && inner.taking_part().is_none();
        let answer = match question {
            Question::Would { .. } if gives_away => encode(&true),
            Question::Vote(request) if gives_away => {
                let (vote, vote_granted, last_log_id) = (request.vote, true, None);
                encode(&Reply::Raft::<Result<VoteResponse<_>, RaftError<Number>>>(Ok(VoteResponse {
                    vote,
                    vote_granted,
                    last_log_id,
                })))
            }
            Question::Presence => encode(&inner.presence()),
            Question::Seat { life, group } => encode(&inner.take_seat(life, group).await),
            Question::Forgot { leader, acknowledged } => encode(&inner.forgets(leader, acknowledged).await?),
            Question::Would { from, last } => {
                inner.known.lock().is_missed();
                let free = inner.taking_part().is_some_and(|raft| !leads(&raft)) && last >= inner.log.last();
                encode(&(free && inner.hearing.would(inner.me, from, inner.profile.silence)))
            }
            Question::Admit { member, votes } => encode(&inner.is_asked_to_admit(member, votes)),
            Question::Append(request) => match inner.taking_part() {
                None => encode(&Reply::<()>::Out),
                Some(raft) => {
                    // Now, and not when it is done: a slow disk is no silence.
                    inner.hears(&raft, &request.vote);
                    encode(&Reply::Raft(raft.append_entries(request).await))
                }
            },
            Question::Snapshot(request) => match inner.taking_part() {
                None => encode(&Reply::<()>::Out),
                Some(raft) => {
                    inner.hears(&raft, &request.vote);
                    encode(&Reply::Raft(raft.install_snapshot(request).await))
                }
            },
            Question::Vote(request) => match inner.taking_part() {
                None => encode(&Reply::<()>::Out),
                Some(raft) => {
                    let answer = raft.vote(request).await;
                    if let Ok(VoteResponse { vote_granted: true, .. }) = answer {
                        inner.hearing.waits(inner.profile.silence / 2);
                    }
                    encode(&Reply::Raft(answer))
                }
            },
        };
        answer.map_err(|error| error.to_string())
    }
}

impl<S: Replicated> Inner<S> {
    fn hears(&self, raft: &Raft<Types>, leader: &Vote) {
        // One who was voted out meanwhile may not know it.
        if *leader >= raft.metrics().borrow().vote {
            self.hearing.hears();
        }
    }

    pub(super) fn presence(&self) -> Presence {
        let (seat, last) = (self.seat(), self.log.last());
        let Some(raft) = self.raft() else {
            return Presence { seat, term: 0, last, members: Vec::new(), is_settled: false, leader: None };
        };
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let voters: Vec<_> = membership.voter_ids().collect();
        let leader = metrics.current_leader.filter(|_| metrics.running_state.is_ok() && metrics.state != ServerState::Shutdown);
        Presence {
            seat,
            term: metrics.current_term,
            last,
            members: membership.nodes().map(|(number, member)| (member.clone(), voters.contains(number))).collect(),
            is_settled: !is_changing(&metrics),
            leader: leader.and_then(|leader| membership.get_node(&leader).cloned()),
        }
    }

    /// Takes the seat that is meant for this life of its disk.
    pub(super) async fn take_seat(&self, life: u64, group: u64) -> Result<(), String> {
        let _one = self.seating.acquire().await.unwrap_or_else(|_| unreachable!("nobody closes it"));
        match self.seat() {
            Seat::In { group: mine } if mine == group => Ok(()),
            Seat::In { .. } => Err(format!("{} belongs to another group", self.name)),
            Seat::Out { life: mine } if mine != life => Err(format!("{} has begun another life since", self.name)),
            Seat::Out { .. } => {
                let seat = Seat::In { group };
                seat.keep(&self.journal).await?;
                self.begin().await.map_err(|error| error.to_string())?;
                self.stands(seat, None);
                Ok(())
            }
        }
    }

    /// A leader says that this member had acknowledged more than it has: then it gives up its seat.
    async fn forgets(&self, leader: Vote, acknowledged: LogId) -> Result<Presence, String> {
        let _one = self.seating.acquire().await.unwrap_or_else(|_| unreachable!("nobody closes it"));
        let stale = self.raft().is_some_and(|raft| leader < raft.metrics().borrow().vote);
        let last = self.log.last();
        if let Seat::In { .. } = self.seat()
            && !stale
            && last < Some(acknowledged)
        {
            let seat = Seat::Out { life: playhouse_rt::Random::here("life of a journal").next_u64() };
            let forgot = Waits::Forgot {
                member: self.name.to_string(),
                file: self.journal.file().display().to_string(),
                acknowledged: acknowledged.index,
                found: last.map_or(0, |last| last.index),
            };
            // First this: nobody may count on it from now on, also if the disk refuses to remember it.
            self.stands(seat, Some(forgot));
            seat.keep(&self.journal).await?;
        }
        Ok(self.presence())
    }

    pub(super) fn is_asked_to_admit(self: &Arc<Self>, member: Member, votes: bool) -> Result<(), String> {
        if !self.taking_part().is_some_and(|raft| leads(&raft)) {
            return Err(format!("{} does not lead", self.name));
        }
        let number = super::members::number_of(&member).map_err(|error| error.to_string())?;
        self.known.lock().wish(number, member, votes)
    }
}
