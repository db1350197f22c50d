//! Many actors at once: groups of one kind of actor, topics of one kind of message.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use actix::{Actor, Handler, Message};
use playhouse_rt::Task;

use crate::limits::MEMBERS;
use crate::planted::Planted;
use crate::shared::Life;
use crate::watch::Place;
use crate::{Ctx, Ref, TellError};

/// Actors of one kind, of this node and of others, that can be told something all at once. A value: whoever has a clone has the same group.
/// Members that end, or whose nodes are lost, leave it by themselves. It holds references: an actor without a name lives on in it.
///
/// ```
/// use playhouse_actors::Group;
/// use playhouse_actors::prelude::*;
///
/// struct Lamp(bool);
/// impl Actor for Lamp {
///     type Context = Ctx<Self>;
/// }
/// #[derive(Clone)]
/// struct Switch(bool);
/// impl Message for Switch {
///     type Result = ();
/// }
/// impl Handler<Switch> for Lamp {
///     type Result = ();
///     fn handle(&mut self, to: Switch, _: &mut Ctx<Self>) {
///         self.0 = to.0;
///     }
/// }
///
/// # playhouse_rt::run(1, async {
/// let system = System::new(NodeName::new("a")?, 1)?;
/// let lamps = Group::new();
/// for _ in 0..3 {
///     lamps.join(&system.spawn(|| Lamp(false)))?;
/// }
/// assert_eq!(lamps.broadcast(&Switch(true)).told, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
/// ```
pub struct Group<A: Actor<Context = Ctx<A>>>(Arc<Members<Ref<A>>>);

/// Who hears of messages of type `M`, whatever kind of actor it is: publish and subscribe within a node. A value, like [`Group`].
pub struct Topic<M: Message>(Arc<Members<Arc<dyn Hears<M>>>>);

/// There are [`MEMBERS`] members already; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group has as many members as it may have; nothing was changed")]
pub struct GroupFull;

/// Whom a message for many has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Their mailboxes, or the lanes to their nodes, have taken it.
    pub told: usize,
    /// Their mailboxes, or the lanes to their nodes, were full, or their nodes unreachable: these have missed it.
    pub missed: usize,
}

/// A place in a group or a topic. Given up by [`Membership::leave`]; dropped, it stays for as long as the member lives.
#[derive(Clone, Debug)]
#[must_use = "a membership is the way to leave again; drop it to stay"]
pub struct Membership {
    group: Weak<dyn Leave>,
    number: u64,
    planted: Planted,
}

impl Membership {
    /// Leaves the group.
    pub fn leave(self) {
        if let Some(group) = self.group.upgrade()
            && !self.planted.leaver_kept
        {
            group.leave(self.number);
        }
    }
}

trait Leave: Send + Sync + fmt::Debug {
    fn leave(&self, number: u64);
}

struct Members<T> {
    next: AtomicU64,
    /// See [`Planted::broadcast_skips_one`].
    skips_one: AtomicBool,
    by_number: Mutex<BTreeMap<u64, (T, Undo)>>,
}

/// What a member that leaves takes with it.
enum Undo {
    Nothing,
    Hook(Arc<dyn Life>, u64),
    Task(Task<()>),
}

impl Drop for Undo {
    fn drop(&mut self) {
        match self {
            Undo::Nothing => {}
            Undo::Hook(life, number) => life.shared().unhook(*number),
            Undo::Task(task) => task.abort(),
        }
    }
}

impl<T> Default for Members<T> {
    fn default() -> Members<T> {
        Members { next: AtomicU64::new(0), skips_one: AtomicBool::new(false), by_number: Mutex::default() }
    }
}

impl<T> Members<T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (T, Undo)>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter<A: Actor<Context = Ctx<A>>>(self: &Arc<Self>, member: T, actor: &Ref<A>) -> Result<Membership, GroupFull>
    where
        T: Send + 'static,
    {
        let (number, planted) = (self.next.fetch_add(1, Ordering::Relaxed), actor.planted());
        {
            let mut members = self.lock();
            if members.len() >= MEMBERS {
                return Err(GroupFull);
            }
            members.insert(number, (member, Undo::Nothing));
            self.skips_one.store(planted.broadcast_skips_one, Ordering::Relaxed);
        }
        let group: Weak<dyn Leave> = Arc::downgrade(&(self.clone() as Arc<dyn Leave>));
        let undo = match actor.place() {
            Place::Here(life) => {
                let of_hook = group.clone();
                let hook = life.shared().when_ended(Box::new(move |_| {
                    if let Some(group) = of_hook.upgrade() {
                        group.leave(number);
                    }
                }));
                let Ok(hook) = hook else {
                    self.leave(number);
                    return Ok(Membership { group, number, planted });
                };
                Undo::Hook(life, hook)
            }
            Place::There(..) => {
                let (ended, of_task) = (actor.ended_owned(), group.clone());
                Undo::Task(playhouse_rt::spawn(async move {
                    ended.await;
                    if let Some(group) = of_task.upgrade() {
                        group.leave(number);
                    }
                }))
            }
        };
        let unused = match self.lock().get_mut(&number) {
            Some(member) => std::mem::replace(&mut member.1, undo),
            // It has left meanwhile.
            None => undo,
        };
        drop(unused);
        Ok(Membership { group, number, planted })
    }
}

impl<T: Clone> Members<T> {
    /// In the order of their joining. Outside the lock, for telling runs code of others.
    fn all(&self) -> Vec<T> {
        let mut all: Vec<_> = self.lock().values().map(|(member, _)| member.clone()).collect();
        if self.skips_one.load(Ordering::Relaxed) {
            all.pop();
        }
        all
    }
}

impl<T: Send> Leave for Members<T> {
    fn leave(&self, number: u64) {
        // Dropped outside the lock: it may be the last reference to an actor.
        let _member = self.lock().remove(&number);
    }
}

impl<T> fmt::Debug for Members<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} members", self.lock().len())
    }
}

fn count<M>(told: &mut Told, result: Result<(), TellError<M>>) {
    match result {
        Ok(()) => told.told += 1,
        // It leaves in a moment.
        Err(TellError::Gone(_)) => {}
        Err(_) => told.missed += 1,
    }
}

impl<A: Actor<Context = Ctx<A>>> Group<A> {
    /// A group without members.
    pub fn new() -> Group<A> {
        Group::default()
    }

    /// Takes an actor in, until it ends or leaves.
    ///
    /// # Errors
    /// When the group is full.
    pub fn join(&self, actor: &Ref<A>) -> Result<Membership, GroupFull> {
        self.0.enter(actor.clone(), actor)
    }

    /// Tells all members, in the order of their joining. Nobody waits for a full mailbox: that member misses the message.
    pub fn broadcast<M>(&self, message: &M) -> Told
    where
        A: Handler<M>,
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        let mut told = Told::default();
        for member in self.0.all() {
            count(&mut told, member.tell(message.clone()));
        }
        told
    }

    /// The members now, in the order of their joining.
    pub fn members(&self) -> Vec<Ref<A>> {
        self.0.all()
    }
}

impl<M: Message + Clone + Send + 'static> Topic<M>
where
    M::Result: Send,
{
    /// A topic without subscribers.
    pub fn new() -> Topic<M> {
        Topic::default()
    }

    /// Has an actor told of all that is published from now on, until it ends or leaves.
    ///
    /// # Errors
    /// When the topic has as many subscribers as it may have.
    pub fn subscribe<A>(&self, actor: &Ref<A>) -> Result<Membership, GroupFull>
    where
        A: Actor<Context = Ctx<A>> + Handler<M>,
    {
        self.0.enter(Arc::new(actor.clone()), actor)
    }

    /// Tells all subscribers, in the order of their subscriptions. Nobody waits for a full mailbox: that subscriber misses the message.
    pub fn publish(&self, message: &M) -> Told {
        let mut told = Told::default();
        for subscriber in self.0.all() {
            count(&mut told, subscriber.hear(message.clone()));
        }
        told
    }
}

/// An actor of any kind that handles `M`.
trait Hears<M>: Send + Sync {
    fn hear(&self, message: M) -> Result<(), TellError<M>>;
}

impl<A, M> Hears<M> for Ref<A>
where
    A: Actor<Context = Ctx<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn hear(&self, message: M) -> Result<(), TellError<M>> {
        self.tell(message)
    }
}

impl<A: Actor<Context = Ctx<A>>> Default for Group<A> {
    fn default() -> Group<A> {
        Group(Arc::default())
    }
}

impl<A: Actor<Context = Ctx<A>>> Clone for Group<A> {
    fn clone(&self) -> Group<A> {
        Group(self.0.clone())
    }
}

impl<A: Actor<Context = Ctx<A>>> fmt::Debug for Group<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group of {:?}", self.0)
    }
}

impl<M: Message> Default for Topic<M> {
    fn default() -> Topic<M> {
        Topic(Arc::default())
    }
}

impl<M: Message> Clone for Topic<M> {
    fn clone(&self) -> Topic<M> {
        Topic(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Topic<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic of {:?}", self.0)
    }
}
