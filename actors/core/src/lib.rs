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
mod begun;
mod common;
mod context;
mod counters;
mod deliver;
mod descent;
mod doors;
mod error;
mod exclusive;
mod group;
mod inbound;
mod items;
mod later;
mod letters;
pub mod limits;
mod mailbox;
mod passage;
mod planted;
mod protocol;
mod reference;
mod restart;
mod route;
mod runner;
mod scope;
mod shared;
mod stream;
pub mod supervise;
mod system;
mod timers;
mod tree;
mod watch;

pub use ask::Ask;
pub use begun::Reach;
pub use context::Ctx;
pub use counters::{Counters, Distribution};
pub use error::{AskError, Exit, NameTaken, TellError};
pub use exclusive::Exclusive;
pub use group::{Group, GroupFull, Membership, Told, Topic};
pub use inbound::{Answer, Answers, Door, PollAnswers, Taken};
pub use later::Later;
pub use letters::{DeadLetter, DeadLetters, Letter};
pub use mailbox::Overflow;
pub use passage::Reading;
#[doc(hidden)]
pub use planted::Planted;
pub use protocol::{Arrival, Origin, Protocol, Remote};
pub use reference::Ref;
pub use restart::{Restart, Verdict, admit};
pub use route::{Outgoing, PollItems, RawItems, Route, RouteError};
pub use runner::BuildError;
pub use stream::{Sink, Streamed, Streaming, Unread};
pub use system::{ActorStatus, Shutdown, SpawnOptions, System};
pub use tree::{Supervision, SupervisorRef, TreeError};
pub use watch::{Down, Watching};

/// What an actor's author needs.
pub mod prelude {
    pub use crate::supervise::{Backoff, ChildSpec, Intensity, Lifetime, Strategy};
    pub use crate::{
        AskError, Ctx, Down, Exclusive, Exit, Group, Later, Overflow, Protocol, Ref, Remote, Restart, Sink, SpawnOptions,
        Streamed, Streaming, Supervision, SupervisorRef, System, TellError, Topic,
    };
    pub use actix::fut::{ActorFutureExt, WrapFuture};
    pub use actix::{
        Actor, ActorContext, AsyncContext, AtomicResponse, Handler, Message, MessageResult, ResponseActFuture, Running,
        SpawnHandle,
    };
    pub use playhouse_wire::{ActorName, Lane, MessageId, NodeName, Priority};
    pub use std::time::Duration;
}
