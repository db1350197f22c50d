//! An answer that needs time but not the actor's state.

use std::pin::Pin;

use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, Message};

use crate::Ctx;

/// The result of a handler whose answer comes later, from a future that does not touch the actor. Other messages are handled
/// meanwhile. For one that does touch it, see [`actix::ResponseActFuture`] (others are handled meanwhile) and
/// [`actix::AtomicResponse`] (none is).
///
/// In place of actix's `ResponseFuture`, which runs outside the actor: it needs actix's own runtime, its panics are lost, and it
/// outlives the actor.
pub struct Later<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Later<T> {
    /// Answers with the output of `future`.
    pub fn new(future: impl Future<Output = T> + 'static) -> Later<T> {
        Later(Box::pin(future))
    }
}

impl<A, M> MessageResponse<A, M> for Later<M::Result>
where
    A: Actor<Context = Ctx<A>>,
    M: Message,
{
    fn handle(self, ctx: &mut Ctx<A>, reply: Option<OneshotSender<M::Result>>) {
        ctx.spawn(wrap_future::<_, A>(self.0).map(|answer, _: &mut A, _: &mut Ctx<A>| {
            if let Some(reply) = reply {
                // An asker that gave up needs no answer.
                let _ = reply.send(answer);
            }
        }));
    }
}
