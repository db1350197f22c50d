//! What keeps the house: the checks over its own sources ([`tidy`]) and the helper that runs everything that must pass ([`x`]).
//!
//! Nothing here is part of the product, and `cargo x` must start quickly: beside std it needs serde_json alone.

pub mod tidy;
pub mod x;
