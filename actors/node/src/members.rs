//! Coordinators come and go.

use playhouse_actors::prelude::*;
use playhouse_cluster::{GroupError, Member};

use crate::coordinator::Coordinator;
use crate::limits::CHANGE_WITHIN;
use crate::messages::{Dismiss, Enrol, Led};
use crate::shell::Answer;

impl Coordinator {
    /// Changes who the coordinators are. When that holds, all who are connected hear of it.
    fn change(
        &mut self,
        ctx: &Ctx<Self>,
        change: impl Future<Output = Result<(), GroupError>> + 'static,
    ) -> Answer<Result<(), String>> {
        let (leads, instead, me) = (self.leads().is_some(), self.not_taken(), ctx.me());
        Box::pin(async move {
            if !leads {
                return Err(instead);
            }
            let changed = match playhouse_rt::timeout(CHANGE_WITHIN, change).await {
                Ok(changed) => changed.map_err(|error| error.to_string()),
                Err(_) => Err(format!("it was not agreed on within {} s; it may be later", CHANGE_WITHIN.as_secs())),
            };
            // If there is no room, they hear of it from the next leader.
            let _ = me.tell_when_ready(Changed).await;
            Ok(changed)
        })
    }
}

impl Handler<Enrol> for Coordinator {
    type Result = Later<Led<Result<(), String>>>;

    fn handle(&mut self, Enrol { node, address }: Enrol, ctx: &mut Ctx<Self>) -> Self::Result {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node);
        if *from != node {
            let refused = format!("only {node} itself may become a coordinator of that name");
            return Later::new(std::future::ready(Ok(Err(refused))));
        }
        // Those that are coordinators must take its calls before it is one.
        if self.leads().is_some() {
            self.hands().coordinators.meet(&node, address);
        }
        let group = self.group().clone();
        let member = Member { name: node.to_string(), address: address.to_string() };
        Later::new(self.change(ctx, async move { group.add(member).await }))
    }
}

impl Handler<Dismiss> for Coordinator {
    type Result = Later<Led<Result<(), String>>>;

    fn handle(&mut self, Dismiss { node }: Dismiss, ctx: &mut Ctx<Self>) -> Self::Result {
        let group = self.group().clone();
        let known = group.members().iter().any(|member| member.name == node.as_str());
        let claimed = self.planted().dismissal_claimed;
        Later::new(self.change(ctx, async move {
            if claimed {
                return Ok(());
            }
            if !known {
                return Err(GroupError::Refused(format!("no coordinator is called {node}")));
            }
            group.remove(&node).await
        }))
    }
}

/// The coordinators are others.
struct Changed;

impl Message for Changed {
    type Result = ();
}

impl Handler<Changed> for Coordinator {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Ctx<Self>) {
        if self.leads().is_some() {
            self.hands().announce_to_all();
        }
    }
}
