//! Random operations on a plane in a toy world.

use playhouse_plane::check::any_operations;
use proptest::prelude::*;

proptest! {
    #[test]
    fn promises_hold_whatever_happens(bytes in proptest::collection::vec(any::<u8>(), 0..1600)) {
        any_operations(&bytes);
    }
}
