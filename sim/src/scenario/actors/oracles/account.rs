//! What becomes of each message is known to somebody.

use std::collections::BTreeMap;

use crate::scenario::actors::book::{Book, Index, NodeState, Told};
use crate::scenario::actors::plan::{NAMES, PLACES, Troubles};

pub(in crate::scenario::actors) const PROMISE: &str =
    "each message is handled, given back, a dead letter, or lost with its connection";

impl Book {
    /// This befalls a note, of which its sender may have been told that it came back.
    pub(in crate::scenario::actors) fn check_kept(&mut self, id: u64, refused: bool, what: &str) {
        self.check(PROMISE, !refused, |book| format!("{} came back to its sender, and {what}", book.describe(id)));
    }
}

/// When all nodes have stopped: the accounts must balance.
pub(in crate::scenario::actors) fn balance(book: &mut Book, troubles: &Troubles) {
    let mut told: BTreeMap<(Index, usize, Option<usize>), [u64; 2]> = BTreeMap::new();
    let mut vanished = None;
    for (id, note) in book.notes.iter().enumerate() {
        let stream = &book.streams[note.stream];
        let from = &book.lives[stream.from];
        let (node, origin) = match stream.cell {
            Some(cell) => (book.cells[cell].node, None),
            // Notes for a node that had several lives are looked at one by one only.
            None if lives(book, stream.place) == 1 => {
                (book.node_at(stream.place).unwrap_or_default(), Some(book.nodes[from.node].place))
            }
            None => continue,
        };
        if !book.is(node, NodeState::Stopped) {
            continue;
        }
        let entered = if origin.is_none() { note.told == Told::Ok } else { note.arrived > 0 };
        if entered && note.handled + note.dropped != 1 {
            vanished = Some(format!("note {id} to {}: handled {}, dropped {}", NAMES[stream.name], note.handled, note.dropped));
        }
        if note.told == Told::Ok {
            let counts = told.entry((node, stream.name, origin)).or_default();
            counts[0] += 1;
            counts[1] += u64::from(note.handled);
        }
    }
    if let Some(vanished) = vanished {
        book.breach(PROMISE, |_| vanished);
    }
    let mut wrong = None;
    for ((node, name, origin), [told, handled]) in &told {
        let letters = book.nodes[*node].letters.get(&(*name, *origin)).copied().unwrap_or_default();
        let place = book.nodes[*node].place;
        let all_known = origin.is_none_or(|from| lives(book, from) == 1 && troubles.spare(from, place));
        let balanced = if all_known { handled + letters == *told } else { handled + letters <= *told };
        if !balanced {
            let from = origin.map_or("itself", |from| PLACES[from]);
            let to = book.title(*node, *name);
            wrong =
                Some(format!("{to} was told {told} notes by {from}; it handled {handled}, and {letters} became dead letters"));
        }
    }
    if let Some(wrong) = wrong {
        book.breach(PROMISE, |_| wrong);
    }
    let uneven = book.nodes.iter().filter_map(|node| node.counted.filter(|(lost, alive)| *lost != node.lost || *alive > 0));
    if let Some((lost, alive)) = uneven.into_iter().next() {
        book.breach(PROMISE, |_| format!("a stopped system counts {alive} living actors and {lost} lost messages"));
    }
}

fn lives(book: &Book, place: usize) -> usize {
    book.nodes.iter().filter(|node| node.place == place).count()
}
