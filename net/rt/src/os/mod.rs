//! Production: the operating system and tokio.

pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod net;
pub(crate) mod task;
pub(crate) mod time;

pub(crate) use task as pool;

/// How long the end of a runtime waits for threads that are in the middle of something.
const SHUTDOWN_MAX: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs `main` on a multi-threaded runtime with `threads` threads (0: one per core) until it ends.
///
/// # Errors
/// When the operating system gives no threads.
pub fn run<F: Future>(threads: usize, main: F) -> std::io::Result<F::Output> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build()?;
    let output = runtime.block_on(main);
    // Work in a `Blocking` that is still under way is left to itself: whoever wanted it is gone.
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    Ok(output)
}

/// Waits until the process is asked to stop: Ctrl-C or SIGTERM. Gives the signal's number.
///
/// # Errors
/// When the operating system refuses to tell.
pub async fn interrupted() -> std::io::Result<i32> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        Ok(crate::select! {
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = hangup.recv() => SignalKind::hangup().as_raw_value(),
        })
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await?;
        Ok(2)
    }
}

/// What the process is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// To stop: Ctrl-C or SIGTERM, with the signal's number.
    Stop(i32),
    /// To read anew what it was configured with: SIGHUP.
    Reload,
}

/// The signals to a process that runs for long. None is lost between two calls of [`Signals::next`].
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    kinds: [(tokio::signal::unix::Signal, Signal); 3],
}

impl Signals {
    /// From now on, signals are heard here instead of ending the process. Must be called within the runtime.
    ///
    /// # Errors
    /// When the operating system refuses to tell.
    pub fn new() -> std::io::Result<Signals> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let stop = |kind: SignalKind| Ok::<_, std::io::Error>((signal(kind)?, Signal::Stop(kind.as_raw_value())));
            let reload = (signal(SignalKind::hangup())?, Signal::Reload);
            Ok(Signals { kinds: [stop(SignalKind::interrupt())?, stop(SignalKind::terminate())?, reload] })
        }
        #[cfg(not(unix))]
        Ok(Signals {})
    }

    /// The next signal. Cancel-safe.
    ///
    /// # Errors
    /// When the operating system refuses to tell.
    pub async fn next(&mut self) -> std::io::Result<Signal> {
        #[cfg(unix)]
        {
            let [(interrupt, stop), (terminate, end), (hangup, reload)] = &mut self.kinds;
            Ok(crate::select! {
                _ = interrupt.recv() => *stop,
                _ = terminate.recv() => *end,
                _ = hangup.recv() => *reload,
            })
        }
        #[cfg(not(unix))]
        {
            tokio::signal::ctrl_c().await?;
            Ok(Signal::Stop(2))
        }
    }
}

/// Another number at each call.
pub(crate) fn seed_here() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Each has keys of its own, from the operating system.
    RandomState::new().hash_one(std::process::id())
}
