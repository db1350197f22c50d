//! Many answers to one question, with back-pressure and an early end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Message};
use playhouse_rt::sync::mpsc;
use playhouse_wire::DecodeError;
use serde::de::DeserializeOwned;

use crate::Ctx;
use crate::common::Common;
use crate::error::AskError;
use crate::limits::STREAM_WINDOW;
use crate::passage::decode_here;
use crate::route::RawItems;

/// The answers to a question whose `Message::Result` this is: they come one by one, from an actor here or on another node. The producer
/// waits while [`STREAM_WINDOW`] of them have not been taken, and stops when this is dropped.
pub struct Streaming<T>(Source<T>);

enum Source<T> {
    Local(mpsc::Receiver<Step<T>>),
    Remote {
        items: RawItems,
        common: Arc<Common>,
        decode: fn(&Arc<Common>, &[u8]) -> Result<T, DecodeError>,
    },
    /// The end was given out.
    Ended,
}

/// What the producer says.
enum Step<T> {
    Item(T),
    End,
}

impl<T> Streaming<T> {
    /// The next item; `None` after the last. Cancel-safe.
    ///
    /// # Errors
    /// When the producer ended before its stream did, or (for another node) the stream could not be opened or broke off: see
    /// [`AskError`]. Nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<T>, AskError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// All items that are left, in a list: only for streams that are known to be short.
    ///
    /// # Errors
    /// As [`Streaming::next`]; the items that came before are lost.
    pub async fn collect(mut self) -> Result<Vec<T>, AskError> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await? {
            all.push(item);
        }
        Ok(all)
    }

    /// As [`Streaming::next`], for those who poll.
    ///
    /// # Errors
    /// As [`Streaming::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>, AskError>> {
        let next = match &mut self.0 {
            Source::Ended => return Poll::Ready(Ok(None)),
            Source::Local(steps) => match steps.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Step::Item(item))) => Ok(Some(item)),
                Poll::Ready(Some(Step::End)) => Ok(None),
                Poll::Ready(None) => Err(AskError::Gone("the actor ended, or panicked, before its stream did".into())),
            },
            Source::Remote { items, common, decode } => match items.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => Ok(None),
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(Some(Ok(bytes))) => decode(common, &bytes).map(Some).map_err(AskError::from),
            },
        };
        if !matches!(next, Ok(Some(_))) {
            self.0 = Source::Ended;
        }
        Poll::Ready(next)
    }

    pub(crate) fn remote(items: RawItems, common: Arc<Common>) -> Streaming<T>
    where
        T: DeserializeOwned,
    {
        Streaming(Source::Remote { items, common, decode: |common, bytes| decode_here(common, bytes) })
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streaming")
    }
}

/// Nobody wants more items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the stream any more")]
pub struct Unread;

/// Where the producer of a stream puts its items.
pub struct Sink<T>(mpsc::Sender<Step<T>>);

impl<T> Sink<T> {
    /// Sends an item, when there is room for it. Cancel-safe: dropped, nothing was sent.
    ///
    /// # Errors
    /// When the reader is gone; no later item will find one.
    pub async fn send(&mut self, item: T) -> Result<(), Unread> {
        self.0.send(Step::Item(item)).await.map_err(|_| Unread)
    }
}

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

type Producer<T> = Box<dyn FnOnce(Sink<T>) -> Pin<Box<dyn Future<Output = ()>>>>;

/// The result of a handler that answers with a stream: `Message::Result` is [`Streaming`]. The producer runs beside the actor's other
/// work and does not touch its state; it ends with the actor, and when its reader is gone.
///
/// ```
/// use playhouse_actors::prelude::*;
///
/// struct Counter;
/// impl Actor for Counter {
///     type Context = Ctx<Self>;
/// }
/// struct CountTo(u64);
/// impl Message for CountTo {
///     type Result = Streaming<u64>;
/// }
/// impl Handler<CountTo> for Counter {
///     type Result = Streamed<u64>;
///     fn handle(&mut self, to: CountTo, _: &mut Ctx<Self>) -> Streamed<u64> {
///         Streamed::new(async move |mut sink: Sink<u64>| {
///             for n in 1..=to.0 {
///                 if sink.send(n).await.is_err() {
///                     return;
///                 }
///             }
///         })
///     }
/// }
///
/// # playhouse_rt::run(1, async {
/// let system = System::new(NodeName::new("a")?, 1)?;
/// let mut numbers = system.spawn(|| Counter).ask(CountTo(3)).await?;
/// while let Some(n) = numbers.next().await? {
///     assert!(n <= 3);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
/// ```
pub struct Streamed<T>(Producer<T>);

impl<T: 'static> Streamed<T> {
    /// Answers with what `producer` sends until it ends.
    pub fn new<F>(producer: F) -> Streamed<T>
    where
        F: AsyncFnOnce(Sink<T>) + 'static,
    {
        Streamed(Box::new(move |sink| Box::pin(async move { producer(sink).await })))
    }
}

impl<A, M, T> MessageResponse<A, M> for Streamed<T>
where
    A: Actor<Context = Ctx<A>>,
    M: Message<Result = Streaming<T>>,
    T: 'static,
{
    fn handle(self, ctx: &mut Ctx<A>, reply: Option<OneshotSender<Streaming<T>>>) {
        let planted = ctx.shared().common.planted();
        let (sender, steps) = mpsc::channel(STREAM_WINDOW * if planted.window_too_wide { 64 } else { 1 });
        // Told instead of asked: there is no reader, so nothing is produced.
        let Some(reply) = reply else { return };
        if reply.send(Streaming(Source::Local(steps))).is_err() {
            return;
        }
        let mut producing = (self.0)(Sink(sender.clone()));
        let claim = planted.end_claimed.then(|| Claim(sender.clone()));
        // The deadline was that of the beginning.
        ctx.answering = false;
        ctx.spawn(wrap_future::<_, A>(async move {
            let _claim = claim;
            let unread = async {
                sender.closed().await;
                if planted.stop_unheard {
                    std::future::pending::<()>().await;
                }
            };
            let mut unread = std::pin::pin!(unread);
            let done = std::future::poll_fn(|cx| {
                if producing.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                // Also while it waits for something else than room.
                unread.as_mut().poll(cx).map(|()| false)
            })
            .await;
            if done {
                // A reader that is gone needs no end.
                let _ = sender.send(Step::End).await;
            }
        }));
    }
}

/// See [`crate::Planted::end_claimed`].
struct Claim<T>(mpsc::Sender<Step<T>>);

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        let _ = self.0.try_send(Step::End);
    }
}
