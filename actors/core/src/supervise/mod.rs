//! Supervision as data: who is started, restarted, stopped, and when to give up. Nothing here runs an actor, sends, sleeps, reads a
//! clock or rolls dice.
//!
//! A [`Supervisor`] takes events with their time and leaves effects, which its shell carries out in their order. Where nothing else
//! is said, it decides as Erlang's supervisors do: children start in order and stop in reverse; a failure restarts its child, all
//! children or the later ones ([`Strategy`]), if the child is one to be restarted ([`Lifetime`]), after a wait ([`Backoff`]); too
//! many restarts within a window ([`Intensity`]) end the supervisor with a failure, which is the business of its own parent.
//!
//! Unlike theirs, a start that fails is a failure like any other, also the first time; and from the moment when all are up, children
//! of one-for-one start and stop beside each other, so that a slow one keeps nobody waiting.
//!
//! What it refuses: to wait for ever (each child has a deadline for its stop, and is given up when it misses it), to trust what an
//! earlier life of a child says, and to know how a child is built: it knows a name and a number.
//!
//! ```
//! use playhouse_actors::supervise::{ChildId, ChildSpec, Effect, Event, Supervisor, SupervisorSpec};
//! use playhouse_wire::Time;
//!
//! let spec = SupervisorSpec { children: vec![ChildSpec::new("database")], ..SupervisorSpec::new("shop") };
//! let mut supervisor = Supervisor::new(spec)?;
//! let mut effects = Vec::new();
//! supervisor.on(Time::ZERO, Event::Start, &mut effects)?;
//! assert_eq!(effects, [Effect::StartChild { child: ChildId(1), life: 1 }]);
//! effects.clear();
//! supervisor.on(Time::from_secs(1), Event::Started { child: ChildId(1), life: 1 }, &mut effects)?;
//! assert_eq!(effects, [Effect::Up]);
//! # Ok::<(), playhouse_actors::supervise::Ignored>(())
//! ```

mod child;
mod event;
pub mod limits;
mod machine;
mod policy;
mod report;
mod requests;
mod spec;
mod turns;

#[doc(hidden)]
pub mod check;

pub use event::{ChildId, Effect, End, Event, Ignored};
pub use machine::Supervisor;
pub use report::{ChildReport, ChildState, Ended, Report, SupervisorState};
pub use spec::{Backoff, ChildSpec, Intensity, Lifetime, Planted, Strategy, SupervisorSpec};
