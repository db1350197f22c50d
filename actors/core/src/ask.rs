//! A question on its way to an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use playhouse_rt::ledger::Tag;
use playhouse_rt::sync::oneshot;
use playhouse_wire::DecodeError;
use playhouse_wire::limits::DEADLINE_MAX;

use crate::common::Common;
use crate::deliver::Dropped;
use crate::error::AskError;
use crate::route::Route;
use crate::shared::Life;
use crate::timers::Timer;

/// The answer that will come, or the reason why none does; see [`crate::Ref::ask`].
///
/// The message was sent when this was made. Dropping it gives up: a message that is still in the mailbox then is not handled, and an
/// answer that is being worked out (see [`crate::Later`]) is worked out no further.
#[must_use = "an ask that is dropped is given up; use tell to send without an answer"]
pub struct Ask<R> {
    way: Way<R>,
    deadline: Instant,
    timer: Option<Timer>,
    tag: Tag,
}

pub(crate) type Decode<R> = fn(&Arc<Common>, &[u8]) -> Result<R, DecodeError>;

enum Way<R> {
    /// It never left.
    Failed(Option<AskError>),
    Ready(Option<R>),
    Local {
        answer: oneshot::Receiver<R>,
        actor: Arc<dyn Life>,
        /// How often the actor had failed before.
        failures: u32,
        /// Whether the mailbox dropped the question, if it may do that.
        dropped: Option<Dropped>,
    },
    /// The actor dropped the answer; it is being found out why.
    Why(Pin<Box<dyn Future<Output = AskError> + Send>>),
    Remote {
        answer: oneshot::Receiver<Result<Bytes, AskError>>,
        decode: Decode<R>,
        call: Call,
        common: Arc<Common>,
    },
}

/// An ask that another node works on; it is told when nobody wants the answer any more.
struct Call {
    route: Arc<dyn Route>,
    number: u64,
    open: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.open {
            self.route.cancel(self.number);
        }
    }
}

/// The moment `within` from `now`, however long that is.
#[inline]
pub(crate) fn after(now: Instant, within: Duration) -> Instant {
    now + within.min(DEADLINE_MAX)
}

impl<R> Ask<R> {
    fn new(way: Way<R>, deadline: Instant) -> Ask<R> {
        Ask { way, deadline, timer: None, tag: Tag::default() }
    }

    pub(crate) fn tagged(mut self, tag: Tag) -> Ask<R> {
        self.tag = tag;
        self
    }

    pub(crate) fn failed(error: AskError) -> Ask<R> {
        Ask::new(Way::Failed(Some(error)), playhouse_rt::now())
    }

    pub(crate) fn ready(answer: R) -> Ask<R> {
        Ask::new(Way::Ready(Some(answer)), playhouse_rt::now())
    }

    pub(crate) fn local(
        answer: oneshot::Receiver<R>,
        actor: Arc<dyn Life>,
        (failures, dropped): (u32, Option<Dropped>),
        deadline: Instant,
    ) -> Ask<R> {
        Ask::new(Way::Local { answer, actor, failures, dropped }, deadline)
    }

    pub(crate) fn remote(
        answer: oneshot::Receiver<Result<Bytes, AskError>>,
        decode: Decode<R>,
        route: Arc<dyn Route>,
        number: u64,
        common: Arc<Common>,
        deadline: Instant,
    ) -> Ask<R> {
        Ask::new(Way::Remote { answer, decode, call: Call { route, number, open: true }, common }, deadline)
    }

    /// Waits so long for the answer, from now on, instead of what was said before: less, or more. The actor is not told, so what it asks
    /// others meanwhile keeps the former deadline.
    pub fn within(mut self, within: Duration) -> Ask<R> {
        self.deadline = after(playhouse_rt::now(), within);
        self
    }

    /// For a bug that is put in on purpose.
    fn is_endless(&self) -> bool {
        match &self.way {
            Way::Local { actor, .. } => actor.shared().common.planted().endless_asks,
            Way::Remote { common, .. } => common.planted().endless_asks,
            Way::Failed(_) | Way::Ready(_) | Way::Why(_) => false,
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        const ENDED: &str = "an ask is not polled after its end";
        loop {
            match &mut self.way {
                Way::Failed(error) => return Poll::Ready(Err(error.take().expect(ENDED))),
                Way::Ready(answer) => return Poll::Ready(Ok(answer.take().expect(ENDED))),
                Way::Why(why) => return why.as_mut().poll(cx).map(Err),
                Way::Remote { answer, decode, call, common } => {
                    let Poll::Ready(answer) = Pin::new(answer).poll(cx) else { return Poll::Pending };
                    call.open = false;
                    return Poll::Ready(match answer {
                        Ok(Ok(bytes)) => decode(common, &bytes).map_err(AskError::from),
                        Ok(Err(error)) => Err(error),
                        Err(_) => Err(AskError::Unknown("this node gave the question up".into())),
                    });
                }
                Way::Local { answer, actor, failures, dropped } => match Pin::new(answer).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                    Poll::Ready(Err(_)) => {
                        let (actor, failures) = (actor.clone(), *failures);
                        let dropped = dropped.as_ref().is_some_and(|dropped| dropped.load(Ordering::Acquire));
                        let why = async move { actor.shared().why_no_reply(failures, dropped).await };
                        self.way = Way::Why(Box::pin(why));
                    }
                },
            }
        }
    }
}

impl<R> Unpin for Ask<R> {}

impl<R> Future for Ask<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(answer) = this.poll_answer(cx) {
            match &answer {
                Ok(_) => this.tag.record("answer", String::new),
                Err(error) => this.tag.record("no-answer", || error.to_string()),
            }
            return Poll::Ready(answer);
        }
        playhouse_rt::ledger::waits(|| match &this.way {
            Way::Local { actor, .. } => format!("an answer of {}", actor.shared().name()).into(),
            _ => "an answer from another node".into(),
        });
        // A timer only now: answers that come quickly never need one.
        if this.timer.is_none() && this.is_endless() {
            return Poll::Pending;
        }
        let late = match &mut this.timer {
            Some(timer) => timer.poll(cx, this.deadline),
            None => this.timer.insert(Timer::take(this.deadline)).begin(cx, this.deadline),
        };
        playhouse_rt::sometimes!(late.is_ready(), "ask-timeout");
        late.map(|()| {
            this.tag.record("no-answer", || AskError::Timeout.to_string());
            Err(AskError::Timeout)
        })
    }
}

impl<R> Drop for Ask<R> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.give_back();
        }
    }
}
