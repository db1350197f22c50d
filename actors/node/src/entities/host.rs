//! What a node does that hosts entities: it claims slots, activates, passivates, and hands over.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use playhouse_actors::{Arrival, Origin, Taken};
use playhouse_plane::Owner;
use playhouse_rt::ledger::{self, Tag};
use playhouse_wire::RemoteError;

use super::moves::pinned;
use super::{Answered, Deliver, Delivered, Kind, Live, Stage, THE_ONE, USHER, Usher, lock};
use crate::limits::{ACTIVE_MAX, HAND_OVER_WITHIN, REBALANCE_EVERY};
use crate::names::Claim;

/// A slot that this node owns.
pub(super) struct Seat {
    claim: Claim,
    /// It is being handed over, or lost: nothing is taken any more.
    closes: bool,
    active: BTreeMap<String, Active>,
}

/// An entity that lives.
struct Active {
    actor: Arc<dyn Live>,
    last: Instant,
    /// It is being passivated.
    closes: bool,
}

/// Who should own what: all that know the same hosts choose the same.
fn weight(slot: &str, node: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = slot.bytes().chain([0]).chain(node.bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    // FNV alone spreads the last letters badly.
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// The host of a slot among these, by rendezvous hashing.
pub(super) fn winner<'a>(slot: &str, hosts: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    hosts.into_iter().max_by_key(|host| (weight(slot, host), *host))
}

/// Hosts a kind until it leaves.
pub(super) async fn host(stage: Stage, kind: Arc<Kind>) {
    let own = stage.system().node().to_string();
    let registration = format!("{}host/{own}", kind.prefix);
    let mut member: Option<Claim> = None;
    let mut ticks = playhouse_rt::interval(REBALANCE_EVERY);
    loop {
        playhouse_rt::select! {
            () = kind.until(|state| state.leaves) => break,
            () = stage.0.names.stopped() => break,
            _ = ticks.tick() => {}
        }
        let balanced = async {
            if member.as_ref().is_none_or(|claim| !claim.is_held()) {
                member = None;
                let claimed = stage.0.names.claim_all(vec![registration.clone()]).await.ok();
                // An earlier life of this node may own it for a moment more.
                member = claimed.and_then(|claimed| claimed.into_iter().next()?.ok());
            }
            lock(&kind.pins).retain(|_, claim| claim.is_held());
            if member.is_some()
                && let Ok(listed) = stage.0.names.under(&kind.prefix).await
            {
                balance(&stage, &kind, &own, listed).await;
            }
        };
        playhouse_rt::select! {
            () = balanced => {}
            () = kind.until(|state| state.leaves) => break,
            () = stage.0.names.stopped() => break,
        }
        if kind.single {
            stage.revive(&kind);
        }
        passivate(&stage, &kind);
    }
    drop(member);
    lock(&kind.pins).clear();
    let seats: Vec<_> = stage.seats_of(&kind).into_iter().map(|(seat, _)| seat).collect();
    // One after the other is as good: each waits for its entities, which end side by side.
    seats.iter().for_each(|seat| stage.close(seat, false));
    for seat in seats {
        stage.hand_over(&seat).await;
    }
    kind.update(|state| state.left = true);
}

/// Claims the slots that should be its own and are free, and hands over those that should not.
async fn balance(stage: &Stage, kind: &Arc<Kind>, own: &str, listed: Vec<(String, Owner)>) {
    let host_prefix = format!("{}host/", kind.prefix);
    let hosts: Vec<&str> = listed.iter().filter_map(|(name, _)| name.strip_prefix(&host_prefix)).collect();
    let pinned = pinned(kind, &listed);
    let owned: BTreeSet<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    let held: BTreeMap<String, bool> = stage.seats_of(kind).into_iter().collect();
    let mut wanted = Vec::new();
    for slot in (0..kind.slots).map(|slot| kind.slot_name(slot)) {
        let pinned = pinned.get(&slot).copied().filter(|node| hosts.contains(node));
        let is_own = pinned.or_else(|| winner(&slot, hosts.iter().copied())) == Some(own);
        match held.get(&slot) {
            Some(false) if !is_own && !kind.single => {
                stage.close(&slot, false);
                let (stage, slot) = (stage.clone(), slot.clone());
                drop(playhouse_rt::spawn(async move { stage.hand_over(&slot).await }));
            }
            None if is_own && !owned.contains(slot.as_str()) => wanted.push(slot),
            _ => {}
        }
    }
    if wanted.is_empty() {
        return;
    }
    let Ok(claimed) = stage.0.names.claim_all(wanted).await else { return };
    for claim in claimed.into_iter().flatten() {
        stage.take_seat(kind, claim);
    }
}

/// Ends the entities that were told nothing for long.
fn passivate(stage: &Stage, kind: &Arc<Kind>) {
    let Some(idle) = kind.idle else { return };
    let now = playhouse_rt::now();
    let mut seats = lock(&stage.0.seats);
    for seat in seats.iter_mut().filter(|(name, _)| name.starts_with(&kind.prefix)).map(|(_, seat)| seat) {
        for (key, active) in seat.active.iter_mut().filter(|(_, active)| !active.closes) {
            if now.saturating_duration_since(active.last) >= idle && active.actor.is_idle() {
                ledger::record("passivate", || format!("{}{key}", kind.prefix));
                active.closes = true;
                active.actor.drain();
            }
        }
    }
}

impl Stage {
    /// The slots of a kind that this node owns, and whether each is about to be owned no more.
    fn seats_of(&self, kind: &Kind) -> Vec<(String, bool)> {
        let seats = lock(&self.0.seats);
        let of_kind = seats.iter().filter(|(name, _)| name.starts_with(&kind.prefix));
        of_kind.map(|(name, seat)| (name.clone(), seat.closes)).collect()
    }

    /// From here on the slot is this node's.
    fn take_seat(&self, kind: &Arc<Kind>, claim: Claim) {
        let (name, lost) = (claim.name().to_string(), claim.lost_later());
        let fence = claim.fence();
        {
            let mut seats = lock(&self.0.seats);
            let mut seat = Seat { claim, closes: false, active: BTreeMap::new() };
            if kind.single {
                self.activate(kind, &mut seat, THE_ONE);
            }
            seats.insert(name.clone(), seat);
        }
        let stage = self.clone();
        drop(playhouse_rt::spawn(async move {
            lost.await;
            if lock(&stage.0.seats).get(&name).is_some_and(|seat| seat.claim.fence() == fence) {
                // Nobody waits for what is in the mailboxes: soon somebody else owns it.
                stage.close(&name, true);
                stage.hand_over(&name).await;
            }
        }));
    }

    /// A singleton that has ended by itself lives again.
    fn revive(&self, kind: &Kind) {
        let mut seats = lock(&self.0.seats);
        if let Some(seat) = seats.get_mut(&kind.slot_name(0)).filter(|seat| !seat.closes && seat.claim.is_held()) {
            self.activate(kind, seat, THE_ONE);
        }
    }

    /// The entity of this key, which lives from here on if it did not. `None`: not now.
    fn activate<'a>(&self, kind: &Kind, seat: &'a mut Seat, key: &str) -> Option<&'a mut Active> {
        if !seat.active.contains_key(key) {
            if seat.active.len() >= ACTIVE_MAX {
                return None;
            }
            let name = Kind::actor_name(&kind.prefix, key).ok()?;
            // Taken: its life before has not quite ended.
            let actor = (kind.spawn)(self.system(), name, key).ok()?;
            let (stage, of, key_of, ended) = (self.clone(), seat.claim.name().to_string(), key.to_string(), actor.ended());
            let is_it = Arc::downgrade(&actor);
            drop(playhouse_rt::spawn(async move {
                ended.await;
                if let Some(seat) = lock(&stage.0.seats).get_mut(&of) {
                    let same = |active: &&mut Active| is_it.upgrade().is_some_and(|actor| Arc::ptr_eq(&actor, &active.actor));
                    if seat.active.get_mut(&key_of).as_ref().is_some_and(same) {
                        seat.active.remove(&key_of);
                    }
                }
            }));
            seat.active.insert(key.to_string(), Active { actor, last: playhouse_rt::now(), closes: false });
        }
        seat.active.get_mut(key).filter(|active| !active.closes)
    }

    /// Nothing is taken for a slot any more; its entities end, at once or when they have handled what they were told.
    fn close(&self, seat: &str, at_once: bool) {
        let mut seats = lock(&self.0.seats);
        let Some(seat) = seats.get_mut(seat) else { return };
        seat.closes = true;
        for active in seat.active.values_mut() {
            active.closes = true;
            if at_once { active.actor.stop() } else { active.actor.drain() }
        }
    }

    /// Waits for the ends of the entities of a slot that closes, and gives it back.
    async fn hand_over(&self, seat: &str) {
        let actors: Vec<_> = match lock(&self.0.seats).get(seat) {
            Some(seat) => seat.active.values().map(|active| active.actor.clone()).collect(),
            None => return,
        };
        let all = async {
            for actor in &actors {
                actor.ended().await;
            }
        };
        let mut all: Pin<Box<dyn Future<Output = ()> + Send + '_>> = Box::pin(all);
        if self.system().planted().handed_over_hastily {
            all = Box::pin(std::future::ready(()));
        }
        if playhouse_rt::timeout(HAND_OVER_WITHIN, all.as_mut()).await.is_err() {
            actors.iter().for_each(|actor| actor.stop());
            // However long that takes: the slot is nobody else's before.
            all.await;
        }
        ledger::record("hands-over", || seat.to_string());
        let given_back = lock(&self.0.seats).remove(seat);
        drop(given_back);
    }

    /// Takes a message to an entity of this node.
    pub(super) fn deliver(&self, deliver: &Deliver, from: &Arc<Origin>) -> Pin<Box<dyn Future<Output = Delivered> + Send>> {
        let done = |delivered| -> Pin<Box<dyn Future<Output = Delivered> + Send>> { Box::pin(std::future::ready(delivered)) };
        let Deliver { seat, fence, prefix, key, lane, id, priority, payload, call } = deliver;
        let Some(kind) = lock(&self.0.kinds).get(prefix).cloned() else { return done(Delivered::NotHere) };
        let mut seats = lock(&self.0.seats);
        let owns = |seat: &&mut Seat| !seat.closes && seat.claim.fence() == *fence && seat.claim.is_held();
        let Some(seat) = seats.get_mut(seat).filter(owns) else { return done(Delivered::NotHere) };
        let Some(active) = self.activate(&kind, seat, key) else { return done(Delivered::Again) };
        active.last = playhouse_rt::now();
        let (system, name) = (self.system(), format!("{prefix}{key}"));
        let door = system.door(&name);
        let arrival = Arrival { from, lane: *lane, id: *id, priority: *priority, trace: None, payload, tag: Tag::default() };
        // Under the lock: what is taken here comes before the order to end.
        let again = |error: RemoteError| match error {
            RemoteError::Gone(_) | RemoteError::UnknownActor => Delivered::Again,
            error => Delivered::Failed(error),
        };
        let Some((call, within)) = *call else {
            return match system.receive_tell(&name, &door, &arrival) {
                Ok(Taken::Done) => done(Delivered::Taken),
                Ok(Taken::Waits(place)) => Box::pin(async move { place.await.map_or_else(again, |()| Delivered::Taken) }),
                Err(error) => done(again(error)),
            };
        };
        match system.receive_ask(&door, &arrival, within) {
            Err(error) => done(again(error)),
            Ok(answer) => {
                let asker = self.0.names.finder().find::<Usher>(&from.node, USHER);
                drop(playhouse_rt::spawn(async move {
                    let result = answer.await.map(bytes::Bytes::from);
                    if let Some(asker) = asker {
                        let _ = asker.tell_when_ready(Answered { call, result }).await;
                    }
                }));
                done(Delivered::Taken)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_comes_takes_only_what_it_wins() {
        let slots: Vec<String> = (0..256).map(|slot| format!("_entity/cart/slot/{slot}")).collect();
        let two = |slot: &String| winner(slot, ["a", "b"]).unwrap();
        let three = |slot: &String| winner(slot, ["a", "b", "c"]).unwrap();
        let moved = slots.iter().filter(|slot| two(slot) != three(slot)).count();
        assert!(slots.iter().all(|slot| two(slot) == three(slot) || three(slot) == "c"));
        // About a third of them, and each host has about as many.
        assert!((60..=110).contains(&moved), "{moved} of 256 moved");
        let of_a = slots.iter().filter(|slot| two(slot) == "a").count();
        assert!((100..=156).contains(&of_a), "a has {of_a} of 256");
        assert_eq!(winner("x", []), None);
    }
}
