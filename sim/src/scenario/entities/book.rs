//! The book of a run: who owned what, what lived where, and what was told and heard.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use playhouse::{Claim, rt};

use super::HOSTS;
use crate::scenario::frame::Shelf;

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

#[derive(Default)]
pub(super) struct Book {
    /// Senders that began, and that are done.
    pub(super) begun: usize,
    pub(super) ended: usize,
    /// The faults are over.
    pub(super) over: bool,
    /// Nobody crashes, and no link breaks.
    pub(super) is_calm: bool,
    /// Until when a host is to host nothing.
    pub(super) away: [Option<Instant>; HOSTS.len()],
    /// A lease ended although its node lived.
    pub(super) lapsed: bool,
    /// Who holds the name that all want.
    holders: Vec<(&'static str, Arc<Claim>)>,
    /// The highest fence that it was owned by.
    fence: u64,
    pub(super) two_owners: Option<String>,
    /// What lives, by its key: where, and the number of its life.
    living: BTreeMap<String, Vec<(&'static str, u64)>>,
    lives: u64,
    pub(super) twice: Option<String>,
    /// Which key is to be moved to which host.
    pub(super) moves: VecDeque<(usize, &'static str)>,
    /// What was moved last, and where to, if nothing has happened to that host since.
    moved: Option<(String, &'static str)>,
    is_moving: bool,
    unsure: bool,
    /// How often something has happened to any host since the move under way began.
    befell: u64,
    /// Who hosts.
    hosting: BTreeSet<&'static str>,
    pub(super) strayed: Option<String>,
    /// How many numbers a sender has told a key.
    pub(super) told: BTreeMap<(String, String), u64>,
    /// What was not told after all, or whose asker gave up: it may be heard or not.
    pub(super) given_up: BTreeSet<(String, String, u64)>,
    /// The numbers that were heard, in order.
    pub(super) heard: BTreeMap<(String, String), Vec<u64>>,
}

impl Book {
    pub(super) fn gives_up(&mut self, sender: &str, key: &str, number: u64) {
        self.given_up.insert((sender.into(), key.into(), number));
    }

    /// A host owns the name.
    pub(super) fn holds(&mut self, node: &'static str, claim: &Arc<Claim>) {
        if claim.fence() <= self.fence {
            self.two_owners = Some(format!("{node} owns it with fence {} after {}", claim.fence(), self.fence));
        }
        self.fence = claim.fence();
        self.holders.push((node, claim.clone()));
        self.look();
    }

    pub(super) fn gives(&mut self, claim: &Arc<Claim>) {
        self.holders.retain(|(_, held)| !Arc::ptr_eq(held, claim));
    }

    /// Looks who believes to own the name.
    pub(super) fn look(&mut self) {
        let owners: Vec<_> = self.holders.iter().filter(|(_, claim)| claim.is_held()).collect();
        if let [(one, first), (other, second), ..] = owners.as_slice() {
            let fences = (first.fence(), second.fence());
            self.two_owners = Some(format!("{one} and {other} own it, with fences {fences:?}"));
        }
    }

    /// An entity, or the singleton, begins to live.
    pub(super) fn born(&mut self, key: &str, node: &'static str) -> u64 {
        self.lives += 1;
        let living = self.living.entry(key.to_string()).or_default();
        if let Some((other, _)) = living.first() {
            self.twice = Some(format!("{key} lives at {other} and at {node}"));
        }
        if let Some((_, to)) = self.moved.as_ref().filter(|(moved, to)| moved == key && *to != node) {
            self.strayed = Some(format!("{key} begins to live at {node}, and was moved to {to}"));
        }
        living.push((node, self.lives));
        rt::ledger::record("born", || format!("{key} at {node}"));
        self.lives
    }

    pub(super) fn dies(&mut self, key: &str, life: u64) {
        if let Some(living) = self.living.get_mut(key) {
            living.retain(|(_, other)| *other != life);
        }
    }

    /// What is to be moved next, one after the other: what was moved before may share its slot.
    pub(super) fn next_move(&mut self) -> Option<(usize, &'static str)> {
        let next = if self.is_moving { None } else { self.moves.pop_front() };
        if next.is_some() {
            self.is_moving = true;
            self.moved = None;
            self.befell = 0;
        }
        next
    }

    /// Whether an entity is at a host now.
    pub(super) fn moved(&mut self, key: &str, to: &'static str, done: bool) {
        rt::ledger::record("moved", || format!("{key} to {to}: {done}"));
        self.is_moving = false;
        // What nobody waits for any more may happen at any time.
        self.unsure |= !done;
        if !self.unsure && self.befell == 0 && self.hosting.contains(to) {
            rt::reachable!("moved");
            self.moved = Some((key.into(), to));
            if let Some((node, _)) = self.living.get(key).and_then(|living| living.iter().find(|(node, _)| *node != to)) {
                self.strayed = Some(format!("{key} still lives at {node}, and was moved to {to}"));
            }
        }
    }

    /// A host begins to host, or does so no more.
    pub(super) fn hosts(&mut self, node: &'static str, yes: bool) {
        if yes {
            self.hosting.insert(node);
        } else {
            self.hosting.remove(node);
        }
        self.befell += 1;
        self.moved = self.moved.take().filter(|(_, to)| *to != node);
    }

    /// A lease of a node has ended: it owns nothing any more.
    pub(super) fn lapses(&mut self, node: &str) {
        self.lapsed = true;
        self.befell += 1;
        self.moved = self.moved.take().filter(|(_, to)| *to != node);
    }

    /// A node has lost its power: nothing of it holds or lives.
    pub(super) fn fell(&mut self, node: &str) {
        self.holders.retain(|(at, _)| *at != node);
        self.hosting.remove(node);
        self.befell += 1;
        self.moved = self.moved.take().filter(|(_, to)| *to != node);
        self.living.values_mut().for_each(|living| living.retain(|(at, _)| *at != node));
    }
}
