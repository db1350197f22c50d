//! A question on its way to an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use playhouse_rt::Sleep;
use playhouse_rt::sync::oneshot;
use playhouse_wire::DecodeError;

use crate::error::AskError;
use crate::limits::ASK_DEADLINE;
use crate::shared::Shared;

/// The answer that will come, or the reason why none does; see [`crate::Ref::ask`].
///
/// The message was sent when this was made. Dropping it gives up: a message that is still in the mailbox then is not handled.
#[must_use = "an ask that is dropped is given up; use tell to send without an answer"]
pub struct Ask<R> {
    way: Way<R>,
    within: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

enum Way<R> {
    /// It never left.
    Failed(Option<AskError>),
    Local {
        answer: oneshot::Receiver<R>,
        actor: Arc<Shared>,
        panics: u32,
    },
    /// The actor dropped the answer; it is being found out why.
    Why(Pin<Box<dyn Future<Output = AskError> + Send>>),
    Remote {
        answer: oneshot::Receiver<Result<Bytes, AskError>>,
        decode: fn(&[u8]) -> Result<R, DecodeError>,
    },
}

impl<R> Ask<R> {
    fn new(way: Way<R>, within: Duration) -> Ask<R> {
        Ask { way, within, deadline: None }
    }

    pub(crate) fn failed(error: AskError) -> Ask<R> {
        Ask::new(Way::Failed(Some(error)), ASK_DEADLINE)
    }

    pub(crate) fn local(answer: oneshot::Receiver<R>, actor: Arc<Shared>, panics: u32, within: Duration) -> Ask<R> {
        Ask::new(Way::Local { answer, actor, panics }, within)
    }

    pub(crate) fn remote(
        answer: oneshot::Receiver<Result<Bytes, AskError>>,
        decode: fn(&[u8]) -> Result<R, DecodeError>,
        within: Duration,
    ) -> Ask<R> {
        Ask::new(Way::Remote { answer, decode }, within)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError>> {
        loop {
            match &mut self.way {
                Way::Failed(error) => return Poll::Ready(Err(error.take().expect("an ask is not polled after its end"))),
                Way::Why(why) => return why.as_mut().poll(cx).map(Err),
                Way::Remote { answer, decode } => {
                    return Pin::new(answer).poll(cx).map(|answer| match answer {
                        Ok(Ok(bytes)) => decode(&bytes).map_err(AskError::from),
                        Ok(Err(error)) => Err(error),
                        Err(_) => Err(AskError::Unknown("this node gave the question up".into())),
                    });
                }
                Way::Local { answer, actor, panics } => match Pin::new(answer).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                    Poll::Ready(Err(_)) => {
                        let (actor, panics) = (actor.clone(), *panics);
                        self.way = Way::Why(Box::pin(async move { actor.why_no_reply(panics).await }));
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
            return Poll::Ready(answer);
        }
        // The timer is made only now: most answers to come quickly never need one.
        let within = this.within;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(playhouse_rt::sleep(within)));
        deadline.as_mut().poll(cx).map(|()| Err(AskError::Timeout))
    }
}
