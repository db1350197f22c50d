//! A link makes two ends one.

use playhouse_actors::Exit;

use crate::scenario::actors::book::{Book, Index, NodeState, Tie, Whom};
use crate::scenario::actors::judge::{exit, has_ended};
use crate::scenario::actors::plan::Troubles;

pub(in crate::scenario::actors) const PROMISE: &str = "linked actors end together when one fails or its node is lost";

/// Those who were tied to each other end together, unless the first end was as it should be.
pub(in crate::scenario::actors) fn ties(book: &mut Book, troubles: &Troubles) {
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
        book.breach(PROMISE, |_| wrong);
    }
}
