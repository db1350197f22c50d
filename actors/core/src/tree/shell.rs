//! The task that runs a supervisor: events in, effects carried out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use playhouse_rt::sync::{mpsc, oneshot};
use playhouse_rt::{select, sleep_until, timeout};
use playhouse_wire::{ActorName, Exit, Time};

use super::REQUESTS;
use super::builder::Supervision;
use super::child::{Build, Child, Kind, Lives};
use super::handle::{Request, SupervisorLife, SupervisorRef, TreeError};
use crate::limits::ABORT_GRACE;
use crate::shared::{Failure, Life, LifeEnd, Manner, Parent, Shared, Supervised};
use crate::supervise::{ChildId, Effect, End, Event, Ignored, Supervisor, SupervisorSpec};
use crate::system::System;

/// What the children report, in order. Bounded by the machine: it has no more than one life of each child under way.
#[derive(Default)]
pub(super) struct Post(Mutex<Inbox>);

#[derive(Default)]
struct Inbox {
    reports: VecDeque<(ChildId, u64, Word)>,
    waker: Option<Waker>,
}

enum Word {
    Started,
    Ended(End),
}

impl Post {
    fn put(&self, child: u64, life: u64, word: Word) {
        let waker = {
            let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inbox.reports.push_back((ChildId(child), life, word));
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn next(&self) -> (ChildId, u64, Word) {
        std::future::poll_fn(|cx| {
            let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match inbox.reports.pop_front() {
                Some(report) => Poll::Ready(report),
                None => {
                    inbox.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

fn end_of(end: LifeEnd) -> End {
    match end {
        LifeEnd::Normal => End::Normal,
        LifeEnd::Stopped => End::Stopped,
        LifeEnd::Failed(Failure::Panic(text)) => End::Failed(format!("panicked: {text}")),
        LifeEnd::Failed(Failure::Error(text)) => End::Failed(text),
    }
}

impl Parent for Post {
    fn started(&self, child: u64, life: u64) {
        self.put(child, life, Word::Started);
    }

    fn ended(&self, child: u64, life: u64, end: LifeEnd) {
        self.put(child, life, Word::Ended(end_of(end)));
    }

    fn gone(&self, child: u64, life: u64, end: LifeEnd) {
        // A life that was reported already is over for the machine, which ignores this.
        self.put(child, life, Word::Ended(end_of(end)));
    }
}

struct Shell {
    system: System,
    life: Arc<SupervisorLife>,
    machine: Supervisor,
    children: BTreeMap<ChildId, Child>,
    ids: BTreeMap<String, ChildId>,
    post: Arc<Post>,
    requests: mpsc::Receiver<Request>,
    timers: BTreeSet<(Instant, ChildId, u64)>,
    timer_of: BTreeMap<ChildId, (Instant, u64)>,
    removals: BTreeMap<ChildId, oneshot::Sender<Result<(), Ignored>>>,
    announced: bool,
    /// Who waits for all children to be up.
    up: Option<oneshot::Sender<()>>,
}

/// Starts a supervisor and waits until its children are up.
pub(crate) async fn start_and_wait(system: &System, supervision: Supervision) -> Result<SupervisorRef, TreeError> {
    let name = ActorName::new(&supervision.spec.name)?;
    let (supervisor, is_up) = start(system, name, supervision, None)?;
    match is_up.await {
        Ok(()) => Ok(supervisor),
        Err(_) => Err(TreeError::Start(supervisor.ended().await.to_string())),
    }
}

/// Starts a supervisor, and gives what tells that all its children are up (or, dropped, that they will not be).
fn start(
    system: &System,
    name: ActorName,
    supervision: Supervision,
    parent: Option<Supervised>,
) -> Result<(SupervisorRef, oneshot::Receiver<()>), TreeError> {
    let Supervision { spec, builds } = supervision;
    let spec = SupervisorSpec { name: name.to_string(), ..spec };
    let mut ids = BTreeMap::new();
    let mut children = BTreeMap::new();
    for (at, (spec, build)) in spec.children.iter().zip(builds).enumerate() {
        let id = ChildId(at as u64 + 1);
        ActorName::new(&format!("{name}/{}", spec.name))?;
        if ids.insert(spec.name.clone(), id).is_some() {
            return Err(TreeError::Taken(spec.name.clone()));
        }
        children.insert(id, Child { name: spec.name.clone(), build, lives: Lives::Nothing, ending: None });
    }
    let machine = Supervisor::planted(spec, system.common().planted().supervise)?;
    let shared = Shared::new(system.next_number(), Some(name), || "Supervisor", system.common().clone(), parent);
    let life = Arc::new(SupervisorLife(shared));
    let (sender, requests) = mpsc::channel(REQUESTS);
    let handle = SupervisorRef { system: system.clone(), life: life.clone(), requests: sender };
    let known: Arc<dyn Life> = handle.life.clone();
    system.enlist(&known, handle.clone()).map_err(|taken| TreeError::Taken(taken.0.to_string()))?;
    let (up, is_up) = oneshot::channel();
    let shell = Shell {
        system: system.clone(),
        life,
        machine,
        children,
        ids,
        post: Arc::default(),
        requests,
        timers: BTreeSet::new(),
        timer_of: BTreeMap::new(),
        removals: BTreeMap::new(),
        announced: false,
        up: Some(up),
    };
    playhouse_rt::spawn(shell.run());
    Ok((handle, is_up))
}

impl Shell {
    async fn run(mut self) {
        playhouse_rt::ledger::name_task(|| self.life.0.name().to_string());
        let mut end = self.feed(Event::Start).await.unwrap_or(None);
        while end.is_none() {
            let next = self.timers.first().copied();
            let timer = async {
                match next {
                    Some((at, _, _)) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let life = self.life.clone();
            let post = self.post.clone();
            let event = select! {
                manner = told_to_stop(&life) => {
                    if manner == Manner::Now {
                        self.cut_off();
                    }
                    Some(Event::Stop)
                },
                (child, life, word) = post.next() => Some(match word {
                    Word::Started => Event::Started { child, life },
                    Word::Ended(end) => Event::Ended { child, life, end, dice: self.system.dice() },
                }),
                () = timer => next.map(|(at, child, timer)| {
                    self.timers.remove(&(at, child, timer));
                    self.timer_of.remove(&child);
                    Event::Timer { child, timer }
                }),
                Some(request) = self.requests.recv() => {
                    end = self.answer(request).await;
                    None
                }
            };
            if let Some(event) = event {
                // What is late or comes twice changes nothing.
                end = self.feed(event).await.unwrap_or(None);
            }
        }
        self.finish(end.unwrap_or(End::Stopped)).await;
    }

    fn now(&self) -> Time {
        let since = playhouse_rt::now().saturating_duration_since(self.system.common().began);
        Time::from_nanos(since.as_nanos().try_into().unwrap_or(u64::MAX))
    }

    /// Tells the machine, and carries out what it wants; its end, if this was it.
    async fn feed(&mut self, event: Event) -> Result<Option<End>, Ignored> {
        let mut effects = Vec::new();
        self.machine.on(self.now(), event, &mut effects)?;
        let mut end = None;
        for effect in effects {
            if let Some(down) = self.carry_out(effect).await {
                end = Some(down);
            }
        }
        Ok(end)
    }

    async fn carry_out(&mut self, effect: Effect) -> Option<End> {
        match effect {
            Effect::StartChild { child, life } => self.start_child(child, life).await,
            Effect::StopChild { child, restart, .. } => match self.lives(child) {
                Some(Lives::Actor(actor)) if restart => actor.shared().suspend(),
                Some(Lives::Actor(actor)) => actor.shared().stop(Manner::Drained, Exit::Stopped),
                Some(Lives::Supervisor(supervisor)) => supervisor.stop(),
                Some(Lives::Nothing) | None => {}
            },
            Effect::AbortChild { child, .. } => {
                self.let_go(child, Manner::Now);
                // Whoever stops next was started before it, and may be used by it until then.
                if let Some(child) = self.children.get_mut(&child) {
                    gone(child.ending.take()).await;
                }
            }
            Effect::Rest { child } => self.let_go(child, Manner::Soon),
            Effect::Forgotten { child } => {
                self.let_go(child, Manner::Soon);
                if let Some(child) = self.children.remove(&child) {
                    self.ids.remove(&child.name);
                    gone(child.ending).await;
                }
                if let Some(done) = self.removals.remove(&child) {
                    // Who asked may not wait any more.
                    let _ = done.send(Ok(()));
                }
            }
            Effect::SetTimer { child, timer, after } => {
                let at = crate::ask::after(playhouse_rt::now(), after);
                self.clear_timer(child);
                self.timers.insert((at, child, timer));
                self.timer_of.insert(child, (at, timer));
            }
            Effect::ClearTimer { child } => self.clear_timer(child),
            Effect::Up => {
                if let Some(up) = self.up.take() {
                    // Who started it may not wait any more.
                    let _ = up.send(());
                }
                self.life.0.report_start();
            }
            Effect::Down { end } => return Some(end),
        }
        None
    }

    fn lives(&self, child: ChildId) -> Option<&Lives> {
        self.children.get(&child).map(|child| &child.lives)
    }

    fn clear_timer(&mut self, child: ChildId) {
        if let Some((at, timer)) = self.timer_of.remove(&child) {
            self.timers.remove(&(at, child, timer));
        }
    }

    /// The child's mailbox ends, if it has one.
    fn let_go(&mut self, child: ChildId, manner: Manner) {
        let Some(child) = self.children.get_mut(&child) else { return };
        match std::mem::replace(&mut child.lives, Lives::Nothing) {
            Lives::Nothing => {}
            Lives::Actor(actor) => {
                actor.shared().stop(manner, Exit::Stopped);
                child.ending = Some(actor);
            }
            Lives::Supervisor(supervisor) => {
                supervisor.stop();
                child.ending = Some(supervisor.life);
            }
        }
    }

    /// Nobody has time any more.
    fn cut_off(&self) {
        for child in self.children.values() {
            match &child.lives {
                Lives::Nothing => {}
                Lives::Actor(actor) => actor.shared().stop(Manner::Now, Exit::Stopped),
                Lives::Supervisor(supervisor) => supervisor.life.0.stop(Manner::Now, Exit::Stopped),
            }
        }
    }

    async fn start_child(&mut self, id: ChildId, life: u64) {
        let parent = Supervised { parent: self.post.clone(), child: id.0 };
        let supervisor = self.life.0.name().clone();
        let system = self.system.clone();
        let Some(child) = self.children.get_mut(&id) else { return };
        // Somebody else may have stopped it for good: it is built behind another mailbox then.
        if let Lives::Actor(actor) = &child.lives
            && actor.shared().exit().is_some()
            && !system.common().planted().stopped_child_forgotten
        {
            child.ending = Some(actor.clone());
            child.lives = Lives::Nothing;
        }
        // Its name must be free.
        gone(child.ending.take()).await;
        let failed = match (&mut child.lives, &mut child.build.0) {
            // Behind the mailbox that it has.
            (Lives::Actor(actor), _) => {
                actor.shared().start(life);
                return;
            }
            (lives, build) => {
                let name = format!("{supervisor}/{}", child.name);
                match ActorName::new(&name) {
                    Err(error) => error.to_string(),
                    Ok(name) => match build_one(build, &system, name, parent) {
                        Ok(built) => {
                            match &built {
                                Lives::Nothing => {}
                                Lives::Actor(actor) => actor.shared().start(life),
                                Lives::Supervisor(below) => below.life.0.set_life(life),
                            }
                            *lives = built;
                            return;
                        }
                        Err(why) => why,
                    },
                }
            }
        };
        self.post.put(id.0, life, Word::Ended(End::Failed(failed)));
    }

    async fn answer(&mut self, request: Request) -> Option<End> {
        let (done, result) = match request {
            Request::Report { done } => {
                let below = self.children.iter().filter_map(|(id, child)| match &child.lives {
                    Lives::Supervisor(supervisor) => Some((*id, supervisor.clone())),
                    _ => None,
                });
                let _ = done.send((self.machine.report(), below.collect()));
                return None;
            }
            Request::Add { spec, build, done } => (done, self.add(spec, build).await),
            Request::Remove { name, done } if !self.system.common().planted().removed_returns => {
                let Some(id) = self.ids.get(&name).copied() else { return refuse(done, Ignored::NoSuchChild) };
                if self.removals.contains_key(&id) {
                    return refuse(done, Ignored::Already);
                }
                self.removals.insert(id, done);
                match self.feed(Event::Remove { child: id }).await {
                    Ok(end) => return end,
                    Err(ignored) => {
                        if let Some(done) = self.removals.remove(&id) {
                            return refuse(done, ignored);
                        }
                        return None;
                    }
                }
            }
            Request::Remove { name, done } | Request::Restart { name, done } => match self.ids.get(&name).copied() {
                Some(child) => (done, self.feed(Event::Restart { child }).await),
                None => (done, Err(Ignored::NoSuchChild)),
            },
        };
        match result {
            Ok(end) => {
                let _ = done.send(Ok(()));
                end
            }
            Err(ignored) => refuse(done, ignored),
        }
    }

    async fn add(&mut self, spec: crate::supervise::ChildSpec, build: Build) -> Result<Option<End>, Ignored> {
        if self.ids.contains_key(&spec.name) {
            return Err(Ignored::NumberTaken);
        }
        let id = self.machine.next_child();
        let name = spec.name.clone();
        self.children.insert(id, Child { name: name.clone(), build, lives: Lives::Nothing, ending: None });
        let result = self.feed(Event::Add { child: id, spec }).await;
        match &result {
            Ok(_) => drop(self.ids.insert(name, id)),
            Err(_) => drop(self.children.remove(&id)),
        }
        result
    }

    async fn finish(mut self, end: End) {
        for id in self.children.keys().copied().collect::<Vec<_>>() {
            self.let_go(id, Manner::Now);
        }
        for child in self.children.values_mut() {
            gone(child.ending.take()).await;
        }
        let shared = &self.life.0;
        let (exit, end) = match end {
            End::Failed(text) => (Exit::Failed(text.clone()), LifeEnd::Failed(Failure::Error(text))),
            End::Normal | End::Stopped => (shared.why_stopped(), LifeEnd::Stopped),
        };
        self.announce(exit, end);
    }

    fn announce(&mut self, exit: Exit, end: LifeEnd) {
        let shared = &self.life.0;
        playhouse_rt::ledger::record("stop", || format!("{}: {exit}", shared.name()));
        self.announced = true;
        shared.note_exit(exit);
        self.system.forget(shared);
        shared.announce_end();
        shared.report_own_end(end);
    }
}

impl Drop for Shell {
    /// Its task was dropped with the runtime, or panicked: nobody is to wait for it, and no child to be under nobody.
    fn drop(&mut self) {
        if !self.announced {
            self.cut_off();
            let why = "the supervisor's task was dropped".to_string();
            self.announce(Exit::Failed(why.clone()), LifeEnd::Failed(Failure::Error(why)));
        }
    }
}

/// Builds a child, or says why not. It runs code of the author's, whose panic is a failed start.
fn build_one(kind: &mut Kind, system: &System, name: ActorName, parent: Supervised) -> Result<Lives, String> {
    let build = || match kind {
        Kind::Actor(make) => make(system, name, parent).map(Lives::Actor).map_err(|error| error.to_string()),
        Kind::Supervisor(build) => {
            let below = start(system, name, build(), Some(parent));
            below.map(|(below, _)| Lives::Supervisor(below)).map_err(|error| error.to_string())
        }
    };
    catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|panic| Err(format!("panicked: {}", playhouse_rt::panic_text(&*panic))))
}

/// Waits until a child that was let go is no more. It has nothing left to do; only one that blocks its thread is not waited for.
async fn gone(ending: Option<Arc<dyn Life>>) {
    if let Some(life) = ending {
        let _ = timeout(ABORT_GRACE, life.shared().ended()).await;
    }
}

fn refuse(done: oneshot::Sender<Result<(), Ignored>>, why: Ignored) -> Option<End> {
    // Who asked may not wait any more.
    let _ = done.send(Err(why));
    None
}

/// Waits until somebody wants the supervisor to stop, or wants it more strictly than before.
async fn told_to_stop(life: &SupervisorLife) -> Manner {
    std::future::poll_fn(|cx| {
        life.0.set_waker(cx.waker());
        life.0.park();
        match life.0.has_orders().then(|| life.0.orders().stop) {
            Some(Some((manner, _))) => Poll::Ready(manner),
            _ => Poll::Pending,
        }
    })
    .await
}
