//! Who watches an actor hears of its end once: not before it, not never, and of a loss only if there was one.

use playhouse_actors::Exit;

use crate::scenario::actors::book::{Book, Index, LifeEntry, NodeState, WatchEntry, Whom};
use crate::scenario::actors::judge::has_ended;
use crate::scenario::actors::plan::{NAMES, PLACES, Troubles};

pub(in crate::scenario::actors) const PROMISE: &str = "each watch is noticed once, and not before the end or the loss";

/// When all is quiet: who should have heard of an end has.
pub(in crate::scenario::actors) fn silence(book: &mut Book) {
    let mut silent = Vec::new();
    for (at, watch) in book.watches.iter().enumerate() {
        let owner = &book.lives[watch.owner];
        if owner.over || watch.cancelled || watch.downs > 0 || !book.is(owner.node, NodeState::Up) {
            continue;
        }
        let over = match watch.whom {
            Whom::Here(cell) => has_ended(book, cell),
            Whom::There { place, name } => {
                let same = watch.node == book.node_at(place) && watch.node.is_some_and(|node| book.is(node, NodeState::Up));
                let mut there =
                    book.cells.iter().enumerate().filter(|(_, cell)| Some(cell.node) == watch.node && cell.name == name);
                !same || there.all(|(cell, _)| has_ended(book, cell))
            }
        };
        if over {
            silent.push(format!("watch {at} of {} on {:?}", book.title(owner.node, owner.name), watch.whom));
        }
    }
    if !silent.is_empty() {
        book.breach(PROMISE, |_| format!("never noticed: {}", silent.join(", ")));
    }
}

/// Nobody hears that a node is lost which was not.
pub(in crate::scenario::actors) fn false_losses(book: &mut Book, troubles: &Troubles) {
    let false_one = book.losses.iter().find(|(from, to, _, _)| troubles.spare(*from, *to)).cloned();
    if let Some((from, to, _, why)) = false_one {
        book.breach(PROMISE, |_| format!("on {} it is heard that {} is lost, and it was not: {why}", PLACES[from], PLACES[to]));
    }
}

impl Book {
    /// An actor begins a life.
    pub(in crate::scenario::actors) fn check_unannounced(&mut self, cell: Index) {
        let broken = self.watches.iter().any(|watch| watch.downs > 0 && matches!(watch.whom, Whom::Here(c) if c == cell));
        self.check(PROMISE, !broken, |book| {
            format!(
                "{} begins another life after its end was announced",
                book.title(book.cells[cell].node, book.cells[cell].name)
            )
        });
    }

    /// A watcher hears of an end.
    pub(in crate::scenario::actors) fn down(&mut self, watch: Index, exit: &Exit) {
        self.watches[watch].downs += 1;
        let WatchEntry { owner, whom, cancelled, downs, .. } = self.watches[watch];
        let LifeEntry { node, name, over, .. } = self.lives[owner];
        self.check(PROMISE, downs == 1, |book| format!("watch {watch} of {} is noticed {downs} times", book.title(node, name)));
        self.check(PROMISE, !cancelled, |book| {
            format!("watch {watch} of {} is noticed after it was cancelled", book.title(node, name))
        });
        self.check(PROMISE, !over, |book| {
            format!("watch {watch} of {} is noticed after the watcher's end", book.title(node, name))
        });
        self.check_running(node, |book| format!("{} hears of an end", book.title(node, name)));
        match whom {
            Whom::Here(cell) => {
                let lives = self.cells[cell].living.is_some();
                self.check(PROMISE, !lives, |book| {
                    format!(
                        "{} hears that {} has ended ({exit}), and it lives",
                        book.title(node, name),
                        book.title(node, book.cells[cell].name)
                    )
                });
            }
            Whom::There { place, name } => self.down_there(watch, place, name, exit),
        }
    }

    fn down_there(&mut self, watch: Index, place: usize, name: usize, exit: &Exit) {
        if matches!(exit, Exit::NodeLost(_)) {
            // Held against the troubles at the end, when it is known what they were.
            let from = self.nodes[self.lives[self.watches[watch].owner].node].place;
            self.losses.push((from, place, playhouse::rt::now(), exit.to_string()));
            return;
        }
        let over = |book: &Book, node: Index| book.nodes[node].state != NodeState::Up;
        let present = self.cells.iter().rev().find(|cell| self.nodes[cell.node].place == place && cell.name == name);
        let one_has_ended = match present {
            None => true,
            Some(last) => {
                let node = last.node;
                let others = self.cells.iter().filter(|cell| cell.node == node && cell.name == name).count();
                over(self, node) || last.living.is_none() || others > 1
            }
        };
        self.check(PROMISE, one_has_ended, |_| {
            format!("watch {watch} hears that {}@{} has ended ({exit}), and it never did", NAMES[name], PLACES[place])
        });
    }
}
