//! Who tells a slow actor something is held to its pace: what was told and not handled fits into the credit and the mailbox. And nothing of
//! it is lost, unless the connection is.

use playhouse_wire::limits::{TELL_WEIGHT, TELL_WINDOW};

use crate::scenario::streams::book::{Book, Freight};
use crate::scenario::trio::{PLACES, Phase, State, phase, place_of, spared, state};

pub(in crate::scenario::streams) const PROMISE: &str = "who tells a slow actor is held to its pace, and loses nothing";

/// What the sender has in its hand.
const IN_HAND: u64 = 1;

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    book.freights.iter().find_map(|freight| {
        let (from, to) = (place_of(freight.from), freight.to);
        let title = || format!("from {} to {}", PLACES[from], PLACES[to]);
        let most = most(freight, from);
        if freight.most_ahead > most {
            return Some(format!("{}: {} messages were not handled, where {most} are allowed", title(), freight.most_ahead));
        }
        if !spared(from, to) {
            return None;
        }
        if let Some((came, next)) = freight.odd {
            return Some(format!("{}: message {came} came where {next} was the next", title()));
        }
        if freight.broken {
            return Some(format!("{}: message {} was not taken", title(), freight.told));
        }
        let settled = phase() == Phase::Settled && state(freight.from) == State::Up;
        let lost = settled && freight.handled != freight.told;
        lost.then(|| format!("{}: {} of {} messages were handled", title(), freight.handled, freight.told))
    })
}

fn most(freight: &Freight, from: usize) -> u64 {
    let under_way = if from == freight.to { 0 } else { TELL_WINDOW / (freight.length + TELL_WEIGHT) + 1 };
    // One is being handled beside those in the mailbox.
    (freight.mailbox + under_way) as u64 + 1 + IN_HAND
}
