//! The coordinator's side: who owns which shard, what it is fed, and which windows are recorded.
//!
//! A shard goes to the node that owns the fewest, of equal ones the first by name, among alive nodes that offer workers. It stays
//! there until that node is lost. Whenever it is opened its epoch rises, also on the same node: the owner then restores it from its
//! latest checkpoint, and answers of earlier epochs are ignored.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use super::feed::{Phase, ShardFeed};
use super::hash::shard_of;
use super::shard::{Feed, ShardReply};
use crate::config::Planted;
use crate::ids::{JobId, ShardId};
use crate::limits::{REPLAY_HIGH, REPLAY_MAX, SHARD_FAILURES_MAX, SHARD_RETRY, SHARD_TIMEOUT, WINDOWS_MAX};
use crate::spec::{StreamEvent, StreamSpec, WindowResult};

/// What the coordinator wants of the owners.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StreamsEffect {
    Open { shard: ShardId, epoch: u32, owner: (NodeName, Incarnation), window: u64 },
    Close { shard: ShardId, epoch: u32, owner: (NodeName, Incarnation) },
    Feed { shard: ShardId, epoch: u32, owner: (NodeName, Incarnation), feed: Feed },
}

/// How far a stream is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// No event to come is earlier.
    pub watermark: Time,
    /// Events accepted.
    pub events: u64,
    /// Events that were dropped because they came too late.
    pub late: u64,
    /// Closed windows that are recorded.
    pub windows: u64,
    /// All events are applied and all windows recorded.
    pub complete: bool,
    /// The shards by index.
    pub shards: Vec<ShardStatus>,
}

/// How far a shard is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Who owns it.
    pub node: Option<NodeName>,
    /// How often it was opened.
    pub epoch: u32,
    /// Events accepted.
    pub events: u64,
    /// Events that its owner has applied.
    pub applied: u64,
    /// Events kept for replay.
    pub replay: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stream {
    window: u64,
    shards: Vec<ShardFeed>,
    watermark: Time,
    windows: BTreeMap<(String, Time), (u64, u64)>,
    /// The job is over: nothing is fed any more, and this is how far the stream came.
    closed: Option<StreamStatus>,
}

/// The streams of all jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Streams {
    streams: BTreeMap<JobId, Stream>,
    /// Nodes that may own shards, and how many each owns.
    nodes: BTreeMap<NodeName, (Incarnation, u32)>,
    due: BTreeSet<(Time, ShardId)>,
    /// Shards that nobody owns.
    unowned: BTreeSet<ShardId>,
    /// Shards that may have something to be fed.
    dirty: BTreeSet<ShardId>,
    /// Jobs whose stream may have come to its end.
    touched: BTreeSet<JobId>,
    /// Jobs whose stream cannot go on.
    broken: Vec<(JobId, String)>,
    feed_from_start: bool,
    by_record: bool,
}

impl Streams {
    pub(crate) fn new(planted: Planted) -> Self {
        let (feed_from_start, by_record) = (planted.feed_without_numbers, planted.sharded_by_record);
        Self { feed_from_start, by_record, ..Self::default() }
    }

    /// Makes the stream of a job.
    pub(crate) fn open(&mut self, job: JobId, spec: StreamSpec, watermark: Time) {
        let shards: Vec<_> = (0..spec.shards).map(|_| ShardFeed::new()).collect();
        let ids = (0..spec.shards).map(|shard| ShardId { job, shard });
        self.unowned.extend(ids);
        let stream = Stream { window: spec.window, shards, watermark, windows: BTreeMap::new(), closed: None };
        self.streams.insert(job, stream);
    }

    /// Ends the feeding of a job's stream; its windows stay.
    pub(crate) fn close(&mut self, job: JobId, out: &mut Vec<StreamsEffect>) {
        let status = self.status(job);
        let Some(stream) = self.streams.get_mut(&job) else { return };
        stream.closed = status;
        for (index, feed) in (0..).zip(core::mem::take(&mut stream.shards)) {
            let shard = ShardId { job, shard: index };
            self.unowned.remove(&shard);
            self.dirty.remove(&shard);
            if let Some(due) = feed.phase.due() {
                self.due.remove(&(due, shard));
            }
            if let Some(owner) = feed.owner {
                if let Some((_, owned)) = self.nodes.get_mut(&owner.0).filter(|(life, _)| *life == owner.1) {
                    *owned -= 1;
                }
                out.push(StreamsEffect::Close { shard, epoch: feed.epoch, owner });
            }
        }
    }

    pub(crate) fn forget(&mut self, job: JobId) {
        self.streams.remove(&job);
    }

    /// Whether each shard has room for its part of the events.
    pub(crate) fn has_room(&self, job: JobId, events: &[StreamEvent]) -> bool {
        let Some(stream) = self.streams.get(&job).filter(|_| !events.is_empty()) else { return events.is_empty() };
        let mut wanted: Vec<usize> = stream.shards.iter().map(ShardFeed::replay_len).collect();
        events.iter().for_each(|e| wanted[shard_of(&e.key, stream.shards.len() as u32) as usize] += 1);
        wanted.iter().all(|n| *n <= REPLAY_MAX)
    }

    /// Whether a shard is so far behind that the job should bring no more events for now.
    pub(crate) fn wants_pause(&self, job: JobId) -> bool {
        self.streams.get(&job).is_some_and(|s| s.shards.iter().any(|feed| feed.replay_len() > REPLAY_HIGH))
    }

    /// Takes the events of an accepted result.
    pub(crate) fn append(&mut self, job: JobId, events: Vec<StreamEvent>) {
        let Some(stream) = self.streams.get_mut(&job) else { return assert!(events.is_empty(), "events need a stream") };
        for event in events {
            let mut shard = shard_of(&event.key, stream.shards.len() as u32);
            if self.by_record {
                let records: u64 = stream.shards.iter().map(ShardFeed::last).sum();
                shard = (records % stream.shards.len() as u64) as u32;
            }
            stream.shards[shard as usize].append(event, stream.watermark);
            self.dirty.insert(ShardId { job, shard });
        }
    }

    /// No event to come is earlier.
    pub(crate) fn set_watermark(&mut self, job: JobId, watermark: Time) {
        if let Some(stream) = self.streams.get_mut(&job).filter(|s| s.watermark < watermark) {
            stream.watermark = watermark;
            self.dirty.extend((0..stream.shards.len() as u32).map(|shard| ShardId { job, shard }));
        }
    }

    /// The node may own shards; its shards from before its state changed stay with it.
    pub(crate) fn node_open(&mut self, node: &NodeName, incarnation: Incarnation) {
        if !self.nodes.contains_key(node) {
            let owner = (node.clone(), incarnation);
            let feeds = self.streams.values().flat_map(|s| &s.shards);
            let owned = feeds.filter(|f| f.owner.as_ref() == Some(&owner)).count() as u32;
            self.nodes.insert(owner.0, (incarnation, owned));
        }
    }

    /// The node gets no more shards for now.
    pub(crate) fn node_shut(&mut self, node: &NodeName) {
        self.nodes.remove(node);
    }

    /// The node is lost: its shards go elsewhere. Gives how many.
    pub(crate) fn node_lost(&mut self, node: &NodeName, incarnation: Incarnation) -> u32 {
        self.nodes.remove(node);
        let mut moved = 0;
        let ids: Vec<ShardId> = self.owned_by(node, incarnation);
        for id in ids {
            self.set_phase(id, Phase::Unowned);
            self.feed_mut(id).owner = None;
            self.unowned.insert(id);
            moved += 1;
        }
        moved
    }

    /// An owner has opened its shard, with all events up to `seq` applied.
    pub(crate) fn opened(&mut self, shard: ShardId, epoch: u32, seq: u64) {
        // An answer to an earlier opening, a repetition, or the stream is over.
        if !self.current(shard, epoch).is_some_and(|f| matches!(f.phase, Phase::Opening(_))) {
            return;
        }
        self.set_phase(shard, Phase::Idle);
        let from_start = self.feed_from_start;
        let feed = self.feed_mut(shard);
        if !feed.opened(seq, from_start) {
            let reason =
                format!("shard {shard} was restored up to event {seq}, which is not what it was fed (of {} events)", feed.last());
            self.broken.push((shard.job, reason));
        }
        self.dirty.insert(shard);
    }

    /// An owner has applied a feed.
    pub(crate) fn fed(&mut self, shard: ShardId, epoch: u32, reply: ShardReply) {
        // An answer of an earlier epoch, a repetition of an earlier one, or the stream is over.
        let waited = |f: &&ShardFeed| matches!(f.phase, Phase::Feeding(_)) && f.fits(&reply);
        if self.current(shard, epoch).filter(waited).is_none() {
            return;
        }
        self.set_phase(shard, Phase::Idle);
        self.feed_mut(shard).fed(&reply);
        let Some(stream) = self.streams.get_mut(&shard.job) else { unreachable!("the stream of a shard is known") };
        let feed = &mut stream.shards[shard.shard as usize];
        for (number, window) in (reply.closed_first..).zip(reply.closed) {
            let found = (window.count, window.sum);
            let recorded = *stream.windows.entry((window.key, window.start)).or_insert(found);
            // A shard is another program on another node: what it says wrongly costs its job, not the plane.
            if recorded != found {
                let reason = format!("shard {shard} closed a window twice, with {recorded:?} and {found:?}");
                self.broken.push((shard.job, reason));
            }
            feed.windows_seen = feed.windows_seen.max(number.saturating_add(1));
        }
        if stream.windows.len() > WINDOWS_MAX {
            self.broken.push((shard.job, format!("its stream has more than {WINDOWS_MAX} windows")));
        }
        self.dirty.insert(shard);
        self.touched.insert(shard.job);
    }

    /// An owner could not open or apply, or could not be reached.
    pub(crate) fn failed(&mut self, now: Time, shard: ShardId, epoch: u32, reason: &str) {
        // Of an earlier epoch, or known already.
        if !self.current(shard, epoch).is_some_and(|f| !matches!(f.phase, Phase::Retry(_))) {
            return;
        }
        self.set_phase(shard, Phase::Retry(now + SHARD_RETRY));
        let feed = self.feed_mut(shard);
        feed.failures += 1;
        if feed.failures >= SHARD_FAILURES_MAX {
            let reason = format!("shard {shard} failed {} times, at last: {reason}", feed.failures);
            self.broken.push((shard.job, reason));
        }
    }

    /// Opens shards that nobody owns, and feeds those that have something to hear.
    pub(crate) fn pump(&mut self, now: Time, out: &mut Vec<StreamsEffect>) {
        while let Some(shard) = self.unowned.first().copied() {
            let fewest = self.nodes.iter_mut().min_by_key(|(_, (_, owned))| *owned);
            let Some((node, (incarnation, owned))) = fewest else { break };
            *owned += 1;
            let owner = (node.clone(), *incarnation);
            self.unowned.pop_first();
            self.feed_mut(shard).owner = Some(owner);
            self.reopen(now, shard, out);
        }
        for shard in core::mem::take(&mut self.dirty) {
            let Some(stream) = self.streams.get_mut(&shard.job).filter(|s| s.closed.is_none()) else { continue };
            let feed = &mut stream.shards[shard.shard as usize];
            if let Some(owner) = feed.owner.clone()
                && feed.has_news(stream.watermark)
            {
                let (epoch, batch) = (feed.epoch, feed.next_feed(stream.watermark));
                out.push(StreamsEffect::Feed { shard, epoch, owner, feed: batch });
                self.set_phase(shard, Phase::Feeding(now + SHARD_TIMEOUT));
            }
        }
    }

    /// Opens again what failed, and fails what did not answer.
    pub(crate) fn tick(&mut self, now: Time, out: &mut Vec<StreamsEffect>) {
        while let Some((due, shard)) = self.due.first().copied()
            && due <= now
        {
            let feed = self.feed_mut(shard);
            match feed.phase {
                Phase::Retry(_) => self.reopen(now, shard, out),
                _ => {
                    let epoch = feed.epoch;
                    self.failed(now, shard, epoch, "no answer");
                }
            }
        }
    }

    /// Opens again, with a higher epoch, each shard of which an answer is waited for: nobody may have asked for it.
    pub(crate) fn open_again(&mut self, now: Time, out: &mut Vec<StreamsEffect>) {
        let waits = |shard: &ShardId| !matches!(self.streams[&shard.job].shards[shard.shard as usize].phase, Phase::Retry(_));
        let shards: Vec<ShardId> = self.due.iter().map(|(_, shard)| *shard).filter(waits).collect();
        for shard in shards {
            self.reopen(now, shard, out);
        }
    }

    pub(crate) fn wakes_at(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Jobs whose stream may have come to its end since it was last asked.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<JobId> {
        core::mem::take(&mut self.touched)
    }

    /// Jobs whose stream cannot go on, with the reason.
    pub(crate) fn take_broken(&mut self) -> Vec<(JobId, String)> {
        core::mem::take(&mut self.broken)
    }

    /// All events are applied and all windows recorded, or there is no stream.
    pub(crate) fn is_complete(&self, job: JobId) -> bool {
        let complete = |s: &Stream| s.watermark == Time::MAX && s.shards.iter().all(ShardFeed::is_complete);
        self.streams.get(&job).is_none_or(complete)
    }

    /// The recorded windows, by key and start.
    pub(crate) fn windows(&self, job: JobId) -> Option<Vec<WindowResult>> {
        let result = |((key, start), (count, sum)): (&(String, Time), &(u64, u64))| WindowResult {
            key: key.clone(),
            start: *start,
            count: *count,
            sum: *sum,
        };
        self.streams.get(&job).map(|s| s.windows.iter().map(result).collect())
    }

    pub(crate) fn status(&self, job: JobId) -> Option<StreamStatus> {
        let stream = self.streams.get(&job)?;
        if stream.closed.is_some() {
            return stream.closed.clone();
        }
        let shard = |feed: &ShardFeed| ShardStatus {
            node: feed.owner.as_ref().map(|(node, _)| node.clone()),
            epoch: feed.epoch,
            events: feed.last(),
            applied: feed.applied,
            replay: feed.replay_len() as u64,
        };
        Some(StreamStatus {
            watermark: stream.watermark,
            events: stream.shards.iter().map(ShardFeed::last).sum(),
            late: stream.shards.iter().map(|f| f.late).sum(),
            windows: stream.windows.len() as u64,
            complete: self.is_complete(job),
            shards: stream.shards.iter().map(shard).collect(),
        })
    }

    fn reopen(&mut self, now: Time, shard: ShardId, out: &mut Vec<StreamsEffect>) {
        self.set_phase(shard, Phase::Opening(now + SHARD_TIMEOUT));
        let window = self.streams[&shard.job].window;
        let feed = self.feed_mut(shard);
        feed.epoch += 1;
        let Some(owner) = feed.owner.clone() else { unreachable!("a shard is opened by its owner") };
        out.push(StreamsEffect::Open { shard, epoch: feed.epoch, owner, window });
    }

    fn owned_by(&self, node: &NodeName, incarnation: Incarnation) -> Vec<ShardId> {
        let mut ids = Vec::new();
        for (job, stream) in &self.streams {
            let owned = |f: &ShardFeed| f.owner.as_ref().is_some_and(|(n, i)| n == node && *i == incarnation);
            ids.extend((0..).zip(&stream.shards).filter(|(_, f)| owned(f)).map(|(shard, _)| ShardId { job: *job, shard }));
        }
        ids
    }

    fn current(&self, shard: ShardId, epoch: u32) -> Option<&ShardFeed> {
        let feed = self.streams.get(&shard.job)?.shards.get(shard.shard as usize)?;
        (feed.epoch == epoch && feed.owner.is_some()).then_some(feed)
    }

    fn feed_mut(&mut self, shard: ShardId) -> &mut ShardFeed {
        let stream = self.streams.get_mut(&shard.job).filter(|s| s.closed.is_none());
        stream.map(|s| &mut s.shards[shard.shard as usize]).unwrap_or_else(|| unreachable!("shard {shard} is fed"))
    }

    /// Changes what is waited for, and its place in the order of what is due.
    fn set_phase(&mut self, shard: ShardId, phase: Phase) {
        let before = core::mem::replace(&mut self.feed_mut(shard).phase, phase);
        if let Some(due) = before.due() {
            assert!(self.due.remove(&(due, shard)), "what is waited for is due at some time");
        }
        if let Some(due) = phase.due() {
            self.due.insert((due, shard));
        }
    }
}
