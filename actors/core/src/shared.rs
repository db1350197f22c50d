//! What an actor and those who hold references to it both see.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use playhouse_rt::sync::Notify;
use playhouse_wire::ActorName;

use crate::counters::Totals;
use crate::error::{AskError, Exit};

pub(crate) struct Shared {
    pub(crate) name: ActorName,
    pub(crate) number: u64,
    pub(crate) totals: Arc<Totals>,
    /// Odd while the actor runs on its thread.
    turn: AtomicU32,
    /// A turn ended.
    turned: Notify,
    panics: AtomicU32,
    stopping: AtomicBool,
    state: Mutex<State>,
    /// The actor is no more.
    ended: Notify,
}

#[derive(Default)]
struct State {
    waker: Option<Waker>,
    why: Option<Exit>,
    last_panic: Option<String>,
    exit: Option<Exit>,
    announced: bool,
}

impl Shared {
    pub(crate) fn new(name: ActorName, number: u64, totals: Arc<Totals>) -> Shared {
        Shared {
            name,
            number,
            totals,
            turn: AtomicU32::new(0),
            turned: Notify::new(),
            panics: AtomicU32::new(0),
            stopping: AtomicBool::new(false),
            state: Mutex::default(),
            ended: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // From outside.

    /// Asks the actor to stop. Overtakes everything in its mailbox.
    pub(crate) fn stop(&self, why: Exit) {
        let waker = {
            let mut state = self.state();
            state.why.get_or_insert(why);
            // Under the lock: a turn that begins after it sees this, one that began before has left its waker.
            self.stopping.store(true, Ordering::Release);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        self.state().exit.clone()
    }

    pub(crate) async fn ended(&self) -> Exit {
        loop {
            let ended = self.ended.notified();
            if let State { announced: true, exit: Some(exit), .. } = &*self.state() {
                return exit.clone();
            }
            ended.await;
        }
    }

    pub(crate) fn panics(&self) -> u32 {
        self.panics.load(Ordering::Acquire)
    }

    /// Why a reply was dropped, given the count of panics when it was asked for.
    ///
    /// A panic drops the reply while it unwinds, before anybody could count it; so wait for the end of the actor's turn.
    pub(crate) async fn why_no_reply(&self, panics_before: u32) -> AskError {
        let at = self.turn.load(Ordering::Acquire);
        loop {
            let turned = self.turned.notified();
            let now = self.turn.load(Ordering::Acquire);
            if now != at || now.is_multiple_of(2) {
                break;
            }
            turned.await;
        }
        let state = self.state();
        match (&state.exit, &state.last_panic) {
            (_, Some(text)) if self.panics() != panics_before => AskError::Panicked(text.clone()),
            (Some(exit), _) => AskError::Gone(exit.to_string()),
            (None, _) => AskError::Gone("it dropped the question".into()),
        }
    }

    // From the actor's thread.

    pub(crate) fn begin_turn(&self, waker: &Waker) {
        self.turn.fetch_add(1, Ordering::AcqRel);
        let mut state = self.state();
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
    }

    pub(crate) fn end_turn(&self) {
        self.turn.fetch_add(1, Ordering::AcqRel);
        self.turned.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn why_stopping(&self) -> Exit {
        self.state().why.clone().unwrap_or(Exit::Stopped)
    }

    pub(crate) fn note_panic(&self, text: String) {
        self.state().last_panic = Some(text);
        self.panics.fetch_add(1, Ordering::AcqRel);
        self.totals.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// The reason, for those who find the mailbox closed.
    pub(crate) fn note_exit(&self, exit: Exit) {
        self.state().exit.get_or_insert(exit);
    }

    /// Nothing is left of the actor: not its state, not its name.
    pub(crate) fn announce_end(&self) {
        self.state().announced = true;
        self.ended.notify_waiters();
    }
}
