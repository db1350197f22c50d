//! The seam: the only crate that names tokio or madsim.
//!
//! Built normally, everything here is the operating system and tokio. Built with `--cfg madsim`, the same names are a deterministic
//! simulation: virtual time, seeded chance, a datagram network and a disk that obey whoever runs the simulation. What stands above
//! uses these names and no others, so that it cannot tell the difference (`tests/parity.rs` names every item on both sides).
//!
//! Time, chance, sockets and disks come from a [`Host`], which is a value: several nodes live in one process.

#[cfg(not(madsim))]
mod os;
#[cfg(madsim)]
pub mod sim;

pub mod claims;
mod disk;
mod host;
mod interval;
pub mod ledger;
mod lost;
mod place;
mod random;
pub mod secrets;

#[cfg(not(madsim))]
use os as side;
#[cfg(madsim)]
use sim as side;

pub use disk::{DirEntry, Disk, DiskFile, Kind};
pub use host::Host;
pub use interval::{Interval, interval};
pub use lost::Lost;
pub use place::Place;
pub use random::Random;
pub use side::net::Datagrams;
pub use side::pool::{Blocking, wait_here};
pub use side::task::{Locals, Task, on_local_thread, spawn, spawn_local};
pub use side::time::{Sleep, now, sleep, sleep_until};
#[cfg(not(madsim))]
pub use side::{Signal, Signals, interrupted, run};

pub use std::time::{Duration, Instant};

/// Channels and locks that need no runtime of their own; the same on both sides.
pub mod sync {
    pub use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
}

/// Waits on several futures and takes the first that is ready, in the order written. Never draws lots: a random choice would make a
/// run unrepeatable.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => { $crate::__select! { biased; $($arms)* } };
}

#[doc(hidden)]
pub use tokio::select as __select;

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the deadline passed")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for `future`, but no longer than `limit`.
///
/// # Errors
/// When the limit passes first; `future` is dropped then.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = std::pin::pin!(future);
    let mut sleep = std::pin::pin!(sleep(limit));
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// The text of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_string(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a text".to_string(),
    }
}

/// Holds up the calling thread for `duration`: for work within [`Blocking`] that is to take time. In a simulation the work takes so much
/// longer than the time that is drawn from the seed, after its last line has run.
pub fn pause(duration: Duration) {
    #[cfg(not(madsim))]
    std::thread::sleep(duration);
    #[cfg(madsim)]
    sim::owe(duration);
}
