//! openraft's log in our journal.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogReader, RaftLogStorage};
use openraft::{AnyError, ErrorSubject, ErrorVerb, LogState, OptionalSend, StorageIOError};
use playhouse_store::{Batch, Journal, JournalError};
use playhouse_wire::{decode, encode};

use super::kept::Kept;
use super::types::{Entry, Failure, LogId, Number, Types, Vote};
use crate::limits::{CALL_BYTES, TAIL_BYTES};

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// The log. Clones are the same log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    journal: Journal,
    me: Number,
    /// Up to here a durable snapshot holds all.
    kept: Arc<Kept>,
    tail: Arc<Mutex<Tail>>,
}

/// The end of the log, in memory: what followers ask for is nearly always there, and what is not yet durable always is.
#[derive(Debug, Default)]
struct Tail {
    entries: BTreeMap<u64, (Entry, usize)>,
    bytes: usize,
    /// Up to here all is durable.
    durable: u64,
    last: Option<LogId>,
    purged: Option<LogId>,
    /// What is known to be committed, and not written down yet.
    committed: Option<Option<LogId>>,
}

impl Tail {
    fn add(&mut self, entry: Entry, bytes: usize) {
        self.last = Some(entry.log_id);
        self.bytes += bytes;
        if let Some((_, replaced)) = self.entries.insert(entry.log_id.index, (entry, bytes)) {
            self.bytes -= replaced;
        }
    }

    /// Forgets the oldest of what is durable, as long as there is too much.
    fn trim(&mut self) {
        while self.bytes > TAIL_BYTES
            && let Some(first) = self.entries.first_entry()
            && *first.key() <= self.durable
        {
            self.bytes -= first.remove().1;
        }
    }
}

impl Log {
    /// The log of the member with the number `me`; `kept` says up to which entry a durable snapshot holds all.
    pub(crate) async fn open(journal: Journal, me: Number, kept: Arc<Kept>) -> Result<Log, Failure> {
        let purged: Option<LogId> = value(&journal, PURGED).await?;
        let last = match journal.span().await.map_err(|error| failure(ErrorVerb::Read, error))? {
            None => purged,
            Some((_, last)) => {
                let found = journal.entries(last..=last, 0).await.map_err(|error| failure(ErrorVerb::Read, error))?;
                found.first().map(|(_, bytes)| read::<Entry>(bytes)).transpose()?.map(|entry| entry.log_id)
            }
        };
        let durable = last.map_or(0, |last| last.index);
        Ok(Log { journal, me, kept, tail: Arc::new(Mutex::new(Tail { durable, last, purged, ..Tail::default() })) })
    }

    /// The last entry that was given to it, durable or not.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.tail().last
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries with these numbers, without a gap: one at least if there is any, and no more than about `most` bytes.
    async fn read(&self, from: u64, through: u64, most: usize) -> Result<Vec<Entry>, Failure> {
        let from = self.tail().purged.map_or(from, |purged| from.max(purged.index + 1));
        if from > through {
            return Ok(Vec::new());
        }
        let (tail_from, tail): (u64, Vec<(Entry, usize)>) = {
            let tail = self.tail();
            let first = tail.entries.keys().next().map_or(u64::MAX, |first| (*first).max(from));
            (first, tail.entries.range(from..=through).map(|(_, entry)| entry.clone()).collect())
        };
        let mut entries = Vec::new();
        if tail_from > from {
            let older = self.journal.entries(from..=through.min(tail_from - 1), most).await;
            for (_, bytes) in older.map_err(|error| failure(ErrorVerb::Read, error))? {
                entries.push((read(&bytes)?, bytes.len()));
            }
        }
        entries.extend(tail);
        // What was purged or truncated between the two looks leaves a gap; and there may be more than was asked for.
        let (mut bytes, mut last) = (0, None);
        let fits = |(entry, length): &(Entry, usize)| {
            bytes += length;
            let follows = last.is_none_or(|last| entry.log_id.index == last + 1);
            follows && (last.replace(entry.log_id.index).is_none() || bytes <= most)
        };
        Ok(entries.into_iter().take_while(fits).map(|(entry, _)| entry).collect())
    }

    async fn set(&self, name: &'static str, value: &impl serde::Serialize) -> Result<(), Failure> {
        let set = vec![(name, written(value)?)];
        self.commit(Batch { set, ..Batch::default() }).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), Failure> {
        self.journal.commit(batch).await.map_err(|error| failure(ErrorVerb::Write, error))
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, Failure> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let through = match range.end_bound() {
            Bound::Included(through) => *through,
            Bound::Excluded(0) => return Ok(Vec::new()),
            Bound::Excluded(behind) => behind - 1,
            Bound::Unbounded => u64::MAX,
        };
        if from > through {
            return Ok(Vec::new());
        }
        self.read(from, through, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, from: u64, behind: u64) -> Result<Vec<Entry>, Failure> {
        match behind.checked_sub(1).filter(|through| from <= *through) {
            Some(through) => self.read(from, through, CALL_BYTES).await,
            None => Ok(Vec::new()),
        }
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Failure> {
        let tail = self.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), Failure> {
        self.set(VOTE, vote).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, Failure> {
        let vote: Option<Vote> = value(&self.journal, VOTE).await?;
        // Asked for once, at the start. A leader that comes back would go on leading in its old term, without an entry of its own that
        // tells it what was committed: it could give a stale read as a fresh one. So it is elected again, or another one is.
        Ok(vote.map(|vote| Vote { committed: vote.committed && vote.leader_id.voted_for() != Some(self.me), ..vote }))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Failure> {
        // Only a hint, which spares a restarted member a wait for its leader: it goes with the next entries, for it is not worth a sync.
        self.tail().committed = Some(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, Failure> {
        let known = self.tail().committed;
        match known {
            Some(committed) => Ok(committed),
            None => Ok(value::<Option<LogId>>(&self.journal, COMMITTED).await?.flatten()),
        }
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), Failure>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut append = Vec::new();
        let (mut through, mut set) = (0, Vec::new());
        {
            let mut tail = self.tail();
            if let Some(committed) = tail.committed.take() {
                set.push((COMMITTED, written(&committed)?));
            }
            for entry in entries {
                let bytes = written(&entry)?;
                through = entry.log_id.index;
                append.push((through, bytes));
                tail.add(entry, append.last().map_or(0, |(_, bytes)| bytes.len()));
            }
        }
        let commit = self.journal.submit(Batch { append, set, ..Batch::default() }).await;
        let commit = commit.map_err(|error| failure(ErrorVerb::Write, error))?;
        let log = self.clone();
        playhouse_rt::spawn(async move {
            let done = commit.await;
            if done.is_ok() {
                let mut tail = log.tail();
                tail.durable = tail.durable.max(through);
                tail.trim();
            }
            callback.log_io_completed(done.map_err(io::Error::other));
        });
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), Failure> {
        self.commit(Batch { truncate: Some(log_id.index), ..Batch::default() }).await?;
        let before = match log_id.index.checked_sub(1) {
            Some(before) => self.try_get_log_entries(before..=before).await?.first().map(|entry| entry.log_id),
            None => None,
        };
        let mut tail = self.tail();
        let gone = tail.entries.split_off(&log_id.index);
        tail.bytes -= gone.values().map(|(_, bytes)| bytes).sum::<usize>();
        tail.durable = tail.durable.min(log_id.index.saturating_sub(1));
        tail.last = before.or(tail.purged);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), Failure> {
        // openraft purges, and then appends, while a snapshot that came from another member is still being written. A member that lost its
        // power in between would have neither the snapshot nor what it stands for, so all that waits for it.
        if !self.kept.reached(log_id.index).await {
            let why = AnyError::error("the snapshot that stands for them could not be kept, so no entries go");
            return Err(StorageIOError::new(ErrorSubject::Store, ErrorVerb::Write, why).into());
        }
        let set = vec![(PURGED, written(&log_id)?)];
        self.commit(Batch { purge: Some(log_id.index), set, ..Batch::default() }).await?;
        let mut tail = self.tail();
        let kept = tail.entries.split_off(&(log_id.index + 1));
        let gone = std::mem::replace(&mut tail.entries, kept);
        tail.bytes -= gone.values().map(|(_, bytes)| bytes).sum::<usize>();
        tail.purged = Some(log_id);
        if tail.last.is_none_or(|last| last.index <= log_id.index) {
            tail.last = Some(log_id);
        }
        Ok(())
    }
}

/// A value of the journal.
pub(super) async fn value<T: serde::de::DeserializeOwned>(journal: &Journal, name: &'static str) -> Result<Option<T>, Failure> {
    let bytes = journal.value(name).await.map_err(|error| failure(ErrorVerb::Read, error))?;
    bytes.map(|bytes| read(&bytes)).transpose()
}

pub(super) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    decode(bytes).map_err(|error| StorageIOError::new(ErrorSubject::Store, ErrorVerb::Read, AnyError::error(error)).into())
}

pub(super) fn written(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    encode(value).map_err(|error| StorageIOError::new(ErrorSubject::Store, ErrorVerb::Write, AnyError::error(error)).into())
}

pub(super) fn failure(verb: ErrorVerb, error: JournalError) -> Failure {
    StorageIOError::new(ErrorSubject::Store, verb, AnyError::error(error)).into()
}
