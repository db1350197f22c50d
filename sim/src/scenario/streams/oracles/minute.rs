//! A sink that is ten times slower than its source for a minute makes neither side grow, and loses nothing: both by what was produced and
//! not taken, and by what this process, which is all nodes together, holds.

use std::time::Duration;

use crate::scenario::streams::SLOW_FOR;
use crate::scenario::streams::book::{Book, End};
use crate::scenario::trio::{Phase, phase};

pub(in crate::scenario::streams) const PROMISE: &str =
    "a sink ten times slower than its source for a minute costs neither side 64 MiB, and loses nothing";

const MOST: u64 = 64 * 1024 * 1024;

/// A source that is held to a tenth of its pace waits for most of the minute.
const HELD_UP: Duration = Duration::from_secs(40);

pub(in crate::scenario::streams) fn breach(book: &Book) -> Option<String> {
    if !book.minute {
        return None;
    }
    let grown = book.memory.map_or(0, |(before, most)| most - before);
    if grown > MOST {
        return Some(format!("the nodes together have grown by {grown} bytes within {SLOW_FOR:?}"));
    }
    let streams = book.streams.iter().filter(|stream| stream.slow);
    let streams =
        streams.map(|stream| (stream.title(), stream.most_ahead, stream.length, stream.held_up, stream.end == End::Done));
    let freights = book.freights.iter().map(|freight| {
        let title = format!("of what is told to {}", crate::scenario::trio::PLACES[freight.to]);
        (title, freight.most_ahead, freight.length, freight.held_up, freight.handled == freight.told)
    });
    streams.chain(freights).find_map(|(title, ahead, length, held_up, whole)| {
        let bytes = ahead * length as u64;
        if bytes > MOST {
            return Some(format!("{title}: {bytes} bytes were not taken"));
        }
        if phase() != Phase::Settled {
            return None;
        }
        if held_up < HELD_UP {
            return Some(format!("{title}: its source was held up for {held_up:?} only"));
        }
        (!whole).then(|| format!("{title}: not all of it came"))
    })
}
