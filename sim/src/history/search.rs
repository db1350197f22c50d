//! The search for an order.
//!
//! From Wing and Gong, "Testing and verifying concurrent objects" (1993): try to put first each operation that was called before the first
//! answer, and go on with the rest. With Lowe's memory of what has been tried ("Testing for linearizability", 2017): the same operations
//! done in another order, leading to the same state, need not be tried again.

use std::collections::BTreeSet;

use super::{Model, Operation};

/// Whether there is an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This one, as indexes. Those that are missing need not have happened.
    Order(Vec<usize>),
    /// There is none.
    None,
    /// Nobody knows: the steps are used up.
    OutOfSteps,
}

/// How an operation ends, as far as the search is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End<'a, Ret> {
    /// With this answer.
    Answer(&'a Ret),
    /// With any answer, but before the moment of its own.
    Any,
    /// Perhaps never.
    Open,
}

/// What stands in the list: calls and answers, in the order of their moments.
#[derive(Clone, Copy)]
enum Event {
    Call(usize),
    Answer,
}

/// Both ends of the list.
const EDGE: usize = 0;

/// A list of events from which operations are taken, and into which they are put back in reverse.
struct Events {
    events: Vec<Event>,
    before: Vec<usize>,
    after: Vec<usize>,
    /// Where an operation's call and answer stand; without an answer, the latter is [`EDGE`].
    places: Vec<[usize; 2]>,
}

impl Events {
    fn new(mut moments: Vec<(u64, usize, bool)>, operations: usize) -> Events {
        moments.sort_unstable();
        let mut places = vec![[EDGE; 2]; operations];
        let mut events = vec![Event::Answer];
        for (_, operation, is_answer) in moments {
            places[operation][usize::from(is_answer)] = events.len();
            events.push(if is_answer { Event::Answer } else { Event::Call(operation) });
        }
        let length = events.len();
        let before = (0..length).map(|at| (at + length - 1) % length).collect();
        let after = (0..length).map(|at| (at + 1) % length).collect();
        Events { events, before, after, places }
    }

    fn take(&mut self, operation: usize) {
        for at in self.places[operation].into_iter().filter(|at| *at != EDGE) {
            let (before, after) = (self.before[at], self.after[at]);
            self.after[before] = after;
            self.before[after] = before;
        }
    }

    fn put_back(&mut self, operation: usize) {
        for at in self.places[operation].into_iter().rev().filter(|at| *at != EDGE) {
            let (before, after) = (self.before[at], self.after[at]);
            self.after[before] = at;
            self.before[after] = at;
        }
    }
}

/// Looks for an order of `operations`, each with its end as `end` says (`None`: it has not been called yet), in at most `steps` steps of the
/// model, which are taken from it.
pub(super) fn search<'a, M: Model>(
    model: &M,
    operations: &[&'a Operation<M::Op, M::Ret>],
    end: impl Fn(usize) -> Option<End<'a, M::Ret>>,
    steps: &mut u64,
) -> Found {
    let ends: Vec<Option<End<'a, M::Ret>>> = (0..operations.len()).map(end).collect();
    let is_open = |operation: usize| matches!(ends[operation], Some(End::Open));
    let mut moments = Vec::new();
    for (number, operation) in operations.iter().enumerate().filter(|(number, _)| ends[*number].is_some()) {
        moments.push((operation.called.order, number, false));
        if let Some((moment, _)) = operation.answer.as_ref().filter(|_| !is_open(number)) {
            moments.push((moment.order, number, true));
        }
    }
    let mut missing = moments.iter().filter(|(_, _, is_answer)| *is_answer).count();
    let mut events = Events::new(moments, operations.len());
    let mut done = vec![0u64; operations.len().div_ceil(64)];
    let mut tried = BTreeSet::new();
    let mut state = model.start();
    let mut order: Vec<(usize, M::State)> = Vec::new();
    let mut at = events.after[EDGE];
    // As long as an answer is missing it stands in the list, before its end.
    while missing > 0 {
        match events.events[at] {
            Event::Call(number) => {
                let Some(left) = steps.checked_sub(1) else { return Found::OutOfSteps };
                *steps = left;
                let (next, answer) = model.step(&state, &operations[number].op);
                let fits = match ends[number] {
                    Some(End::Answer(seen)) => answer == *seen,
                    // If it changes nothing it need not have happened.
                    Some(End::Open) => next != state,
                    _ => true,
                };
                let bit = 1 << (number % 64);
                done[number / 64] |= bit;
                if fits && tried.insert((done.clone(), next.clone())) {
                    order.push((number, std::mem::replace(&mut state, next)));
                    events.take(number);
                    missing -= usize::from(!is_open(number));
                    at = events.after[EDGE];
                } else {
                    done[number / 64] &= !bit;
                    at = events.after[at];
                }
            }
            Event::Answer => {
                // Its operation would have to stand before it, and nothing fits: the last choice was wrong.
                let Some((number, before)) = order.pop() else { return Found::None };
                state = before;
                done[number / 64] &= !(1 << (number % 64));
                events.put_back(number);
                missing += usize::from(!is_open(number));
                at = events.after[events.places[number][0]];
            }
        }
    }
    Found::Order(order.into_iter().map(|(number, _)| number).collect())
}
