//! An answer that needs time but not the actor's state.

use std::pin::Pin;
use std::task::Poll;

use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Message};

use crate::Ctx;

/// The result of a handler whose answer comes later, from a future that does not touch the actor. Other messages are handled
/// meanwhile. For one that does touch it, see [`crate::Exclusive`] (none is handled meanwhile) and [`actix::ResponseActFuture`] (others
/// are).
///
/// When the asker gives up or its deadline passes, the future is dropped at its next wait: the cancellation reaches what it was doing.
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
        let (mut future, mut reply) = (self.0, reply);
        ctx.spawn(wrap_future::<_, A>(std::future::poll_fn(move |cx| {
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                if let Some(reply) = reply.take() {
                    // An asker that gave up needs no answer.
                    let _ = reply.send(answer);
                }
                return Poll::Ready(());
            }
            match &mut reply {
                Some(reply) => reply.poll_closed(cx),
                None => Poll::Pending,
            }
        })));
    }
}
