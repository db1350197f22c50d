//! What an actor and those who hold references to it both see.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use playhouse_rt::sync::oneshot;
use playhouse_wire::{ActorName, Exit};

use crate::common::Common;
use crate::error::AskError;
use crate::planted::looking;

pub(crate) struct Shared {
    pub(crate) number: u64,
    pub(crate) common: Arc<Common>,
    /// The last part of the actor's type.
    pub(crate) kind: fn() -> &'static str,
    /// Who decides about the actor's lives; `None`: its own restart policy.
    pub(crate) parent: Option<Supervised>,
    name: OnceLock<ActorName>,
    /// Odd while the actor runs on its thread.
    turn: AtomicU32,
    /// Somebody waits for the end of a turn.
    turn_wanted: AtomicBool,
    failures: AtomicU32,
    /// The number of its life, for its supervisor.
    life: AtomicU64,
    pub(crate) restarts: AtomicU32,
    pub(crate) handled: AtomicU64,
    /// Nanoseconds in turns, while somebody wants to know.
    pub(crate) busy: AtomicU64,
    /// There are orders.
    attention: AtomicBool,
    /// The actor waits for a waker.
    parked: AtomicBool,
    /// That of the task that it runs in, which is the same for all its life, unless it moved after all.
    waker: OnceLock<Waker>,
    has_moved: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    orders: Orders,
    exit: Option<Exit>,
    announced: bool,
    next_hook: u64,
    hooks: BTreeMap<u64, Hook>,
    /// Out of the way: a million actors that do nothing have none of it.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    moved_waker: Option<Waker>,
    turn_waiters: Vec<Waker>,
    last_failure: Option<Failure>,
}

impl State {
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn moved_waker(&self) -> Option<&Waker> {
        self.rare.as_ref()?.moved_waker.as_ref()
    }

    fn last_failure(&self) -> Option<&Failure> {
        self.rare.as_ref()?.last_failure.as_ref()
    }
}

/// What is to be done when the actor is no more.
pub(crate) type Hook = Box<dyn FnOnce(&Exit) + Send>;

/// What others want of an actor; it looks between two messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// End, with this reason; the strictest manner that was asked for.
    pub(crate) stop: Option<(Manner, Exit)>,
    /// Give the state up, keep the mailbox, and wait for a start.
    pub(crate) suspend: bool,
    /// Begin this life.
    pub(crate) start: Option<u64>,
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    /// When all that waits in the mailbox is handled.
    Drained,
    /// After the message that is being handled.
    Soon,
    /// In the midst of it, at its next wait.
    Now,
}

/// What went wrong in an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Panic(String),
    Error(String),
}

impl Failure {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Failure::Panic(text) => Exit::Panicked(text),
            Failure::Error(text) => Exit::Failed(text),
        }
    }
}

/// How a life of a supervised actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LifeEnd {
    /// It stopped itself.
    Normal,
    /// As it was told.
    Stopped,
    Failed(Failure),
}

/// Whoever decides about an actor's lives. Called on the actor's thread.
pub(crate) trait Parent: Send + Sync {
    /// This life has done what it does before its first message.
    fn started(&self, child: u64, life: u64);
    /// This life is over. The mailbox lives on.
    fn ended(&self, child: u64, life: u64, end: LifeEnd);
    /// The actor is no more: its end, if that was not reported before.
    fn gone(&self, child: u64, life: u64, end: LifeEnd);
}

pub(crate) struct Supervised {
    pub(crate) parent: Arc<dyn Parent>,
    pub(crate) child: u64,
}

/// An actor of any type.
pub(crate) trait Life: Send + Sync {
    fn shared(&self) -> &Shared;
    fn depth(&self) -> usize;
    fn bound(&self) -> usize;
}

impl Shared {
    pub(crate) fn new(
        number: u64,
        name: Option<ActorName>,
        kind: fn() -> &'static str,
        common: Arc<Common>,
        parent: Option<Supervised>,
    ) -> Shared {
        Shared {
            number,
            common,
            kind,
            parent,
            name: name.map_or_else(OnceLock::new, OnceLock::from),
            turn: AtomicU32::new(0),
            turn_wanted: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            life: AtomicU64::new(1),
            restarts: AtomicU32::new(0),
            handled: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            attention: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            waker: OnceLock::new(),
            has_moved: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The actor's name. One without is called after its node's life and its number, so that no other actor ever has that name.
    pub(crate) fn name(&self) -> &ActorName {
        self.name.get_or_init(|| {
            let name = format!("_/{}/{}", self.common.life.0, self.number);
            ActorName::new(&name).expect("digits make a name")
        })
    }

    // From outside.

    /// Lets the actor look around if it waits.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.parked.load(SeqCst) && self.parked.swap(false, SeqCst) {
            match self.waker.get() {
                Some(waker) if !self.has_moved.load(SeqCst) => waker.wake_by_ref(),
                _ => self.wake_moved(),
            }
        }
    }

    #[cold]
    fn wake_moved(&self) {
        // Under the lock, for a clone would cost as much; waking a task runs nothing of ours.
        self.state().moved_waker().into_iter().for_each(Waker::wake_by_ref);
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut self.state().orders);
        self.attention.store(true, SeqCst);
        self.wake();
    }

    /// Asks the actor to end. Overtakes everything in its mailbox.
    pub(crate) fn stop(&self, manner: Manner, exit: Exit) {
        self.order(|orders| match &mut orders.stop {
            // The first reason counts, the strictest manner.
            Some((former, _)) => *former = manner.max(*former),
            None => orders.stop = Some((manner, exit)),
        });
    }

    pub(crate) fn suspend(&self) {
        self.order(|orders| orders.suspend = true);
    }

    pub(crate) fn start(&self, life: u64) {
        self.order(|orders| orders.start = Some(life));
    }

    pub(crate) fn exit(&self) -> Option<Exit> {
        self.state().exit.clone()
    }

    /// Waits until nothing is left of the actor. Cancel-safe.
    pub(crate) async fn ended(&self) -> Exit {
        let (tell, told) = oneshot::channel();
        let hook = self.when_ended(Box::new(move |exit| {
            // Who does not wait any more need not know.
            let _ = tell.send(exit.clone());
        }));
        let hook = match hook {
            Ok(number) => number,
            Err(exit) => return exit,
        };
        let _unhook = Unhook(self, hook);
        told.await.unwrap_or(Exit::NodeStopped)
    }

    /// Has `hook` called once, when nothing is left of the actor.
    ///
    /// # Errors
    /// When that is so already: the reason.
    pub(crate) fn when_ended(&self, hook: Hook) -> Result<u64, Exit> {
        let mut state = self.state();
        if let State { announced: true, exit: Some(exit), .. } = &*state {
            return Err(exit.clone());
        }
        let number = state.next_hook;
        state.next_hook += 1;
        state.hooks.insert(number, hook);
        Ok(number)
    }

    pub(crate) fn unhook(&self, number: u64) {
        // Dropped outside the lock: what it holds is somebody else's.
        let _hook = self.state().hooks.remove(&number);
    }

    #[inline]
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(SeqCst)
    }

    /// Why a reply was dropped, given the count of failures when it was asked for.
    ///
    /// A panic drops the reply while it unwinds, before anybody could count it; so wait for the end of the actor's turn.
    pub(crate) async fn why_no_reply(&self, failures_before: u32, dropped: bool) -> AskError {
        let at = self.turn.load(SeqCst);
        std::future::poll_fn(|cx| {
            let over = || {
                let now = self.turn.load(SeqCst);
                now != at || now.is_multiple_of(2)
            };
            if over() {
                return Poll::Ready(());
            }
            let mut state = self.state();
            let waiters = &mut state.rare().turn_waiters;
            if !waiters.iter().any(|known| known.will_wake(cx.waker())) {
                waiters.push(cx.waker().clone());
            }
            drop(state);
            self.turn_wanted.store(true, SeqCst);
            // It may have ended before the flag was seen.
            if over() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let state = self.state();
        let failed = self.failures() != failures_before;
        match (&state.exit, state.last_failure()) {
            _ if dropped => AskError::Full,
            (_, Some(Failure::Panic(text))) if failed => AskError::Panicked(text.clone()),
            (Some(exit), _) => AskError::Gone(exit.to_string()),
            (None, Some(Failure::Error(text))) if failed => AskError::Restarted(text.clone()),
            (None, _) => AskError::Gone("it dropped the question".into()),
        }
    }

    // From the actor's thread.

    #[inline]
    pub(crate) fn begin_turn(&self) {
        // Nobody else writes it; who finds a reply dropped in this turn has synchronised with this through the reply.
        self.turn.store(self.turn.load(Relaxed).wrapping_add(1), Release);
        self.parked.store(false, Relaxed);
    }

    #[inline]
    pub(crate) fn end_turn(&self) {
        self.turn.fetch_add(1, SeqCst);
        if self.turn_wanted.load(SeqCst) {
            self.tell_end_of_turn();
        }
    }

    #[cold]
    fn tell_end_of_turn(&self) {
        self.turn_wanted.store(false, SeqCst);
        let waiters = std::mem::take(&mut self.state().rare().turn_waiters);
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Who is to be woken from now on.
    #[inline]
    pub(crate) fn set_waker(&self, waker: &Waker) {
        if self.common.planted().polling {
            self.waker.get_or_init(|| looking(waker.clone()));
            return;
        }
        if self.has_moved.load(SeqCst) || !self.waker.get_or_init(|| waker.clone()).will_wake(waker) {
            self.state().rare().moved_waker = Some(waker.clone());
            self.has_moved.store(true, SeqCst);
        }
    }

    pub(crate) fn waker(&self) -> Option<Waker> {
        self.state().moved_waker().or_else(|| self.waker.get()).cloned()
    }

    /// From now on whoever brings something wakes the actor. What came before this must be looked for once more.
    #[inline]
    pub(crate) fn park(&self) {
        if !self.parked.load(Relaxed) {
            self.parked.store(true, SeqCst);
        }
    }

    #[inline]
    pub(crate) fn has_orders(&self) -> bool {
        self.attention.load(SeqCst)
    }

    /// The orders, which stay.
    pub(crate) fn look_at_orders(&self) -> Orders {
        self.attention.store(false, SeqCst);
        self.state().orders.clone()
    }

    pub(crate) fn orders(&self) -> Orders {
        self.attention.store(false, SeqCst);
        let mut state = self.state();
        // A stop stays: it may become stricter, and must be remembered by an actor that cannot obey yet.
        let stop = state.orders.stop.clone();
        std::mem::replace(&mut state.orders, Orders { stop, ..Orders::default() })
    }

    /// The reason that the actor was told to end with.
    pub(crate) fn why_stopped(&self) -> Exit {
        self.state().orders.stop.clone().map_or(Exit::Stopped, |(_, exit)| exit)
    }

    pub(crate) fn set_life(&self, life: u64) {
        self.life.store(life, Relaxed);
    }

    pub(crate) fn report_start(&self) {
        if let Some(Supervised { parent, child }) = &self.parent {
            parent.started(*child, self.life.load(Relaxed));
        }
    }

    pub(crate) fn report_end(&self, life: u64, end: LifeEnd) {
        if let Some(Supervised { parent, child }) = &self.parent {
            parent.ended(*child, life, end);
        }
    }

    /// For a supervisor, whose one life is over.
    pub(crate) fn report_own_end(&self, end: LifeEnd) {
        self.report_end(self.life.load(Relaxed), end);
    }

    pub(crate) fn report_gone(&self, life: u64) {
        if let Some(Supervised { parent, child }) = &self.parent {
            let exit = self.exit().unwrap_or(Exit::Stopped);
            let end = if exit.is_normal() { LifeEnd::Stopped } else { LifeEnd::Failed(Failure::Error(exit.to_string())) };
            parent.gone(*child, life, end);
        }
    }

    pub(crate) fn note_failure(&self, failure: Failure) {
        if matches!(failure, Failure::Panic(_)) {
            self.common.totals.panics.fetch_add(1, Relaxed);
        }
        if self.common.planted().notice_at_restart {
            let hooks = std::mem::take(&mut self.state().hooks);
            hooks.into_values().for_each(|hook| hook(&failure.clone().exit()));
        }
        self.state().rare().last_failure = Some(failure);
        self.failures.fetch_add(1, SeqCst);
    }

    /// It gives its state up, with all that it was doing, because others failed.
    pub(crate) fn note_restart(&self) {
        self.state().rare().last_failure = Some(Failure::Error("its supervisor restarts it with others, or was asked to".into()));
        self.failures.fetch_add(1, SeqCst);
    }

    #[inline]
    pub(crate) fn note_handled(&self, messages: u64, busy: Option<Duration>) {
        // Nobody else writes it.
        self.handled.store(self.handled.load(Relaxed) + messages, Relaxed);
        if let Some(busy) = busy {
            self.busy.fetch_add(busy.as_nanos().try_into().unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// The reason, for those who find the mailbox closed.
    pub(crate) fn note_exit(&self, exit: Exit) {
        self.state().exit.get_or_insert(exit);
    }

    /// Nothing is left of the actor: not its state, not its name.
    pub(crate) fn announce_end(&self) {
        let (hooks, exit) = {
            let mut state = self.state();
            state.announced = true;
            if state.hooks.is_empty() {
                return;
            }
            (std::mem::take(&mut state.hooks), state.exit.clone().unwrap_or(Exit::Stopped))
        };
        for hook in hooks.into_values() {
            hook(&exit);
        }
    }

    /// The actor looks around once more.
    pub(crate) fn unpark(&self) {
        self.parked.store(false, Relaxed);
    }

    /// Whether nobody has brought anything since the actor parked.
    #[inline]
    pub(crate) fn is_parked(&self) -> bool {
        self.parked.load(Relaxed)
    }
}

struct Unhook<'a>(&'a Shared, u64);

impl Drop for Unhook<'_> {
    fn drop(&mut self) {
        self.0.unhook(self.1);
    }
}
