//! Sharded entities and cluster singletons: actors that live on one node of the cluster at a time, wherever that is.
//!
//! The keys of a kind of entities fall into slots, and each slot is a name of the cluster: who owns it activates its entities. All nodes that
//! host the kind are names, too; rendezvous hashing over them says who should own a slot. An owner that should own it no more drains the
//! slot's entities, waits for their ends, and only then gives the name back. Who wants a slot elsewhere has that node own its pin. A singleton is a kind with one slot and one entity, which stays
//! where it is while its node hosts it.
//!
//! A message goes from the sender's router to the usher of the slot's owner, with the fence of the ownership that the sender knows of. An
//! usher takes it only while it owns the slot with that fence; else the message waits at its sender, and all that follow it. So a message
//! is handed over once, in order, and never to an owner of the past.

mod host;
mod moves;
mod router;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_actors::{NameTaken, Origin, Remote};
use playhouse_plane::shard_of;
use playhouse_rt::sync::Notify;
use playhouse_wire::{ActorName, MessageId, RemoteError};
use serde::{Deserialize, Serialize};

use self::host::Seat;
pub use self::moves::MoveError;
use self::router::{Calls, EntityRoute, Line};
use crate::limits::{ENTITY_SLOTS, KINDS_HOSTED, LINES_KEPT};
use crate::names::{Claim, ClaimError, Names, public};

/// The usher's name on its node.
const USHER: &str = "usher";

/// The key of the one entity of a singleton's kind.
const THE_ONE: &str = "the-one";

/// What hosts and senders of a node have together. Clones are the same.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Inner>);

struct Inner {
    names: Names,
    kinds: Mutex<BTreeMap<String, Arc<Kind>>>,
    /// The slots that this node owns, by the names of the cluster that they are.
    seats: Mutex<BTreeMap<String, Seat>>,
    lines: Mutex<BTreeMap<String, Arc<Line>>>,
    calls: Calls,
}

/// A kind of entities that this node hosts.
struct Kind {
    /// The names of its slots and hosts begin so.
    prefix: String,
    slots: u32,
    /// The one entity is activated when its slot is owned, and stays.
    single: bool,
    /// An entity that got no message for so long is passivated.
    idle: Option<Duration>,
    spawn: Spawn,
    /// The slots that somebody wants here.
    pins: Mutex<BTreeMap<u32, Claim>>,
    state: Mutex<KindState>,
    changed: Notify,
}

#[derive(Clone, Copy, Default)]
struct KindState {
    leaves: bool,
    left: bool,
}

type Spawn = Box<dyn Fn(&System, ActorName, &str) -> Result<Arc<dyn Live>, NameTaken> + Send + Sync>;

/// An entity of any type.
trait Live: Send + Sync {
    fn drain(&self);
    fn stop(&self);
    fn is_idle(&self) -> bool;
    fn ended(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<A: Actor<Context = Ctx<A>>> Live for Ref<A> {
    fn drain(&self) {
        Ref::drain(self);
    }

    fn stop(&self) {
        Ref::stop(self);
    }

    fn is_idle(&self) -> bool {
        self.depth() == 0
    }

    fn ended(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let actor = self.clone();
        Box::pin(async move { drop(actor.ended().await) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kind {
    fn slot_name(&self, slot: u32) -> String {
        format!("{}slot/{slot}", self.prefix)
    }

    /// The name of an entity's actor on whichever node it lives.
    fn actor_name(prefix: &str, key: &str) -> Result<ActorName, ClaimError> {
        ActorName::new(&format!("{prefix}{key}")).map_err(|error| ClaimError::Refused(error.to_string()))
    }

    fn state(&self) -> KindState {
        *lock(&self.state)
    }

    fn update(&self, update: impl FnOnce(&mut KindState)) {
        update(&mut lock(&self.state));
        self.changed.notify_waiters();
    }

    async fn until(&self, is: impl Fn(KindState) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if is(self.state()) {
                return;
            }
            changed.await;
        }
    }
}

fn entity_prefix(kind: &str) -> Result<String, ClaimError> {
    prefix("_entity", kind)
}

fn single_prefix(name: &str) -> Result<String, ClaimError> {
    prefix("_single", name)
}

fn prefix(of: &str, kind: &str) -> Result<String, ClaimError> {
    if kind.is_empty() || kind.contains('/') {
        // One kind's names would be among another one's.
        return Err(ClaimError::Refused(format!("{kind:?} is no kind: it needs letters, and no slash")));
    }
    public(kind).map(|kind| format!("{of}/{kind}/"))
}

/// This node hosts a kind of entities, or offers to run a singleton, until it leaves: when it is told to, or stops. When this is dropped, it
/// goes on hosting.
#[derive(Clone)]
pub struct Hosting(Arc<Kind>);

impl Hosting {
    /// Hands over all that it has, and hosts no more: what its entities were told they handle first; then they end, and the next owner
    /// activates them. Waits for that. Cancel-safe: it goes on leaving.
    pub async fn leave(&self) {
        self.0.update(|state| state.leaves = true);
        self.0.until(|state| state.left).await;
    }
}

impl std::fmt::Debug for Hosting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hosting({})", self.0.prefix)
    }
}

impl Stage {
    pub(crate) fn new(names: Names) -> Stage {
        let (kinds, seats, lines) = (Mutex::default(), Mutex::default(), Mutex::default());
        Stage(Arc::new(Inner { names, kinds, seats, lines, calls: Calls::default() }))
    }

    fn system(&self) -> &System {
        &self.0.names.finder().system
    }

    /// Sees to it that this node has its usher.
    fn open(&self) {
        if self.system().lookup::<Usher>(USHER).is_none() {
            let stage = self.clone();
            let options = SpawnOptions { stoppable: false, ..SpawnOptions::default() };
            // Taken: somebody else did so meanwhile.
            let _ = self.system().spawn_remote(ActorName::new(USHER).expect("a name"), options, move || Usher(stage.clone()));
        }
    }

    fn host(&self, kind: Kind) -> Result<Hosting, ClaimError> {
        self.open();
        let kind = Arc::new(kind);
        {
            let mut kinds = lock(&self.0.kinds);
            kinds.retain(|_, kind| !kind.state().left);
            if kinds.contains_key(&kind.prefix) || kinds.len() >= KINDS_HOSTED {
                return Err(ClaimError::Refused(format!("this node hosts it already, or {KINDS_HOSTED} kinds")));
            }
            kinds.insert(kind.prefix.clone(), kind.clone());
        }
        drop(playhouse_rt::spawn(host::host(self.clone(), kind.clone())));
        Ok(Hosting(kind))
    }

    fn find<A: Remote>(&self, prefix: String, slots: u32, key: &str) -> Result<Ref<A>, ClaimError> {
        self.open();
        let name = Kind::actor_name(&prefix, key)?;
        let seat = format!("{prefix}slot/{}", shard_of(key, slots));
        let line = {
            let mut lines = lock(&self.0.lines);
            if lines.len() >= LINES_KEPT {
                lines.retain(|_, line| Arc::strong_count(line) > 1);
            }
            lines.entry(seat.clone()).or_insert_with(|| Arc::new(Line::new(seat))).clone()
        };
        let route = EntityRoute::new(self.clone(), line, prefix, key.to_string());
        Ok(self.system().remote(Arc::new(route), name))
    }

    /// The node stops: all that it hosts is handed over.
    pub(crate) async fn leave(&self) {
        let kinds: Vec<_> = lock(&self.0.kinds).values().cloned().map(Hosting).collect();
        kinds.iter().for_each(|hosting| hosting.0.update(|state| state.leaves = true));
        for hosting in kinds {
            hosting.leave().await;
        }
    }
}

/// A message to an entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deliver {
    /// The name of its slot, and the fence of the owner that the sender knows of.
    seat: String,
    fence: u64,
    /// What the names of its kind begin with.
    prefix: String,
    key: String,
    lane: Lane,
    id: MessageId,
    priority: Priority,
    payload: bytes::Bytes,
    /// The number of an ask at the sender, and how long its answer is waited for.
    call: Option<(u64, Duration)>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Delivered {
    /// It is in the entity's mailbox.
    Taken,
    /// The slot is not owned here with that fence. The message was not delivered.
    NotHere,
    /// The entity is just being passivated, or has just ended. The message was not delivered; send it again.
    Again,
    /// It cannot be delivered.
    Failed(RemoteError),
}

impl Message for Deliver {
    type Result = Delivered;
}

/// The answer of an entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answered {
    call: u64,
    result: Result<bytes::Bytes, RemoteError>,
}

impl Message for Answered {
    type Result = ();
}

/// The node that is asked is to have this slot, whatever rendezvous hashing says; or to want it no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pin {
    prefix: String,
    slot: u32,
    wanted: bool,
}

impl Message for Pin {
    type Result = Result<(), String>;
}

/// Takes messages to the entities of its node, and answers for its node's senders.
struct Usher(Stage);

impl Actor for Usher {
    type Context = Ctx<Self>;
}

impl Remote for Usher {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol
            .message_on::<Deliver>(MessageId { id: 1, version: 1 }, Lane::Bulk)
            .message_on::<Answered>(MessageId { id: 2, version: 1 }, Lane::Bulk)
            .message_on::<Pin>(MessageId { id: 3, version: 1 }, Lane::Control);
    }
}

impl Handler<Deliver> for Usher {
    type Result = Later<Delivered>;

    fn handle(&mut self, deliver: Deliver, ctx: &mut Ctx<Self>) -> Self::Result {
        let system = ctx.system();
        let own = || Origin { node: system.node().clone(), incarnation: self.0.0.names.incarnation() };
        let from = Arc::new(ctx.from().cloned().unwrap_or_else(own));
        Later::new(self.0.deliver(&deliver, &from))
    }
}

impl Handler<Pin> for Usher {
    type Result = Later<Result<(), String>>;

    fn handle(&mut self, pin: Pin, _: &mut Ctx<Self>) -> Self::Result {
        Later::new(self.0.clone().pin(pin))
    }
}

impl Handler<Answered> for Usher {
    type Result = ();

    fn handle(&mut self, Answered { call, result }: Answered, _: &mut Ctx<Self>) {
        self.0.0.calls.answer(call, result);
    }
}

impl crate::Node {
    fn stage(&self) -> Result<&Stage, ClaimError> {
        self.0.stage.as_ref().ok_or(ClaimError::NoCluster)
    }

    /// Hosts entities of this kind from now on, beside all other nodes that host it. `factory` builds the entity of a key. An entity is
    /// activated when it is told something, lives on one node at a time, and is passivated when it is told nothing for `idle`: what it
    /// holds in memory is gone then, as when it moves.
    ///
    /// All nodes of a cluster must agree on what a kind is.
    ///
    /// # Errors
    /// When the name of the kind is none, this node hosts it already, or knows no coordinator.
    pub fn entities<A: Remote>(
        &self,
        kind: &str,
        idle: Option<Duration>,
        factory: impl Fn(&str) -> A + Send + Sync + 'static,
    ) -> Result<Hosting, ClaimError> {
        let prefix = entity_prefix(kind)?;
        self.stage()?.host(Kind::of(prefix, ENTITY_SLOTS, false, idle, factory))
    }

    /// The entity of this kind and key, wherever it lives. It need not be hosted here, or yet.
    ///
    /// What it is told waits here, up to a bound, while its owner is not known or changes: for at most 30 seconds. One sender's messages
    /// through references of one node to one entity arrive in order, at most once; none is lost while the nodes and links that it passes
    /// hold. The reference is of this node: in a message to another one, send the kind and the key instead. It opens no streams, and an
    /// entity's end cannot be watched.
    ///
    /// ```
    /// # use playhouse::prelude::*;
    /// # use playhouse::Coordinate;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// #[derive(Default)]
    /// struct Cart {
    ///     items: u32,
    /// }
    ///
    /// #[actor(remote)]
    /// impl Cart {
    ///     #[message(id = 1)]
    ///     fn add(&mut self, items: u32) -> u32 {
    ///         self.items += items;
    ///         self.items
    ///     }
    /// }
    ///
    /// # rt::run(1, async {
    /// # let folder = std::env::temp_dir().join(format!("playhouse-entity-{}", std::process::id()));
    /// # let host = Host::os();
    /// # let authority = Authority::new("doc", host.wall_clock())?;
    /// # let identity = authority.issue(&NodeName::new("a")?, host.wall_clock(), Duration::from_secs(3600))?;
    /// # let config = NodeConfig::coordinator(identity, ([127, 0, 0, 1], 0).into(), Coordinate::new(&folder));
    /// # let node = Node::start(host, config).await?;
    /// node.entities("cart", Some(Duration::from_secs(60)), |_key| Cart::default())?;
    /// let cart = node.entity::<Cart>("cart", "user-7")?;
    /// cart.add(2).await?;
    /// assert_eq!(cart.add(3).await?, 5);
    /// # node.stop(Duration::from_secs(1)).await;
    /// # let _ = std::fs::remove_dir_all(folder);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the kind or the key is no name, or the node knows no coordinator.
    pub fn entity<A: Remote>(&self, kind: &str, key: &str) -> Result<Ref<A>, ClaimError> {
        self.stage()?.find(entity_prefix(kind)?, ENTITY_SLOTS, key)
    }

    /// Offers to run the singleton of this name: of all nodes that offer it, one runs it. When that one leaves, or its lease is over, its
    /// actor ends, and another node builds it anew.
    ///
    /// # Errors
    /// As [`Node::entities`](crate::Node::entities).
    pub fn singleton<A: Remote>(
        &self,
        name: &str,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<Hosting, ClaimError> {
        let prefix = single_prefix(name)?;
        self.stage()?.host(Kind::of(prefix, 1, true, None, move |_: &str| factory()))
    }

    /// The singleton of this name, wherever it runs. As with an [entity](crate::Node::entity).
    ///
    /// # Errors
    /// When it is no name, or the node knows no coordinator.
    pub fn the<A: Remote>(&self, name: &str) -> Result<Ref<A>, ClaimError> {
        self.stage()?.find(single_prefix(name)?, 1, THE_ONE)
    }
}

impl Kind {
    fn of<A: Remote>(
        prefix: String,
        slots: u32,
        single: bool,
        idle: Option<Duration>,
        factory: impl Fn(&str) -> A + Send + Sync + 'static,
    ) -> Kind {
        let factory = Arc::new(factory);
        let spawn: Spawn = Box::new(move |system, name, key| {
            let (factory, key) = (factory.clone(), key.to_string());
            let options = SpawnOptions { stoppable: false, ..SpawnOptions::default() };
            let actor = system.spawn_remote(name, options, move || factory(&key))?;
            Ok(Arc::new(actor) as Arc<dyn Live>)
        });
        Kind { prefix, slots, single, idle, spawn, pins: Mutex::default(), state: Mutex::default(), changed: Notify::new() }
    }
}
