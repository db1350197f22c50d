//! Production: the operating system and tokio.

pub(crate) mod disk;
pub(crate) mod net;
pub(crate) mod task;
pub(crate) mod time;

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
