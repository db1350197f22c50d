//! What can only be judged when all is quiet, or over.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use playhouse_actors::Exit;
use playhouse_actors::supervise::{Intensity, Strategy};

use super::book::{Book, Index, NodeState, Tie, Told, Whom};
use super::plan::{Cast, NAMES, PLACES, Troubles};
use super::{ACCOUNT, ANSWERED, INTENSITY, LINKED, NOTICE};

/// When the load is long over and nothing has been stopped yet: who should have heard of an end has.
pub(super) fn quiet(book: &mut Book, troubles: &Troubles) {
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
        book.breach(NOTICE, |_| format!("never noticed: {}", silent.join(", ")));
    }
    ties(book, troubles);
    let now = playhouse::rt::now();
    let open = book.asks.iter().position(|ask| {
        !ask.done
            && ask.until + super::ANSWER_SLACK < now
            && matches!(book.nodes[ask.node].state, NodeState::Up | NodeState::Stopped)
    });
    if let Some(open) = open {
        book.breach(ANSWERED, |_| format!("ask {open} has not ended"));
    }
}

fn has_ended(book: &Book, cell: Index) -> bool {
    exit(book, cell).is_some()
}

/// Why an actor ended, if it has.
pub(super) fn exit(book: &Book, cell: Index) -> Option<Exit> {
    let ended = std::pin::pin!(book.cells[cell].me.ended());
    match ended.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(exit) => Some(exit),
        Poll::Pending => None,
    }
}

/// Those who were tied to each other end together, unless the first end was as it should be.
fn ties(book: &mut Book, troubles: &Troubles) {
    let failed = |cell: Index| exit(book, cell).is_some_and(|exit| !exit.is_normal());
    let up = |node: Index| book.is(node, NodeState::Up);
    let mut wrong = None;
    for Tie { cell, whom, there } in &book.ties {
        let here = book.cells[*cell].node;
        if !up(here) {
            continue;
        }
        let broken = match *whom {
            Whom::Here(other) => failed(*cell) && !has_ended(book, other) || failed(other) && !has_ended(book, *cell),
            Whom::There { place, name } => {
                let others =
                    |node: Index| book.cells.iter().enumerate().filter(move |(_, cell)| cell.node == node && cell.name == name);
                match *there {
                    // Whichever of them it was tied to: none has ended as it should.
                    Some(node) if up(node) && book.node_at(place) == Some(node) => {
                        !has_ended(book, *cell) && others(node).count() > 0 && others(node).all(|(other, _)| failed(other))
                            || troubles.spare(book.nodes[here].place, place)
                                && failed(*cell)
                                && others(node).count() == 1
                                && others(node).all(|(other, _)| !has_ended(book, other))
                    }
                    // Its node died before it: that must have been heard of.
                    Some(node) => {
                        let died = |(other, _)| exit(book, other) == Some(Exit::NodeStopped);
                        book.is(node, NodeState::Crashed)
                            && !has_ended(book, *cell)
                            && others(node).count() == 1
                            && others(node).all(died)
                    }
                    None => false,
                }
            }
        };
        if broken {
            wrong = Some(format!("{} and {whom:?}: only one of them has ended", book.title(here, book.cells[*cell].name)));
        }
    }
    if let Some(wrong) = wrong {
        book.breach(LINKED, |_| wrong);
    }
}

/// When all nodes have stopped: the accounts must balance.
pub(super) fn stopped(book: &mut Book, troubles: &Troubles) {
    losses(book, troubles);
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
        book.breach(ACCOUNT, |_| vanished);
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
        book.breach(ACCOUNT, |_| wrong);
    }
    let uneven = book.nodes.iter().filter_map(|node| node.counted.filter(|(lost, alive)| *lost != node.lost || *alive > 0));
    if let Some((lost, alive)) = uneven.into_iter().next() {
        book.breach(ACCOUNT, |_| format!("a stopped system counts {alive} living actors and {lost} lost messages"));
    }
}

fn lives(book: &Book, place: usize) -> usize {
    book.nodes.iter().filter(|node| node.place == place).count()
}

/// Nobody hears that a node is lost which was not.
fn losses(book: &mut Book, troubles: &Troubles) {
    let false_one = book.losses.iter().find(|(from, to, _, _)| troubles.spare(*from, *to)).cloned();
    if let Some((from, to, _, why)) = false_one {
        book.breach(NOTICE, |_| format!("on {} it is heard that {} is lost, and it was not: {why}", PLACES[from], PLACES[to]));
    }
}

/// The longest time between the moment when a restart is allowed and the birth that it leads to.
const BIRTH_DELAY: Duration = Duration::from_secs(2);

/// No supervisor restarts more often than it may.
pub(super) fn births(book: &mut Book, cast: &Cast) {
    let mut wrong = None;
    for births in book.births.values() {
        let (strategy, Intensity { max, within }) =
            if births.iter().any(|(_, name)| matches!(name, 2 | 3)) { cast.inner } else { cast.top };
        // In a group one restart is a birth of each child; else each birth but the first is a restart.
        let parts: Vec<Vec<_>> = if strategy == Strategy::OneForOne {
            let mut first = [true; NAMES.len()];
            let restarts = births.iter().filter(|(_, name)| !std::mem::take(&mut first[*name]));
            vec![restarts.map(|(at, _)| *at).collect()]
        } else {
            let of = |name| births.iter().filter(|(_, other)| *other == name).skip(1).map(|(at, _)| *at).collect();
            (0..NAMES.len()).map(of).collect()
        };
        for births in parts {
            let most = max as usize;
            let window = within.saturating_sub(BIRTH_DELAY);
            if let Some(burst) = births.windows(most + 1).find(|burst| burst[most] - burst[0] < window) {
                wrong = Some(format!(
                    "{} restarts within {:?}, where {max} are allowed within {within:?}",
                    burst.len(),
                    burst[most] - burst[0]
                ));
            }
        }
    }
    if let Some(wrong) = wrong {
        book.breach(INTENSITY, |_| wrong);
    }
}
