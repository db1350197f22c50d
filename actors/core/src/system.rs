//! The actors of one node.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::Actor;
use playhouse_rt::{Blocking, Locals, Place};
use playhouse_wire::limits::DEADLINE_MAX;
use playhouse_wire::{ActorName, Exit, Incarnation, NodeName, RemoteError};

use crate::common::Common;
use crate::counters::{Counters, Distribution};
use crate::deliver::short_name;
use crate::descent::Descent;
use crate::error::NameTaken;
use crate::inbound::{Answer, Answers, Door, Published, Taken};
use crate::letters::{DeadLetter, DeadLetters, Letter};
use crate::limits::{BLOCKING, MAILBOX};
use crate::mailbox::{Mailbox, Overflow};
use crate::passage::{Reading, read_here};
use crate::protocol::{Arrival, Remote};
use crate::reference::Cell;
use crate::restart::Restart;
use crate::route::Route;
use crate::runner::{BuildError, Factory, Runner};
use crate::shared::{Life, Manner, Shared, Supervised};
use crate::tree::{self, Supervision, SupervisorRef, TreeError};
use crate::{Ctx, Ref};

/// The actors of one node. A value, not a global: several live in one process. Cheap to clone.
///
/// Actors with a name, and supervisors, keep it alive: end it with [`System::stop`].
#[derive(Clone)]
pub struct System(Arc<Inner>);

struct Inner {
    common: Arc<Common>,
    locals: Locals,
    blocking: Blocking,
    next: AtomicU64,
    stopping: AtomicBool,
    directory: Mutex<Directory>,
}

#[derive(Default)]
struct Directory {
    /// All that live, by number: in the order of their starts.
    alive: BTreeMap<u64, Arc<dyn Life>>,
    /// Those that were given a name: their numbers, and a `Ref<A>` each, or nothing for a supervisor.
    named: BTreeMap<ActorName, (u64, Box<dyn Any + Send + Sync>)>,
    supervisors: BTreeMap<u64, SupervisorRef>,
}

/// How an actor is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnOptions {
    /// How many messages its mailbox holds; at least one: 0 is taken as 1.
    pub mailbox: usize,
    /// What becomes of one more.
    pub overflow: Overflow,
    /// Whether it is built anew after a failure. An actor under a supervisor is built anew by that one's choice.
    pub restart: Restart,
    /// Whether other nodes may stop it, and link it to actors of theirs.
    pub stoppable: bool,
}

impl Default for SpawnOptions {
    fn default() -> SpawnOptions {
        SpawnOptions { mailbox: MAILBOX, overflow: Overflow::default(), restart: Restart::default(), stoppable: true }
    }
}

/// What a system could not do before it stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Actors that had not ended in time and were cut off: what they were doing is undone, and who asked for it was told.
    pub cut_off: Vec<ActorName>,
    /// Those of them that not even that ended, for they block their thread; they still run.
    pub late: Vec<ActorName>,
    /// Messages that waited in mailboxes and were not handled. Who asked was told; each is a dead letter.
    pub lost: u64,
}

/// What is known of one actor now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorStatus {
    /// Its name.
    pub name: ActorName,
    /// The last part of its type.
    pub kind: &'static str,
    /// Messages that wait for it.
    pub depth: usize,
    /// How many may.
    pub bound: usize,
    /// Messages that it has handled.
    pub handled: u64,
    /// How long it has been running, if times are taken (see [`System::take_times`]).
    pub busy: Duration,
    /// How often it was built anew.
    pub restarts: u32,
}

impl System {
    /// A system for the node called `node`, with `threads` threads for its actors (0: one per core).
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn new(node: NodeName, threads: usize) -> std::io::Result<System> {
        System::of_life(node, Incarnation(0), threads)
    }

    /// The same, for a certain life of the node: actors without a name of their own are called after it, so that another life's are
    /// not mistaken for them.
    ///
    /// # Errors
    /// As [`System::new`].
    pub fn of_life(node: NodeName, life: Incarnation, threads: usize) -> std::io::Result<System> {
        Ok(System(Arc::new(Inner {
            common: Arc::new(Common::new(node, life)),
            locals: Locals::new(threads)?,
            blocking: Blocking::new(BLOCKING),
            next: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            directory: Mutex::default(),
        })))
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.0.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.0.common
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// The node's name.
    pub fn node(&self) -> &NodeName {
        &self.0.common.node
    }

    /// Puts bugs in on purpose, before anything is started. Once.
    #[doc(hidden)]
    pub fn plant(&self, bugs: crate::Planted) {
        let _ = self.0.common.bugs.set(bugs);
    }

    /// The bugs that were put in.
    #[doc(hidden)]
    pub fn planted(&self) -> crate::Planted {
        self.0.common.planted()
    }

    /// The pool for work that blocks; see [`Ctx::offload`].
    pub fn blocking(&self) -> &Blocking {
        &self.0.blocking
    }

    // To start actors.

    /// Starts an actor without a name, built by `factory` now and after each failure. It lives until it is stopped, or until nobody
    /// holds a reference to it and its futures are done.
    #[must_use = "an actor that nobody holds a reference to ends"]
    #[track_caller]
    pub fn spawn<A, F>(&self, factory: F) -> Ref<A>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        self.spawn_with(SpawnOptions::default(), factory)
    }

    /// As [`System::spawn`], with options.
    #[must_use = "an actor that nobody holds a reference to ends"]
    #[track_caller]
    pub fn spawn_with<A, F>(&self, options: SpawnOptions, factory: F) -> Ref<A>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        let (reference, cell, go) = self.prepare(Place::here(), None, options, infallible(factory), None);
        self.directory().alive.insert(cell.shared.number, cell);
        self.start(&reference, go);
        reference
    }

    /// Starts an actor under a name that nobody else has. It lives until it is stopped.
    ///
    /// # Errors
    /// When an actor of that name lives here.
    #[track_caller]
    pub fn spawn_named<A, F>(&self, name: ActorName, options: SpawnOptions, factory: F) -> Result<Ref<A>, NameTaken>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        self.spawn_entry(Place::here(), name, options, infallible(factory), None, |_| ())
    }

    /// Starts an actor under a name by which other nodes can reach it.
    ///
    /// # Errors
    /// When an actor of that name lives here.
    #[track_caller]
    pub fn spawn_remote<A, F>(&self, name: ActorName, options: SpawnOptions, factory: F) -> Result<Ref<A>, NameTaken>
    where
        A: Remote,
        F: FnMut() -> A + Send + 'static,
    {
        self.know::<A>();
        self.spawn_entry(Place::here(), name, options, infallible(factory), None, |actor| self.publish(actor))
    }

    /// Starts a supervisor with its children, and waits until all of them have started.
    ///
    /// # Errors
    /// When a child could not be started, however often it was tried, or a name is none or taken. Nothing is left of it then. When this
    /// is dropped half-way, the supervisor goes on.
    pub async fn supervise(&self, supervision: Supervision) -> Result<SupervisorRef, TreeError> {
        tree::start(self, supervision).await
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Any number, another one each time.
    pub(crate) fn dice(&self) -> u64 {
        // SplitMix64's finalizer: the spans count up, and all bits must move.
        let mut dice = self.0.common.span();
        dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        dice ^ (dice >> 31)
    }

    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.directory().named.contains_key(name)
    }

    /// Makes a supervisor known under its name.
    pub(crate) fn enlist(&self, life: &Arc<dyn Life>, supervisor: SupervisorRef) -> Result<(), NameTaken> {
        let shared = life.shared();
        let mut directory = self.directory();
        if directory.named.contains_key(shared.name()) {
            return Err(NameTaken(shared.name().clone()));
        }
        directory.named.insert(shared.name().clone(), (shared.number, Box::new(())));
        directory.alive.insert(shared.number, life.clone());
        directory.supervisors.insert(shared.number, supervisor);
        drop(directory);
        if self.is_stopping() {
            shared.stop(Manner::Soon, Exit::NodeStopped);
        }
        Ok(())
    }

    /// The supervisors that nobody supervises, in the order of their starts.
    pub fn supervisors(&self) -> Vec<SupervisorRef> {
        let directory = self.directory();
        let top = directory
            .supervisors
            .iter()
            .filter(|(number, _)| directory.alive.get(number).is_some_and(|life| life.shared().parent.is_none()));
        top.map(|(_, supervisor)| supervisor.clone()).collect()
    }

    /// Lists the messages of an actor type, if that was not done before. It runs the author's code, so it comes before anything is changed.
    pub(crate) fn know<A: Remote>(&self) {
        let _known = self.0.common.doors.protocol::<A>();
    }

    /// Lets other nodes reach an actor by its name.
    pub(crate) fn publish<A: Remote>(&self, actor: &Ref<A>) {
        let doors = &self.0.common.doors;
        let published = Published { actor: actor.clone(), protocol: doors.protocol::<A>() };
        doors.open(actor.name(), Arc::new(published));
    }

    pub(crate) fn spawn_entry<A: Actor<Context = Ctx<A>>>(
        &self,
        place: Place,
        name: ActorName,
        options: SpawnOptions,
        factory: Factory<A>,
        parent: Option<Supervised>,
        publish: impl FnOnce(&Ref<A>),
    ) -> Result<Ref<A>, NameTaken> {
        let (reference, cell, go) = self.prepare(place, Some(name.clone()), options, factory, parent);
        let number = cell.shared.number;
        let named: Box<dyn Any + Send + Sync> = Box::new(reference.clone());
        let taken = {
            let mut directory = self.directory();
            if directory.named.contains_key(&name) {
                Some(named)
            } else {
                directory.named.insert(name.clone(), (number, named));
                directory.alive.insert(number, cell.clone());
                None
            }
        };
        // Outside the lock: what the factory holds is the author's, and may look up names when it is dropped.
        if taken.is_some() {
            cell.shared.note_exit(Exit::Stopped);
            cell.shared.announce_end();
            return Err(NameTaken(name));
        }
        publish(&reference);
        self.start(&reference, go);
        Ok(reference)
    }

    fn prepare<A: Actor<Context = Ctx<A>>>(
        &self,
        place: Place,
        name: Option<ActorName>,
        options: SpawnOptions,
        factory: Factory<A>,
        parent: Option<Supervised>,
    ) -> (Ref<A>, Arc<Cell<A>>, impl FnOnce(&Locals) + use<A>) {
        let number = self.next_number();
        let shared = Shared::new(number, name, short_name::<A>, self.0.common.clone(), parent);
        let planted = self.0.common.planted();
        let bound = options.mailbox + if planted.bound_plus_two { 2 } else { usize::from(planted.bound_plus_one) };
        let cell = Arc::new(Cell::new(shared, Mailbox::new(bound, options.overflow), options.stoppable));
        let reference = Ref::to_cell(cell.clone());
        let (system, of_runner) = (self.clone(), cell.clone());
        // Actors are dealt out to the threads in turn.
        let thread = if planted.one_thread { 0 } else { number as usize };
        let go = move |locals: &Locals| {
            locals.spawn_from(place, thread, move || {
                playhouse_rt::ledger::name_task(|| of_runner.shared.name().to_string());
                Runner::new(system, of_runner, factory, options.restart)
            });
        };
        (reference, cell, go)
    }

    fn start<A: Actor<Context = Ctx<A>>>(&self, actor: &Ref<A>, go: impl FnOnce(&Locals)) {
        let shared = &actor.cell().expect("it was made here").shared;
        let totals = &self.0.common.totals;
        totals.spawned.fetch_add(1, Ordering::Relaxed);
        totals.alive.fetch_add(1, Ordering::Relaxed);
        if self.is_stopping() {
            shared.stop(Manner::Soon, Exit::NodeStopped);
        }
        playhouse_rt::ledger::record("spawn", || shared.name().to_string());
        go(&self.0.locals);
    }

    // To find actors.

    /// The actor of that name and type that lives here.
    pub fn lookup<A: Actor<Context = Ctx<A>>>(&self, name: &str) -> Option<Ref<A>> {
        self.directory().named.get(name)?.1.downcast_ref::<Ref<A>>().cloned()
    }

    /// A reference to the actor called `name` on the node that `route` leads to. Whether it lives there shows when it is asked.
    pub fn remote<A: Remote>(&self, route: Arc<dyn Route>, name: ActorName) -> Ref<A> {
        let common = self.0.common.clone();
        Ref::remote(route, name, common.doors.protocol::<A>(), common)
    }

    /// Tells how other nodes are reached, for references that arrive in messages.
    pub fn set_routes(&self, routes: impl Fn(&NodeName) -> Arc<dyn Route> + Send + Sync + 'static) {
        self.0.common.doors.set_routes(Some(Arc::new(routes)));
    }

    // To see what happens.

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        let common = &self.0.common;
        common.totals.read(common.letters.count())
    }

    /// Hears of dead letters, from now on.
    pub fn dead_letters(&self) -> DeadLetters {
        self.0.common.letters.listen()
    }

    /// Takes the time that messages wait and are handled, from now on or no more. Costs each turn of an actor two looks at the clock;
    /// waits are sampled.
    pub fn take_times(&self, yes: bool) {
        self.0.common.timed.store(yes, Ordering::Relaxed);
    }

    /// How long messages waited in mailboxes: a sample, of the time when times were taken.
    pub fn wait_times(&self) -> Distribution {
        self.0.common.totals.waiting.read()
    }

    /// How long messages were handled, each turn of an actor on average, of the time when times were taken.
    pub fn handle_times(&self) -> Distribution {
        self.0.common.totals.handling.read()
    }

    /// The actors that live now, in the order of their starts: at most `max` of them.
    pub fn actors(&self, max: usize) -> Vec<ActorStatus> {
        let lives: Vec<_> = self.directory().alive.values().take(max).cloned().collect();
        let status = |life: Arc<dyn Life>| {
            let shared = life.shared();
            ActorStatus {
                name: shared.name().clone(),
                kind: (shared.kind)(),
                depth: life.depth(),
                bound: life.bound(),
                handled: shared.handled.load(Ordering::Relaxed),
                busy: Duration::from_nanos(shared.busy.load(Ordering::Relaxed)),
                restarts: shared.restarts.load(Ordering::Relaxed),
            }
        };
        lives.into_iter().map(status).collect()
    }

    // For messages of other nodes.

    /// The door to the actor of that name, for messages of other nodes. It stays the door to that actor, also when another one gets
    /// the name.
    ///
    /// # Errors
    /// When no actor of that name may be reached from other nodes.
    pub fn door(&self, name: &str) -> Result<Door, RemoteError> {
        self.0.common.doors.find(name).map(Door).ok_or(RemoteError::UnknownActor)
    }

    /// While the guard lives, this thread decodes many messages for this node: cheaper than to begin anew for each.
    #[must_use = "dropped at once, it does nothing"]
    pub fn reading(&self) -> Reading {
        read_here(&self.0.common)
    }

    /// Takes a tell from another node, to the actor called `to`.
    ///
    /// # Errors
    /// Why it could not be delivered; it is a dead letter.
    pub fn receive_tell(&self, to: &str, door: &Result<Door, RemoteError>, arrival: &Arrival<'_>) -> Result<Taken, RemoteError> {
        let result = door.as_ref().map_err(Clone::clone).and_then(|door| door.0.tell(arrival));
        if let Err(error) = &result {
            self.undelivered(to, arrival, error);
        }
        if self.0.common.planted().twice_received {
            return door.as_ref().map_err(Clone::clone).and_then(|door| door.0.tell(arrival));
        }
        result
    }

    /// Notes that a tell from another node was not delivered after all: one that waited.
    pub fn undelivered(&self, to: &str, arrival: &Arrival<'_>, error: &RemoteError) {
        arrival.tag.record("lost", || format!("to {to}: {error}"));
        self.0.common.letters.post(|| DeadLetter {
            to: ActorName::new(to).unwrap_or_else(|_| ActorName::new("_/no-name").expect("a name")),
            message: Letter::Wire(arrival.id, arrival.lane),
            from: Some(arrival.from.node.clone()),
            why: error.to_string(),
        });
    }

    /// Takes an ask from another node and gives its encoded answer, later.
    ///
    /// # Errors
    /// Why it was not handled.
    pub fn receive_ask(
        &self,
        door: &Result<Door, RemoteError>,
        arrival: &Arrival<'_>,
        within: Duration,
    ) -> Result<Answer, RemoteError> {
        door.as_ref().map_err(Clone::clone)?.0.ask(arrival, within.min(DEADLINE_MAX))
    }

    /// Takes an ask with many answers from another node, and gives them, encoded, one by one.
    ///
    /// # Errors
    /// Why it was not handled.
    pub fn receive_open(
        &self,
        door: &Result<Door, RemoteError>,
        arrival: &Arrival<'_>,
        within: Duration,
    ) -> Result<Answers, RemoteError> {
        door.as_ref().map_err(Clone::clone)?.0.open(arrival, within.min(DEADLINE_MAX))
    }

    // To end.

    /// Stops all actors, the youngest first, each after the former has ended: it handles what is in its mailbox, answers what it can,
    /// and takes nothing new. A supervisor stops its children. Those that have not ended after `within`, counted over all, are cut off at
    /// their next wait, and count as late if even that does not end them in a tenth of a second. Actors that start meanwhile are stopped
    /// as well.
    ///
    /// Not to be awaited within an actor: that one would wait for its own end. Dropped half-way, it leaves the older actors running.
    pub async fn stop(&self, within: Duration) -> Shutdown {
        self.0.stopping.store(true, Ordering::Release);
        let lost_before = self.counters().lost;
        if self.planted().stop_hasty {
            let _ = playhouse_rt::timeout(Duration::ZERO, Descent::begin(self)).await;
            return Shutdown { cut_off: Vec::new(), late: Vec::new(), lost: 0 };
        }
        // Dropped with this future, or when the time is over.
        let _ = playhouse_rt::timeout(within.min(DEADLINE_MAX), Descent::begin(self)).await;
        // There is no more time: all that is left at once, and one wait for all.
        let left: Vec<_> = self.directory().alive.values().filter(|life| life.shared().parent.is_none()).cloned().collect();
        let cut_off = left.iter().map(|life| life.shared().name().clone()).collect();
        for life in &left {
            life.shared().stop(Manner::Now, Exit::NodeStopped);
        }
        let grace = playhouse_rt::now() + crate::limits::ABORT_GRACE;
        let mut late = Vec::new();
        for life in left {
            let left = grace.saturating_duration_since(playhouse_rt::now());
            if playhouse_rt::timeout(left, life.shared().ended()).await.is_err() {
                late.push(life.shared().name().clone());
            }
        }
        self.0.common.doors.set_routes(None);
        Shutdown { cut_off, late, lost: self.counters().lost - lost_before }
    }

    /// The youngest of those that nobody supervises and that were not told to stop yet: children are their supervisor's business.
    pub(crate) fn next_to_stop(&self, seen: &BTreeSet<u64>) -> Option<(u64, Arc<dyn Life>)> {
        let directory = self.directory();
        let mut unseen = directory.alive.iter().rev().filter(|(number, _)| !seen.contains(*number));
        let is_top = |(_, life): &(&u64, &Arc<dyn Life>)| life.shared().parent.is_none();
        let next = if self.0.common.planted().oldest_stops_first { unseen.rfind(is_top) } else { unseen.find(is_top) };
        next.map(|(number, life)| (*number, life.clone()))
    }

    pub(crate) fn forget(&self, shared: &Shared) {
        let _door = if self.0.common.doors.are_closed() {
            None
        } else {
            self.0.common.doors.close(shared.name().as_str(), shared.number)
        };
        // What the directory held is dropped outside its lock: it may be the last reference to other actors.
        let _held = {
            let mut directory = self.directory();
            let life = directory.alive.remove(&shared.number);
            let is_its_own = |directory: &Directory| {
                !directory.named.is_empty()
                    && directory.named.get(shared.name()).is_some_and(|(number, _)| *number == shared.number)
            };
            let named = is_its_own(&directory).then(|| directory.named.remove(shared.name()));
            let supervisor = directory.supervisors.remove(&shared.number);
            (life, named, supervisor)
        };
    }
}

/// A factory that cannot fail but by a panic.
pub(crate) fn infallible<A, F>(mut factory: F) -> Factory<A>
where
    A: Actor<Context = Ctx<A>>,
    F: FnMut() -> A + Send + 'static,
{
    Box::new(move || Ok::<A, BuildError>(factory()))
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "System({}, {:?})", self.node(), self.counters())
    }
}
