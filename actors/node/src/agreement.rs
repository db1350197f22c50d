//! The calls of coordinators to each other, as asks of actors.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use playhouse_actors::prelude::*;
use playhouse_cluster::{Called, Group, Member, Replica, Transport};
use playhouse_plane::Plane;
use playhouse_wire::{ActorName, MessageId};
use serde::{Deserialize, Serialize};

use crate::coordinators::Coordinators;
use crate::network::{Roads, Way};

/// The name of the actor that answers the other coordinators.
pub(crate) const AGREEMENT: &str = "agreement";

/// A question of another coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question(pub(crate) bytes::Bytes);

impl Message for Question {
    type Result = Result<bytes::Bytes, String>;
}

/// Answers the other coordinators. Not through the coordinator's own mailbox: its events must not delay these.
pub(crate) struct Agreement {
    pub(crate) group: Group<Replica<Plane>>,
    pub(crate) coordinators: Coordinators,
}

impl Actor for Agreement {
    type Context = Ctx<Self>;
}

impl Remote for Agreement {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Question>(MessageId { id: 1, version: 1 }, Lane::Control);
    }
}

impl Handler<Question> for Agreement {
    type Result = Later<Result<bytes::Bytes, String>>;

    fn handle(&mut self, Question(question): Question, ctx: &mut Ctx<Self>) -> Self::Result {
        // A certificate of the cluster is not enough to take part in its decisions.
        let stranger = ctx.from().filter(|from| !self.coordinators.has(&from.node)).map(|from| from.node.clone());
        let group = self.group.clone();
        Later::new(async move {
            if let Some(stranger) = stranger {
                return Err(format!("{stranger} is no coordinator known here"));
            }
            group.answer(&question).await.map(bytes::Bytes::from)
        })
    }
}

/// Carries calls over the node's connections.
pub(crate) struct Calls {
    pub(crate) system: System,
    /// Weakly, as the system itself has them: a node that was dropped must not live on by a circle.
    pub(crate) roads: Weak<Roads>,
}

impl Transport for Calls {
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called {
        let Ok(name) = NodeName::new(&to.name) else {
            let why = format!("{:?} is no node's name", to.name);
            return Box::pin(async move { Err(why) });
        };
        let roads = self.roads.upgrade();
        if let (Some(roads), Ok(address)) = (&roads, to.address.parse::<SocketAddr>())
            && roads.endpoint.peer(&name).is_none()
        {
            roads.endpoint.connect(name.clone(), address);
        }
        let way = Arc::new(Way::new(name, roads));
        let member: Ref<Agreement> = self.system.remote(way, ActorName::new(AGREEMENT).expect("a name"));
        let answer = member.ask_within(Question(request.into()), within);
        Box::pin(async move {
            match answer.await {
                Ok(Ok(answer)) => Ok(answer.to_vec()),
                Ok(Err(why)) => Err(why),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}
