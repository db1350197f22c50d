//! The load, the same for every contestant.

use std::sync::Arc;
use std::time::Instant;

use super::peer::{Counter, Peer, Watch};
use super::{Lap, Metric};
use crate::allocations;

/// Messages of a batch; the last one is an ask. It fits into our default mailbox of 1024.
const BATCH: usize = 512;

/// Actors that are started before the load waits for them.
const FLOCK: usize = 100;

/// One turn of a contestant with about `size` operations.
pub(crate) fn lap<P: Peer>(metric: Metric, size: usize) -> Lap {
    match metric {
        Metric::LocalTell => P::on_one_thread(move |home| async move {
            let actor = P::spawn(&home, Counter::new(&Arc::default())).await;
            tells::<P>(actor, size).await
        }),
        Metric::LocalTellAcross => P::on_two_threads(move |actor| tells::<P>(actor, size)),
        Metric::LocalAsk => P::on_one_thread(move |home| async move {
            let actor = P::spawn(&home, Counter::new(&Arc::default())).await;
            asks::<P>(actor, size).await
        }),
        Metric::SpawnAsk => P::on_one_thread(move |home| lives::<P>(home, size)),
        Metric::BytesPerActor => P::on_one_thread(move |home| crowd::<P>(home, size)),
    }
}

/// A clock that runs.
struct Running {
    allocations: allocations::Count,
    since: Instant,
}

fn begin() -> Running {
    Running { allocations: allocations::now(), since: Instant::now() }
}

impl Running {
    fn end(self, operations: usize) -> Lap {
        let time = self.since.elapsed();
        let now = allocations::now();
        let (allocations, live) = (now.allocations - self.allocations.allocations, now.live - self.allocations.live);
        Lap { operations, time, allocations, live }
    }
}

/// Before the clock starts: caches, pools and branch predictors settle.
fn warm_up(size: usize) -> usize {
    size.div_ceil(10)
}

async fn tells<P: Peer>(actor: P::Actor, size: usize) -> Lap {
    let mut sent = 0;
    let mut batches = async |count: usize| {
        for _ in 0..count {
            for _ in 1..BATCH {
                P::tell(&actor, 1);
            }
            sent += BATCH as u64;
            assert_eq!(P::ask(&actor, 1).await, sent, "{} lost or doubled a message", P::NAME);
        }
    };
    let count = size.div_ceil(BATCH);
    batches(warm_up(count)).await;
    let running = begin();
    batches(count).await;
    running.end(count * BATCH)
}

async fn asks<P: Peer>(actor: P::Actor, size: usize) -> Lap {
    let warm = warm_up(size);
    for sum in 1..=warm {
        assert_eq!(P::ask(&actor, 1).await, sum as u64);
    }
    let running = begin();
    for sum in 1..=size {
        assert_eq!(P::ask(&actor, 1).await, (warm + sum) as u64);
    }
    running.end(size)
}

/// Actors one after the other. The clock stops when the last one has ended.
async fn lives<P: Peer>(home: P::Home, size: usize) -> Lap {
    let watch: Arc<Watch> = Arc::default();
    let series = async |count: usize| {
        let before = watch.ended();
        for amount in 0..count as u64 {
            let actor = P::spawn(&home, Counter::new(&watch)).await;
            assert_eq!(P::ask(&actor, amount).await, amount);
            P::stop(actor).await;
        }
        while watch.ended() < before + count {
            tokio::task::yield_now().await;
        }
    };
    series(warm_up(size)).await;
    let running = begin();
    series(size).await;
    running.end(size)
}

/// Many actors that have started and do nothing. Their references are on the heap of neither side.
async fn crowd<P: Peer>(home: P::Home, size: usize) -> Lap {
    let watch: Arc<Watch> = Arc::default();
    let mut actors = Vec::with_capacity(size + 1);
    // The first one also pays for what all share.
    actors.push(P::spawn(&home, Counter::new(&watch)).await);
    assert_eq!(P::ask(&actors[0], 1).await, 1);
    let running = begin();
    for number in 1..=size {
        actors.push(P::spawn(&home, Counter::new(&watch)).await);
        while (number % FLOCK == 0 || number == size) && watch.started() <= number {
            tokio::task::yield_now().await;
        }
    }
    let lap = running.end(size);
    for actor in actors {
        P::stop(actor).await;
    }
    while watch.ended() <= size {
        tokio::task::yield_now().await;
    }
    lap
}
