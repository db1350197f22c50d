//! The proof that the checks of `check` can fail: each planted bug is found, and none is found where none is.

use std::panic::catch_unwind;

use playhouse_plane::Planted;
use playhouse_plane::check::operations;

/// A fixed sequence of bytes for each seed.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(1600).collect()
}

#[test]
fn planted_bugs_are_found() {
    let none = Planted::default();
    let planted = [
        Planted { accept_stale_results: true, ..none },
        Planted { feed_without_numbers: true, ..none },
        Planted { retry_drops_events: true, ..none },
        Planted { late_watermark: true, ..none },
        Planted { retry_applies_twice: true, ..none },
        Planted { failed_recorded_as_done: true, ..none },
        Planted { loss_runs_all_again: true, ..none },
        Planted { news_unheard: true, ..none },
    ];
    // The panics are wanted; their texts are not.
    std::panic::set_hook(Box::new(|_| {}));
    let found: Vec<_> =
        planted.iter().map(|bug| (0..200).find(|seed| catch_unwind(|| operations(&bytes(*seed), *bug)).is_err())).collect();
    let clean = (0..50).find(|seed| catch_unwind(|| operations(&bytes(*seed), none)).is_err());
    let _ = std::panic::take_hook();
    assert_eq!(clean, None, "a plane without planted bugs broke a promise");
    for (bug, seed) in planted.iter().zip(found) {
        assert!(seed.is_some(), "no seed finds {bug:?}");
    }
}
