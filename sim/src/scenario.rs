//! Scenarios: what is started, what befalls it, and what must hold.

mod actors;
mod calls;
mod certificates;
mod demo;
mod entities;
mod frame;
mod groups;
mod membership;
mod persist;
mod quiet;
mod quorum;
mod rolling;
mod streams;
mod trio;
mod work;

use std::collections::BTreeMap;
use std::pin::Pin;

use crate::plan::{BUGGIFY, Climate, Extras, LASTS_MAX_MS, Plan, PlanFile};
use crate::rehearse::{Ended, How, Sink, arm, rehearse, steps_of};
use crate::verdict::Verdict;
use crate::world::World;

/// What actors of scenarios panic with, when they are to: all other panics are bugs.
pub const WANTED: &str = "this panic was asked for";

/// What every scenario promises, beside its own promises.
pub const RULES: &str = "a node keeps the rules of its connections";

/// Where bugs are put in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bugs {
    /// Those of the plane and the coordinator.
    pub plane: playhouse::Planted,
    /// Those of actors and supervisors.
    pub actors: playhouse_actors::Planted,
    /// Those of connections.
    pub net: playhouse::PlantedInNet,
    /// Those of the agreement of coordinators.
    pub agreement: playhouse::PlantedInAgreement,
}

/// A bug put in on purpose.
pub struct Bug {
    /// Its name.
    pub name: &'static str,
    /// The scenario that finds it.
    pub scenario: &'static str,
    /// Puts it in.
    pub plant: fn(&mut Bugs),
}

/// The planted bugs.
pub const BUGS: &[Bug] = &[
    Bug { name: "accept-stale-results", scenario: "demo", plant: |bugs| bugs.plane.accept_stale_results = true },
    Bug { name: "feed-without-numbers", scenario: "demo", plant: |bugs| bugs.plane.feed_without_numbers = true },
    Bug { name: "retry-drops-events", scenario: "demo", plant: |bugs| bugs.plane.retry_drops_events = true },
    Bug { name: "late-watermark", scenario: "demo", plant: |bugs| bugs.plane.late_watermark = true },
    Bug { name: "retry-applies-twice", scenario: "demo", plant: |bugs| bugs.plane.retry_applies_twice = true },
    Bug { name: "sharded-by-record", scenario: "demo", plant: |bugs| bugs.plane.sharded_by_record = true },
    Bug { name: "checkpoint-claimed", scenario: "demo", plant: |bugs| bugs.actors.checkpoint_claimed = true },
    Bug { name: "checkpoint-skips-key", scenario: "demo", plant: |bugs| bugs.actors.checkpoint_skips_key = true },
    Bug { name: "reuse-job-numbers", scenario: "amnesia", plant: |bugs| bugs.plane.reuse_job_numbers = true },
    Bug { name: "hand-reversed", scenario: "actors", plant: |bugs| bugs.actors.hand_reversed = true },
    Bug { name: "twice-received", scenario: "actors", plant: |bugs| bugs.actors.twice_received = true },
    Bug { name: "notice-forgotten", scenario: "actors", plant: |bugs| bugs.actors.notice_forgotten = true },
    Bug { name: "link-forgotten", scenario: "actors", plant: |bugs| bugs.actors.link_forgotten = true },
    Bug { name: "notice-at-restart", scenario: "actors", plant: |bugs| bugs.actors.notice_at_restart = true },
    Bug { name: "bound-plus-two", scenario: "actors", plant: |bugs| bugs.actors.bound_plus_two = true },
    Bug { name: "bound-plus-one", scenario: "actors", plant: |bugs| bugs.actors.bound_plus_one = true },
    Bug { name: "urgency-ignored", scenario: "actors", plant: |bugs| bugs.actors.urgency_ignored = true },
    Bug { name: "stop-hasty", scenario: "actors", plant: |bugs| bugs.actors.stop_hasty = true },
    Bug { name: "lane-unordered", scenario: "actors", plant: |bugs| bugs.actors.lane_unordered = true },
    Bug { name: "silent-loss", scenario: "actors", plant: |bugs| bugs.actors.silent_loss = true },
    Bug { name: "oldest-stops-first", scenario: "actors", plant: |bugs| bugs.actors.oldest_stops_first = true },
    Bug { name: "stops-in-start-order", scenario: "actors", plant: |bugs| bugs.actors.supervise.forget_order = true },
    Bug { name: "intensity-ignored", scenario: "actors", plant: |bugs| bugs.actors.supervise.ignore_intensity = true },
    Bug { name: "state-kept", scenario: "actors", plant: |bugs| bugs.actors.state_kept = true },
    Bug { name: "lives-overlap", scenario: "actors", plant: |bugs| bugs.actors.lives_overlap = true },
    Bug { name: "start-unheard", scenario: "actors", plant: |bugs| bugs.actors.start_unheard = true },
    Bug { name: "stopped-child-forgotten", scenario: "actors", plant: |bugs| bugs.actors.stopped_child_forgotten = true },
    Bug { name: "endless-asks", scenario: "actors", plant: |bugs| bugs.actors.endless_asks = true },
    Bug { name: "item-twice", scenario: "streams", plant: |bugs| bugs.actors.item_twice = true },
    Bug { name: "item-lost-at-credit", scenario: "streams", plant: |bugs| bugs.actors.item_lost_at_credit = true },
    Bug { name: "end-claimed", scenario: "streams", plant: |bugs| bugs.actors.end_claimed = true },
    Bug { name: "stop-unheard", scenario: "streams", plant: |bugs| bugs.actors.stop_unheard = true },
    Bug { name: "window-too-wide", scenario: "streams", plant: |bugs| bugs.actors.window_too_wide = true },
    Bug { name: "credit-too-generous", scenario: "streams", plant: |bugs| bugs.actors.credit_too_generous = true },
    Bug { name: "wake-up-lost", scenario: "streams", plant: |bugs| bugs.actors.wake_up_lost = true },
    Bug { name: "long-message-stalls", scenario: "streams", plant: |bugs| bugs.actors.long_message_stalls = true },
    Bug { name: "broadcast-skips-one", scenario: "groups", plant: |bugs| bugs.actors.broadcast_skips_one = true },
    Bug { name: "leaver-kept", scenario: "groups", plant: |bugs| bugs.actors.leaver_kept = true },
    Bug { name: "told-after-drain", scenario: "groups", plant: |bugs| bugs.actors.told_after_drain = true },
    Bug { name: "drain-drops", scenario: "groups", plant: |bugs| bugs.actors.drain_drops = true },
    Bug { name: "child-started-twice", scenario: "groups", plant: |bugs| bugs.actors.child_started_twice = true },
    Bug { name: "removed-returns", scenario: "groups", plant: |bugs| bugs.actors.removed_returns = true },
    Bug { name: "added-stops-in-order", scenario: "groups", plant: |bugs| bugs.actors.supervise.forget_order = true },
    Bug { name: "pool-over-its-bound", scenario: "groups", plant: |bugs| bugs.actors.pool_over_its_bound = true },
    Bug { name: "timer-after-cancel", scenario: "groups", plant: |bugs| bugs.actors.timer_after_cancel = true },
    Bug { name: "timer-early", scenario: "groups", plant: |bugs| bugs.actors.timer_early = true },
    Bug { name: "interval-bunches", scenario: "groups", plant: |bugs| bugs.actors.interval_bunches = true },
    Bug { name: "failed-recorded-as-done", scenario: "work", plant: |bugs| bugs.plane.failed_recorded_as_done = true },
    Bug { name: "loss-runs-all-again", scenario: "work", plant: |bugs| bugs.plane.loss_runs_all_again = true },
    Bug { name: "heartbeats-erase-allocations", scenario: "work", plant: |bugs| bugs.plane.heartbeats_erase_allocations = true },
    Bug { name: "beats-claimed", scenario: "work", plant: |bugs| bugs.plane.beats_claimed = true },
    Bug { name: "late-timeout", scenario: "work", plant: |bugs| bugs.plane.late_timeout = true },
    Bug { name: "answers-before-agreement", scenario: "leader-kill", plant: |bugs| bugs.plane.answers_before_agreement = true },
    Bug { name: "stale-reads", scenario: "partition", plant: |bugs| bugs.plane.stale_reads = true },
    Bug { name: "empty-disk-votes", scenario: "membership", plant: |bugs| bugs.agreement.empty_disk_votes = true },
    Bug { name: "removes-two", scenario: "membership", plant: |bugs| bugs.agreement.removes_two = true },
    Bug { name: "strangers-stay", scenario: "membership", plant: |bugs| bugs.agreement.strangers_stay = true },
    Bug { name: "dismissal-claimed", scenario: "membership", plant: |bugs| bugs.plane.dismissal_claimed = true },
    Bug { name: "drain-forgotten", scenario: "rolling", plant: |bugs| bugs.plane.drain_forgotten = true },
    Bug { name: "drain-hands-over", scenario: "rolling", plant: |bugs| bugs.plane.drain_hands_over = true },
    Bug { name: "persist-claimed", scenario: "persist", plant: |bugs| bugs.actors.persist_claimed = true },
    Bug { name: "persist-unfenced", scenario: "persist", plant: |bugs| bugs.actors.persist_unfenced = true },
    Bug { name: "progress-claimed", scenario: "persist", plant: |bugs| bugs.actors.progress_claimed = true },
    Bug { name: "lease-kept", scenario: "entities", plant: |bugs| bugs.actors.lease_kept = true },
    Bug { name: "handed-over-hastily", scenario: "entities", plant: |bugs| bugs.actors.handed_over_hastily = true },
    Bug { name: "moved-in-words", scenario: "entities", plant: |bugs| bugs.actors.moved_in_words = true },
    Bug { name: "call-repeated", scenario: "calls", plant: |bugs| bugs.actors.call_repeated = true },
    Bug { name: "call-claimed", scenario: "calls", plant: |bugs| bugs.actors.call_claimed = true },
    Bug { name: "stale-certificate", scenario: "certificates", plant: |bugs| bugs.net.stale_certificate = true },
    Bug { name: "polling", scenario: "brief", plant: |bugs| bugs.actors.polling = true },
    Bug { name: "one-thread", scenario: "brief", plant: |bugs| bugs.actors.one_thread = true },
];

/// What a run gave, beside its verdict.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// How often each kind of fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// What was measured, by name: the values of a run.
    pub measures: BTreeMap<&'static str, Vec<u64>>,
}

impl Outcome {
    /// Of a run in this world, in which nothing was measured.
    pub fn of(verdict: Verdict, world: &World) -> Outcome {
        Outcome { verdict, faults: world.faults(), measures: BTreeMap::new() }
    }
}

type Run = fn(Plan, Bugs) -> Pin<Box<dyn Future<Output = Outcome>>>;

/// Something that can be rehearsed.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its nodes, as plans name them.
    pub places: &'static [&'static str],
    /// Those of them that it can do without.
    pub extras: Extras,
    /// What it promises.
    pub promises: &'static [&'static str],
    /// Faults that every range of seeds should have exercised.
    pub faults: &'static [&'static str],
    /// What every range of seeds should have met: names of `sometimes!` and `reachable!`, those that are not even passed included.
    pub reaches: &'static [&'static str],
    /// Draws from a seed all that befalls it.
    pub draw: fn(u64) -> Plan,
    /// Runs it, within [`playhouse_rt::sim::run`].
    pub run: Run,
}

/// What befalls the demo's job.
const DEMO_FAULTS: &[&str] = &[
    "crash",
    "lost-disk",
    "cut",
    "one-way-cut",
    "isolation",
    "swizzle",
    "pause",
    "readdress",
    "wrong-clock",
    "slow-disk",
    "write-error",
    "read-error",
    "disk-full",
    "slow-polls",
    "loss",
    "straggle",
    "duplication",
    "reordering",
    "corruption",
    "latency",
    "mtu",
    "bandwidth",
];

/// What befalls three nodes of actors.
const TRIO_FAULTS: &[&str] = &[
    "crash",
    "stop",
    "cut",
    "one-way-cut",
    "pause",
    "readdress",
    "slow-polls",
    "loss",
    "straggle",
    "duplication",
    "reordering",
    "corruption",
    "latency",
    "mtu",
    "bandwidth",
];

/// The same, and parts that fail.
const ACTORS_FAULTS: &[&str] = &[
    "own",
    "crash",
    "stop",
    "cut",
    "one-way-cut",
    "pause",
    "readdress",
    "slow-polls",
    "loss",
    "straggle",
    "duplication",
    "reordering",
    "corruption",
    "latency",
    "mtu",
    "bandwidth",
];

/// One worker node is enough.
const WORKER_NODES: Extras = Extras { nodes: &["a", "b"], least: 1 };

/// Two nodes are enough to speak to each other.
const TWO_OF_THREE: Extras = Extras { nodes: &["a", "b", "c"], least: 2 };

/// All scenarios.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "demo",
        about: "the job of `playhouse demo`; worker nodes lose their power and come back, or are cut off for a while",
        places: &["head", "a", "b"],
        extras: WORKER_NODES,
        promises: demo::PROMISES,
        faults: DEMO_FAULTS,
        reaches: &["cut", "replan", "restore", "stale", "failed"],
        draw: |seed| demo::draw(seed, false),
        run: |plan, bugs| Box::pin(demo::run(plan, bugs)),
    },
    Scenario {
        name: "amnesia",
        about: "the same with a coordinator that loses its power in the middle of a job, and comes back knowing nothing",
        places: &["head", "a", "b"],
        extras: WORKER_NODES,
        promises: demo::PROMISES,
        faults: DEMO_FAULTS,
        reaches: &["forgotten"],
        draw: |seed| demo::draw(seed, true),
        run: |plan, bugs| Box::pin(demo::run(plan, bugs)),
    },
    Scenario {
        name: "actors",
        about: "actors of three nodes under supervisors load each other; parts fail, links are cut, a node goes and comes back",
        places: &["a", "b", "c"],
        extras: TWO_OF_THREE,
        promises: actors::PROMISES,
        faults: ACTORS_FAULTS,
        reaches: &["restart", "gave-up", "down", "refused", "no-credit", "cut", "letter", "mailbox-full", "ask-timeout"],
        draw: actors::draw,
        run: |plan, bugs| Box::pin(actors::run(plan, bugs.actors)),
    },
    Scenario {
        name: "quiet",
        about: "five nodes with nothing to do for ten minutes",
        places: quiet::PLACES,
        extras: Extras::NONE,
        promises: quiet::PROMISES,
        faults: &["loss", "duplication", "reordering"],
        reaches: &[],
        draw: quiet::draw,
        run: |plan, bugs| Box::pin(quiet::run(plan, bugs)),
    },
    Scenario {
        name: "brief",
        about: "three nodes with nothing to do for ten seconds",
        places: quiet::PLACES,
        extras: Extras::NONE,
        promises: quiet::PROMISES,
        faults: &["loss", "duplication", "reordering"],
        reaches: &[],
        draw: quiet::draw_brief,
        run: |plan, bugs| Box::pin(quiet::run(plan, bugs)),
    },
    Scenario {
        name: "streams",
        about: "streams of answers and slow actors on three nodes; readers go, sources fail, links are cut, a node goes and comes back",
        places: &["a", "b", "c"],
        extras: Extras::NONE,
        promises: streams::PROMISES,
        faults: TRIO_FAULTS,
        reaches: &["cut", "restart", "mailbox-full", "no-credit"],
        draw: streams::draw,
        run: |plan, bugs| Box::pin(streams::run(plan, bugs.actors)),
    },
    Scenario {
        name: "groups",
        about: "groups, drains, children that come and go, offloaded work and timers on three nodes; links are cut, a node goes and comes back",
        places: &["a", "b", "c"],
        extras: TWO_OF_THREE,
        promises: groups::PROMISES,
        faults: TRIO_FAULTS,
        reaches: &["cut", "restart", "mailbox-full"],
        draw: groups::draw,
        run: |plan, bugs| Box::pin(groups::run(plan, bugs.actors)),
    },
    Scenario {
        name: "work",
        about: "a job of tasks that take a while on two worker nodes; one of them goes for some seconds, or none",
        places: &["head", "a", "b"],
        extras: Extras::NONE,
        promises: work::PROMISES,
        faults: &["crash", "isolation", "loss", "straggle", "duplication", "reordering", "corruption"],
        reaches: &["replan"],
        draw: work::draw,
        run: |plan, bugs| Box::pin(work::run(plan, bugs)),
    },
    Scenario {
        name: "calls",
        about: "callers have functions run, which a node alone acknowledges; worker nodes go or are cut off, and the coordinator goes",
        places: calls::PLACES,
        extras: Extras::NONE,
        promises: calls::PROMISES,
        faults: &[
            "crash",
            "cut",
            "one-way-cut",
            "isolation",
            "pause",
            "slow-polls",
            "loss",
            "straggle",
            "duplication",
            "reordering",
            "corruption",
        ],
        reaches: &["call-lost", "call-refused", "called without a coordinator"],
        draw: calls::draw,
        run: |plan, bugs| Box::pin(calls::run(plan, bugs)),
    },
    Scenario {
        name: "leader-kill",
        about: "three coordinators, of which the one that leads loses its power; clients submit jobs and count them",
        places: quorum::PLACES,
        extras: Extras::NONE,
        promises: quorum::PROMISES,
        faults: &[
            "own",
            "crash",
            "lost-disk",
            "pause",
            "slow-polls",
            "wrong-clock",
            "loss",
            "straggle",
            "duplication",
            "reordering",
        ],
        reaches: &["leader-killed", "a second leader"],
        draw: |seed| quorum::draw(seed, quorum::Trouble::Leaders),
        run: |plan, bugs| Box::pin(quorum::run(plan, bugs)),
    },
    Scenario {
        name: "partition",
        about: "three coordinators that are cut off from each other, one way or both; clients submit jobs and count them",
        places: quorum::PLACES,
        extras: Extras::NONE,
        promises: quorum::PROMISES,
        faults: &[
            "cut",
            "one-way-cut",
            "isolation",
            "swizzle",
            "pause",
            "wrong-clock",
            "loss",
            "straggle",
            "duplication",
            "reordering",
        ],
        reaches: &["a second leader"],
        draw: |seed| quorum::draw(seed, quorum::Trouble::Partitions),
        run: |plan, bugs| Box::pin(quorum::run(plan, bugs)),
    },
    Scenario {
        name: "disk",
        about: "three coordinators with disks that are slow, full, or fail, and that lose their power; clients submit jobs and count them",
        places: quorum::PLACES,
        extras: Extras::NONE,
        promises: quorum::PROMISES,
        faults: &[
            "slow-disk",
            "write-error",
            "read-error",
            "disk-full",
            "crash",
            "pause",
            "loss",
            "straggle",
            "duplication",
            "reordering",
        ],
        reaches: &["a second leader"],
        draw: |seed| quorum::draw(seed, quorum::Trouble::Disks),
        run: |plan, bugs| Box::pin(quorum::run(plan, bugs)),
    },
    Scenario {
        name: "persist",
        about: "persistent actors and tasks that save their progress, on two nodes that crash, stall and take over from each other",
        places: persist::PLACES,
        extras: Extras::NONE,
        promises: persist::PROMISES,
        faults: &[
            "own",
            "crash",
            "pause",
            "slow-polls",
            "slow-disk",
            "write-error",
            "read-error",
            "disk-full",
            "loss",
            "straggle",
            "duplication",
            "reordering",
        ],
        reaches: &["recovered", "resumed", "taken-over", "refused", "not saved", "saved on demand"],
        draw: persist::draw,
        run: |plan, bugs| Box::pin(persist::run(plan, bugs)),
    },
    Scenario {
        name: "entities",
        about: "three coordinators, three hosts of entities and of a singleton, and two senders; hosts leave, crash, and are cut off",
        places: entities::PLACES,
        extras: Extras::NONE,
        promises: entities::PROMISES,
        faults: &["own", "crash", "cut", "isolation", "pause", "slow-polls", "loss", "straggle", "duplication", "reordering"],
        reaches: &["left", "lapsed"],
        draw: entities::draw,
        run: |plan, bugs| Box::pin(entities::run(plan, bugs)),
    },
    Scenario {
        name: "membership",
        about: "coordinators join, are dismissed and replaced, lose their disks and move; clients submit jobs and count them",
        places: membership::PLACES,
        extras: Extras::NONE,
        promises: membership::PROMISES,
        faults: &[
            "own",
            "crash",
            "lost-disk",
            "cut",
            "isolation",
            "pause",
            "slow-polls",
            "latency",
            "loss",
            "straggle",
            "duplication",
            "reordering",
        ],
        reaches: &["enrolled", "dismissed", "nobody knows", "a second leader"],
        draw: membership::draw,
        run: |plan, bugs| Box::pin(membership::run(plan, bugs)),
    },
    Scenario {
        name: "rolling",
        about: "three coordinators and three worker nodes, drained, stopped and started again one after the other; clients submit jobs",
        places: rolling::PLACES,
        extras: Extras::NONE,
        promises: rolling::PROMISES,
        faults: &["own", "crash", "slow-polls", "latency", "loss", "straggle", "duplication", "reordering"],
        reaches: &["restarted"],
        draw: rolling::draw,
        run: |plan, bugs| Box::pin(rolling::run(plan, bugs)),
    },
    Scenario {
        name: "certificates",
        about: "the certificate of one of three nodes ends; another node comes back, and knocks at all doors",
        places: certificates::PLACES,
        extras: Extras::NONE,
        promises: certificates::PROMISES,
        faults: &["crash", "loss", "straggle", "duplication", "reordering", "corruption"],
        reaches: &[],
        draw: certificates::draw,
        run: |plan, bugs| Box::pin(certificates::run(plan, bugs)),
    },
];

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

/// Runs a scenario after something else, with a bug if one is named; each line of the ledger goes to `sink`.
pub fn run_after(
    before: impl Future<Output = ()>,
    scenario: &Scenario,
    plan: Plan,
    bug: Option<&Bug>,
    how: &How,
    sink: Option<Sink>,
) -> Ended {
    let mut bugs = Bugs::default();
    if let Some(bug) = bug {
        (bug.plant)(&mut bugs);
    }
    arm(&plan);
    let main = || async {
        if plan.is_buggy() {
            playhouse_rt::sim::buggify_on(plan.dice);
        }
        before.await;
        (scenario.run)(plan, bugs).await
    };
    let mut ended = rehearse(&How { steps: steps_of(scenario.name), ..*how }, main, sink);
    // All nodes are of one build, so none breaks the rules of a connection.
    if ended.outcome.verdict == Verdict::Held && ended.claims.sometimes.get("bad-peer").is_some_and(|times| *times > 0) {
        ended.outcome.verdict = Verdict::Broken { promise: RULES, seen: "a connection was closed for bad behaviour".into() };
    }
    // A panic that no scenario asked for is a bug of ours, also when an actor's supervision caught it.
    if let (Verdict::Held, Some(place)) = (&ended.outcome.verdict, ended.panics.first()) {
        ended.outcome.verdict = Verdict::Crashed(format!("an actor panicked at {place}"));
    }
    ended
}

/// The bug of that name.
pub fn find_bug(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}

impl Scenario {
    /// Whether a plan can befall this scenario.
    ///
    /// # Errors
    /// When it names a node that there is none of, leaves out one that is needed or one that it names in a fault, has not the sizes of this
    /// scenario, a chance beyond certainty, or lasts for longer than [`crate::plan::LASTS_MAX_MS`]: it would do nothing, panic, or not end.
    pub fn takes(&self, plan: &Plan) -> Result<(), String> {
        let nodes = plan.faults.iter().flat_map(|timed| timed.fault.nodes());
        if let Some(node) = nodes.into_iter().find(|node| !self.places.contains(node)) {
            return Err(format!("it names a node {node:?}; the nodes of {} are {}", self.name, self.places.join(", ")));
        }
        self.extras.allow(&plan.absent)?;
        let absent = plan.absent.iter().find(|node| plan.faults.iter().any(|timed| timed.fault.nodes().contains(&node.as_str())));
        if let Some(node) = absent {
            return Err(format!("it leaves the node {node:?} out, and has a fault for it"));
        }
        // Older plans do not say whether product code takes its rare ways: then it does not.
        for (name, dial) in (self.draw)(0).dials.into_iter().filter(|(name, _)| name != BUGGIFY) {
            match plan.dials.get(&name) {
                Some(found) if found.is >= dial.least => {}
                Some(found) => return Err(format!("its size {name:?} is {}; {} is the least", found.is, dial.least)),
                None => return Err(format!("it has no size {name:?}, so it is for another scenario than {}", self.name)),
            }
        }
        let Climate { loss_ppm, duplication_ppm, straggle_ppm, corruption_ppm, .. } = plan.climate;
        if [loss_ppm, duplication_ppm, straggle_ppm, corruption_ppm].iter().any(|chance| *chance > 1_000_000) {
            return Err("its climate has a chance of more than a million parts per million".into());
        }
        match plan.last_ms() {
            last if last > LASTS_MAX_MS => Err(format!("its last fault ends after {last} ms; {LASTS_MAX_MS} ms is the most")),
            _ => Ok(()),
        }
    }
}

/// Runs what a file says.
///
/// # Errors
/// When there is no such scenario, or no such bug, or the plan cannot befall it.
pub fn run_file(file: PlanFile) -> Result<Ended, String> {
    let scenario = find(&file.scenario).ok_or_else(|| format!("there is no scenario {:?}", file.scenario))?;
    scenario.takes(&file.plan)?;
    let bug = file.bug.map(|name| find_bug(&name).ok_or_else(|| format!("there is no bug {name:?} to put in"))).transpose()?;
    let how = How { dice: file.plan.dice, pct: file.pct, ..How::default() };
    Ok(run_after(std::future::ready(()), scenario, file.plan, bug, &how, None))
}
