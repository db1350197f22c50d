//! The attribute [`macro@actor`]: turns the methods of an `impl` block into messages, handlers and a typed reference.
//!
//! It writes what a person would write by hand and nothing else: no runtime, no registry, no `unsafe`. What cannot be said soundly is
//! refused, at the place where it stands, with the words to write instead. Everything written names `::playhouse::__macros`.

mod expand;
mod keys;
mod method;
mod plan;
mod shape;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

#[doc = include_str!("actor.md")]
#[proc_macro_attribute]
pub fn actor(keys: TokenStream, block: TokenStream) -> TokenStream {
    expand::actor(keys.into(), block.into()).into()
}
