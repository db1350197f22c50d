//! A system: the actors of one node, by name, and the threads that they live on.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::Actor;
use playhouse_rt::Locals;
use playhouse_wire::limits::DEADLINE_MAX;
use playhouse_wire::{ActorName, NodeName, RemoteError};

use crate::counters::{Counters, Totals};
use crate::error::{Exit, NameTaken};
use crate::limits::MAILBOX;
use crate::mailbox;
use crate::protocol::{Answer, Arrival, Inbound, Protocol, Published, Remote, Route};
use crate::restart::Restart;
use crate::runner::Runner;
use crate::shared::Shared;
use crate::{Ctx, Ref};

/// The actors of one node. A value, not a global: several live in one process. Cheap to clone.
#[derive(Clone)]
pub struct System(Arc<Inner>);

struct Inner {
    node: NodeName,
    locals: Locals,
    next: AtomicU64,
    stopping: AtomicBool,
    directory: Mutex<Directory>,
    totals: Arc<Totals>,
}

#[derive(Default)]
struct Directory {
    /// All that live, by number: in the order of their starts.
    alive: BTreeMap<u64, Arc<Shared>>,
    numbers: BTreeMap<ActorName, u64>,
    /// Those that were given a name.
    named: BTreeMap<ActorName, Named>,
    protocols: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

struct Named {
    /// A `Ref<A>`.
    reference: Box<dyn Any + Send + Sync>,
    inbound: Option<Arc<dyn Inbound>>,
}

/// Where messages of other nodes enter an actor; see [`System::door`]. Cheap to clone.
#[derive(Clone)]
pub struct Door(Arc<dyn Inbound>);

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// How an actor is to live.
#[derive(Clone, Copy, Debug)]
pub struct SpawnOptions {
    /// How many messages its mailbox holds; one more is refused.
    pub mailbox: usize,
    /// Whether it is built anew after a panic.
    pub restart: Restart,
}

impl Default for SpawnOptions {
    fn default() -> SpawnOptions {
        SpawnOptions { mailbox: MAILBOX, restart: Restart::default() }
    }
}

impl System {
    /// A system for the node called `node`, with `threads` threads for its actors (0: one per core).
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn new(node: NodeName, threads: usize) -> std::io::Result<System> {
        Ok(System(Arc::new(Inner {
            node,
            locals: Locals::new(threads)?,
            next: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            directory: Mutex::default(),
            totals: Arc::default(),
        })))
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.0.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's name.
    pub fn node(&self) -> &NodeName {
        &self.0.node
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.0.totals.read()
    }

    /// Starts an actor without a name, built by `factory` now and after each panic. It lives until it is stopped, or until nobody
    /// holds a reference to it and its futures are done.
    pub fn spawn<A, F>(&self, factory: F) -> Ref<A>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        self.spawn_with(SpawnOptions::default(), factory)
    }

    /// As [`System::spawn`], with options.
    pub fn spawn_with<A, F>(&self, options: SpawnOptions, factory: F) -> Ref<A>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let name = ActorName::new(&format!("_/{number}")).expect("digits make a name");
        let (reference, start) = self.prepare(name, number, options, factory);
        self.directory().alive.insert(number, start.shared.clone());
        start.go();
        reference
    }

    /// Starts an actor under a name that nobody else has. It lives until it is stopped.
    ///
    /// # Errors
    /// When an actor of that name lives here.
    pub fn spawn_named<A, F>(&self, name: ActorName, options: SpawnOptions, factory: F) -> Result<Ref<A>, NameTaken>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        self.spawn_entry(name, options, factory, |_| None)
    }

    /// Starts an actor under a name by which other nodes can reach it.
    ///
    /// # Errors
    /// When an actor of that name lives here.
    pub fn spawn_remote<A, F>(&self, name: ActorName, options: SpawnOptions, factory: F) -> Result<Ref<A>, NameTaken>
    where
        A: Remote,
        F: FnMut() -> A + Send + 'static,
    {
        let protocol = self.protocol::<A>();
        self.spawn_entry(name, options, factory, |actor| Some(Arc::new(Published { actor: actor.clone(), protocol })))
    }

    fn spawn_entry<A, F>(
        &self,
        name: ActorName,
        options: SpawnOptions,
        factory: F,
        inbound: impl FnOnce(&Ref<A>) -> Option<Arc<dyn Inbound>>,
    ) -> Result<Ref<A>, NameTaken>
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (reference, start) = self.prepare(name.clone(), number, options, factory);
        let named = Named { reference: Box::new(reference.clone()), inbound: inbound(&reference) };
        let taken = {
            let mut directory = self.directory();
            if directory.named.contains_key(&name) {
                Some(named)
            } else {
                directory.named.insert(name.clone(), named);
                directory.numbers.insert(name.clone(), number);
                directory.alive.insert(number, start.shared.clone());
                None
            }
        };
        // Outside the lock: what the factory holds is the author's, and may look up names when it is dropped.
        if taken.is_some() {
            start.give_up();
            return Err(NameTaken(name));
        }
        start.go();
        Ok(reference)
    }

    fn prepare<A, F>(&self, name: ActorName, number: u64, options: SpawnOptions, factory: F) -> (Ref<A>, Start)
    where
        A: Actor<Context = Ctx<A>>,
        F: FnMut() -> A + Send + 'static,
    {
        let shared = Arc::new(Shared::new(name, number, self.0.totals.clone()));
        let (sender, receiver) = mailbox::channel(options.mailbox);
        let reference = Ref::local(sender.clone(), shared.clone());
        let weak = sender.downgrade();
        let (system, of_runner) = (self.clone(), shared.clone());
        let go = Box::new(move |locals: &Locals| {
            // Actors are dealt out to the threads in turn.
            locals.spawn(number as usize, move || {
                let ctx = Ctx::new(system, of_runner.clone(), weak);
                Runner::new(ctx, of_runner, Box::new(factory), receiver, options.restart)
            });
        });
        (reference, Start { system: self.clone(), shared, go })
    }

    /// The actor of that name and type that lives here.
    pub fn lookup<A: Actor<Context = Ctx<A>>>(&self, name: &str) -> Option<Ref<A>> {
        self.directory().named.get(name)?.reference.downcast_ref::<Ref<A>>().cloned()
    }

    /// A reference to the actor called `name` on the node that `route` leads to. Whether it lives there shows when it is asked.
    pub fn remote<A: Remote>(&self, route: Arc<dyn Route>, name: ActorName) -> Ref<A> {
        Ref::remote(route, name, self.protocol::<A>())
    }

    fn protocol<A: Remote>(&self) -> Arc<Protocol<A>> {
        let known = self.directory().protocols.get(&TypeId::of::<A>()).cloned();
        if let Some(Ok(protocol)) = known.map(|known| known.downcast::<Protocol<A>>()) {
            return protocol;
        }
        // Outside the lock: it runs the author's code.
        let protocol = Arc::new(Protocol::<A>::of());
        self.directory().protocols.insert(TypeId::of::<A>(), protocol.clone());
        protocol
    }

    /// The door to the actor of that name, for messages of other nodes. It stays the door to that actor, also when another one gets
    /// the name.
    ///
    /// # Errors
    /// When no actor of that name may be reached from other nodes.
    pub fn door(&self, name: &str) -> Result<Door, RemoteError> {
        let inbound = self.directory().named.get(name).and_then(|named| named.inbound.clone());
        inbound.map(Door).ok_or(RemoteError::UnknownActor)
    }

    /// Takes a tell from another node.
    ///
    /// # Errors
    /// Why it could not be delivered; it is counted as a dead letter.
    pub fn receive_tell(&self, door: &Result<Door, RemoteError>, arrival: &Arrival<'_>) -> Result<(), RemoteError> {
        let result = door.as_ref().map_err(Clone::clone).and_then(|door| door.0.tell(arrival));
        if result.is_err() {
            self.0.totals.dead_letters.fetch_add(1, Ordering::Relaxed);
        }
        result
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
    ) -> Result<impl Future<Output = Result<Vec<u8>, RemoteError>> + Send + use<>, RemoteError> {
        let door = door.as_ref().map_err(Clone::clone)?;
        let answer: Answer = door.0.ask(arrival, within.min(DEADLINE_MAX))?;
        Ok(answer)
    }

    /// Stops all actors, the youngest first, each after the former has ended, and waits for them no longer than `within` in all.
    /// Gives the names of those that had not ended by then. Actors that start meanwhile are stopped at once and waited for as well.
    ///
    /// Not to be awaited within an actor: that one would wait for its own end. Dropped half-way, it leaves the older actors running.
    pub async fn stop(&self, within: Duration) -> Vec<ActorName> {
        self.0.stopping.store(true, Ordering::Release);
        let deadline = playhouse_rt::now() + within;
        let mut late = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let youngest = {
                let directory = self.directory();
                directory
                    .alive
                    .iter()
                    .rev()
                    .find(|(number, _)| !seen.contains(*number))
                    .map(|(number, shared)| (*number, shared.clone()))
            };
            let Some((number, shared)) = youngest else { return late };
            seen.insert(number);
            shared.stop(Exit::NodeStopped);
            let left = deadline.saturating_duration_since(playhouse_rt::now());
            if playhouse_rt::timeout(left, shared.ended()).await.is_err() {
                late.push(shared.name.clone());
            }
        }
    }

    pub(crate) fn forget(&self, shared: &Shared) {
        // What the directory held is dropped outside its lock: it may be the last reference to other actors.
        let _named = {
            let mut directory = self.directory();
            directory.alive.remove(&shared.number);
            if directory.numbers.get(&shared.name) == Some(&shared.number) {
                directory.numbers.remove(&shared.name);
                directory.named.remove(&shared.name)
            } else {
                None
            }
        };
    }
}

/// An actor that is ready to start.
struct Start {
    system: System,
    shared: Arc<Shared>,
    go: Box<dyn FnOnce(&Locals)>,
}

impl Start {
    fn go(self) {
        let totals = &self.system.0.totals;
        totals.spawned.fetch_add(1, Ordering::Relaxed);
        totals.alive.fetch_add(1, Ordering::Relaxed);
        if self.system.0.stopping.load(Ordering::Acquire) {
            self.shared.stop(Exit::NodeStopped);
        }
        playhouse_rt::ledger::record("spawn", || self.shared.name.to_string());
        (self.go)(&self.system.0.locals);
    }

    fn give_up(self) {
        self.shared.note_exit(Exit::Stopped);
        self.shared.announce_end();
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "System({}, {:?})", self.0.node, self.counters())
    }
}
