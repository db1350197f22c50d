//! Which actors other nodes can reach, and how other nodes are reached.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use playhouse_wire::{ActorName, NodeName};

use crate::inbound::Inbound;
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

    /// Opens a door, unless that name has one.
    pub(crate) fn open(&self, name: &ActorName, door: Arc<dyn Inbound>) {
        self.lock().open.entry(name.clone()).or_insert(door);
    }

    /// Closes a door. What it held is given back, to be dropped outside every lock.
    pub(crate) fn close(&self, name: &str) -> Option<Arc<dyn Inbound>> {
        self.lock().open.remove(name)
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
