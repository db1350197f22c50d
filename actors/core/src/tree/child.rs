//! A child as its supervisor holds it: how it is built, and what of it lives.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actix::Actor;
use playhouse_rt::Place;
use playhouse_wire::ActorName;

use super::builder::Supervision;
use super::handle::SupervisorRef;
use crate::error::NameTaken;
use crate::runner::{BuildError, Factory};
use crate::shared::{Life, Supervised};
use crate::system::{SpawnOptions, System};
use crate::{Ctx, Ref};

/// How a child is built.
pub(super) struct Build(pub(super) Kind);

type MakeActor = Box<dyn FnMut(&System, ActorName, Supervised) -> Result<Arc<dyn Life>, NameTaken> + Send>;

pub(super) enum Kind {
    Actor(MakeActor),
    Supervisor(Box<dyn FnMut() -> Supervision + Send>),
}

impl Build {
    /// An actor whose factory outlives it: after a rest it is built with a new mailbox. `prepare` runs before anything is changed.
    #[track_caller]
    pub(super) fn actor<A, F>(
        options: SpawnOptions,
        factory: F,
        prepare: impl Fn(&System) + Send + 'static,
        publish: impl Fn(&System, &Ref<A>) + Send + 'static,
    ) -> Build
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> Result<A, BuildError> + Send + 'static,
    {
        let factory = Arc::new(Mutex::new(factory));
        let place = Place::here();
        Build(Kind::Actor(Box::new(move |system, name, parent| {
            prepare(system);
            let factory = factory.clone();
            let build: Factory<A> = Box::new(move || {
                // A panic in it is a failed start, and says nothing of the next one.
                let mut factory = factory.lock().unwrap_or_else(PoisonError::into_inner);
                factory()
            });
            let actor = system.spawn_entry(place, name, options, build, Some(parent), |actor| publish(system, actor))?;
            Ok(actor.cell().expect("it was started here").clone())
        })))
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Actor(_) => "actor",
            Kind::Supervisor(_) => "supervisor",
        })
    }
}

/// A child of a running supervisor.
pub(super) struct Child {
    pub(super) name: String,
    pub(super) build: Build,
    pub(super) lives: Lives,
    /// What was let go, until it is no more.
    pub(super) ending: Option<Arc<dyn Life>>,
}

/// What of a child lives.
pub(super) enum Lives {
    Nothing,
    Actor(Arc<dyn Life>),
    Supervisor(SupervisorRef),
}
