//! Entities that somebody wants on a node of his choice.
//!
//! What moves is a slot. The node that is to have it owns one more name of the cluster, the slot's pin: as long as it does, and hosts the
//! kind, the slot is its own for all who balance. The pin has the lease of all names, so it goes with its node, or when that one leaves.

use std::collections::BTreeMap;
use std::sync::Mutex;

use playhouse_actors::AskError;
use playhouse_plane::{Owner, shard_of};
use playhouse_wire::NodeName;

use super::{Kind, Pin, Stage, entity_prefix, lock};
use crate::limits::{ENTITY_SLOTS, HOP_DEADLINE, MOVE_WITHIN, REPORT_BACKOFF};
use crate::names::ClaimError;

/// An entity was not moved, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The node that is to have it does not host its kind. If it was moved before, it may be where its key says now.
    #[error("{node} hosts no {kind:?} entities; see that it runs and hosts them, and try again")]
    NotHosted {
        /// The node.
        node: NodeName,
        /// The kind.
        kind: String,
    },
    /// It has taken longer than it may: a coordinator or a node does not answer, its owner still handles what it was told, or somebody wants it
    /// elsewhere at the same time. It may still move; to ask again does no harm.
    #[error("the entity has not moved within {} s, at last: {last}. It may still move; asking again does no harm", MOVE_WITHIN.as_secs())]
    Late {
        /// What was waited for.
        last: String,
    },
    /// Its names cannot be asked for.
    #[error(transparent)]
    Names(#[from] ClaimError),
}

/// Where somebody wants slots to be, by their names; as the names of a kind say.
pub(super) fn pinned<'a>(kind: &Kind, listed: &'a [(String, Owner)]) -> BTreeMap<String, &'a str> {
    let prefix = format!("{}pin/", kind.prefix);
    let pins = listed.iter().filter_map(|(name, owner)| Some((name.strip_prefix(&prefix)?, owner.node.as_str())));
    pins.map(|(slot, node)| (format!("{}slot/{slot}", kind.prefix), node)).collect()
}

impl Stage {
    /// This node is to have a slot, or to want it no more.
    pub(super) async fn pin(self, pin: Pin) -> Result<(), String> {
        let Pin { prefix, slot, wanted } = pin;
        let kind = lock(&self.0.kinds).get(&prefix).filter(|kind| !kind.state().leaves).cloned();
        let kind = kind.filter(|kind| slot < kind.slots && !kind.single).ok_or("it hosts no such slot")?;
        if !wanted {
            let given_back = lock(&kind.pins).remove(&slot);
            drop(given_back);
            return Ok(());
        }
        if lock(&kind.pins).get(&slot).is_some_and(|claim| claim.is_held()) {
            return Ok(());
        }
        let claimed = self.0.names.claim_all(vec![format!("{prefix}pin/{slot}")]).await.map_err(|error| error.to_string())?;
        let claim = claimed.into_iter().next().ok_or("no answer")?.map_err(|error| error.to_string())?;
        lock(&kind.pins).insert(slot, claim);
        if kind.state().leaves {
            lock(&kind.pins).clear();
        }
        Ok(())
    }

    async fn moves(&self, kind: &str, key: &str, to: &NodeName) -> Result<(), MoveError> {
        let last = Mutex::new("nobody has answered".to_string());
        let moved = playhouse_rt::timeout(MOVE_WITHIN, self.moves_at_last(kind, key, to, &last)).await;
        moved.unwrap_or_else(|_| Err(MoveError::Late { last: lock(&last).clone() }))
    }

    /// Writes down what it waits for.
    async fn moves_at_last(&self, kind: &str, key: &str, to: &NodeName, waits: &Mutex<String>) -> Result<(), MoveError> {
        let prefix = entity_prefix(kind)?;
        let slot = shard_of(key, ENTITY_SLOTS);
        let [host, seat, pin] = [format!("{prefix}host/{to}"), format!("{prefix}slot/{slot}"), format!("{prefix}pin/{slot}")];
        self.open();
        let (mut wait, longest) = REPORT_BACKOFF;
        loop {
            let names = &self.0.names;
            let Some(host) = names.owner(&host).await? else {
                return Err(MoveError::NotHosted { node: to.clone(), kind: kind.into() });
            };
            let is_at = |owner: &Option<Owner>| owner.as_ref().is_some_and(|owner| owner.node == *to);
            // In this order: while it has the pin nobody else takes the slot.
            let (wanted_by, owner) = (names.owner(&pin).await?, names.owner(&seat).await?);
            let asks = async |owner: &Owner, wanted| {
                let asked = self.asks(owner, Pin { prefix: prefix.clone(), slot, wanted }).await;
                asked.map_err(|error| error.to_string()).and_then(|answer| answer).err()
            };
            let last = match wanted_by {
                Some(other) if other.node != *to => asks(&other, false).await.unwrap_or("somebody else wanted it".into()),
                None => asks(&host, true).await.unwrap_or("its new owner has just been told".into()),
                Some(_) if is_at(&owner) || self.system().planted().moved_in_words => return Ok(()),
                Some(_) => owner.map_or("nobody owns it".into(), |owner| format!("it is still at {}", owner.node)),
            };
            *lock(waits) = last;
            playhouse_rt::sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    async fn asks(&self, owner: &Owner, pin: Pin) -> Result<Result<(), String>, AskError> {
        self.usher(owner, HOP_DEADLINE).await?.ask_within(pin, HOP_DEADLINE).await
    }
}

impl crate::Node {
    /// Moves the entity of this kind and key to the node `to`, which hosts the kind, and waits until it is there. It stays until `to` hosts the
    /// kind no more, or it is moved again; then it is where its key says. What it was told before it handles where it was, what comes later
    /// waits for it and arrives in order; it is nowhere active twice.
    ///
    /// The entities of a kind move by slots: with it go all whose keys fall into the same one, a sixty-fourth of them. Who asks need not host
    /// the kind. An entity that was moved before is for a moment where its key says, on its way. Of two requests at once for different nodes one
    /// holds, and both may fail. Dropped, it may go on moving, or have gone back to where its key says.
    ///
    /// ```no_run
    /// # use playhouse::prelude::*;
    /// # async fn example(node: Node) -> Result<(), Box<dyn std::error::Error>> {
    /// node.move_entity("cart", "user-7", &NodeName::new("b")?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When `to` does not host the kind, it takes longer than [`MOVE_WITHIN`](crate::limits::MOVE_WITHIN), or no coordinator answers.
    pub async fn move_entity(&self, kind: &str, key: &str, to: &NodeName) -> Result<(), MoveError> {
        self.stage()?.moves(kind, key, to).await
    }
}
