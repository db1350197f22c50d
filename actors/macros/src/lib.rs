//! The attribute [`macro@actor`]: turns the methods of an `impl` block into messages, handlers and a typed reference. And [`macro@sim`]: a
//! test that runs in the simulator.
//!
//! It writes what a person would write by hand and nothing else: no runtime, no registry, no `unsafe`. What cannot be said soundly is
//! refused, at the place where it stands, with the words to write instead. Everything written names `::playhouse::__macros`.

mod expand;
mod keys;
mod method;
mod plan;
mod shape;
mod sim;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

#[doc = include_str!("actor.md")]
#[proc_macro_attribute]
pub fn actor(keys: TokenStream, block: TokenStream) -> TokenStream {
    expand::actor(keys.into(), block.into()).into()
}

/// A test of an application's own actors in the simulator, once for each seed:
///
/// ```ignore
/// #[playhouse::sim(seeds = 0..50)]
/// async fn no_coin_is_lost(mut world: playhouse_sim::World) { /* place nodes, give them work, let things fail, assert */ }
/// ```
///
/// It needs the crate `playhouse-sim` among the dev-dependencies, and runs with `cargo playhouse sim`. To plain `cargo test` it is an ignored
/// test, and its body is not compiled: types of the simulator do not exist there. What else needs them (imports, helpers) stands with the tests
/// in a module that has the attribute itself, without seeds: `#[playhouse::sim] mod rehearsal { … }`.
///
/// With `canary`, the test must fail for at least one of its seeds: a mistake made on purpose, which shows that the other tests can see.
#[proc_macro_attribute]
pub fn sim(keys: TokenStream, item: TokenStream) -> TokenStream {
    sim::sim(keys.into(), item.into()).into()
}
