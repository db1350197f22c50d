//! What the operator chooses.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::TenantId;

/// The choices of a whole plane. They are part of its replicated state: all replicas must have the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneConfig {
    /// How silence is judged.
    pub monitor: MonitorConfig,
    /// How many workers the cluster wants, spread over its nodes.
    pub workers: u32,
    /// A worker that does not report up within this time is started again.
    pub start_timeout: Duration,
    /// Who may submit, and how much.
    pub tenants: BTreeMap<TenantId, Quota>,
    /// The number of the first job. Must be higher than any that an earlier life of the plane gave: its results may still be under way.
    pub first_job: u64,
    /// Bugs put in on purpose, to test the tests. All off.
    #[doc(hidden)]
    pub planted: Planted,
}

impl Default for PlaneConfig {
    /// Four workers, beats of 500 ms, and the one tenant `default` with a wide quota.
    fn default() -> Self {
        let tenants = [(TenantId("default".to_string()), Quota { slots: 4_096, queued: 1_000_000 })].into();
        Self {
            monitor: MonitorConfig::default(),
            workers: 4,
            start_timeout: Duration::from_secs(2),
            tenants,
            first_job: 1,
            planted: Planted::default(),
        }
    }
}

/// When a silent node is suspect, and when it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorConfig {
    /// How often a node beats.
    pub beat_every: Duration,
    /// A node silent for this long gets no new work.
    pub suspect_after: Duration,
    /// A node silent for this long is lost: its work goes elsewhere.
    pub lost_after: Duration,
}

impl MonitorConfig {
    /// Beats of 500 ms, suspect after one second, lost after 1.6: what a killed node did runs elsewhere in less than two. The default.
    pub const FAST: MonitorConfig = MonitorConfig {
        beat_every: Duration::from_millis(500),
        suspect_after: Duration::from_secs(1),
        lost_after: Duration::from_millis(1_600),
    };
    /// For many nodes, or machines that stand still at times: beats of 3 s, suspect after 10, lost after 20.
    pub const SLOW: MonitorConfig = MonitorConfig {
        beat_every: Duration::from_secs(3),
        suspect_after: Duration::from_secs(10),
        lost_after: Duration::from_secs(20),
    };
}

impl Default for MonitorConfig {
    fn default() -> Self {
        MonitorConfig::FAST
    }
}

/// What a tenant may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Tasks running at once. More wait.
    pub slots: u32,
    /// Tasks that are not finished, of all its jobs together. A job that would exceed it is refused.
    pub queued: u32,
}

/// Bugs put in on purpose, each honoured in exactly one place, so that the simulator's oracles can be shown to find them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// Events of a result with a stale fence go into the stream all the same.
    pub accept_stale_results: bool,
    /// A restored shard is fed all that is kept for replay, whatever its checkpoint already holds.
    pub feed_without_numbers: bool,
    /// Events of a task that needed more than one attempt are dropped.
    pub retry_drops_events: bool,
    /// Events of a task that needed more than one attempt are applied twice.
    pub retry_applies_twice: bool,
    /// Events go to shards in turn, whatever their keys.
    pub sharded_by_record: bool,
    /// The watermark follows finished tasks and does not wait for unfinished ones.
    pub late_watermark: bool,
    /// A restarted coordinator numbers its jobs from 1 again.
    pub reuse_job_numbers: bool,
    /// A task whose attempt came to nothing is recorded as done, with empty values.
    pub failed_recorded_as_done: bool,
    /// When a node is lost, all that was done of unfinished jobs runs again.
    pub loss_runs_all_again: bool,
    /// A heartbeat frees each worker whose task it does not name, also one whose task is still on its way there.
    pub heartbeats_erase_allocations: bool,
    /// A coordinator answers a submission when it has read it.
    pub answers_before_agreement: bool,
    /// A coordinator answers what it knows, without asking whether it still leads.
    pub stale_reads: bool,
    /// A coordinator says that another one is dismissed, and does nothing.
    pub dismissal_claimed: bool,
    /// A node that drains gets new tasks all the same.
    pub drain_forgotten: bool,
    /// What a node does that drains is given to others at once.
    pub drain_hands_over: bool,
    /// A coordinator says that all nodes were heard, whenever it is asked.
    pub beats_claimed: bool,
    /// A node that beats tells nothing new, whatever it says.
    pub news_unheard: bool,
    /// A node is lost after 15 seconds, whatever the operator chose.
    pub late_timeout: bool,
}
