//! Production: the operating system and tokio.

pub(crate) mod disk;
pub(crate) mod net;
pub(crate) mod task;
pub(crate) mod time;

/// Runs `main` on a multi-threaded runtime with `threads` threads (0: one per core) until it ends.
///
/// # Errors
/// When the operating system gives no threads.
pub fn run<F: Future>(threads: usize, main: F) -> std::io::Result<F::Output> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    Ok(builder.enable_all().build()?.block_on(main))
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
