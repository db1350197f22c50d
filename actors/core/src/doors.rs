//! Which actors other nodes can reach, and how other nodes are reached.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_wire::{ActorName, NodeName};

use crate::inbound::Inbound;
use crate::limits::DOORS;
use crate::protocol::{Protocol, Remote};
use crate::route::Route;

/// Gives the way to a node.
pub(crate) type Routes = Arc<dyn Fn(&NodeName) -> Arc<dyn Route> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Doors(Mutex<State>);

#[derive(Default)]
struct State {
    open: BTreeMap<ActorName, Arc<dyn Inbound>>,
    protocols: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
    routes: Option<Routes>,
}

impl Doors {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn Inbound>> {
        self.lock().open.get(name).cloned()
    }

    /// Opens a door, in place of that of an earlier actor of that name.
    pub(crate) fn open(&self, name: &ActorName, door: Arc<dyn Inbound>) {
        let _former = self.lock().open.insert(name.clone(), door);
    }

    /// Whether the actor of that number has a door, or may be given one: there are not too many, and no later actor has its name.
    pub(crate) fn has_room(&self, name: &str, number: u64) -> bool {
        let state = self.lock();
        match state.open.get(name) {
            Some(door) => door.number() <= number,
            None => state.open.len() < DOORS,
        }
    }

    /// Closes the door of the actor of that number. What it held is given back, to be dropped outside every lock.
    pub(crate) fn close(&self, name: &str, number: u64) -> Option<Arc<dyn Inbound>> {
        let mut state = self.lock();
        state.open.get(name).is_some_and(|door| door.number() == number).then(|| state.open.remove(name)).flatten()
    }

    /// Whether any door is open: spares those who close theirs the look.
    pub(crate) fn are_closed(&self) -> bool {
        self.lock().open.is_empty()
    }

    pub(crate) fn set_routes(&self, routes: Option<Routes>) {
        let _former = std::mem::replace(&mut self.lock().routes, routes);
    }

    pub(crate) fn route(&self, node: &NodeName) -> Option<Arc<dyn Route>> {
        let routes = self.lock().routes.clone()?;
        Some(routes(node))
    }

    pub(crate) fn protocol<A: Remote>(&self) -> Arc<Protocol<A>> {
        let known = self.lock().protocols.get(&TypeId::of::<A>()).cloned();
        if let Some(Ok(protocol)) = known.map(|known| known.downcast::<Protocol<A>>()) {
            return protocol;
        }
        // Outside the lock: it runs the author's code.
        let protocol = Arc::new(Protocol::<A>::of());
        self.lock().protocols.insert(TypeId::of::<A>(), protocol.clone());
        protocol
    }
}
