//! After a drain all that was told before is handled, nothing that is told after it is, and then the actor ends.

use crate::scenario::groups::book::Book;
use crate::scenario::trio::{Phase, State, phase, state};

pub(in crate::scenario::groups) const PROMISE: &str =
    "a drained actor handles what it was told before, and nothing that it is told after";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    let odd_drop = book.drops.iter().enumerate().find_map(|(number, drop)| {
        let bucket = &book.buckets[drop.bucket];
        let title = || format!("drop {number} of bucket {} at {}", drop.bucket, book.title(bucket.at));
        if drop.handled > 1 || drop.handled > 0 && drop.late && !drop.taken {
            return Some(format!("{}: given back, and handled {} times", title(), drop.handled));
        }
        if drop.late && (drop.taken || drop.handled > 0) {
            return Some(format!("{}: taken after the drain", title()));
        }
        let lost = bucket.drained && bucket.ended && drop.taken && drop.handled == 0 && state(bucket.at) == State::Up;
        lost.then(|| format!("{}: taken before the drain, and never handled", title()))
    });
    let endless = || {
        let open = |(_, bucket): &(usize, &crate::scenario::groups::book::Bucket)| {
            bucket.drained && !bucket.ended && state(bucket.at) == State::Up
        };
        let bucket = book.buckets.iter().enumerate().find(open).filter(|_| phase() == Phase::Settled);
        bucket.map(|(number, bucket)| format!("bucket {number} at {} was drained, and has not ended", book.title(bucket.at)))
    };
    odd_drop.or_else(endless)
}
