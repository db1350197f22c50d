//! openraft's calls over whatever carries bytes between members.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, Raft};
use playhouse_wire::{decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::{Member, Number, Types};
use crate::limits::RETRY_UNREACHABLE;

/// What a call gives, in the end.
pub type Called = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// Carries calls to other members, over connections that prove who is at the other end.
pub trait Transport: Send + Sync + 'static {
    /// Gives `request` to the member's [`Group::answer`](super::Group::answer), and its answer back, within a time. Dropped, it is given up.
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called;
}

/// What members ask each other.
#[derive(Serialize, Deserialize)]
enum Question {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Number>),
    Snapshot(InstallSnapshotRequest<Types>),
}

/// What a member says.
type Answer<T, E> = Result<T, RaftError<Number, E>>;

/// Answers the question of another member.
pub(crate) async fn answer(raft: &Raft<Types>, question: &[u8]) -> Result<Vec<u8>, String> {
    let question: Question = decode(question).map_err(|error| error.to_string())?;
    let answer = match question {
        Question::Append(request) => encode(&raft.append_entries(request).await),
        Question::Vote(request) => encode(&raft.vote(request).await),
        Question::Snapshot(request) => encode(&raft.install_snapshot(request).await),
    };
    answer.map_err(|error| error.to_string())
}

/// Makes the way to each member.
pub(crate) struct Ways(pub(crate) Arc<dyn Transport>);

impl RaftNetworkFactory<Types> for Ways {
    type Network = Way;

    async fn new_client(&mut self, target: Number, member: &Member) -> Way {
        Way { transport: self.0.clone(), target, member: member.clone() }
    }
}

/// The way to one member.
pub(crate) struct Way {
    transport: Arc<dyn Transport>,
    target: Number,
    member: Member,
}

impl Way {
    async fn ask<T, E>(&self, question: Question, option: RPCOption) -> Result<T, RPCError<Number, Member, RaftError<Number, E>>>
    where
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let request = encode(&question).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let bytes = self.transport.call(&self.member, request, option.hard_ttl()).await;
        // Whatever is in the way, it may be gone soon: openraft waits a little and asks again.
        let bytes = bytes.map_err(|why| RPCError::Unreachable(Unreachable::new(&AnyError::error(why))))?;
        let answer: Answer<T, E> = decode(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new_with_node(self.target, self.member.clone(), error)))
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Number>, RPCError<Number, Member, RaftError<Number>>> {
        self.ask(Question::Append(request), option).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Number>,
        option: RPCOption,
    ) -> Result<VoteResponse<Number>, RPCError<Number, Member, RaftError<Number>>> {
        self.ask(Question::Vote(request), option).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<Number>, RPCError<Number, Member, RaftError<Number, InstallSnapshotError>>> {
        self.ask(Question::Snapshot(request), option).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_UNREACHABLE))
    }
}
