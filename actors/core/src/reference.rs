//! References to actors, here or on another node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler, Message};
use playhouse_rt::sync::{mpsc, oneshot};
use playhouse_wire::{ActorName, EncodeError, NodeName};

use crate::error::{AskError, Exit, TellError};
use crate::limits::ASK_DEADLINE;
use crate::mailbox::{Sender, Sent};
use crate::protocol::{Protocol, Route, RouteError};
use crate::shared::Shared;
use crate::{Ask, Ctx, Origin};

/// A reference to an actor of type `A`, here or on another node: the same calls, the same errors. Cheap to clone.
///
/// Messages from one sender through one reference arrive in order, at most once.
pub struct Ref<A: Actor<Context = Ctx<A>>>(Way<A>);

enum Way<A: Actor<Context = Ctx<A>>> {
    Local { mailbox: Sender<A>, actor: Arc<Shared> },
    Remote(Arc<Target<A>>),
}

struct Target<A: Actor<Context = Ctx<A>>> {
    route: Arc<dyn Route>,
    name: ActorName,
    protocol: Arc<Protocol<A>>,
}

impl<A: Actor<Context = Ctx<A>>> Ref<A> {
    pub(crate) fn local(mailbox: Sender<A>, actor: Arc<Shared>) -> Ref<A> {
        Ref(Way::Local { mailbox, actor })
    }

    pub(crate) fn remote(route: Arc<dyn Route>, name: ActorName, protocol: Arc<Protocol<A>>) -> Ref<A> {
        Ref(Way::Remote(Arc::new(Target { route, name, protocol })))
    }

    /// The actor's name on its node.
    pub fn name(&self) -> &ActorName {
        match &self.0 {
            Way::Local { actor, .. } => &actor.name,
            Way::Remote(target) => &target.name,
        }
    }

    /// The other node, if the actor does not live here.
    pub fn remote_node(&self) -> Option<&NodeName> {
        match &self.0 {
            Way::Local { .. } => None,
            Way::Remote(target) => Some(target.route.node()),
        }
    }

    /// Sends `message` one way.
    ///
    /// # Errors
    /// The message comes back when the mailbox is full, the actor gone, its node unreachable, or (for another node) when the message
    /// is not in the actor's [`Protocol`]. To another node, `Ok` says that the message is on its way, not that it arrives.
    pub fn tell<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.tell_from(message, None)
    }

    pub(crate) fn tell_from<M>(&self, message: M, from: Option<Origin>) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match &self.0 {
            Way::Local { mailbox, .. } => match mailbox.try_reserve() {
                Ok(place) => {
                    place.send(Box::new(Sent { message, reply: None, from }));
                    Ok(())
                }
                Err(mpsc::error::TrySendError::Full(())) => Err(TellError::Full(message)),
                Err(mpsc::error::TrySendError::Closed(())) => Err(TellError::Gone(message)),
            },
            Way::Remote(target) => {
                let Some(codec) = target.protocol.codec::<M>() else { return Err(TellError::Unsendable(message)) };
                let Ok(payload) = (codec.encode)(&message) else { return Err(TellError::Unsendable(message)) };
                target.route.tell(codec.lane, &target.name, codec.id, &payload).map_err(|error| match error {
                    RouteError::Full => TellError::Full(message),
                    RouteError::TooLong(_) => TellError::Unsendable(message),
                    RouteError::Unreachable(_) => TellError::Unreachable(message),
                })
            }
        }
    }

    /// Sends `message` one way, and waits while the mailbox is full: the actor's pace becomes the caller's. To another node it waits
    /// for nothing; a full lane is an error as in [`Ref::tell`].
    ///
    /// # Errors
    /// As [`Ref::tell`], but never `Full` for an actor here. Cancel-safe: when the wait is dropped, nothing was sent.
    pub async fn tell_when_ready<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let Way::Local { mailbox, .. } = &self.0 else { return self.tell(message) };
        match mailbox.reserve().await {
            Ok(place) => {
                place.send(Box::new(Sent { message, reply: None, from: None }));
                Ok(())
            }
            Err(_) => Err(TellError::Gone(message)),
        }
    }

    /// Sends `message` and gives its answer, which must come within five seconds. The message is sent at once, before the answer is
    /// waited for. Cancel-safe: to drop the answer is to give up.
    ///
    /// # Errors
    /// See [`AskError`]: each says what may have happened to the message.
    pub fn ask<M>(&self, message: M) -> Ask<M::Result>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.ask_within(message, ASK_DEADLINE)
    }

    /// As [`Ref::ask`], with a deadline of its own.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask_within<M>(&self, message: M, within: Duration) -> Ask<M::Result>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.ask_from(message, within, None)
    }

    pub(crate) fn ask_from<M>(&self, message: M, within: Duration, from: Option<Origin>) -> Ask<M::Result>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match &self.0 {
            Way::Local { mailbox, actor } => {
                // Before the message is sent: a panic that it causes must count.
                let panics = actor.panics();
                match mailbox.try_reserve() {
                    Ok(place) => {
                        let (reply, answer) = oneshot::channel();
                        place.send(Box::new(Sent { message, reply: Some(reply), from }));
                        Ask::local(answer, actor.clone(), panics, within)
                    }
                    Err(mpsc::error::TrySendError::Full(())) => Ask::failed(AskError::Full),
                    Err(mpsc::error::TrySendError::Closed(())) => {
                        Ask::failed(AskError::Gone(actor.exit().unwrap_or(Exit::Stopped).to_string()))
                    }
                }
            }
            Way::Remote(target) => {
                let Some(codec) = target.protocol.codec::<M>() else {
                    return Ask::failed(AskError::NotInProtocol(std::any::type_name::<M>()));
                };
                let payload = match (codec.encode)(&message) {
                    Ok(payload) => payload,
                    Err(error) => return Ask::failed(AskError::Unsendable(error)),
                };
                let (reply, answer) = oneshot::channel();
                match target.route.ask(codec.lane, &target.name, codec.id, &payload, within, reply) {
                    Ok(()) => Ask::remote(answer, codec.decode_result, within),
                    Err(RouteError::Full) => Ask::failed(AskError::Full),
                    Err(RouteError::TooLong(length)) => Ask::failed(AskError::Unsendable(EncodeError::Long(length))),
                    Err(RouteError::Unreachable(why)) => Ask::failed(AskError::Unreachable(why)),
                }
            }
        }
    }

    /// Asks the actor to stop. Overtakes the messages in its mailbox; they are dropped, and those who asked learn it. Nothing happens
    /// to an actor on another node.
    pub fn stop(&self) {
        if let Way::Local { actor, .. } = &self.0 {
            actor.stop(Exit::Stopped);
        }
    }

    /// Waits until the actor is no more, and gives the reason. Never ends for an actor on another node. Cancel-safe.
    pub async fn ended(&self) -> Exit {
        match &self.0 {
            Way::Local { actor, .. } => actor.ended().await,
            Way::Remote(_) => std::future::pending().await,
        }
    }

    /// Messages in the mailbox now; 0 for an actor on another node.
    pub fn depth(&self) -> usize {
        match &self.0 {
            Way::Local { mailbox, .. } => mailbox.max_capacity() - mailbox.capacity(),
            Way::Remote(_) => 0,
        }
    }
}

impl<A: Actor<Context = Ctx<A>>> Clone for Ref<A> {
    fn clone(&self) -> Ref<A> {
        Ref(match &self.0 {
            Way::Local { mailbox, actor } => Way::Local { mailbox: mailbox.clone(), actor: actor.clone() },
            Way::Remote(target) => Way::Remote(target.clone()),
        })
    }
}

impl<A: Actor<Context = Ctx<A>>> fmt::Debug for Ref<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::Local { actor, .. } => write!(f, "Ref({})", actor.name),
            Way::Remote(target) => write!(f, "Ref({}@{})", target.name, target.route.node()),
        }
    }
}
