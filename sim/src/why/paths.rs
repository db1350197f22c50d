//! The shortest chains to one event, over costs that are small whole numbers (Dijkstra, "A note on two problems in connexion with graphs", 1959).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that led to an event: which, how far it is, and whether that is sure.
pub(super) type Cause = (usize, u64, bool);

/// How far an event is from the end of the chains, the next one on the way there, and whether that joint is sure.
pub(super) type Toward = (u64, Option<usize>, bool);

/// The way from each event to `end`, if there is one. `causes` says what led to each event directly.
pub(super) fn shortest(causes: &[Vec<Cause>], end: usize) -> Vec<Option<Toward>> {
    let mut toward: Vec<Option<Toward>> = vec![None; causes.len()];
    toward[end] = Some((0, None, true));
    let mut open = BinaryHeap::from([Reverse((0, end))]);
    while let Some(Reverse((cost, event))) = open.pop() {
        if toward[event].is_some_and(|(known, ..)| known < cost) {
            continue;
        }
        for (cause, step, sure) in &causes[event] {
            let far = cost + step;
            if toward[*cause].is_none_or(|(known, ..)| far < known) {
                toward[*cause] = Some((far, Some(event), *sure));
                open.push(Reverse((far, *cause)));
            }
        }
    }
    toward
}

/// The events on the way from `begin` to the end, both included.
pub(super) fn back(toward: &[Option<Toward>], begin: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(Some(begin), |event| toward[*event].and_then(|(_, next, _)| next))
}
