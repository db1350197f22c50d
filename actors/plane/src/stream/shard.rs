//! The worker's side of a stream: the keyed windows of one shard.
//!
//! Exactly-once rests on three rules. Events are numbered, and a number is applied once. The watermark of a feed is applied after
//! its events. Windows close in the order of their start, then key, which no batching of the same events can change; so the n-th
//! closed window is the same one in every life of the shard, and the coordinator can say "seen up to n".
//!
//! A shell opens a shard with [`Shard::restore`] from the checkpoint with the **highest** `seq` (one with a lower `seq` must never
//! replace it). For each feed it calls [`Shard::feed`]; if that gives a state, writes it and, when it is durable, calls
//! [`Shard::checkpointed`]; then it sends [`Shard::reply`].

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::Time;
use serde::{Deserialize, Serialize};

use crate::limits::{CHECKPOINT_EVERY, CLOSED_BATCH, OPEN_MAX};
use crate::spec::{StreamEvent, WindowResult};

/// What a coordinator sends to a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// The number of the first of `events`; of the next one to come when there are none. Numbers start at 1.
    pub first_seq: u64,
    /// The events, in the order of their numbers.
    pub events: Vec<StreamEvent>,
    /// No event behind these is earlier. Applies after them.
    pub watermark: Time,
    /// So many closed windows are recorded; the shard can forget them.
    pub windows_seen: u64,
}

/// What a shard answers to a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardReply {
    /// All events up to this number are applied.
    pub seq: u64,
    /// The watermark that is applied.
    pub watermark: Time,
    /// All events up to this number are in two durable checkpoints, the newest and the one before it, so that they need not be kept
    /// for replay: one checkpoint that turns out to be unreadable costs a longer replay and nothing else.
    pub checkpointed: u64,
    /// Closed windows, as many as go into one reply.
    pub closed: Vec<WindowResult>,
    /// How many windows closed before the first of `closed`.
    pub closed_first: u64,
    /// How many windows are closed altogether.
    pub closed_total: u64,
    /// How many events came too late and were dropped.
    pub late: u64,
}

/// All that a shard knows: what a checkpoint holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    /// All events up to this number are applied.
    pub seq: u64,
    /// The watermark that is applied.
    pub watermark: Time,
    /// Open windows by start and key: how many events, and their sum.
    pub open: BTreeMap<(Time, String), (u64, u64)>,
    /// Closed windows that the coordinator has not recorded yet.
    pub outbox: VecDeque<WindowResult>,
    /// How many closed windows were forgotten before the first in the outbox.
    pub outbox_first: u64,
    /// How many events came too late and were dropped.
    pub late: u64,
}

/// Why a feed was not applied. The shard is as it was; report it as failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Events are missing in between: the feed is not for this shard's past.
    #[error("the feed starts at {got}, and {expected} was to come")]
    Gap {
        /// The number after the last applied one.
        expected: u64,
        /// The number that the feed starts at.
        got: u64,
    },
    /// Too many windows are open.
    #[error("{OPEN_MAX} windows are open")]
    Full,
}

/// The keyed windows of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    window: u64,
    state: ShardState,
    /// The last event, and the watermark, of the checkpoint that was last asked for.
    asked: (u64, Time),
    /// The last event of the newest durable checkpoint, and of the one before it.
    durable: [u64; 2],
}

impl Shard {
    /// A shard that has seen nothing, with windows of so many nanoseconds.
    pub fn new(window: u64) -> Self {
        Self::restore(window, ShardState::default())
    }

    /// A shard as a durable checkpoint describes it.
    ///
    /// # Panics
    /// When windows have no length.
    pub fn restore(window: u64, state: ShardState) -> Self {
        assert!(window > 0, "a stream without windows was refused at submission");
        Self { window, asked: (state.seq, state.watermark), durable: [state.seq, 0], state }
    }

    /// The number of the last applied event: what to report when the shard is opened.
    pub fn seq(&self) -> u64 {
        self.state.seq
    }

    /// All that it knows.
    pub fn state(&self) -> &ShardState {
        &self.state
    }

    /// Applies a feed. Gives the state to write as a checkpoint before the answer, when one is due.
    ///
    /// # Errors
    /// When events are missing before it or too many windows would be open; then nothing was applied.
    pub fn feed(&mut self, feed: &Feed) -> Result<Option<ShardState>, FeedError> {
        let expected = self.state.seq + 1;
        if feed.first_seq > expected {
            return Err(FeedError::Gap { expected, got: feed.first_seq });
        }
        if self.state.open.len() + feed.events.len() > OPEN_MAX {
            return Err(FeedError::Full);
        }
        // What was applied before comes again when an answer was lost, or after a restore.
        let known = (expected - feed.first_seq) as usize;
        for event in feed.events.iter().skip(known) {
            self.apply(event);
        }
        self.state.watermark = self.state.watermark.max(feed.watermark);
        self.close();
        self.forget(feed.windows_seen);
        Ok(self.checkpoint_due())
    }

    /// The checkpoint with this `seq` is durable.
    pub fn checkpointed(&mut self, seq: u64) {
        assert!(seq <= self.state.seq, "no checkpoint is ahead of its shard");
        if seq > self.durable[0] {
            self.durable = [seq, self.durable[0]];
        }
    }

    /// The answer to the last feed.
    pub fn reply(&self) -> ShardReply {
        let state = &self.state;
        ShardReply {
            seq: state.seq,
            watermark: state.watermark,
            checkpointed: self.durable[1],
            closed: state.outbox.iter().take(CLOSED_BATCH).cloned().collect(),
            closed_first: state.outbox_first,
            closed_total: state.outbox_first + state.outbox.len() as u64,
            late: state.late,
        }
    }

    fn apply(&mut self, event: &StreamEvent) {
        self.state.seq += 1;
        if event.time < self.state.watermark {
            // Its window may be closed and recorded already.
            self.state.late += 1;
            return;
        }
        let start = event.time.window_start(Duration::from_nanos(self.window));
        let (count, sum) = self.state.open.entry((start, event.key.clone())).or_default();
        *count += 1;
        *sum = sum.saturating_add(event.value);
    }

    fn close(&mut self) {
        let size = Duration::from_nanos(self.window);
        while let Some(entry) = self.state.open.first_entry()
            && entry.key().0 + size <= self.state.watermark
        {
            let ((start, key), (count, sum)) = entry.remove_entry();
            self.state.outbox.push_back(WindowResult { key, start, count, sum });
        }
    }

    /// Drops what is recorded. After a restore, windows that were recorded long ago close again, and go the same way.
    fn forget(&mut self, windows_seen: u64) {
        while self.state.outbox_first < windows_seen && self.state.outbox.pop_front().is_some() {
            self.state.outbox_first += 1;
        }
    }

    fn checkpoint_due(&mut self) -> Option<ShardState> {
        let now = (self.state.seq, self.state.watermark);
        let is_last = now.1 == Time::MAX && now != self.asked;
        if now.0 - self.asked.0 < CHECKPOINT_EVERY && !is_last {
            return None;
        }
        self.asked = now;
        Some(self.state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn feed(first_seq: u64, events: &[(u64, &str, u64)], watermark: u64) -> Feed {
        let event = |(time, key, value): &(u64, &str, u64)| StreamEvent {
            time: Time::from_nanos(*time),
            key: key.to_string(),
            value: *value,
        };
        Feed { first_seq, events: events.iter().map(event).collect(), watermark: Time::from_nanos(watermark), windows_seen: 0 }
    }

    #[test]
    fn the_watermark_of_a_feed_applies_after_its_events() {
        let mut shard = Shard::new(10);
        shard.feed(&feed(1, &[(3, "a", 1), (12, "a", 2)], 10)).unwrap();
        shard.feed(&feed(3, &[(9, "a", 4), (10, "b", 8)], 10)).unwrap();
        let reply = shard.reply();
        assert_eq!((reply.seq, reply.late, reply.closed_total), (4, 1, 1));
        assert_eq!(reply.closed, [WindowResult { key: "a".to_string(), start: Time::ZERO, count: 1, sum: 1 }]);
    }

    #[test]
    fn a_gap_is_refused_and_a_repetition_is_not_counted_twice() {
        let mut shard = Shard::new(10);
        shard.feed(&feed(1, &[(1, "a", 1), (2, "a", 1)], 0)).unwrap();
        let before = shard.clone();
        assert_eq!(shard.feed(&feed(4, &[(1, "a", 1)], 99)), Err(FeedError::Gap { expected: 3, got: 4 }));
        shard.feed(&feed(1, &[(1, "a", 1), (2, "a", 1)], 0)).unwrap();
        assert_eq!(shard, before);
        shard.feed(&feed(2, &[(2, "a", 1), (3, "a", 1)], 0)).unwrap();
        assert_eq!((shard.seq(), shard.state.open[&(Time::ZERO, "a".to_string())]), (3, (3, 3)));
    }

    #[test]
    fn windows_close_in_the_same_order_however_the_watermark_came() {
        let events = [(15, "a", 1), (5, "b", 1), (7, "a", 1)];
        let mut slow = Shard::new(10);
        for (index, event) in (1..).zip(&events) {
            slow.feed(&feed(index, &[*event], 0)).unwrap();
        }
        slow.feed(&feed(4, &[], 10)).unwrap();
        slow.feed(&feed(4, &[], 20)).unwrap();
        let mut fast = Shard::new(10);
        fast.feed(&feed(1, &events, 20)).unwrap();
        assert_eq!(slow.reply(), fast.reply());
    }

    #[test]
    fn checkpoints_are_due_by_number_and_at_the_end() {
        let mut shard = Shard::new(10);
        let events = vec![(1, "a", 1); CHECKPOINT_EVERY as usize];
        assert_eq!(shard.feed(&feed(1, &events[1..], 0)), Ok(None));
        let state = shard.feed(&feed(CHECKPOINT_EVERY, &events[..1], 0)).unwrap().expect("a checkpoint is due");
        assert_eq!((state.seq, shard.reply().checkpointed), (CHECKPOINT_EVERY, 0));
        shard.checkpointed(state.seq);
        assert!(shard.feed(&feed(CHECKPOINT_EVERY + 1, &[], u64::MAX)).unwrap().is_some());
        assert_eq!(shard.feed(&feed(CHECKPOINT_EVERY + 1, &[], u64::MAX)), Ok(None));
    }

    #[test]
    fn events_may_be_forgotten_when_two_checkpoints_hold_them() {
        let mut shard = Shard::new(10);
        let events = vec![(1, "a", 1); CHECKPOINT_EVERY as usize];
        for (round, said) in [(0, 0), (1, 1), (2, 2)] {
            let state = shard.feed(&feed(round * CHECKPOINT_EVERY + 1, &events, 0)).unwrap().expect("a checkpoint is due");
            shard.checkpointed(state.seq);
            assert_eq!(shard.reply().checkpointed, said * CHECKPOINT_EVERY);
        }
        // Nobody knows whether there is a second one after a restore.
        let mut restored = Shard::restore(10, shard.state().clone());
        assert_eq!(restored.reply().checkpointed, 0);
        restored.checkpointed(shard.seq());
        assert_eq!(restored.reply().checkpointed, 0, "it is the same one");
    }
}
