//! The book of a run: what the clients asked and were answered, who led when, and what was seen in the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use playhouse::rt;
use playhouse::{ClusterStatus, JobId, Node};

use super::client::{Asked, Told};
use crate::history::History;
use crate::plan::{Fault, Plan};

thread_local! {
    static BOOK: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) fn open() {
    BOOK.set(Some(Book::default()));
}

pub(super) fn close() {
    BOOK.take();
}

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.with_borrow_mut(|book| book.as_mut().map(write))
}

#[derive(Default)]
pub(super) struct Book {
    /// Clients that began, and that are done.
    pub(super) begun: usize,
    pub(super) ended: usize,
    /// When the faults began.
    pub(super) began: Option<Instant>,
    pub(super) history: History<Asked, Told>,
    /// The jobs that were acknowledged, by number: what each must give.
    pub(super) acked: BTreeMap<JobId, u64>,
    /// When a submission was acknowledged.
    pub(super) acks: Vec<Instant>,
    /// When the coordinator that led lost its power.
    pub(super) kills: Vec<Instant>,
    /// Who led in which term.
    pub(super) terms: BTreeMap<u64, Vec<String>>,
    /// What the copies were like when they had applied so much.
    pub(super) digests: BTreeMap<u64, (String, u64)>,
    /// Two copies that were not the same.
    pub(super) torn: Option<String>,
    pub(super) seen: Option<Seen>,
}

/// What the observer saw in the end.
pub(super) struct Seen {
    /// What the acknowledged jobs gave; or why not.
    pub(super) results: BTreeMap<JobId, Result<u64, String>>,
    pub(super) cluster: ClusterStatus,
    /// What was still not well.
    pub(super) open: String,
}

impl Book {
    /// Who led last.
    pub(super) fn leader(&self) -> Option<String> {
        self.terms.last_key_value().and_then(|(_, names)| names.last()).cloned()
    }

    /// A copy that has applied so much is like this.
    pub(super) fn digest(&mut self, name: &str, applied: u64, digest: u64) {
        let (other, first) = self.digests.entry(applied).or_insert_with(|| (name.to_string(), digest));
        if *first != digest && self.torn.is_none() {
            self.torn = Some(format!("after {applied} commands {name} is not what {other} was"));
        }
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

/// Enters how the coordinator of a node stands, as long as it does; for ever if it has none.
pub(super) async fn follow(node: &Node) {
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
