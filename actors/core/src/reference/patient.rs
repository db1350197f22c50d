//! Questions that wait for room.

use std::time::Duration;

use actix::{Actor, Handler, Message};
use playhouse_rt::{now, select, sleep_until};

use super::{Ref, Way};
use crate::Ctx;
use crate::ask::{Ask, after};
use crate::deliver::Sent;
use crate::error::AskError;
use crate::limits::ASK_AGAIN;
use crate::mailbox::{Overflow, Refused};
use crate::scope::Scope;
use playhouse_rt::sync::oneshot;

impl<A: Actor<Context = Ctx<A>>> Ref<A> {
    /// As [`Ref::ask_within`], but waits while the mailbox is full, as [`Ref::tell_when_ready`] does, and asks when there is room: all of
    /// it within `within`. Another node's actor says only that it is full, so it is asked again, with growing pauses. Nothing is sent
    /// before it is awaited.
    ///
    /// # Errors
    /// As with [`Ref::ask`]; [`AskError::Full`] when there was no room in all that time, or when the policy of the mailbox is
    /// [`Overflow::Refuse`] here: the message was not handled. To another node it may be [`AskError::Timeout`] instead, when the time was up while
    /// the last question was on its way. Cancel-safe: dropped, it gives up.
    pub async fn ask_when_ready<M>(&self, message: M, within: Duration) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        M: Message + Send + Sync + 'static,
        M::Result: Send,
    {
        let scope = Scope::current();
        let mut deadline = after(now(), within);
        if let Some(outer) = scope.deadline {
            deadline = deadline.min(outer);
        }
        match &self.way {
            Way::Local(cell) => {
                let dropped = cell.may_drop();
                let mut failures = cell.shared.failures();
                let (reply, answer) = oneshot::channel();
                let common = &cell.shared.common;
                let sent = Sent::ask(message, reply, deadline, (common, cell.shared.name()), scope).may_be_dropped(&dropped);
                let tag = sent.tag;
                match cell.push(self.priority, sent) {
                    Ok(()) => {}
                    Err((Refused::Closed, _)) => return Err(cell.gone()),
                    Err((Refused::Full, sent)) if cell.mailbox.overflow() == Overflow::Wait => {
                        let mut place = cell.mailbox.place();
                        select! {
                            granted = &mut place => if !granted { return Err(cell.gone()) },
                            () = sleep_until(deadline) => return Err(AskError::Full),
                        }
                        // Those before are no answer to this one.
                        failures = cell.shared.failures();
                        place.put(self.priority, sent, |sent| sent, common.timed()).map_err(|_| cell.gone())?;
                        cell.shared.wake();
                    }
                    Err((Refused::Full, _)) => return Err(AskError::Full),
                }
                Ask::local(answer, cell.0.clone(), (failures, dropped), deadline).tagged(tag).await
            }
            Way::Remote(target) => {
                let mut pause = ASK_AGAIN.0;
                loop {
                    let asked = target.ask(&message, self.priority, (now(), deadline), scope);
                    match asked.await {
                        Err(AskError::Full) => {}
                        done => return done,
                    }
                    let again = async {
                        if let Some(codec) = target.protocol.codec::<M>() {
                            target.route.ready(codec.lane, &target.name).await;
                        }
                        playhouse_rt::sleep(pause).await;
                    };
                    select! {
                        () = sleep_until(deadline) => return Err(AskError::Full),
                        () = again => pause = (pause * 2).min(ASK_AGAIN.1),
                    }
                }
            }
        }
    }
}
