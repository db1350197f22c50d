//! Scenarios: what is started, what befalls it, and what must hold.

mod demo;

use std::collections::BTreeMap;
use std::pin::Pin;

use playhouse::Planted;

use crate::verdict::Verdict;

/// A bug put in on purpose.
pub struct Bug {
    /// Its name.
    pub name: &'static str,
    /// The scenario that finds it.
    pub scenario: &'static str,
    /// Puts it in.
    pub plant: fn(&mut Planted),
}

/// The planted bugs.
pub const BUGS: &[Bug] = &[
    Bug { name: "accept-stale-results", scenario: "demo", plant: |planted| planted.accept_stale_results = true },
    Bug { name: "feed-without-numbers", scenario: "demo", plant: |planted| planted.feed_without_numbers = true },
    Bug { name: "retry-drops-events", scenario: "demo", plant: |planted| planted.retry_drops_events = true },
    Bug { name: "late-watermark", scenario: "demo", plant: |planted| planted.late_watermark = true },
    Bug { name: "reuse-job-numbers", scenario: "amnesia", plant: |planted| planted.reuse_job_numbers = true },
];

/// What a run gave, beside its verdict.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// How often each kind of fault happened.
    pub faults: BTreeMap<&'static str, u64>,
}

type Run = fn(u64, Planted) -> Pin<Box<dyn Future<Output = Outcome>>>;

/// Something that can be rehearsed.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What it promises.
    pub promises: &'static [&'static str],
    /// Faults that every range of seeds should have exercised.
    pub faults: &'static [&'static str],
    /// Kinds of ledger lines that every range of seeds should have reached: what the faults are there to provoke.
    pub reaches: &'static [&'static str],
    /// Runs it, within [`playhouse_rt::sim::run`].
    pub run: Run,
}

/// All scenarios.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "demo",
        about: "the job of `playhouse demo`; one worker node loses its power and comes back, the other may be cut off for a while",
        promises: demo::PROMISES,
        faults: &["crash", "loss", "duplication", "reordering"],
        reaches: &["cut", "replan", "restore", "stale", "failed"],
        run: |seed, planted| Box::pin(demo::run(seed, planted, false)),
    },
    Scenario {
        name: "amnesia",
        about: "the same with a coordinator that loses its power in the middle of a job, and comes back knowing nothing",
        promises: demo::PROMISES,
        faults: &["crash", "loss", "duplication", "reordering"],
        reaches: &["forgotten"],
        run: |seed, planted| Box::pin(demo::run(seed, planted, true)),
    },
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
