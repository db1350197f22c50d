//! A watchdog over a simulation: it names the task that never yields. A thread of the operating system, since virtual time stands still then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Place;

/// A task that has been in one poll for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spinning {
    /// Its node; `-` for the world.
    pub node: String,
    /// Its number.
    pub task: u64,
    /// Where it was started, as `file:line`.
    pub place: String,
    /// For how long it has been running.
    pub wall: Duration,
}

impl std::fmt::Display for Spinning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Spinning { node, task, place, wall } = self;
        write!(f, "task {task} of node {node}, started at {place}, has not yielded for {:.1} s of wall time", wall.as_secs_f64())
    }
}

static WATCHED: AtomicBool = AtomicBool::new(false);
/// Odd while a task is polled; each poll has numbers of its own.
static BEAT: AtomicU64 = AtomicU64::new(0);
static POLLED: Mutex<Polled> = Mutex::new(Polled { task: 0, node: 0, place: None });
static NODES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Polled {
    task: u64,
    node: usize,
    place: Option<Place>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the watchdog of this process; call it before [`super::run`], in a process that runs one simulation. When one poll has taken longer than
/// `limit` of wall time, `tell` is called, on the watchdog's thread, with the task that does not yield.
///
/// # Errors
/// When the operating system gives no thread.
pub fn watch(limit: Duration, tell: impl FnOnce(Spinning) + Send + 'static) -> std::io::Result<()> {
    /// It looks so often within the limit.
    const LOOKS: u32 = 20;
    std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        // This thread is in no simulation, so its clock is the real one.
        let (mut seen, mut since, mut looks) = (0, Instant::now(), 0);
        loop {
            std::thread::sleep(limit / LOOKS);
            let beat = BEAT.load(Ordering::Relaxed);
            // Looks are counted, not only time: while the whole process was held up, nobody looked.
            looks += 1;
            if beat != seen || beat.is_multiple_of(2) {
                (seen, since, looks) = (beat, Instant::now(), 0);
            } else if looks >= LOOKS {
                let Polled { task, node, place } = *lock(&POLLED);
                let node = node.checked_sub(1).and_then(|node| lock(&NODES).get(node).cloned()).unwrap_or_else(|| "-".into());
                let place = place.map_or_else(|| "an unknown place".into(), |place| place.to_string());
                return tell(Spinning { node, task, place, wall: since.elapsed() });
            }
        }
    })?;
    WATCHED.store(true, Ordering::Relaxed);
    Ok(())
}

pub(super) fn name_node(name: &str) {
    if WATCHED.load(Ordering::Relaxed) {
        lock(&NODES).push(name.into());
    }
}

pub(super) fn begins(task: u64, node: usize, place: Option<Place>) {
    if WATCHED.load(Ordering::Relaxed) {
        *lock(&POLLED) = Polled { task, node, place };
        // The simulation's thread alone writes it.
        BEAT.store(BEAT.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
    }
}

pub(super) fn ends() {
    if WATCHED.load(Ordering::Relaxed) {
        BEAT.store((BEAT.load(Ordering::Relaxed) | 1) + 1, Ordering::Relaxed);
    }
}
