//! What others hold of a supervisor.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use actix::Actor;
use playhouse_rt::sync::{mpsc, oneshot};
use playhouse_wire::{ActorName, BadName, Exit};

use super::child::Build;
use crate::runner::BuildError;
use crate::shared::{Life, Manner, Shared};
use crate::supervise::{ChildId, ChildSpec, Ignored, Report};
use crate::system::{SpawnOptions, System};
use crate::{Ctx, Ref};

/// What a supervisor is asked for.
pub(super) enum Request {
    Add { spec: ChildSpec, build: Build, done: oneshot::Sender<Result<(), Ignored>> },
    Remove { name: String, done: oneshot::Sender<Result<(), Ignored>> },
    Restart { name: String, done: oneshot::Sender<Result<(), Ignored>> },
    Report { done: oneshot::Sender<(Report, Vec<(ChildId, SupervisorRef)>)> },
}

/// A supervisor did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// It could not start all its children; what had started is stopped again.
    #[error("the supervisor could not start: {0}")]
    Start(String),
    /// A supervisor's and its child's name together are the name of an actor.
    #[error("a supervisor's name and its children's must be names of actors: {0}")]
    Name(#[from] BadName),
    /// Another actor or supervisor has that name.
    #[error("the name {0} is taken")]
    Taken(String),
    /// Nothing was changed; the reason says whether to try again.
    #[error(transparent)]
    Ignored(#[from] Ignored),
    /// The supervisor has ended.
    #[error("the supervisor has ended: {0}")]
    Gone(Exit),
}

/// A reference to a supervisor. Cheap to clone. The supervisor lives until it is stopped or gives up, whoever holds this.
#[derive(Clone)]
pub struct SupervisorRef {
    pub(super) system: System,
    pub(super) life: Arc<SupervisorLife>,
    pub(super) requests: mpsc::Sender<Request>,
}

/// A supervisor, as the directory of its system knows it.
pub(super) struct SupervisorLife(pub(super) Shared);

impl Life for SupervisorLife {
    fn shared(&self) -> &Shared {
        &self.0
    }
    fn depth(&self) -> usize {
        0
    }
    fn bound(&self) -> usize {
        super::REQUESTS
    }
}

impl SupervisorRef {
    /// Its name.
    pub fn name(&self) -> &ActorName {
        self.life.0.name()
    }

    /// A reference to the child of that name and type, if it has been started and has not ended for good. It stays the same through all
    /// restarts.
    pub fn child<A: Actor<Context = Ctx<A>>>(&self, name: &str) -> Option<Ref<A>> {
        self.system.lookup(&format!("{}/{name}", self.name()))
    }

    /// Adds a child, to be started after all others. Gives its reference when the supervisor has begun to start it; messages wait for the
    /// start.
    ///
    /// # Errors
    /// When there are too many, the name is taken or no name, or the supervisor has ended. Nothing was changed.
    pub async fn add<A, F>(&self, spec: ChildSpec, options: SpawnOptions, factory: F) -> Result<(), TreeError>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> Result<A, BuildError> + Send + 'static,
    {
        let name = format!("{}/{}", self.name(), spec.name);
        ActorName::new(&name)?;
        if self.system.is_taken(&name) {
            return Err(TreeError::Taken(name));
        }
        let build = Build::actor(options, factory, |_| (), |_, _: &Ref<A>| ());
        match self.ask(|done| Request::Add { spec, build, done }).await? {
            // One that rests has its name still.
            Err(Ignored::NumberTaken) => Err(TreeError::Taken(name)),
            done => Ok(done?),
        }
    }

    /// Stops a child, as at the end of the supervisor, and forgets it. Waits until it is gone.
    ///
    /// # Errors
    /// When there is none of that name, or the supervisor has ended.
    pub async fn remove(&self, child: &str) -> Result<(), TreeError> {
        Ok(self.ask(|done| Request::Remove { name: child.to_string(), done }).await??)
    }

    /// Stops a child and starts it again, without a wait; its mailbox and its references stay. Does not count as a failure.
    ///
    /// # Errors
    /// When there is none of that name, it is a temporary one, or the supervisor has ended.
    pub async fn restart(&self, child: &str) -> Result<(), TreeError> {
        Ok(self.ask(|done| Request::Restart { name: child.to_string(), done }).await??)
    }

    /// How things stand with it and all below it. Its `Display` is a tree.
    ///
    /// # Errors
    /// When the supervisor has ended.
    pub async fn report(&self) -> Result<Report, TreeError> {
        self.report_boxed().await
    }

    fn report_boxed(&self) -> Pin<Box<dyn Future<Output = Result<Report, TreeError>> + Send + '_>> {
        Box::pin(async move {
            let (mut report, below) = self.ask(|done| Request::Report { done }).await?;
            for (id, supervisor) in below {
                // One that ends meanwhile has no report.
                let below = supervisor.report_boxed().await.ok();
                if let Some(child) = report.children.iter_mut().find(|child| child.child == id) {
                    child.below = below;
                }
            }
            Ok(report)
        })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, TreeError> {
        let (done, answer) = oneshot::channel();
        let gone = || TreeError::Gone(self.life.0.exit().unwrap_or(Exit::Stopped));
        self.requests.send(request(done)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Asks it to stop: its children, in reverse order, then itself.
    pub fn stop(&self) {
        self.life.0.stop(Manner::Drained, Exit::Stopped);
    }

    /// Waits until it and all its children are no more, and gives the reason. Cancel-safe.
    pub async fn ended(&self) -> Exit {
        self.life.0.ended().await
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SupervisorRef({})", self.name())
    }
}
