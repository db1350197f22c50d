//! What a supervisor is told of its children: the data, and how each is built.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Actor;

use super::child::{Build, Kind};
use crate::runner::BuildError;
use crate::supervise::{Backoff, ChildSpec, Intensity, Strategy, SupervisorSpec};
use crate::system::{SpawnOptions, System};
use crate::{Ctx, Remote};

/// A supervisor and its children, ready to start: [`crate::System::supervise`] does. Children start in the order in which they are named
/// here, each when the former has started, and stop in reverse.
///
/// ```
/// use playhouse_actors::prelude::*;
///
/// struct Database;
/// impl Actor for Database {
///     type Context = Ctx<Self>;
/// }
/// struct Web(Ref<Database>);
/// impl Actor for Web {
///     type Context = Ctx<Self>;
/// }
///
/// # playhouse_rt::run(1, async {
/// let system = System::new(NodeName::new("a")?, 1)?;
/// let of_web = system.clone();
/// let shop = Supervision::new("shop")
///     .strategy(Strategy::RestForOne)
///     .child(ChildSpec::new("database"), || Ok(Database))
///     .child(ChildSpec::new("web"), move || {
///         let database = of_web.lookup("shop/database").ok_or("the database comes first")?;
///         Ok(Web(database))
///     });
/// let shop = system.supervise(shop).await?;
/// let web: Ref<Web> = shop.child("web").ok_or("it has started")?;
/// println!("{}", shop.report().await?);
/// # drop(web);
/// # system.stop(Duration::from_secs(1)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct Supervision {
    pub(super) spec: SupervisorSpec,
    pub(super) builds: Vec<Build>,
}

impl Supervision {
    /// A supervisor called `name`, without children: one for one, at most five restarts within thirty seconds, back-off from 10 ms to 1 s.
    pub fn new(name: impl Into<String>) -> Supervision {
        Supervision { spec: SupervisorSpec::new(name), builds: Vec::new() }
    }

    /// Whom a failure concerns.
    pub fn strategy(mut self, strategy: Strategy) -> Supervision {
        self.spec.strategy = strategy;
        self
    }

    /// How many restarts it bears.
    pub fn intensity(mut self, intensity: Intensity) -> Supervision {
        self.spec.intensity = intensity;
        self
    }

    /// How long it waits before a restart.
    pub fn backoff(mut self, backoff: Backoff) -> Supervision {
        self.spec.backoff = backoff;
        self
    }

    /// One more child, an actor with the default options. It is called `supervisor/child`, and can be looked up by that name. `factory` is
    /// called for its start and for each restart; an error is a failed start.
    #[track_caller]
    pub fn child<A, F>(self, spec: ChildSpec, factory: F) -> Supervision
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> Result<A, BuildError> + Send + 'static,
    {
        self.child_with(spec, SpawnOptions::default(), factory)
    }

    /// As [`Supervision::child`], with options. Their `restart` means nothing here: the supervisor decides.
    #[track_caller]
    pub fn child_with<A, F>(mut self, spec: ChildSpec, options: SpawnOptions, factory: F) -> Supervision
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> Result<A, BuildError> + Send + 'static,
    {
        self.spec.children.push(spec);
        self.builds.push(Build::actor(options, factory, |_| (), |_, _| ()));
        self
    }

    /// As [`Supervision::child_with`], for an actor that other nodes can reach by its name.
    #[track_caller]
    pub fn remote_child<A, F>(mut self, spec: ChildSpec, options: SpawnOptions, factory: F) -> Supervision
    where
        A: Remote,
        F: FnMut() -> Result<A, BuildError> + Send + 'static,
    {
        self.spec.children.push(spec);
        self.builds.push(Build::actor(options, factory, System::know::<A>, System::publish));
        self
    }

    /// One more child, a supervisor itself: when it gives up, that is a failure here. `build` is called for its start and for each restart;
    /// the name it gives is replaced by `supervisor/child`. Its `stop_within` is taken as unbounded: its own children have deadlines.
    pub fn supervisor<F>(mut self, mut spec: ChildSpec, build: F) -> Supervision
    where
        F: FnMut() -> Supervision + Send + 'static,
    {
        spec.stop_within = std::time::Duration::MAX;
        self.spec.children.push(spec);
        let build = Arc::new(Mutex::new(build));
        self.builds.push(Build(Kind::Supervisor(Box::new(move || {
            let mut build = build.lock().unwrap_or_else(PoisonError::into_inner);
            build()
        }))));
        self
    }
}
