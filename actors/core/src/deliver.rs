//! A message on its way from a reference to its handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix::dev::MessageResponse;
use actix::{Actor, Handler, Message};
use playhouse_rt::ledger::Tag;
use playhouse_rt::sync::oneshot;
use playhouse_wire::{ActorName, Trace};

use crate::common::Common;
use crate::scope::Scope;
use crate::{Arrival, Ctx, Origin};

/// A message for an actor of type `A`.
pub(crate) type Envelope<A> = Box<dyn Deliver<A>>;

/// Something that an actor of type `A` can handle.
pub(crate) trait Deliver<A: Actor<Context = Ctx<A>>>: Send {
    fn deliver(self: Box<Self>, actor: &mut A, ctx: &mut Ctx<A>);
    /// The message's type, for people.
    fn kind(&self) -> &'static str;
    /// The node that it came from, if it is another one.
    fn from(&self) -> Option<&Origin>;
    /// It had to go for another message, or found no room: whoever asked is to find that reason.
    fn note_dropped(&self);
    /// Joins what the ledger of a simulation says of it.
    fn tag(&self) -> Tag;
}

/// Whether a question was dropped by its mailbox: known for each by itself, so that one that was handled is not mistaken for it.
pub(crate) type Dropped = Arc<AtomicBool>;

/// A message, where its answer goes and until when it is wanted.
pub(crate) struct Sent<M: Message> {
    pub(crate) message: M,
    pub(crate) reply: Option<oneshot::Sender<M::Result>>,
    deadline: Option<Instant>,
    /// None: from this node.
    from: Option<Arc<Origin>>,
    pub(crate) tag: Tag,
    /// Out of the way.
    rare: Option<Box<Rare>>,
}

/// What few messages have.
#[derive(Default)]
struct Rare {
    trace: Option<Trace>,
    /// None: its mailbox never drops.
    dropped: Option<Dropped>,
}

impl Rare {
    fn of(trace: Option<Trace>) -> Option<Box<Rare>> {
        trace.is_some().then(|| Box::new(Rare { trace, dropped: None }))
    }
}

impl<M: Message> Sent<M> {
    pub(crate) fn tell(message: M, common: &Common, to: &ActorName) -> Box<Sent<M>> {
        let rare = Rare::of(common.trace(Scope::current().trace));
        let tag = Tag::sent("tell", || format!("{} to {to}", short_name::<M>()));
        Box::new(Sent { message, reply: None, deadline: None, from: None, tag, rare })
    }

    pub(crate) fn told(message: M, arrival: &Arrival<'_>) -> Box<Sent<M>> {
        let (from, rare) = (Some(arrival.from.clone()), Rare::of(arrival.trace));
        Box::new(Sent { message, reply: None, deadline: None, from, tag: arrival.tag, rare })
    }

    pub(crate) fn ask(
        message: M,
        reply: oneshot::Sender<M::Result>,
        deadline: Instant,
        (common, to): (&Common, &ActorName),
        scope: Scope,
    ) -> Box<Sent<M>> {
        let rare = Rare::of(common.trace(scope.trace));
        let tag = Tag::sent("ask", || format!("{} to {to}", short_name::<M>()));
        Box::new(Sent { message, reply: Some(reply), deadline: Some(deadline), from: None, tag, rare })
    }

    pub(crate) fn asked(message: M, reply: oneshot::Sender<M::Result>, deadline: Instant, arrival: &Arrival<'_>) -> Box<Sent<M>> {
        let (from, rare) = (Some(arrival.from.clone()), Rare::of(arrival.trace));
        Box::new(Sent { message, reply: Some(reply), deadline: Some(deadline), from, tag: arrival.tag, rare })
    }

    pub(crate) fn may_be_dropped(mut self: Box<Self>, dropped: &Option<Dropped>) -> Box<Sent<M>> {
        if dropped.is_some() {
            self.rare.get_or_insert_default().dropped = dropped.clone();
        }
        self
    }
}

impl<A, M> Deliver<A> for Sent<M>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn deliver(self: Box<Self>, actor: &mut A, ctx: &mut Ctx<A>) {
        let Sent { message, reply, deadline, from, tag, rare } = *self;
        if reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            // The asker gave up, so it will never learn of an effect: have none.
            ctx.shared().common.totals.expired.fetch_add(1, Ordering::Relaxed);
            tag.record("lost", || format!("{} to {}: its asker gave up", short_name::<M>(), ctx.shared().name()));
            return;
        }
        tag.record("message", || format!("{} {}", ctx.shared().name(), short_name::<M>()));
        let mut scope = Scope { deadline, trace: None };
        let mut span = None;
        ctx.from = from;
        if let Some(trace) = rare.and_then(|rare| rare.trace) {
            let common = &ctx.shared().common;
            let own = Trace { span: common.span(), ..trace };
            scope.trace = Some(own);
            span = Some(tracing::debug_span!(
                target: "playhouse::message",
                "handle",
                node = %common.node,
                actor = %ctx.shared().name(),
                message = short_name::<M>(),
                trace = format_args!("{:032x}", own.id),
                span = format_args!("{:016x}", own.span),
                parent = format_args!("{:016x}", trace.span),
            ));
        }
        let _span = span.as_ref().map(tracing::Span::enter);
        // What answers nobody and is part of nothing has no scope to enter: around the runner there is none either.
        let _scope = (scope != Scope::NONE).then(|| scope.enter());
        let response = actor.handle(message, ctx);
        ctx.answering = reply.is_some();
        response.handle(ctx, reply);
        ctx.answering = false;
        ctx.from = None;
    }

    fn kind(&self) -> &'static str {
        short_name::<M>()
    }

    fn note_dropped(&self) {
        if let Some(dropped) = self.rare.as_ref().and_then(|rare| rare.dropped.as_ref()) {
            dropped.store(true, Ordering::Release);
        }
    }

    fn from(&self) -> Option<&Origin> {
        self.from.as_deref()
    }

    fn tag(&self) -> Tag {
        self.tag
    }
}

/// The last part of a type's path, without its parameters.
pub(crate) fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let end = name.find('<').unwrap_or(name.len());
    let name = &name[..end];
    name.rfind("::").map_or(name, |at| &name[at + 2..])
}
