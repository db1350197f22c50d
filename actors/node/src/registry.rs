//! What a coordinator answers about names of the cluster.

use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_plane::{Claimed, Owner, PlaneEvent};

use crate::coordinator::{Coordinator, speaks_for};
use crate::messages::{ClaimNames, FetchNames, FetchOwner, KeepNames, Led, ReleaseNames};

/// Lists the messages.
pub(crate) fn protocol(protocol: &mut Protocol<Coordinator>) {
    let id = |id| MessageId { id, version: 1 };
    protocol
        .message_on::<ClaimNames>(id(20), Lane::Control)
        .message_on::<KeepNames>(id(21), Lane::Control)
        .message_on::<ReleaseNames>(id(22), Lane::Control)
        .message_on::<FetchOwner>(id(23), Lane::Control)
        .message_on::<FetchNames>(id(24), Lane::Bulk);
}

impl Handler<ClaimNames> for Coordinator {
    type Result = Later<Led<(Duration, Vec<Claimed>)>>;

    fn handle(&mut self, claim: ClaimNames, ctx: &mut Ctx<Self>) -> Self::Result {
        let ClaimNames { node, incarnation, address, claims } = claim;
        if !speaks_for(ctx, (&node, incarnation)) {
            let refused = Claimed::Refused(format!("only {node}{incarnation} itself may claim names for it"));
            return Later::new(std::future::ready(Ok((Duration::ZERO, vec![refused; claims.len()]))));
        }
        let event = PlaneEvent::ClaimNames { node: node.clone(), incarnation, address, claims: claims.clone() };
        Later::new(self.take(event, ctx, move |plane| {
            let claimed = |(ticket, name): &(u64, String)| plane.claimed(&node, incarnation, *ticket, name);
            (plane.lease(), claims.iter().map(claimed).collect())
        }))
    }
}

impl Handler<KeepNames> for Coordinator {
    type Result = Later<Led<(Duration, Vec<u64>)>>;

    fn handle(&mut self, keep: KeepNames, ctx: &mut Ctx<Self>) -> Self::Result {
        let KeepNames { node, incarnation, number, upto, tickets } = keep;
        if !speaks_for(ctx, (&node, incarnation)) {
            return Later::new(std::future::ready(Ok((Duration::ZERO, Vec::new()))));
        }
        let event = PlaneEvent::KeepNames { node: node.clone(), incarnation, number, upto, tickets };
        Later::new(self.take(event, ctx, move |plane| (plane.lease(), plane.tickets(&node, incarnation))))
    }
}

impl Handler<ReleaseNames> for Coordinator {
    type Result = Later<Led<()>>;

    fn handle(&mut self, ReleaseNames { node, incarnation, tickets }: ReleaseNames, ctx: &mut Ctx<Self>) -> Self::Result {
        if !speaks_for(ctx, (&node, incarnation)) {
            return Later::new(std::future::ready(Ok(())));
        }
        Later::new(self.take(PlaneEvent::ReleaseNames { node, incarnation, tickets }, ctx, |_| ()))
    }
}

impl Handler<FetchOwner> for Coordinator {
    type Result = Later<Led<Option<Owner>>>;

    fn handle(&mut self, fetch: FetchOwner, _: &mut Ctx<Self>) -> Self::Result {
        Later::new(self.fresh(move |plane| plane.owner(&fetch.name)))
    }
}

impl Handler<FetchNames> for Coordinator {
    type Result = Later<Led<Vec<(String, Owner)>>>;

    fn handle(&mut self, fetch: FetchNames, _: &mut Ctx<Self>) -> Self::Result {
        let list = move |plane: &playhouse_plane::Plane| {
            plane.names(&fetch.prefix).map(|(name, owner)| (name.to_string(), owner)).collect()
        };
        Later::new(self.fresh(list))
    }
}
