//! Actors that are drained while they are told things.

use std::time::Duration;

use playhouse::rt::{self, Random};
use playhouse_actors::prelude::*;

use super::book::enter;
use crate::scenario::WANTED;
use crate::scenario::trio::{Index, Stage};

struct Water {
    number: Index,
    nap: Duration,
    panics: bool,
}

impl Message for Water {
    type Result = ();
}

struct Bucket;

impl Actor for Bucket {
    type Context = Ctx<Self>;
}

impl Handler<Water> for Bucket {
    type Result = Exclusive<Self, ()>;

    fn handle(&mut self, water: Water, _: &mut Ctx<Self>) -> Exclusive<Self, ()> {
        enter(|book| book.drops[water.number].handled += 1);
        assert!(!water.panics, "{WANTED}");
        Exclusive::new(async move |_, _| {
            if !water.nap.is_zero() {
                rt::sleep(water.nap).await;
            }
        })
    }
}

const MAILBOX: usize = 8;

pub(super) fn begin(stage: &Stage) {
    rt::spawn(fill(stage.clone()));
}

async fn fill(stage: Stage) {
    let mut random = stage.random("buckets");
    if !stage.load().await {
        return;
    }
    while stage.is_loaded() {
        let options = SpawnOptions { mailbox: MAILBOX, ..SpawnOptions::default() };
        let bucket = stage.node.system().spawn_with(options, || Bucket);
        let Some(number) = enter(|book| book.bucket(stage.at)) else { return };
        for _ in 0..random.below(8) {
            tell(&bucket, number, &mut random);
        }
        // Some wait for room when it is drained, and learn it.
        for _ in 0..random.below(4) {
            rt::spawn(tell_and_wait(bucket.clone(), number, water(number, &mut random)));
        }
        if random.chance(0.5) {
            rt::sleep(Duration::from_micros(random.between(1, 10_000))).await;
        }
        tell(&bucket, number, &mut random);
        if stage.is_loaded() {
            enter(|book| book.buckets[number].drained = true);
            bucket.drain();
            for _ in 0..random.below(4) {
                tell(&bucket, number, &mut random);
            }
            rt::spawn(async move {
                bucket.ended().await;
                enter(|book| book.buckets[number].ended = true);
            });
        }
        rt::sleep(Duration::from_millis(random.between(5, 60))).await;
    }
}

fn water(bucket: Index, random: &mut Random) -> Water {
    let number = enter(|book| book.drips(bucket)).unwrap_or_default();
    let nap = if random.chance(0.4) { Duration::from_millis(random.between(1, 8)) } else { Duration::ZERO };
    Water { number, nap, panics: random.chance(0.02) }
}

fn tell(to: &Ref<Bucket>, bucket: Index, random: &mut Random) {
    let water = water(bucket, random);
    let number = water.number;
    let taken = to.tell(water).is_ok();
    enter(|book| book.drops[number].taken = taken);
}

async fn tell_and_wait(to: Ref<Bucket>, bucket: Index, water: Water) {
    let number = water.number;
    let taken = to.tell_when_ready(water).await.is_ok();
    enter(|book| {
        book.drops[number].taken = taken;
        // It was on its way when the bucket was drained, or got its place before.
        book.drops[number].late |= book.buckets[bucket].drained;
    });
}
