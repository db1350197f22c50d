//! A stream shard: an actor around the plane's shard machine, with a checkpoint behind it.

use playhouse_actors::prelude::*;
use playhouse_plane::{Shard, ShardId, ShardReply, ShardState};
use playhouse_store::{Damage, Key, Reason, Store};
use playhouse_wire::{ActorName, MessageId};

use crate::coordinators::Coordinators;
use crate::ground::Ground;
use crate::messages::{Eat, OpenShard};

/// The name of a shard's actor on its node. A feed for an earlier epoch finds nobody.
pub(crate) fn shard_name(shard: ShardId, epoch: u32) -> ActorName {
    ActorName::new(&format!("shard/{}/{}/{epoch}", shard.job.0, shard.shard)).expect("digits make a name")
}

pub(crate) struct ShardActor {
    coordinators: Coordinators,
    shard: Shard,
    keep: Keep,
}

/// Where checkpoints go, under which fence.
#[derive(Clone)]
struct Keep {
    store: Store,
    key: Key,
    epoch: u32,
}

/// A shard as its checkpoint says, ready to start.
pub(crate) struct Restored {
    name: ActorName,
    coordinators: Coordinators,
    shard: Shard,
    keep: Keep,
}

/// Reads the latest checkpoint of a shard.
pub(crate) async fn restore(ground: &Ground, open: &OpenShard) -> Result<Restored, String> {
    let OpenShard { shard, epoch, window, origin, .. } = open;
    // Another cluster may have used the same folder, and the same numbers for its jobs.
    let key = Key::new(&format!("stream/{}/{}/{}", origin, shard.job.0, shard.shard)).map_err(|e| e.to_string())?;
    let found = ground.store.load(&key).await.map_err(|e| e.to_string())?;
    let machine = match found {
        Some(checkpoint) => {
            for damage in &checkpoint.skipped {
                tracing::warn!(file = %damage.file.display(), reason = %damage.reason, "a damaged checkpoint was passed over");
            }
            // The plane keeps events for one checkpoint that can't be read. More may be a disk that fails for a while: it asks again.
            let unreadable = |damage: &&Damage| matches!(damage.reason, Reason::Unreadable(_));
            if let [_, _, ..] = &checkpoint.skipped[..]
                && let Some(damage) = checkpoint.skipped.iter().find(unreadable)
            {
                return Err(format!("its newest checkpoints can't be read, {}: {}", damage.file.display(), damage.reason));
            }
            let state: ShardState =
                playhouse_wire::decode(&checkpoint.value).map_err(|e| format!("checkpoint of {shard}: {e}"))?;
            playhouse_rt::reachable!("restore");
            playhouse_rt::ledger::record("restore", || format!("shard {shard} epoch {epoch} at event {}", state.seq));
            Shard::restore(*window, state)
        }
        None => Shard::new(*window),
    };
    let keep = Keep { store: ground.store.clone(), key, epoch: *epoch };
    Ok(Restored { name: shard_name(*shard, *epoch), coordinators: ground.coordinators.clone(), shard: machine, keep })
}

impl Restored {
    pub(crate) fn seq(&self) -> u64 {
        self.shard.seq()
    }

    pub(crate) fn start(self, system: &System) -> Result<Ref<ShardActor>, String> {
        let Restored { name, coordinators, shard, keep } = self;
        // Never built anew after a panic: its state would be that of the opening. The plane opens it again, from the checkpoint.
        let options = SpawnOptions { restart: Restart::NEVER, stoppable: false, ..SpawnOptions::default() };
        let factory = move || ShardActor { coordinators: coordinators.clone(), shard: shard.clone(), keep: keep.clone() };
        system.spawn_remote(name, options, factory).map_err(|taken| taken.to_string())
    }
}

impl Actor for ShardActor {
    type Context = Ctx<Self>;
}

impl Remote for ShardActor {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Eat>(MessageId { id: 1, version: 2 }, Lane::Bulk);
    }
}

impl Handler<Eat> for ShardActor {
    type Result = AtomicResponse<Self, Result<ShardReply, String>>;

    /// Answers when what it answers would survive this node.
    fn handle(&mut self, Eat { term, feed }: Eat, ctx: &mut Ctx<Self>) -> Self::Result {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node);
        if let Err(why) = self.coordinators.is_order(from, term) {
            return AtomicResponse::new(Box::pin(std::future::ready(Err(why)).into_actor(self)));
        }
        let checkpoint = self.shard.feed(&feed).map_err(|error| error.to_string());
        let (keep, planted) = (self.keep.clone(), ctx.system().planted());
        let saved = async move {
            let Some(mut state) = checkpoint? else { return Ok(None) };
            if planted.checkpoint_skips_key {
                state.open.pop_last();
            }
            let bytes = playhouse_wire::encode(&state).map_err(|error| error.to_string())?;
            if planted.checkpoint_claimed {
                playhouse_rt::spawn(async move { keep.store.save(&keep.key, u64::from(keep.epoch), &bytes).await });
                return Ok(Some(state.seq));
            }
            keep.store.save(&keep.key, u64::from(keep.epoch), &bytes).await.map_err(|error| error.to_string())?;
            Ok(Some(state.seq))
        };
        AtomicResponse::new(Box::pin(saved.into_actor(self).map(
            |saved: Result<Option<u64>, String>, actor: &mut ShardActor, ctx: &mut Ctx<ShardActor>| {
                match saved {
                    Ok(seq) => {
                        if let Some(seq) = seq {
                            actor.shard.checkpointed(seq);
                        }
                        Ok(actor.shard.reply())
                    }
                    Err(reason) => {
                        // What is in memory is no longer what is on disk; the plane opens the shard again from there.
                        tracing::warn!(%reason, "a shard stops");
                        ctx.stop();
                        Err(reason)
                    }
                }
            },
        )))
    }
}
