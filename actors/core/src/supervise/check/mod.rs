//! A supervisor in a toy world, driven by arbitrary bytes: the body that the property test and a fuzz target can share.
//!
//! The bytes choose what happens: children start, fail, end, hang, are added and removed, and old reports come again. After every step
//! the promises in `promises` hold. Then the failures stop: all that should live must come up. At last the supervisor is stopped, and must
//! end within bounded steps, whether its children answer or not.

mod promises;
mod world;

use super::spec::{Backoff, ChildSpec, Intensity, Lifetime, Planted, Strategy, SupervisorSpec};
use std::collections::BTreeSet;
use std::time::Duration;
use world::World;

/// Runs a supervisor without planted bugs through the events that `bytes` spell.
///
/// # Panics
/// When a promise is broken.
pub fn any_events(bytes: &[u8]) {
    events(bytes, Planted::default());
}

/// Runs a supervisor through the events that `bytes` spell, and says what it met on the way.
///
/// # Panics
/// When a promise is broken.
pub fn events(bytes: &[u8], planted: Planted) -> BTreeSet<&'static str> {
    let (head, rest) = bytes.split_at(bytes.len().min(4));
    let mut world = World::new(spec(head), planted);
    for pair in rest.chunks_exact(2) {
        step(&mut world, pair[0], pair[1]);
    }
    world.heal();
    world.stop_all(bytes.last().is_some_and(|last| last % 2 == 0));
    world.reached
}

/// A fixed sequence of bytes for each seed.
pub fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    // The first ones of neighbouring seeds are alike.
    std::iter::repeat_with(next).skip(8).take(200).collect()
}

fn spec(head: &[u8]) -> SupervisorSpec {
    let byte = |at: usize| head.get(at).copied().unwrap_or(0);
    let strategy = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][byte(0) as usize % 3];
    let backoff = match byte(1) % 3 {
        0 => Backoff::NONE,
        1 => Backoff { first: Duration::from_millis(50), ..Backoff::default() },
        _ => Backoff::default(),
    };
    SupervisorSpec {
        strategy,
        backoff,
        intensity: Intensity { max: u32::from(byte(2) % 8), within: Duration::from_millis(500) },
        children: (0..byte(3) % 7).map(child).collect(),
        ..SupervisorSpec::new("any")
    }
}

fn child(kind: u8) -> ChildSpec {
    let lifetime = match kind % 5 {
        3 => Lifetime::Transient,
        4 => Lifetime::Temporary,
        _ => Lifetime::Permanent,
    };
    ChildSpec { lifetime, stop_within: Duration::from_millis(100), ..ChildSpec::new("child") }
}

/// One event; `arg` chooses among what there is.
fn step(world: &mut World, event: u8, arg: u8) {
    match event % 32 {
        0..=9 => world.answer(arg),
        10..=13 => world.fire_timer(),
        14..=16 => world.fail(arg),
        17 | 18 => world.end_normally(arg),
        19 => world.end_stopped(arg),
        20 | 21 => world.old_report(arg),
        22 => world.old_timer(arg),
        23..=26 => world.pass(u64::from(arg)),
        27 => world.add(child(arg)),
        28 => world.remove(arg),
        29 => world.restart(arg),
        30 if arg < 16 => world.stop(),
        _ => world.pass(1),
    }
}
