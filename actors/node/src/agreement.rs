//! The calls of coordinators to each other, as asks of actors.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use playhouse_actors::prelude::*;
use playhouse_cluster::{Called, Group, GroupError, Member, Replica, Transport};
use playhouse_plane::Plane;
use playhouse_wire::{ActorName, MessageId};
use serde::{Deserialize, Serialize};

use crate::coordinators::Coordinators;
use crate::limits::{FOUND_AGAIN, INQUIRE_AGAIN};
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
    /// Those that found the group, if this node is among them.
    pub(crate) founders: Vec<Member>,
    /// The others are being asked who a stranger is.
    pub(crate) inquires: Arc<AtomicBool>,
}

impl Actor for Agreement {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        if !self.founders.is_empty() {
            let begins = begin(self.group.clone(), self.founders.clone());
            ctx.spawn(begins.into_actor(self));
        }
    }
}

/// Founds the group with the others, or finds its place in it, however long they take to come up.
async fn begin(group: Group<Replica<Plane>>, founders: Vec<Member>) {
    let me = group.name().as_str();
    let (own, others): (Vec<Member>, Vec<Member>) = founders.iter().cloned().partition(|member| member.name == me);
    let Some(own) = own.into_iter().next() else { return };
    let mut is_in = group.waits().is_none();
    loop {
        if !is_in {
            match group.found(&founders).await {
                // Perhaps by others, who know this one at the address of an earlier life.
                Ok(()) | Err(GroupError::Exists { .. }) => is_in = true,
                Err(GroupError::Stopped(_)) => return,
                Err(error) => tracing::info!(%error, "the cluster is not founded yet"),
            }
        }
        if is_in {
            if others.is_empty() {
                return;
            }
            // Where it listens may have changed, and its disk may have been lost.
            match group.enter(own.clone(), &others, true).await {
                Ok(()) | Err(GroupError::Stopped(_)) => return,
                Err(error) => tracing::info!(%error, "the other coordinators do not know yet that this one is back"),
            }
        }
        playhouse_rt::sleep(FOUND_AGAIN).await;
    }
}

impl Remote for Agreement {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Question>(MessageId { id: 1, version: 1 }, Lane::Control);
    }
}

impl Handler<Question> for Agreement {
    type Result = Later<Result<bytes::Bytes, String>>;

    fn handle(&mut self, Question(question): Question, ctx: &mut Ctx<Self>) -> Self::Result {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node).clone();
        let group = self.group.clone();
        // Who takes part in the decisions of the cluster belongs to its group: a stranger is asked whether it does.
        let known = self.coordinators.has(&from) || group.members().iter().any(|member| member.name == from.as_str());
        let (coordinators, inquires) = (self.coordinators.clone(), self.inquires.clone());
        Later::new(async move {
            let answer = match known {
                true => group.answer_from(&from, &question).await,
                false => group.answer_stranger(&from, &question).await,
            };
            // It tries again soon.
            if !known && answer.is_err() && !inquires.swap(true, Ordering::SeqCst) {
                drop(playhouse_rt::spawn(async move {
                    if let Some(member) = group.vouched(&from).await
                        && let Ok(address) = member.address.parse()
                    {
                        coordinators.meet(&from, address);
                    }
                    // Its journal must not be held by who only waits.
                    drop(group);
                    playhouse_rt::sleep(INQUIRE_AGAIN).await;
                    inquires.store(false, Ordering::SeqCst);
                }));
            }
            answer.map(bytes::Bytes::from)
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
