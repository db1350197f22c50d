//! Finds actors, wherever they live.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_net::RefusalKind;
use playhouse_rt::Host;

use crate::messages::Traffic;
use crate::network::{Roads, Way};

/// Finds actors by node and name: here by lookup, elsewhere by a route.
#[derive(Clone)]
pub(crate) struct Finder {
    pub(crate) system: System,
    pub(crate) roads: Arc<Roads>,
    pub(crate) host: Host,
}

impl Finder {
    /// The actor called `name` on `node`. On this node it must live; on another one that shows when it is asked.
    pub(crate) fn find<A: Remote>(&self, node: &NodeName, name: &str) -> Option<Ref<A>> {
        if node == self.system.node() {
            return self.system.lookup(name);
        }
        let route = Arc::new(Way::new(node.clone(), Some(self.roads.clone())));
        Some(self.system.remote(route, ActorName::new(name).ok()?))
    }

    /// Sees to a connection to this node, for a visit. Whether there is one shows when it is asked.
    pub(crate) async fn meet(&self, node: &NodeName, address: SocketAddr, within: Duration) {
        let endpoint = &self.roads.endpoint;
        if node != self.system.node() && endpoint.peer(node).is_none() {
            endpoint.visit(node.clone(), address);
            let _ = playhouse_rt::timeout(within, endpoint.dialled(node)).await;
        }
    }

    pub(crate) fn wall_clock(&self) -> Duration {
        self.host.wall_clock()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let stats = self.roads.endpoint.stats();
        let messages = Lane::ALL.iter().map(|lane| stats.sent(*lane) + stats.received(*lane)).sum();
        let refused = RefusalKind::ALL.iter().map(|kind| stats.refused(*kind)).sum();
        Traffic { messages, bytes: stats.bytes_sent + stats.bytes_received, refused }
    }
}
