//! The plane in a toy world, driven by arbitrary bytes: the body that the property test and the fuzz target share.
//!
//! The first part of a run is hostile: messages are lost, doubled and delivered out of order, nodes crash, functions fail, newest checkpoints turn unreadable. Then the
//! faults stop, and all must come to its end in bounded time. `invariants` holds after every step.

mod deliver;
mod invariants;
mod jobs;
mod world;

use crate::config::Planted;
use world::World;

/// How many bytes one operation takes.
const OPERATION: usize = 2;

/// Runs a plane without planted bugs through the operations that `bytes` spell.
///
/// # Panics
/// When a promise is broken.
pub fn any_operations(bytes: &[u8]) {
    operations(bytes, Planted::default());
}

/// Runs a plane through the operations that `bytes` spell.
///
/// # Panics
/// When a promise is broken.
pub fn operations(bytes: &[u8], planted: Planted) {
    let mut world = World::new(planted);
    for operation in bytes.chunks_exact(OPERATION) {
        step(&mut world, operation[0], operation[1] as usize);
        invariants::hold(&world);
    }
    world.heal();
}

/// One operation; `arg` chooses among what there is.
fn step(world: &mut World, operation: u8, arg: usize) {
    match operation % 46 {
        0..=8 => world.deliver_to_node(arg),
        9 => world.double_to_node(arg),
        10 => world.drop_to_node(arg),
        11..=19 => world.deliver_to_plane(arg),
        20 => world.double_to_plane(arg),
        21 => world.drop_to_plane(arg),
        22 | 23 => world.advance(arg as u64 * 8),
        24..=27 => world.beat(arg),
        28 => world.crash(arg),
        29 => world.restart(arg),
        30..=34 => world.complete(arg, true),
        35 => world.complete(arg, false),
        36 | 37 => world.submit(arg),
        38 => world.link_down(arg),
        39 => world.damage(arg),
        40 => world.take_over(arg),
        41 => world.drain(arg),
        42 | 43 => world.claim(arg),
        44 => world.keep(arg),
        45 => world.release(arg),
        _ => world.snapshot(),
    }
}
