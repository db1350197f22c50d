//! The actors, each a list of numbers that it was given, and who gives them.

use std::time::Duration;

use playhouse::prelude::*;
use playhouse::rt::{self, Random};
use playhouse::{Persisted, SaveError};
use serde::{Deserialize, Serialize};

use super::book::{Stand, enter};
use crate::scenario::WANTED;

/// How many there are.
pub(super) const COUNT: usize = 4;

/// The first are kept by checkpoints alone, the others keep each number as an event.
const PLAIN: usize = 2;

/// How often each is saved, and after how many messages.
const EVERY: Duration = Duration::from_millis(150);
const AFTER: u32 = 25;

/// An actor that does not start is tried again after so long.
const AGAIN: Duration = Duration::from_millis(50);

/// What a driver has not heard of after so long is lost.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct List {
    actor: usize,
    numbers: Vec<u64>,
    keep: Keep<List>,
}

impl List {
    fn stand(&self) -> Stand {
        Stand { actor: self.actor, fence: self.keep.fence(), life: self.keep.life(), numbers: self.numbers.clone() }
    }
}

#[actor]
impl List {
    /// Answered when it is in memory.
    #[message]
    fn add(&mut self, number: u64) {
        self.numbers.push(number);
    }

    /// Answered when it is durable.
    #[message]
    async fn add_durably(&mut self, number: u64) -> Result<(), PersistError> {
        self.numbers.push(number);
        self.keep.save(self).await?;
        enter(|book| book.acked(self.stand()));
        Ok(())
    }

    /// The same, by an event.
    #[message]
    async fn log(&mut self, number: u64) -> Result<(), PersistError> {
        self.keep.append(&Given(number)).await?;
        self.apply(Given(number));
        enter(|book| book.acked(self.stand()));
        Ok(())
    }

    #[message]
    fn fail(&mut self) {
        panic!("{WANTED}");
    }
}

impl Persistent for List {
    type State = Vec<u64>;
    const VERSION: u16 = 1;

    fn save(&self) -> Vec<u64> {
        self.numbers.clone()
    }

    fn load(&mut self, state: Vec<u64>) {
        self.numbers = state;
    }

    fn recovered(&mut self, _: &mut Ctx<Self>) {
        enter(|book| book.recovered(self.stand()));
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Given(u64);

impl Journaled for List {
    type Event = Given;

    fn apply(&mut self, Given(number): Given) {
        self.numbers.push(number);
    }
}

/// Has the actor run here as long as its home is here, and gives it numbers; a former one too, until that is refused.
pub(super) async fn drive(node: Node, place: String, actor: usize, mut random: Random, pace: u64) {
    loop {
        if enter(|book| book.homes[actor] == place) != Some(true) {
            rt::sleep(AGAIN).await;
            continue;
        }
        let name = format!("list/{actor}");
        let persist = node.persistent::<List>(&name).every(EVERY).after(AFTER);
        let persist = if actor < PLAIN { persist } else { persist.journaled() };
        match persist.start(move |keep| List { actor, numbers: Vec::new(), keep: keep.clone() }).await {
            Ok(list) => {
                let load = load(&list, &place, actor, &mut random, pace);
                // The load first: it is to see what the actor answered before it ended.
                rt::select! {
                    () = load => {}
                    exit = list.ended() => rt::ledger::record("ended", || format!("{name} on {place}: {exit}")),
                }
            }
            Err(error) => rt::ledger::record("not-begun", || format!("{name} on {place}: {error}")),
        }
        rt::sleep(AGAIN).await;
    }
}

async fn load(list: &Persisted<List>, place: &str, actor: usize, random: &mut Random, pace: u64) {
    loop {
        rt::sleep(Duration::from_millis(random.between(1, 2 * pace))).await;
        let Some(number) = enter(|book| book.next(actor)) else { return };
        let durable = match random.below(100) {
            0..3 => {
                let _ = list.fail().within(PATIENCE).await;
                continue;
            }
            3..13 => {
                let saved = list.save().await;
                rt::sometimes!(saved.is_ok(), "saved on demand");
                continue;
            }
            13..60 if actor < PLAIN => {
                let _ = list.add(number).within(PATIENCE).await;
                continue;
            }
            _ if actor < PLAIN => list.add_durably(number).within(PATIENCE).await,
            _ => list.log(number).within(PATIENCE).await,
        };
        match durable {
            Ok(Ok(())) => {
                enter(|book| book.answers(actor, place));
            }
            Ok(Err(PersistError::Save(error))) => {
                rt::sometimes!(matches!(*error, SaveError::Fenced { .. }), "refused");
                rt::sometimes!(matches!(*error, SaveError::Disk(_)), "not saved");
            }
            _ => {}
        }
    }
}
