//! The way of a message from a reference to its handler.

use std::sync::atomic::Ordering;

use actix::dev::MessageResponse;
use actix::{Actor, Handler, Message};
use playhouse_rt::sync::{mpsc, oneshot};

use crate::{Ctx, Origin};

/// A message on its way to an actor of type `A`.
pub(crate) type Envelope<A> = Box<dyn Deliver<A>>;

pub(crate) type Sender<A> = mpsc::Sender<Envelope<A>>;
pub(crate) type Receiver<A> = mpsc::Receiver<Envelope<A>>;

/// A channel with exactly `bound` places, however many hold a sender: the honest bound.
pub(crate) fn channel<A: Actor<Context = Ctx<A>>>(bound: usize) -> (Sender<A>, Receiver<A>) {
    mpsc::channel(bound.max(1))
}

/// Something that an actor of type `A` can handle.
pub(crate) trait Deliver<A: Actor<Context = Ctx<A>>>: Send {
    fn deliver(self: Box<Self>, actor: &mut A, ctx: &mut Ctx<A>);
}

/// A message, where its answer goes, and which node it came from.
pub(crate) struct Sent<M: Message> {
    pub(crate) message: M,
    pub(crate) reply: Option<oneshot::Sender<M::Result>>,
    /// None: from this node.
    pub(crate) from: Option<Origin>,
}

impl<A, M> Deliver<A> for Sent<M>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn deliver(self: Box<Self>, actor: &mut A, ctx: &mut Ctx<A>) {
        let Sent { message, reply, from } = *self;
        if reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            // The asker gave up, so it will never learn of an effect: have none.
            ctx.shared().totals.expired.fetch_add(1, Ordering::Relaxed);
            return;
        }
        playhouse_rt::ledger::record("message", || format!("{} {}", ctx.shared().name, short_name::<M>()));
        ctx.from = from;
        actor.handle(message, ctx).handle(ctx, reply);
        ctx.from = None;
    }
}

/// The last part of a type's path, without its parameters.
pub(crate) fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let end = name.find('<').unwrap_or(name.len());
    let name = &name[..end];
    name.rfind("::").map_or(name, |at| &name[at + 2..])
}
