//! Actors that something happens to before each of their lives: for who keeps their state elsewhere.

use std::fmt;

use actix::Actor;
use playhouse_rt::Place;
use playhouse_wire::ActorName;

use crate::error::NameTaken;
use crate::runner::{BuildError, Make};
use crate::system::SpawnOptions;
use crate::{Ctx, Ref, Remote, System};

/// Who can reach an actor.
pub struct Reach<A: Actor<Context = Ctx<A>>>(Option<fn(&System, &Ref<A>)>);

impl<A: Actor<Context = Ctx<A>>> Reach<A> {
    /// The actors of its node, and who was given a reference.
    pub fn here() -> Reach<A> {
        Reach(None)
    }

    /// All nodes, by its name.
    pub fn everywhere() -> Reach<A>
    where
        A: Remote,
    {
        Reach(Some(|system, actor| {
            system.know::<A>();
            system.publish(actor);
        }))
    }
}

impl<A: Actor<Context = Ctx<A>>> fmt::Debug for Reach<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "everywhere" } else { "here" })
    }
}

/// A factory, and what comes before the life of what it makes.
struct Begun<F, B>(F, B);

impl<A, F, B> Make<A> for Begun<F, B>
where
    A: Actor<Context = Ctx<A>>,
    F: FnMut() -> A + Send,
    B: FnMut(&mut A, &mut Ctx<A>) + Send,
{
    fn make(&mut self) -> Result<A, BuildError> {
        Ok((self.0)())
    }

    fn begin(&mut self, actor: &mut A, ctx: &mut Ctx<A>) {
        (self.1)(actor, ctx);
    }
}

impl System {
    /// As [`System::spawn_named`], and calls `begin` at the beginning of each life of the actor, before [`Actor::started`]: what it lets the
    /// actor wait for there comes before any message.
    ///
    /// # Errors
    /// When an actor of that name lives here.
    #[track_caller]
    pub fn spawn_begun<A, F, B>(
        &self,
        name: ActorName,
        options: SpawnOptions,
        reach: Reach<A>,
        factory: F,
        begin: B,
    ) -> Result<Ref<A>, NameTaken>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
        B: FnMut(&mut A, &mut Ctx<A>) + Send + 'static,
    {
        let publish = |actor: &Ref<A>| {
            if let Some(publish) = reach.0 {
                publish(self, actor);
            }
        };
        self.spawn_entry(Place::here(), name, options, Box::new(Begun(factory, begin)), None, publish)
    }
}
