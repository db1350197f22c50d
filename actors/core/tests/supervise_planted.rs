//! The proof that the checks of `supervise::check` can fail: each planted bug is found. In a process of its own, since it silences
//! panics.

use std::panic::catch_unwind;

use playhouse_actors::supervise::Planted;
use playhouse_actors::supervise::check::{bytes, events};

#[test]
fn planted_bugs_are_found() {
    let none = Planted::default();
    let planted = [
        Planted { forget_order: true, ..none },
        Planted { ignore_intensity: true, ..none },
        Planted { restart_temporary: true, ..none },
        Planted { believe_old_lives: true, ..none },
        Planted { hasty_start: true, ..none },
        Planted { endless_patience: true, ..none },
    ];
    // The panics are wanted; their texts are not.
    std::panic::set_hook(Box::new(|_| {}));
    let found: Vec<_> =
        planted.iter().map(|bug| (0..200).find(|seed| catch_unwind(|| events(&bytes(*seed), *bug)).is_err())).collect();
    let _ = std::panic::take_hook();
    for (bug, seed) in planted.iter().zip(found) {
        assert!(seed.is_some(), "no seed finds {bug:?}");
    }
}
