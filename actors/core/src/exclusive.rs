//! Async work that has the actor for itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};

use crate::Ctx;
use crate::scope::Scope;

/// All that an actor is while it lives. It is lent, by move, to a future that has the actor for itself, and comes back with its end.
pub(crate) struct Body<A: Actor<Context = Ctx<A>>> {
    pub(crate) actor: A,
    pub(crate) ctx: Ctx<A>,
}

/// Makes the future that the body is lent to.
pub(crate) type Lend<A> = Box<dyn FnOnce(Box<Body<A>>) -> Lent<A>>;

/// A future that holds the body. When it dies, the actor's state dies with it.
pub(crate) struct Lent<A: Actor<Context = Ctx<A>>> {
    future: Pin<Box<dyn Future<Output = Box<Body<A>>>>>,
    scope: Scope,
}

impl<A: Actor<Context = Ctx<A>>> Lent<A> {
    pub(crate) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Box<Body<A>>> {
        let _entered = self.scope.enter();
        self.future.as_mut().poll(task)
    }
}

pub(crate) fn lend<A, R, F>(work: F, scope: Scope, then: impl FnOnce(R) + 'static) -> Lend<A>
where
    A: Actor<Context = Ctx<A>>,
    F: AsyncFnOnce(&mut A, &mut Ctx<A>) -> R + 'static,
    R: 'static,
{
    Box::new(move |mut body| Lent {
        future: Box::pin(async move {
            let result = work(&mut body.actor, &mut body.ctx).await;
            then(result);
            body
        }),
        scope,
    })
}

/// The result of a handler that is async and keeps the actor for itself, `&mut` and all, between its waits. No other message is
/// handled and no timer of the actor fires until it is done; so it is not re-entrant, and an actor that asks itself there waits for its
/// own end of the wait: the deadline of the ask.
///
/// When the future panics, the state is lost as with any panic. When the asker gives up, it runs on: only it could say whether the
/// state makes sense half-way.
///
/// ```
/// use playhouse_actors::prelude::*;
///
/// struct Cache(Option<u64>);
/// impl Actor for Cache {
///     type Context = Ctx<Self>;
/// }
/// struct Get;
/// impl Message for Get {
///     type Result = u64;
/// }
/// impl Handler<Get> for Cache {
///     type Result = Exclusive<Self, u64>;
///     fn handle(&mut self, _: Get, _: &mut Ctx<Self>) -> Self::Result {
///         Exclusive::new(async |cache: &mut Cache, _: &mut Ctx<Cache>| {
///             if cache.0.is_none() {
///                 playhouse_rt::sleep(Duration::from_millis(1)).await;
///                 cache.0 = Some(42);
///             }
///             cache.0.unwrap_or_default()
///         })
///     }
/// }
///
/// # playhouse_rt::run(1, async {
/// let system = System::new(NodeName::new("a")?, 1)?;
/// assert_eq!(system.spawn(|| Cache(None)).ask(Get).await?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
/// ```
pub struct Exclusive<A: Actor<Context = Ctx<A>>, R>(Box<dyn FnOnce(Scope, Then<R>) -> Lend<A>>);

type Then<R> = Box<dyn FnOnce(R)>;

impl<A: Actor<Context = Ctx<A>>, R: 'static> Exclusive<A, R> {
    /// Answers with the output of `work`.
    pub fn new<F>(work: F) -> Exclusive<A, R>
    where
        F: AsyncFnOnce(&mut A, &mut Ctx<A>) -> R + 'static,
    {
        Exclusive(Box::new(move |scope, then| lend(work, scope, then)))
    }
}

impl<A, M> MessageResponse<A, M> for Exclusive<A, M::Result>
where
    A: Actor<Context = Ctx<A>>,
    M: Message,
    M::Result: 'static,
{
    fn handle(self, ctx: &mut Ctx<A>, reply: Option<OneshotSender<M::Result>>) {
        let then = Box::new(move |result| {
            if let Some(reply) = reply {
                // An asker that gave up needs no answer.
                let _ = reply.send(result);
            }
        });
        ctx.lend((self.0)(Scope::current(), then));
    }
}
