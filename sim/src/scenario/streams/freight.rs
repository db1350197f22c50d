//! An actor that is ten times slower than those who tell it something, here and from another node.

use std::time::Duration;

use playhouse::rt;
use playhouse_actors::prelude::*;
use serde::{Deserialize, Serialize};

use super::actor_name;
use super::book::enter;
use crate::scenario::trio::{Index, Phase, Stage, node_name, phase};

#[derive(Serialize, Deserialize)]
struct Crate {
    freight: u64,
    number: u64,
    bytes: Vec<u8>,
}

impl Message for Crate {
    type Result = ();
}

struct Porter;

impl Actor for Porter {
    type Context = Ctx<Self>;
}

impl Remote for Porter {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Crate>(1);
    }
}

/// In a minute, and else.
const LENGTHS: [usize; 2] = [6 * 1024, 256];
const MAILBOX: usize = 16;
const EVERY: Duration = Duration::from_millis(5);
const HANDLING: Duration = Duration::from_millis(50);

impl Handler<Crate> for Porter {
    type Result = Exclusive<Self, ()>;

    fn handle(&mut self, load: Crate, _: &mut Ctx<Self>) -> Exclusive<Self, ()> {
        enter(|book| book.handled(load.freight as Index, load.number));
        let hurries = phase() > Phase::Load;
        Exclusive::new(async move |_, _| {
            if !hurries {
                rt::sleep(HANDLING).await;
            }
        })
    }
}

pub(super) fn begin(stage: &Stage) {
    let options = SpawnOptions { mailbox: MAILBOX, ..SpawnOptions::default() };
    for porter in ["porter/here", "porter/far"] {
        let spawned = stage.node.system().spawn_remote(actor_name(porter), options, || Porter);
        spawned.unwrap_or_else(|error| panic!("{error}"));
    }
    // One from another node, and one from its own.
    if stage.place == 0 {
        rt::spawn(send(stage.clone(), 0, "porter/here"));
        rt::spawn(send(stage.clone(), 2, "porter/far"));
    }
}

async fn send(stage: Stage, to: usize, porter: &'static str) {
    if !stage.load().await {
        return;
    }
    let Some(actor) = stage.node.actor::<Porter>(&node_name(to), porter) else { return };
    let loads = enter(|book| {
        let length = LENGTHS[usize::from(!book.minute)];
        (book.loads(stage.at, to, length, MAILBOX), length)
    });
    let Some((freight, length)) = loads else { return };
    for number in 0.. {
        if !stage.is_loaded() {
            return;
        }
        let before = rt::now();
        let load = Crate { freight: freight as u64, number, bytes: vec![number as u8; length] };
        // Entered first: on its own node it may be handled before this goes on.
        enter(|book| book.told(freight, Duration::ZERO));
        if actor.tell_when_ready(load).await.is_err() {
            enter(|book| book.freights[freight].broken = true);
            return;
        }
        enter(|book| book.freights[freight].held_up += rt::now() - before);
        rt::sleep(EVERY).await;
    }
}
