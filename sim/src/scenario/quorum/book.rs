//! The book of a run: what the clients asked and were answered, who led when, and what was seen in the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use playhouse::rt;
use playhouse::{ClusterStatus, JobId, Node};

use super::client::{Asked, Told};
use crate::history::History;
use crate::plan::{Fault, Plan};
use crate::scenario::frame::Shelf;

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(in crate::scenario) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(in crate::scenario) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

#[derive(Default)]
pub(in crate::scenario) struct Book {
    /// Clients that began, and that are done.
    pub(in crate::scenario) begun: usize,
    pub(in crate::scenario) ended: usize,
    /// When the faults began.
    pub(in crate::scenario) began: Option<Instant>,
    pub(super) history: History<Asked, Told>,
    /// The jobs that were acknowledged, by number: what each must give.
    pub(super) acked: BTreeMap<JobId, u64>,
    /// When a submission was acknowledged.
    pub(super) acks: Vec<Instant>,
    /// When the coordinator that led lost its power.
    pub(in crate::scenario) kills: Vec<Instant>,
    /// Who led in which term.
    pub(in crate::scenario) terms: BTreeMap<u64, Vec<String>>,
    /// What the copies were like when they had applied so much.
    pub(super) digests: BTreeMap<u64, (String, u64)>,
    /// Two copies that were not the same.
    pub(super) torn: Option<String>,
    pub(in crate::scenario) seen: Option<Seen>,
}

/// What the observer saw in the end.
pub(in crate::scenario) struct Seen {
    /// What the acknowledged jobs gave; or why not.
    pub(super) results: BTreeMap<JobId, Result<u64, String>>,
    pub(in crate::scenario) cluster: ClusterStatus,
    /// What was still not well.
    pub(super) open: String,
}

impl Book {
    /// Who led last.
    pub(in crate::scenario) fn leader(&self) -> Option<String> {
        self.terms.last_key_value().and_then(|(_, names)| names.last()).cloned()
    }

    /// A copy that has applied so much is like this.
    pub(super) fn digest(&mut self, name: &str, applied: u64, digest: u64) {
        let (other, first) = self.digests.entry(applied).or_insert_with(|| (name.to_string(), digest));
        if *first != digest && self.torn.is_none() {
            self.torn = Some(format!("after {applied} commands {name} is not what {other} was"));
        }
    }

    /// What was measured: how long it took until a lost leader had a successor, and how much of what was acknowledged was lost.
    pub(super) fn measures(&self, plan: &Plan) -> BTreeMap<&'static str, Vec<u64>> {
        [("failover_ms", self.failovers(plan)), ("acked_lost", self.acked_lost())].into()
    }

    /// How many jobs were acknowledged that did not give what they must; nothing when nobody has looked.
    pub(in crate::scenario) fn acked_lost(&self) -> Vec<u64> {
        let lost = self.seen.as_ref().map(|seen| {
            let is_there = |job, value| matches!(seen.results.get(job), Some(Ok(found)) if found == value);
            self.acked.iter().filter(|(job, value)| !is_there(*job, *value)).count() as u64
        });
        lost.into_iter().collect()
    }

    /// How long it took, in milliseconds, from each loss of a leader that nothing else befell the cluster at to the next acknowledgement.
    pub(super) fn failovers(&self, plan: &Plan) -> Vec<u64> {
        let Some(began) = self.began else { return Vec::new() };
        let near = Duration::from_secs(2);
        let troubled = |kill: Instant| {
            plan.faults.iter().any(|timed| {
                let at = began + Duration::from_millis(timed.at_ms);
                let ends = at + Duration::from_millis(timed.fault.lasts_ms().unwrap_or(0));
                let is_this = matches!(timed.fault, Fault::Own { .. }) && at <= kill && kill < at + Duration::from_millis(100);
                !is_this && at < kill + near && kill < ends + near
            })
        };
        // What was under way when it went may come a moment later.
        let after = |kill: Instant| self.acks.iter().find(|ack| **ack > kill + Duration::from_millis(50));
        let calm = self.kills.iter().filter(|kill| !troubled(**kill));
        calm.filter_map(|kill| after(*kill).map(|ack| (*ack - *kill).as_millis() as u64)).collect()
    }
}

/// Enters how the coordinator of a node stands, until it takes part no more, and says so.
pub(in crate::scenario) async fn takes_part(node: Node) -> String {
    follow(&node).await;
    "it takes no part in the agreement any more".into()
}

/// Enters how the coordinator of a node stands, as long as it does; for ever if it has none.
pub(in crate::scenario) async fn follow(node: &Node) {
    let Some(mut status) = node.coordinator() else { return std::future::pending().await };
    loop {
        enter(|book| {
            let led = book.terms.entry(status.term).or_default();
            if status.leads && led.last().is_none_or(|name| name != status.name.as_str()) {
                led.push(status.name.to_string());
            }
            if !status.leads && led.is_empty() {
                book.terms.remove(&status.term);
            }
        });
        match node.coordinator_changed(&status).await {
            Some(changed) => status = changed,
            None => return,
        }
        rt::sometimes!(status.leads && status.term > 1, "a second leader");
    }
}
