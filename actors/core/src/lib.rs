//! Actors: users' actix actors on a context of our own, with bounded mailboxes, a deadline on every ask, panics that cost one
//! message, and one kind of reference for actors here and on other nodes.
//!
//! Nothing here opens a socket or knows a cluster: what carries messages to other nodes comes in as a [`Route`].
//!
//! ```
//! use playhouse_actors::prelude::*;
//!
//! struct Counter(u64);
//! impl Actor for Counter {
//!     type Context = Ctx<Self>;
//! }
//! struct Add(u64);
//! impl Message for Add {
//!     type Result = u64;
//! }
//! impl Handler<Add> for Counter {
//!     type Result = u64;
//!     fn handle(&mut self, add: Add, _: &mut Ctx<Self>) -> u64 {
//!         self.0 += add.0;
//!         self.0
//!     }
//! }
//!
//! # playhouse_rt::run(1, async {
//! let system = System::new(NodeName::new("a")?, 1)?;
//! let counter = system.spawn(|| Counter(0));
//! counter.tell(Add(2))?;
//! assert_eq!(counter.ask(Add(5)).await?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
//! ```

mod ask;
mod context;
mod counters;
mod error;
mod later;
pub mod limits;
mod mailbox;
mod protocol;
mod reference;
mod restart;
mod runner;
mod shared;
mod system;

pub use ask::Ask;
pub use context::Ctx;
pub use counters::Counters;
pub use error::{AskError, Exit, NameTaken, TellError};
pub use later::Later;
pub use protocol::{Arrival, Origin, Protocol, Remote, Route, RouteError};
pub use reference::Ref;
pub use restart::{Restart, Verdict, admit};
pub use system::{Door, SpawnOptions, System};

/// What an actor's author needs.
pub mod prelude {
    pub use crate::{AskError, Ctx, Exit, Later, Protocol, Ref, Remote, Restart, SpawnOptions, System, TellError};
    pub use actix::fut::{ActorFutureExt, WrapFuture};
    pub use actix::{
        Actor, ActorContext, AsyncContext, AtomicResponse, Handler, Message, MessageResult, ResponseActFuture, Running,
        SpawnHandle,
    };
    pub use playhouse_wire::{ActorName, Lane, MessageId, NodeName};
    pub use std::time::Duration;
}
