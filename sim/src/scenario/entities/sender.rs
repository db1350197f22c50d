//! What the senders do: tell entities numbers, each key its own, one after the other; and ask each of them in the end.

use std::time::Duration;

use playhouse::rt::{self, Host, Random};
use playhouse::{Node, NodeConfig};
use playhouse_actors::Ref;

use super::book::enter;
use super::host::{CART, Cart, Hear};
use crate::plan::Plan;

pub(super) struct Script {
    name: &'static str,
    messages: u64,
    pause_ms: u64,
    keys: u64,
    random: Random,
}

impl Script {
    pub(super) fn new(name: &'static str, plan: &Plan) -> Script {
        let random = Random::new(plan.dice, &format!("sender {name}"));
        let (messages, pause_ms, keys) = (plan.dial("messages"), plan.dial("pause"), plan.dial("keys"));
        Script { name, messages, pause_ms, keys, random }
    }
}

/// How long an ask waits; so many tries there are.
const ASK_WITHIN: Duration = Duration::from_secs(10);
const TRIES: u32 = 12;

pub(super) async fn live(host: Host, config: NodeConfig, script: Script) {
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("a sender does not start: {error}"));
    enter(|book| book.begun += 1);
    let Script { name, messages, pause_ms, keys, mut random } = script;
    let entities: Vec<_> = (0..keys)
        .map(|key| format!("key-{key}"))
        .filter_map(|key| node.entity::<Cart>(CART, &key).ok().map(|cart| (key, cart)))
        .collect();
    for _ in 0..messages {
        rt::sleep(Duration::from_millis(random.between(1, 2 * pause_ms))).await;
        let (key, cart) = &entities[random.below(keys) as usize];
        let number = next(name, key);
        if cart.tell_when_ready(Hear { sender: name.into(), number }).await.is_err() {
            enter(|book| book.gives_up(name, key, number));
        }
    }
    // Each ask comes after all that was told.
    for (key, cart) in &entities {
        for _ in 0..TRIES {
            if ask(name, key, cart).await {
                break;
            }
        }
    }
    while !enter(|book| book.over).unwrap_or(true) {
        rt::sleep(Duration::from_millis(50)).await;
    }
    // When nothing befalls anybody any more, all are there.
    for (key, cart) in &entities {
        while !ask(name, key, cart).await {}
    }
    enter(|book| book.ended += 1);
    std::future::pending().await
}

/// Asks an entity; false: there was no answer.
async fn ask(name: &str, key: &str, cart: &Ref<Cart>) -> bool {
    let number = next(name, key);
    match cart.ask_within(Hear { sender: name.into(), number }, ASK_WITHIN).await {
        Ok(_) => true,
        Err(error) => {
            rt::ledger::record("unanswered", || error.to_string());
            enter(|book| book.gives_up(name, key, number));
            false
        }
    }
}

/// The next number for a key.
fn next(name: &str, key: &str) -> u64 {
    enter(|book| {
        let told = book.told.entry((name.into(), key.into())).or_default();
        *told += 1;
        *told
    })
    .unwrap_or_default()
}
