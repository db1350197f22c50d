//! Actors that give streams, and those who read them.

use std::time::Duration;

use playhouse::rt::{self, Random};
use playhouse_actors::prelude::*;
use serde::{Deserialize, Serialize};

use super::book::{End, enter};
use super::{SLOW_FOR, actor_name};
use crate::scenario::WANTED;
use crate::scenario::trio::{Index, PLACES, Phase, Stage, node_name, phase};

/// The sources of each node. The second one never fails.
const SOURCE: &str = "source";
const STEADY: &str = "source/steady";

/// A question for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Give {
    stream: u64,
    items: u64,
    length: u32,
    /// Before each item.
    pause: Duration,
    /// Comes to no end, after so many.
    stuck_at: Option<u64>,
    /// Panics, after so many.
    fails_at: Option<u64>,
    /// Goes on for as long as there is load.
    endless: bool,
}

impl Message for Give {
    type Result = Streaming<Item>;
}

#[derive(Serialize, Deserialize)]
pub(super) struct Item {
    number: u64,
    bytes: Vec<u8>,
}

/// Bytes that follow from their place, and from no other.
fn fill(stream: u64, number: u64, length: u32) -> Vec<u8> {
    let mut state = stream << 32 ^ number ^ 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length as usize).collect()
}

pub(super) struct Source {
    at: Index,
}

impl Actor for Source {
    type Context = Ctx<Self>;
}

impl Remote for Source {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.stream::<Give, Item>(1);
    }
}

/// Enters when a producer is over, however that came.
struct Over(Index);

impl Drop for Over {
    fn drop(&mut self) {
        enter(|book| book.over(self.0));
    }
}

impl Handler<Give> for Source {
    type Result = Streamed<Item>;

    fn handle(&mut self, give: Give, _: &mut Ctx<Self>) -> Streamed<Item> {
        let (at, stream) = (self.at, give.stream as Index);
        enter(|book| book.begins(stream, at));
        let over = Over(stream);
        Streamed::new(async move |mut sink: Sink<Item>| {
            let _over = over;
            for number in 0.. {
                if give.stuck_at == Some(number) {
                    std::future::pending::<()>().await;
                }
                if give.fails_at == Some(number) {
                    enter(|book| book.fails(at));
                    panic!("{WANTED}");
                }
                let done = if give.endless { phase() > Phase::Load } else { number == give.items };
                if done {
                    return;
                }
                if !give.pause.is_zero() {
                    rt::sleep(give.pause).await;
                }
                let bytes = fill(give.stream, number, give.length);
                let before = rt::now();
                if sink.send(Item { number, bytes: bytes.clone() }).await.is_err() {
                    return;
                }
                enter(|book| book.produced(stream, &bytes, rt::now() - before));
            }
        })
    }
}

/// How a stream is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    place: usize,
    give: Give,
    /// Before each item is taken, while there is load.
    pause: Duration,
    /// Wants no more, after so many.
    leaves_at: Option<u64>,
    slow: bool,
}

impl Reading {
    fn draw(random: &mut Random) -> Reading {
        let ms = |random: &mut Random, most: u64| Duration::from_micros(random.between(200, most * 1_000));
        let (items, length) = match random.below(30) {
            0..3 => (random.below(3), 8),
            // A large payload, in chunks.
            3 => (random.between(8, 64), random.between(4_000, 12_000) as u32),
            _ => (random.between(3, 700), random.between(1, 200) as u32),
        };
        let pause_of_source = if random.chance(0.3) { ms(random, 4) } else { Duration::ZERO };
        let some = |random: &mut Random, probability| random.chance(probability).then(|| random.below(items + 1));
        Reading {
            place: random.below(PLACES.len() as u64) as usize,
            pause: if random.chance(0.4) { ms(random, 8) } else { Duration::ZERO },
            leaves_at: some(random, 0.3),
            give: Give {
                stream: 0,
                items,
                length,
                pause: pause_of_source,
                stuck_at: some(random, 0.12),
                fails_at: some(random, 0.03),
                endless: false,
            },
            slow: false,
        }
    }

    /// A sink that is ten times slower than its source.
    fn slow(place: usize) -> Reading {
        let give = Give {
            stream: 0,
            items: 0,
            length: 6 * 1024,
            pause: Duration::from_millis(5),
            stuck_at: None,
            fails_at: None,
            endless: true,
        };
        Reading { place, give, pause: Duration::from_millis(50), leaves_at: None, slow: true }
    }
}

/// How long a reader waits for an item of a stream that is stuck.
const PATIENCE: Duration = Duration::from_millis(300);

pub(super) fn begin(stage: &Stage) {
    let at = stage.at;
    let options = SpawnOptions { restart: Restart { max: u32::MAX, ..Restart::default() }, ..SpawnOptions::default() };
    for name in [SOURCE, STEADY] {
        let spawned = stage.node.system().spawn_remote(actor_name(name), options, move || Source { at });
        spawned.unwrap_or_else(|error| panic!("{error}"));
    }
    rt::spawn(open(stage.clone()));
}

/// Opens streams for as long as there is load.
async fn open(stage: Stage) {
    if !stage.load().await {
        return;
    }
    let mut random = stage.random("readings");
    // One from another node, and one from its own.
    let minute = enter(|book| book.minute) == Some(true);
    if minute && stage.place == 0 {
        for place in [0, 1] {
            rt::spawn(read(stage.clone(), Reading::slow(place)));
        }
    }
    while stage.is_loaded() {
        rt::spawn(read(stage.clone(), Reading::draw(&mut random)));
        let most = if minute { 12_000 } else { 150 };
        rt::sleep(Duration::from_millis(random.between(5, most))).await;
    }
}

async fn read(stage: Stage, reading: Reading) {
    let Reading { place, mut give, pause, leaves_at, slow } = reading;
    let opened = enter(|book| book.opens(stage.at, place, give.items, give.length as usize, slow));
    let (Some(stream), Some(source)) =
        (opened, stage.node.actor::<Source>(&node_name(place), if slow { STEADY } else { SOURCE }))
    else {
        return;
    };
    give.stream = stream as u64;
    rt::ledger::record("opens", || format!("stream {stream} of {}: {reading:?}", PLACES[place]));
    let began = rt::now();
    let failed = |error: AskError| {
        enter(|book| book.ends(stream, End::Failed(error.to_string())));
    };
    let mut items = match source.ask(give).await {
        Ok(items) => items,
        Err(error) => return failed(error),
    };
    for taken in 0.. {
        if leaves_at == Some(taken) {
            drop(items);
            enter(|book| book.ends(stream, End::Left(rt::now())));
            return;
        }
        let hurries = if slow { rt::now() - began > SLOW_FOR } else { phase() > Phase::Load };
        if !pause.is_zero() && !hurries {
            rt::sleep(pause).await;
        }
        let next = if give.stuck_at == Some(taken) {
            match rt::timeout(PATIENCE, items.next()).await {
                Ok(next) => next,
                Err(_) => {
                    drop(items);
                    enter(|book| book.ends(stream, End::Left(rt::now())));
                    return;
                }
            }
        } else {
            items.next().await
        };
        match next {
            Ok(Some(item)) => {
                enter(|book| book.taken(stream, item.number, &item.bytes));
            }
            Ok(None) => {
                enter(|book| book.ends(stream, End::Done));
                return;
            }
            Err(error) => return failed(error),
        }
    }
}
