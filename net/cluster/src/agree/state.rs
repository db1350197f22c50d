//! openraft's state machine around ours.

use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{AnyError, EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use playhouse_rt::sync::Semaphore;
use playhouse_store::annals::Annals;
use playhouse_store::{Batch, Journal};

use super::kept::Kept;
use super::log::{failure, read, written};
use super::types::{Entry, Failure, LogId, Membership, SnapshotMeta, Types};

const SNAPSHOT: &str = "snapshot";

/// What all members have the same copy of: it changes by commands alone, and each command does the same to every copy.
pub trait Replicated: Send + 'static {
    /// Takes the command with this number. Commands come in the order of their numbers, and a number may be missing: it was nobody's.
    ///
    /// # Errors
    /// When it does not understand the command: it has not changed, and this member takes no part any more, so that no snapshot says that it
    /// has applied what it has not.
    fn apply(&mut self, number: u64, command: &[u8]) -> Result<(), String>;

    /// All of it, as bytes.
    fn save(&self) -> Vec<u8>;

    /// Becomes what was saved.
    ///
    /// # Errors
    /// When the bytes are not what [`Replicated::save`] gave: nothing has changed then.
    fn load(&mut self, saved: &[u8]) -> Result<(), String>;

    /// What it was loaded from was saved by an earlier life of this member, which had synced [`Replicated::beside`] before.
    fn recalls(&mut self) {}

    /// What it writes beside the journal. It is made durable before a snapshot takes the place of the commands that it tells of; and a member
    /// that cannot write it takes no part any more.
    fn beside(&self) -> Option<Annals> {
        None
    }
}

/// A copy. Clones are the same copy.
pub(crate) struct Copy<S> {
    journal: Journal,
    /// Up to here a durable snapshot holds all.
    kept: Arc<Kept>,
    /// One snapshot is written at a time.
    writing: Arc<Semaphore>,
    beside: Option<Annals>,
    held: Arc<Mutex<Held<S>>>,
}

impl<S> Clone for Copy<S> {
    fn clone(&self) -> Copy<S> {
        Copy {
            journal: self.journal.clone(),
            kept: self.kept.clone(),
            writing: self.writing.clone(),
            beside: self.beside.clone(),
            held: self.held.clone(),
        }
    }
}

pub(crate) struct Held<S> {
    pub(crate) state: S,
    applied: Option<LogId>,
    membership: Membership,
}

struct Saved {
    meta: SnapshotMeta,
    state: Vec<u8>,
}

impl Saved {
    /// Four bytes of the meta's length, the meta, the state: of any length, so not through the codec of messages.
    fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let meta = written(&self.meta)?;
        let mut bytes = Vec::with_capacity(4 + meta.len() + self.state.len());
        bytes.extend_from_slice(&(meta.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&meta);
        bytes.extend_from_slice(&self.state);
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Saved, Failure> {
        let parts =
            bytes.split_first_chunk::<4>().and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
        let (meta, state) = parts.ok_or_else(|| unreadable("it ends too early"))?;
        Ok(Saved { meta: read(meta)?, state: state.to_vec() })
    }

    async fn of(journal: &Journal) -> Result<Option<Saved>, Failure> {
        let bytes = journal.value(SNAPSHOT).await.map_err(|error| failure(ErrorVerb::Read, error))?;
        bytes.map(|bytes| Saved::from_bytes(&bytes)).transpose()
    }

    fn index(&self) -> u64 {
        self.meta.last_log_id.map_or(0, |at| at.index)
    }

    fn into_snapshot(self) -> Snapshot<Types> {
        Snapshot { meta: self.meta, snapshot: Box::new(Cursor::new(self.state)) }
    }
}

fn unreadable(why: &str) -> Failure {
    let error = AnyError::error(format!("a snapshot cannot be read: {why}"));
    StorageIOError::new(ErrorSubject::Snapshot(None), ErrorVerb::Read, error).into()
}

impl<S: Replicated> Copy<S> {
    /// As the journal's snapshot says, or as it is given.
    pub(crate) async fn open(journal: Journal, state: S, kept: Arc<Kept>) -> Result<Copy<S>, Failure> {
        let saved = Saved::of(&journal).await?;
        let beside = state.beside();
        let held = Held { state, applied: None, membership: Membership::default() };
        let copy = Copy { journal, kept, writing: Arc::new(Semaphore::new(1)), beside, held: Arc::new(Mutex::new(held)) };
        if let Some(saved) = saved {
            copy.become_saved(&saved)?;
            copy.held().state.recalls();
            copy.kept.reaches(saved.index());
        }
        Ok(copy)
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held<S>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is written beside the journal, if anything is.
    pub(crate) fn beside(&self) -> Option<&Annals> {
        self.beside.as_ref()
    }

    async fn tells(&self, tells: impl AsyncFnOnce(&Annals) -> Result<(), String>) -> Result<(), Failure> {
        let Some(annals) = &self.beside else { return Ok(()) };
        let written = tells(annals).await;
        written.map_err(|why| StorageIOError::new(ErrorSubject::StateMachine, ErrorVerb::Write, AnyError::error(why)).into())
    }

    fn become_saved(&self, saved: &Saved) -> Result<(), Failure> {
        let mut held = self.held();
        held.state.load(&saved.state).map_err(|why| unreadable(&why))?;
        held.applied = saved.meta.last_log_id;
        held.membership = saved.meta.last_membership.clone();
        Ok(())
    }

    fn apply_all(&self, entries: impl IntoIterator<Item = Entry>) -> Result<Vec<()>, Failure> {
        let mut held = self.held();
        let mut answers = Vec::new();
        for entry in entries {
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => {
                    let applied = held.state.apply(entry.log_id.index, &command.0);
                    applied.map_err(|why| StorageIOError::apply(entry.log_id, AnyError::error(why)))?;
                }
                EntryPayload::Membership(membership) => held.membership = Membership::new(Some(entry.log_id), membership),
            }
            held.applied = Some(entry.log_id);
            answers.push(());
        }
        Ok(answers)
    }

    async fn keep(&self, saved: &Saved) -> Result<(), Failure> {
        let _writing = self.writing.acquire().await.unwrap_or_else(|_| unreachable!("nobody closes it"));
        if self.kept.has_failed() {
            let why = AnyError::error("an earlier snapshot could not be kept");
            return Err(StorageIOError::new(ErrorSubject::StateMachine, ErrorVerb::Write, why).into());
        }
        // One that was built here takes its time; meanwhile a newer one may have come from another member.
        if saved.index() < self.kept.through() {
            return Ok(());
        }
        let told = self.tells(Annals::sync).await;
        if told.is_err() {
            self.kept.fails();
        }
        told?;
        let set = vec![(SNAPSHOT, saved.to_bytes()?)];
        let done = self.journal.commit(Batch { set, ..Batch::default() }).await;
        if done.is_ok() {
            self.kept.reaches(saved.index())
        } else {
            self.kept.fails()
        }
        done.map_err(|error| failure(ErrorVerb::Write, error))
    }
}

impl<S: Replicated> RaftSnapshotBuilder<Types> for Copy<S> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Failure> {
        let saved = {
            let held = self.held();
            let snapshot_id = held.applied.map_or("empty".to_string(), |at| at.to_string());
            let meta = SnapshotMeta { last_log_id: held.applied, last_membership: held.membership.clone(), snapshot_id };
            Saved { meta, state: held.state.save() }
        };
        self.keep(&saved).await?;
        Ok(saved.into_snapshot())
    }
}

impl<S: Replicated> RaftStateMachine<Types> for Copy<S> {
    type SnapshotBuilder = Copy<S>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), Failure> {
        let held = self.held();
        Ok((held.applied, held.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, Failure>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let answers = self.apply_all(entries)?;
        self.tells(Annals::room).await?;
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Copy<S> {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, Failure> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Box<Cursor<Vec<u8>>>) -> Result<(), Failure> {
        let saved = Saved { meta: meta.clone(), state: snapshot.into_inner() };
        // First this: what cannot be read must not take the place of what can.
        self.become_saved(&saved).inspect_err(|_| self.kept.fails())?;
        self.keep(&saved).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Failure> {
        Ok(Saved::of(&self.journal).await?.map(Saved::into_snapshot))
    }
}
