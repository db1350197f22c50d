//! Agreement of several on the order of commands: openraft, over our runtime, our journal and whatever carries calls.
//!
//! Nobody above names openraft: they see a [`Group`], what is [`Replicated`], and a [`Transport`].

#![expect(clippy::result_large_err, reason = "openraft's error, in openraft's traits")]

mod answers;
mod election;
mod group;
mod kept;
mod log;
mod members;
mod network;
mod runtime;
mod seat;
mod state;
#[cfg(all(test, not(madsim)))]
mod suite;
mod types;

pub use group::{Group, GroupError, Planted, Profile, ProposeError, Standing};
pub use network::{Called, Transport};
pub use seat::Waits;
pub use state::Replicated;
pub use types::Member;
