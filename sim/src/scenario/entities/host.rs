//! What the coordinators and the hosts do.

use std::sync::Arc;
use std::time::Duration;

use playhouse::rt::{self, Random};
use playhouse::{Hosting, MessageId, Node};
use playhouse_actors::prelude::*;
use serde::{Deserialize, Serialize};

use super::book::{Book, enter};
use super::{HOSTS, PLACES};
use crate::plan::Plan;
use crate::scenario::frame::START_AGAIN_AFTER;

/// The kind of the entities, the singleton, and the name that all hosts want.
pub(super) const CART: &str = "cart";
const CHIEF: &str = "chief";
const FLAG: &str = "flag";

/// An entity without work is passivated after this.
const IDLE: Duration = Duration::from_millis(400);

pub(super) struct Part {
    name: &'static str,
    random: Random,
    work_ms: u64,
}

impl Part {
    pub(super) fn new(name: &str, plan: &Plan) -> Part {
        let name = PLACES.iter().find(|place| **place == name).copied().unwrap_or_default();
        Part { name, random: Random::new(plan.dice, &format!("host {name}")), work_ms: plan.dial("work") }
    }
}

/// Hear a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Hear {
    pub(super) sender: String,
    pub(super) number: u64,
}

impl Message for Hear {
    type Result = u64;
}

/// An entity, or the singleton.
pub(super) struct Cart {
    key: String,
    life: u64,
    work: Duration,
}

impl Cart {
    fn new(key: &str, node: &'static str, work: Duration) -> Cart {
        let life = enter(|book| book.born(key, node)).unwrap_or_default();
        Cart { key: key.into(), life, work }
    }
}

impl Drop for Cart {
    fn drop(&mut self) {
        enter(|book| book.dies(&self.key, self.life));
    }
}

impl Actor for Cart {
    type Context = Ctx<Self>;
}

impl Remote for Cart {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Hear>(MessageId { id: 1, version: 1 }, Lane::Data);
    }
}

impl Handler<Hear> for Cart {
    type Result = Exclusive<Self, u64>;

    fn handle(&mut self, Hear { sender, number }: Hear, _: &mut Ctx<Self>) -> Exclusive<Self, u64> {
        let key = self.key.clone();
        rt::ledger::record("hears", || format!("{key}: {number} of {sender}"));
        enter(|book| book.heard.entry((sender, key)).or_default().push(number));
        let work = self.work;
        Exclusive::new(async move |_, _| {
            rt::sleep(work).await;
            number
        })
    }
}

/// What a node does: a coordinator does nothing of its own.
pub(super) async fn play(node: Node, part: Arc<Part>) -> String {
    match HOSTS.iter().position(|name| *name == part.name) {
        Some(at) => perform(&node, at, &part).await,
        None => std::future::pending().await,
    }
    "it is done".into()
}

async fn perform(node: &Node, at: usize, part: &Part) {
    let wants = want(node.clone(), part.name, part.random.clone());
    rt::select! {
        () = wants => {}
        () = pulse(node, part.name) => {}
        () = host(node, at, part) => {}
    }
}

/// Hosts, but when it is to be away.
async fn host(node: &Node, at: usize, part: &Part) {
    let (name, work) = (part.name, Duration::from_millis(part.work_ms));
    let begin = || -> (Here, Vec<Hosting>) {
        let entities = node.entities(CART, Some(IDLE), move |key| Cart::new(key, name, work));
        let single = node.singleton(CHIEF, move || Cart::new(CHIEF, name, work));
        (Here::new(name), entities.into_iter().chain(single).collect())
    };
    let mut hosting = Some(begin());
    let mut ticks = rt::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let away = enter(|book| book.away[at]).flatten().is_some_and(|until| rt::now() < until);
        if !away && hosting.is_none() {
            hosting = Some(begin());
        } else if away && let Some((here, kinds)) = hosting.take() {
            drop(here);
            for kind in kinds {
                kind.leave().await;
            }
            rt::reachable!("left");
        }
        if let Some((key, to)) = enter(Book::next_move).flatten() {
            let (node, moving) = (node.clone(), Moving { key: format!("key-{key}"), to, done: false });
            drop(rt::spawn(async move { moving.go(&node).await }));
        }
    }
}

/// Written down while a node hosts.
struct Here(&'static str);

impl Here {
    fn new(name: &'static str) -> Here {
        enter(|book| book.hosts(name, true));
        Here(name)
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        enter(|book| book.hosts(self.0, false));
    }
}

/// An entity that is being moved. Its end is written down, also when its mover's node has lost its power.
struct Moving {
    key: String,
    to: &'static str,
    done: bool,
}

impl Moving {
    async fn go(mut self, node: &Node) {
        let Ok(to) = self.to.parse() else { return };
        match node.move_entity(CART, &self.key, &to).await {
            Ok(()) => self.done = true,
            Err(error) => rt::ledger::record("not-moved", || error.to_string()),
        }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        enter(|book| book.moved(&self.key, self.to, self.done));
    }
}

/// A claim of its own tells whether its lease has ever ended.
async fn pulse(node: &Node, name: &str) {
    loop {
        match node.claim(&format!("pulse-{name}")).await {
            Ok(claim) => {
                claim.lost().await;
                rt::reachable!("lapsed");
                enter(|book| book.lapses(name));
            }
            Err(_) => rt::sleep(START_AGAIN_AFTER).await,
        }
    }
}

/// Claims the name that all want, again and again, and holds it for a while.
async fn want(node: Node, name: &'static str, mut random: Random) {
    loop {
        rt::sleep(Duration::from_millis(random.between(20, 400))).await;
        if !matches!(node.whereis(FLAG).await, Ok(None)) {
            continue;
        }
        let Ok(claim) = node.claim(FLAG).await else { continue };
        let claim = Arc::new(claim);
        enter(|book| book.holds(name, &claim));
        let long = if random.chance(0.3) { 10_000 } else { 600 };
        rt::select! {
            () = claim.lost() => {}
            () = rt::sleep(Duration::from_millis(random.between(10, long))) => {}
        }
        enter(|book| book.gives(&claim));
    }
}
