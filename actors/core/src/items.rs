//! The futures that an actor runs beside its messages. Each has a waker of its own, so that one that moves costs nothing to the others.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use actix::fut::ActorFuture;
use actix::{Actor, AsyncContext, SpawnHandle};

use crate::Ctx;
use crate::scope::Scope;

pub(crate) type Work<A> = Pin<Box<dyn ActorFuture<A, Output = ()>>>;

pub(crate) struct Items<A: Actor<Context = Ctx<A>>> {
    last: SpawnHandle,
    by_handle: BTreeMap<usize, Item<A>>,
    /// Made with the first item: most actors have none.
    ready: Option<Arc<Ready>>,
}

struct Item<A: Actor<Context = Ctx<A>>> {
    /// Not here while it is polled.
    work: Option<Work<A>>,
    waker: Arc<ItemWaker>,
    scope: Scope,
}

/// The items to be polled, in the order of their waking.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    handles: VecDeque<usize>,
    task: Option<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct ItemWaker {
    handle: usize,
    ready: Arc<Ready>,
    queued: AtomicBool,
}

impl Wake for ItemWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            let mut queue = self.ready.lock();
            queue.handles.push_back(self.handle);
            if let Some(task) = &queue.task {
                task.wake_by_ref();
            }
        }
    }
}

impl<A: Actor<Context = Ctx<A>>> Items<A> {
    pub(crate) fn new() -> Items<A> {
        Items { last: SpawnHandle::default(), by_handle: BTreeMap::new(), ready: None }
    }

    /// `task` is the actor's; it stays the same for all its lives.
    pub(crate) fn add(&mut self, work: Work<A>, scope: Scope, task: impl FnOnce() -> Option<Waker>) -> SpawnHandle {
        self.last = self.last.next();
        let handle = self.last.into_usize();
        let ready = self.ready.get_or_insert_with(|| {
            let queue = Queue { handles: VecDeque::new(), task: task() };
            Arc::new(Ready(Mutex::new(queue)))
        });
        let waker = Arc::new(ItemWaker { handle, ready: ready.clone(), queued: AtomicBool::new(true) });
        ready.lock().handles.push_back(handle);
        self.by_handle.insert(handle, Item { work: Some(work), waker, scope });
        self.last
    }

    /// False when there is none of that number (any more).
    pub(crate) fn cancel(&mut self, handle: SpawnHandle) -> bool {
        let was_there = self.by_handle.remove(&handle.into_usize()).is_some();
        if self.by_handle.is_empty()
            && let Some(ready) = &self.ready
        {
            // Nobody would look for those any more.
            ready.lock().handles.clear();
        }
        was_there
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_handle.is_empty()
    }

    /// Whether some of them answer an ask.
    pub(crate) fn are_answering(&self) -> bool {
        self.by_handle.values().any(|item| item.scope.deadline.is_some())
    }

    /// Whether some are to be polled.
    pub(crate) fn are_ready(&self) -> bool {
        self.waiting() > 0
    }

    fn waiting(&self) -> usize {
        match &self.ready {
            Some(ready) if !self.by_handle.is_empty() => ready.lock().handles.len(),
            _ => 0,
        }
    }

    fn take_ready(&mut self) -> Option<(usize, Work<A>, Arc<ItemWaker>, Scope)> {
        let ready = self.ready.as_ref()?;
        loop {
            let handle = ready.lock().handles.pop_front()?;
            // A late waking of one that has ended finds nothing.
            if let Some(item) = self.by_handle.get_mut(&handle)
                && let Some(work) = item.work.take()
            {
                return Some((handle, work, item.waker.clone(), item.scope));
            }
        }
    }
}

/// Polls each item that is ready, once. Those that are made meanwhile come next time.
pub(crate) fn poll_items<A: Actor<Context = Ctx<A>>>(actor: &mut A, ctx: &mut Ctx<A>) {
    let mut left = ctx.items.waiting();
    while left > 0
        && let Some((handle, mut work, waker, scope)) = ctx.items.take_ready()
    {
        left -= 1;
        // Before the poll: a waking in its midst must count.
        waker.queued.store(false, SeqCst);
        let _entered = scope.enter();
        let done = work.as_mut().poll(actor, ctx, &mut Context::from_waker(&Waker::from(waker))).is_ready();
        if done {
            ctx.items.by_handle.remove(&handle);
        } else if let Some(item) = ctx.items.by_handle.get_mut(&handle) {
            item.work = Some(work);
        }
        if ctx.waiting() {
            break;
        }
    }
}
