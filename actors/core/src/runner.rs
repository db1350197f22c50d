//! The future that is an actor: takes messages, runs its futures, catches its panics and builds it anew.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use actix::{Actor, ActorState, AsyncContext, Running};
use playhouse_rt::Sleep;

use crate::limits::BUDGET;
use crate::mailbox::Receiver;
use crate::restart::{Restart, Verdict, admit};
use crate::shared::Shared;
use crate::{Ctx, Exit};

pub(crate) type Factory<A> = Box<dyn FnMut() -> A + Send>;

pub(crate) struct Runner<A: Actor<Context = Ctx<A>>> {
    shared: Arc<Shared>,
    factory: Factory<A>,
    /// None before the start, after a panic and at the end.
    actor: Option<A>,
    ctx: Ctx<A>,
    mailbox: Receiver<A>,
    policy: Restart,
    restarts: VecDeque<Instant>,
    backoff: Option<Pin<Box<Sleep>>>,
}

// The future of the actor is never pinned into: it owns its parts in boxes.
impl<A: Actor<Context = Ctx<A>>> Unpin for Runner<A> {}

impl<A: Actor<Context = Ctx<A>>> Runner<A> {
    pub(crate) fn new(ctx: Ctx<A>, shared: Arc<Shared>, factory: Factory<A>, mailbox: Receiver<A>, policy: Restart) -> Runner<A> {
        Runner { shared, factory, actor: None, ctx, mailbox, policy, restarts: VecDeque::new(), backoff: None }
    }

    /// Runs until there is nothing to do now (pending) or ever (the reason).
    fn turn(&mut self, task: &mut Context<'_>) -> Poll<Exit> {
        if let Some(backoff) = &mut self.backoff {
            if self.shared.is_stopping() {
                return Poll::Ready(self.shared.why_stopping());
            }
            if backoff.as_mut().poll(task).is_pending() {
                return Poll::Pending;
            }
            self.backoff = None;
        }
        if self.actor.is_none() {
            let actor = self.actor.insert((self.factory)());
            self.ctx.state = ActorState::Running;
            actor.started(&mut self.ctx);
        }
        let Some(actor) = &mut self.actor else { unreachable!("built above") };
        let ctx = &mut self.ctx;
        let mut budget = BUDGET;
        let mut unreferenced = false;
        loop {
            if self.shared.is_stopping() {
                ctx.state = ActorState::Stopping;
            }
            if ctx.state == ActorState::Stopping && !self.shared.is_stopping() && actor.stopping(ctx) == Running::Continue {
                ctx.state = ActorState::Running;
            }
            if matches!(ctx.state, ActorState::Stopping | ActorState::Stopped) {
                return Poll::Ready(self.shared.why_stopping());
            }
            // What the actor waits for has it for itself: no message is handled and nothing that it spawned runs meanwhile.
            if let Some(mut wait) = ctx.waits.pop_front() {
                if wait.as_mut().poll(actor, ctx, task).is_pending() {
                    ctx.waits.push_front(wait);
                    return Poll::Pending;
                }
            } else {
                while budget > 0 && !unreferenced && !ctx.waiting() && !self.shared.is_stopping() {
                    match self.mailbox.poll_recv(task) {
                        Poll::Ready(Some(envelope)) => {
                            budget -= 1;
                            envelope.deliver(actor, ctx);
                        }
                        Poll::Ready(None) => unreferenced = true,
                        Poll::Pending => break,
                    }
                }
                if !ctx.waiting()
                    && let Some(mut door) = ctx.side_door.take()
                {
                    door.poll(actor, ctx, task);
                    unreferenced &= !door.connected();
                    let _ = ctx.side_door.set(door);
                }
                // Once in every turn, however full the mailbox is.
                let moved = !ctx.waiting() && poll_items(actor, ctx, task);
                if budget > 0 && !moved && !ctx.waiting() && !self.shared.is_stopping() {
                    let done = unreferenced && ctx.items.is_empty();
                    return if done { Poll::Ready(Exit::Unreferenced) } else { Poll::Pending };
                }
            }
            if budget == 0 {
                // Others of this thread come first now.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            budget -= 1;
        }
    }

    fn after_panic(&mut self, text: String) -> Option<Exit> {
        self.shared.note_panic(text.clone());
        tracing::warn!(actor = %self.shared.name, panic = %text, "an actor panicked");
        // Its drop may panic as well; that changes nothing.
        let actor = self.actor.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(actor)));
        let _ = catch_unwind(AssertUnwindSafe(|| self.ctx.reset()));
        match admit(&mut self.restarts, playhouse_rt::now(), &self.policy) {
            Verdict::After(wait) => {
                playhouse_rt::ledger::record("restart", || self.shared.name.to_string());
                self.shared.totals.restarts.fetch_add(1, Ordering::Relaxed);
                self.backoff = Some(Box::pin(playhouse_rt::sleep(wait)));
                None
            }
            Verdict::Stop => Some(Exit::Panicked(text)),
        }
    }

    fn finish(&mut self, exit: Exit) {
        if let Some(mut actor) = self.actor.take() {
            self.ctx.state = ActorState::Stopped;
            let stopped = catch_unwind(AssertUnwindSafe(|| {
                actor.stopped(&mut self.ctx);
                drop(actor);
            }));
            if let Err(panic) = stopped {
                self.shared.note_panic(playhouse_rt::panic_text(&*panic));
            }
        }
        playhouse_rt::ledger::record("stop", || format!("{}: {exit}", self.shared.name));
        // First the reason, then the end of the mailbox: who finds it closed finds the reason.
        self.shared.note_exit(exit);
        self.mailbox.close();
    }
}

/// Polls what the actor spawned; true when something of it ended or new things came.
fn poll_items<A: Actor<Context = Ctx<A>>>(actor: &mut A, ctx: &mut Ctx<A>, task: &mut Context<'_>) -> bool {
    let mut moved = false;
    // Taken out, so that an item can spawn others while it runs.
    let mut items = std::mem::take(&mut ctx.items);
    let mut at = 0;
    while at < items.len() {
        if ctx.cancelled.contains(&items[at].0) {
            drop(items.remove(at));
        } else if items[at].1.as_mut().poll(actor, ctx, task).is_ready() {
            moved = true;
            drop(items.remove(at));
        } else {
            at += 1;
        }
    }
    if !ctx.cancelled.is_empty() {
        items.retain(|(handle, _)| !ctx.cancelled.contains(handle));
        let cancelled = std::mem::take(&mut ctx.cancelled);
        ctx.items.retain(|(handle, _)| !cancelled.contains(handle));
    }
    moved |= !ctx.items.is_empty();
    items.append(&mut ctx.items);
    ctx.items = items;
    moved
}

impl<A: Actor<Context = Ctx<A>>> Future for Runner<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.begin_turn(task.waker());
        let turn = catch_unwind(AssertUnwindSafe(|| this.turn(task)));
        let exit = match turn {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(exit)) => Some(exit),
            Err(panic) => {
                let exit = this.after_panic(playhouse_rt::panic_text(&*panic));
                // The back-off is polled in the next turn.
                task.waker().wake_by_ref();
                exit
            }
        };
        let done = exit.is_some();
        if let Some(exit) = exit {
            this.finish(exit);
        }
        this.shared.end_turn();
        if done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<A: Actor<Context = Ctx<A>>> Drop for Runner<A> {
    fn drop(&mut self) {
        // Dropped while it was alive, with its thread or its node: who waits for it learns that.
        self.shared.note_exit(Exit::NodeStopped);
        self.mailbox.close();
        // All that was the actor's goes before its end is announced; a panic on the way changes nothing.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.actor = None;
            self.ctx.reset();
            while self.mailbox.try_recv().is_ok() {}
        }));
        self.shared.totals.alive.fetch_sub(1, Ordering::Relaxed);
        self.ctx.system().forget(&self.shared);
        self.shared.announce_end();
    }
}
