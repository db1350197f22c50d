//! What the coordinator knows of one shard: its owner, and the numbered events that a restored owner may need again.

use alloc::collections::VecDeque;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use super::shard::{Feed, ShardReply};
use crate::limits::{FEED_BATCH, REPLAY_MAX};
use crate::spec::StreamEvent;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// A node that can own it.
    Unowned,
    /// The owner's word that it is open; failed at this time.
    Opening(Time),
    /// Something to feed.
    Idle,
    /// The answer to a feed; failed at this time.
    Feeding(Time),
    /// The time to open it again.
    Retry(Time),
}

impl Phase {
    pub(crate) fn due(self) -> Option<Time> {
        match self {
            Phase::Opening(at) | Phase::Feeding(at) | Phase::Retry(at) => Some(at),
            Phase::Unowned | Phase::Idle => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardFeed {
    /// Rises whenever the shard is opened, so that an answer to an earlier opening is known as stale.
    pub(crate) epoch: u32,
    pub(crate) owner: Option<(NodeName, Incarnation)>,
    pub(crate) phase: Phase,
    /// Failures since the last answer.
    pub(crate) failures: u32,
    /// The events that are not in a durable checkpoint, each with the watermark that was in force when it was accepted.
    replay: VecDeque<(StreamEvent, Time)>,
    /// The number of the first of them.
    first: u64,
    /// All events up to this number are applied by the owner.
    pub(crate) applied: u64,
    /// The watermark that the owner applied.
    pub(crate) watermark: Time,
    /// Closed windows that are recorded, and those that the owner knows to be.
    pub(crate) windows_seen: u64,
    pub(crate) windows_told: u64,
    /// Closed windows altogether.
    pub(crate) windows_total: u64,
    pub(crate) late: u64,
    /// A planted bug: what to add to a number to find its event.
    skew: u64,
}

impl ShardFeed {
    pub(crate) fn new() -> Self {
        Self {
            epoch: 0,
            owner: None,
            phase: Phase::Unowned,
            failures: 0,
            replay: VecDeque::new(),
            first: 1,
            applied: 0,
            watermark: Time::ZERO,
            windows_seen: 0,
            windows_told: 0,
            windows_total: 0,
            late: 0,
            skew: 0,
        }
    }

    /// The number of the last accepted event.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.replay.len() as u64 - 1
    }

    pub(crate) fn replay_len(&self) -> usize {
        self.replay.len()
    }

    /// Takes an event that was accepted while `watermark` was in force.
    pub(crate) fn append(&mut self, event: StreamEvent, watermark: Time) {
        assert!(self.replay.len() < REPLAY_MAX, "room was checked before the result was accepted");
        self.replay.push_back((event, watermark));
    }

    /// The owner has the shard open, with all events up to `seq` applied. False: that does not fit with what is kept here.
    pub(crate) fn opened(&mut self, seq: u64, feed_from_start: bool) -> bool {
        if seq > self.last() || seq + 1 < self.first {
            return false;
        }
        self.applied = seq;
        self.watermark = Time::ZERO;
        self.windows_told = 0;
        self.skew = if feed_from_start { seq + 1 - self.first } else { 0 };
        self.phase = Phase::Idle;
        true
    }

    /// Whether the owner should hear something.
    pub(crate) fn has_news(&self, watermark: Time) -> bool {
        self.phase == Phase::Idle
            && (self.applied < self.last() + self.skew || self.watermark < watermark || self.windows_told < self.windows_seen)
    }

    /// The next batch.
    ///
    /// Its watermark may only be the newest when it reaches the last event. Before that it is the one that was in force when the
    /// next event behind the batch was accepted: a newer one would make that event late when the past is fed again.
    pub(crate) fn next_feed(&mut self, newest: Time) -> Feed {
        let from = (self.applied + 1 - self.first - self.skew) as usize;
        let events: alloc::vec::Vec<_> = self.replay.iter().skip(from).take(FEED_BATCH).map(|(event, _)| event.clone()).collect();
        let watermark = self.replay.get(from + events.len()).map_or(newest, |(_, in_force)| *in_force);
        self.windows_told = self.windows_seen;
        Feed { first_seq: self.applied + 1, events, watermark, windows_seen: self.windows_seen }
    }

    /// Whether this can be the answer to the feed that is under way.
    pub(crate) fn fits(&self, reply: &ShardReply) -> bool {
        self.applied <= reply.seq && reply.seq <= self.last() + self.skew
    }

    /// Takes the answer to a feed.
    pub(crate) fn fed(&mut self, reply: &ShardReply) {
        assert!(reply.seq >= self.applied, "a shard does not go back within an epoch");
        self.applied = reply.seq;
        self.watermark = reply.watermark;
        self.windows_total = reply.closed_total;
        self.late = reply.late;
        self.failures = 0;
        self.phase = Phase::Idle;
        let durable = reply.checkpointed.saturating_add(1).saturating_sub(self.first + self.skew).min(self.replay.len() as u64);
        self.replay.drain(..durable as usize);
        self.first += durable;
    }

    /// All events are applied, and all windows closed and recorded.
    pub(crate) fn is_complete(&self) -> bool {
        self.applied >= self.last() && self.watermark == Time::MAX && self.windows_seen == self.windows_total
    }
}
