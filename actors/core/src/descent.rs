//! The end of a system: its actors stop one after the other, the youngest first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_rt::sync::oneshot;

use crate::shared::Manner;
use crate::{Exit, System};

/// Actors being stopped one after the other. Whoever has ended tells the next one himself, on his own thread: to come back to who waits
/// for all of them after each would cost two threads' waking.
pub(crate) struct Descent {
    system: System,
    state: Mutex<DescentState>,
}

struct DescentState {
    /// Those that were told.
    seen: BTreeSet<u64>,
    /// Whom to tell when none is left; `None` when he does not wait any more.
    done: Option<oneshot::Sender<()>>,
}

impl Descent {
    /// Ready when none is left. Dropped, it tells no further ones.
    pub(crate) async fn begin(system: &System) {
        let (done, all_ended) = oneshot::channel();
        let state = Mutex::new(DescentState { seen: BTreeSet::new(), done: Some(done) });
        let descent = Arc::new(Descent { system: system.clone(), state });
        let _end = EndOfDescent(&descent);
        descent.go_on();
        let _ = all_ended.await;
    }

    fn go_on(self: &Arc<Self>) {
        loop {
            let life = {
                let mut state = self.state();
                if state.done.is_none() {
                    return;
                }
                let Some((number, life)) = self.system.next_to_stop(&state.seen) else {
                    let _ = state.done.take().map(|done| done.send(()));
                    return;
                };
                state.seen.insert(number);
                life
            };
            life.shared().stop(Manner::Drained, Exit::NodeStopped);
            let descent = self.clone();
            if life.shared().when_ended(Box::new(move |_| descent.go_on())).is_ok() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, DescentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct EndOfDescent<'a>(&'a Descent);

impl Drop for EndOfDescent<'_> {
    fn drop(&mut self) {
        self.0.state().done = None;
    }
}
