//! Streams: events of tasks, counted in keyed windows over shards that the nodes own.
//!
//! `streams` is the coordinator's side, `feed` what it knows of one shard, [`Shard`] the owner's side.

mod feed;
mod hash;
mod shard;
mod streams;

pub use hash::shard_of;
pub use shard::{Feed, FeedError, Shard, ShardReply, ShardState};
pub use streams::{ShardStatus, StreamStatus};
pub(crate) use streams::{Streams, StreamsEffect};
