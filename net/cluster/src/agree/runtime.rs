//! openraft's runtime over ours, so that its time and its tasks are simulated with all else.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use openraft::AsyncRuntime;
use openraft::async_runtime::AsyncOneshotSendExt;
use playhouse_rt::sync::oneshot;
use playhouse_rt::{Elapsed, Lost, Random, Task};

/// The runtime of [`playhouse_rt`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Runtime;

/// A moment of [`playhouse_rt::now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(playhouse_rt::Instant);

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, by: Duration) -> Moment {
        Moment(self.0 + by)
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, by: Duration) {
        self.0 += by;
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, by: Duration) -> Moment {
        Moment(self.0 - by)
    }
}

impl Sub for Moment {
    type Output = Duration;
    fn sub(self, earlier: Moment) -> Duration {
        self.0 - earlier.0
    }
}

impl SubAssign<Duration> for Moment {
    fn sub_assign(&mut self, by: Duration) {
        self.0 -= by;
    }
}

impl openraft::Instant for Moment {
    fn now() -> Moment {
        Moment(playhouse_rt::now())
    }
}

/// A future that openraft wants to share between threads, though only one ever polls it.
pub(crate) struct Shared<F>(Mutex<Pin<Box<F>>>);

impl<F> Shared<F> {
    fn new(future: F) -> Shared<F> {
        Shared(Mutex::new(Box::pin(future)))
    }
}

impl<F: Future> Future for Shared<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

/// The sending half of a channel for one value.
pub(crate) struct Sender<T>(oneshot::Sender<T>);

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T: Send> AsyncOneshotSendExt<T> for Sender<T> {
    fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }
}

/// Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the other side is gone")]
pub(crate) struct Gone;

/// The receiving half.
pub(crate) struct Receiver<T>(oneshot::Receiver<T>);

impl<T> Future for Receiver<T> {
    type Output = Result<T, Gone>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Gone>> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| Gone)
    }
}

/// A future with a deadline.
pub(crate) struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Pin<Box<playhouse_rt::Sleep>>,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        self.sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    }
}

impl AsyncRuntime for Runtime {
    type JoinError = Lost;
    type JoinHandle<T: Send + 'static> = Shared<Task<T>>;
    type Sleep = Shared<playhouse_rt::Sleep>;
    type Instant = Moment;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R> + Send> = Timeout<T>;
    type ThreadLocalRng = Random;
    type OneshotSender<T: Send> = Sender<T>;
    type OneshotReceiver<T: Send> = Receiver<T>;
    type OneshotReceiverError = Gone;

    #[track_caller]
    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        Shared::new(playhouse_rt::spawn(future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Shared::new(playhouse_rt::sleep(duration))
    }

    fn sleep_until(deadline: Moment) -> Self::Sleep {
        Shared::new(playhouse_rt::sleep_until(deadline.0))
    }

    fn timeout<R, F: Future<Output = R> + Send>(duration: Duration, future: F) -> Timeout<F> {
        Timeout { future: Box::pin(future), sleep: Box::pin(playhouse_rt::sleep(duration)) }
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: Moment, future: F) -> Timeout<F> {
        Timeout { future: Box::pin(future), sleep: Box::pin(playhouse_rt::sleep_until(deadline.0)) }
    }

    fn is_panic(_: &Lost) -> bool {
        // Nobody aborts its tasks.
        true
    }

    fn thread_rng() -> Random {
        Random::here("agreement")
    }

    fn oneshot<T: Send>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Sender(sender), Receiver(receiver))
    }
}
