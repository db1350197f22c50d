//! The book of a run: who is to be a coordinator, whose disk is empty, and how the coordinators stood.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use playhouse::{CoordinatorStatus, Node, rt};

use super::plan::Order;
use super::{FOUNDERS, HEADS};
use crate::scenario::frame::Shelf;

/// Who lost its power within so much time before an election may have voted in it, whatever it was seen to be.
const LAST_VOTES: Duration = Duration::from_millis(300);

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

/// What has become of a coordinator that lost its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emptied {
    /// The others still count on what it has forgotten.
    Counted,
    /// They have removed it.
    Removed,
}

#[derive(Default)]
pub(super) struct Book {
    /// Who is to be a coordinator.
    pub(super) asked: BTreeSet<&'static str>,
    /// Who was dismissed, and the highest term that was known when that was answered; none yet while it is asked for.
    pub(super) dismissed: BTreeMap<&'static str, Option<u64>>,
    /// The changes that are still to be made, and whether these are all.
    pub(super) orders: VecDeque<Order>,
    pub(super) no_more_orders: bool,
    /// Nodes whose start has come to its end.
    pub(super) started: BTreeSet<&'static str>,
    /// Who has lost its power, and when.
    down: BTreeMap<&'static str, Instant>,
    /// Who has lost its disk, and has no seat again.
    pub(super) emptied: BTreeMap<&'static str, Emptied>,
    /// How each coordinator last stood.
    standings: BTreeMap<&'static str, CoordinatorStatus>,
    /// The voters that a leader had before, in its term.
    voters: Option<(u64, Vec<String>)>,
    /// Those that the cluster has in the end.
    pub(super) last: Option<Vec<String>>,
    /// What should not be.
    pub(super) bad_vote: Option<String>,
    pub(super) leads_again: Option<String>,
    pub(super) no_overlap: Option<String>,
}

fn head(name: &str) -> Option<&'static str> {
    HEADS.into_iter().find(|head| *head == name)
}

impl Book {
    pub(super) fn new() -> Book {
        Book { asked: FOUNDERS.into(), ..Book::default() }
    }

    /// Whether a node is to run: also one that is being dismissed. Until that is answered, the others may need its vote for it.
    pub(super) fn is_wanted(&self, name: &str) -> bool {
        self.asked.contains(name) || self.dismissed.get(name) == Some(&None)
    }

    pub(super) fn starts(&mut self, name: &'static str) {
        self.down.remove(name);
        self.started.remove(name);
    }

    pub(super) fn is_in(&mut self, name: &'static str) {
        self.started.insert(name);
    }

    pub(super) fn falls(&mut self, name: &str, lose_disk: bool) {
        let Some(name) = head(name) else { return };
        self.down.entry(name).or_insert_with(rt::now);
        self.started.remove(name);
        if lose_disk {
            self.emptied.insert(name, Emptied::Counted);
        }
    }

    /// The highest term that anybody has heard of.
    pub(super) fn term(&self) -> u64 {
        self.standings.values().map(|standing| standing.term).max().unwrap_or_default()
    }

    /// A coordinator stands so.
    fn stands(&mut self, name: &'static str, status: &CoordinatorStatus) {
        let before = self.standings.get(name).cloned();
        let is_news = before.is_none_or(|before| !before.leads || before.term != status.term);
        if status.leads && is_news {
            self.leads(name, status);
        }
        if status.waits.is_none() {
            self.emptied.remove(name);
        }
        for other in HEADS.into_iter().filter(|other| *other != name) {
            let votes = status.voters.iter().any(|voter| voter == other);
            match self.emptied.get(other) {
                Some(Emptied::Counted) if !votes && status.leads => drop(self.emptied.insert(other, Emptied::Removed)),
                Some(Emptied::Removed) if votes && status.leads => drop(self.emptied.remove(other)),
                _ => {}
            }
        }
        if status.leads {
            self.has_voters(status);
        }
        self.standings.insert(name, status.clone());
    }

    /// A coordinator was elected: by whom?
    fn leads(&mut self, name: &str, status: &CoordinatorStatus) {
        if let Some(Some(term)) = self.dismissed.get(name)
            && status.term > *term
        {
            self.leads_again = Some(format!("{name} was dismissed in term {term}, and leads in term {}", status.term));
        }
        let (mut could, mut not) = (0, Vec::new());
        for voter in status.voters.iter().filter_map(|voter| head(voter)) {
            let heard = voter == name || self.standings.get(voter).is_some_and(|standing| standing.term >= status.term);
            let is_away = self.down.get(voter).is_some_and(|since| rt::now() > *since + LAST_VOTES);
            let is_empty = self.emptied.get(voter) == Some(&Emptied::Counted);
            if heard || !(is_away || is_empty) {
                could += 1;
            } else {
                not.push(format!("{voter} {}", if is_empty { "has lost its disk" } else { "is down" }));
            }
        }
        if could * 2 <= status.voters.len() {
            let voters = status.voters.join(", ");
            self.bad_vote = Some(format!("{name} leads in term {} of {voters}, but {}", status.term, not.join(", ")));
        }
    }

    /// A leader's voters come and go one at a time: then a majority of before and one of after share a member.
    fn has_voters(&mut self, status: &CoordinatorStatus) {
        let voters = status.voters.clone();
        if let Some((term, before)) = self.voters.replace((status.term, voters))
            && term == status.term
            && !is_one_change(&before, &status.voters)
        {
            let (before, after) = (before.join(", "), status.voters.join(", "));
            self.no_overlap = Some(format!("in term {term} {before} vote, and then {after}"));
        }
    }
}

/// Whether one has come or gone at the most.
fn is_one_change(before: &[String], after: &[String]) -> bool {
    let (before, after): (BTreeSet<&String>, BTreeSet<&String>) = (before.iter().collect(), after.iter().collect());
    before.symmetric_difference(&after).count() <= 1
}

/// Enters how the coordinator of a node stands, as long as it does; for ever if it has none.
pub(super) async fn follow(node: &Node, name: &'static str) {
    let Some(mut status) = node.coordinator() else { return std::future::pending().await };
    loop {
        enter(|book| book.stands(name, &status));
        match node.coordinator_changed(&status).await {
            Some(changed) => status = changed,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_one_change;

    fn of(names: &str) -> Vec<String> {
        names.chars().map(|name| name.to_string()).collect()
    }

    #[test]
    fn two_who_come_or_go_at_once_are_two_changes() {
        assert!(
            is_one_change(&of("xyz"), &of("xyzv"))
                && is_one_change(&of("xyzv"), &of("yzv"))
                && is_one_change(&of("xyz"), &of("zyx"))
        );
        assert!(!is_one_change(&of("xyz"), &of("xyzvw")), "z, v and w agree without x and y");
        assert!(!is_one_change(&of("xyzv"), &of("xv")) && !is_one_change(&of("xyz"), &of("xyv")));
    }
}
