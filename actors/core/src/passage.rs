//! References cross nodes: written as a node and a name, read as a reference that works from there.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use actix::Actor;
use playhouse_wire::{ActorName, DecodeError, NodeName, decode};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::common::Common;
use crate::inbound::Published;
use crate::limits::BUDGET;
use crate::mailbox::{Mailbox, Overflow};
use crate::reference::Cell;
use crate::shared::{Life, Shared};
use crate::{Ctx, Exit, Ref, Remote};

thread_local! {
    /// The node that decodes: a reference can only be read where it is known from where it leads.
    static HERE: RefCell<Option<Arc<Common>>> = const { RefCell::new(None) };
    /// Whom many messages of another node went to at last, and how many since it was woken: for each one alone, its thread would be woken
    /// by a call to the operating system, handle it and fall asleep again.
    static TO_WAKE: RefCell<Option<ToWake>> = const { RefCell::new(None) };
}

struct ToWake {
    actor: Arc<dyn Life>,
    messages: u32,
}

/// Wakes an actor that was given a message: at once, or while [`System::reading`](crate::System::reading) is held, when that ends, another
/// actor is given one, or the messages are worth a turn.
pub(crate) fn wake_later<A: Actor<Context = Ctx<A>>>(cell: &Arc<Cell<A>>) {
    if HERE.with_borrow(Option::is_none) {
        return cell.shared.wake();
    }
    let due = TO_WAKE.with_borrow_mut(|slot| match slot {
        Some(last) if std::ptr::addr_eq(Arc::as_ptr(&last.actor), Arc::as_ptr(cell)) => {
            last.messages += 1;
            if last.messages < BUDGET { None } else { slot.take() }
        }
        _ => slot.replace(ToWake { actor: cell.clone(), messages: 1 }),
    });
    // Outside of the borrow: nobody knows what a waker does.
    wake(due);
}

fn wake(due: Option<ToWake>) {
    if let Some(due) = due {
        due.actor.shared().wake();
    }
}

/// Decodes a value of another node; references in it lead from this one.
pub(crate) fn decode_here<T: DeserializeOwned>(common: &Arc<Common>, bytes: &[u8]) -> Result<T, DecodeError> {
    let known = HERE.with_borrow(|here| here.as_ref().is_some_and(|here| Arc::ptr_eq(here, common)));
    let _reading = (!known).then(|| read_here(common));
    decode(bytes)
}

/// From now on this thread decodes for that node, until the guard is dropped. Spares [`decode_here`] to say so for each message.
pub(crate) fn read_here(common: &Arc<Common>) -> Reading {
    Reading { former: HERE.replace(Some(common.clone())), _stays: PhantomData }
}

/// See [`crate::System::reading`]. Dropped, also by a panic in somebody's `Deserialize`, it puts the former node back.
pub struct Reading {
    former: Option<Arc<Common>>,
    /// It belongs to its thread.
    _stays: PhantomData<*const ()>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        HERE.set(self.former.take());
        wake(TO_WAKE.take());
    }
}

/// How a reference is written.
#[derive(Serialize, Deserialize)]
struct Written {
    node: NodeName,
    name: ActorName,
}

impl<A: Remote> Serialize for Ref<A> {
    /// Writes where the actor lives. An actor of this node that no other node could reach so far can be reached from now on, and lives
    /// until it is stopped: who is given a reference may use it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let node = match (self.remote_node(), self.cell()) {
            (Some(node), _) => node.clone(),
            (None, Some(cell)) => {
                let common = &cell.shared.common;
                let (name, number) = (self.name(), cell.shared.number);
                let has_door = common.doors.find(name.as_str()).is_some_and(|door| door.number() == number);
                if !has_door && cell.shared.exit().is_none() {
                    if !common.doors.has_room(name.as_str(), number) {
                        return Err(S::Error::custom("too many actors of this node can be reached from others already"));
                    }
                    let published = Published { actor: self.clone(), protocol: common.doors.protocol::<A>() };
                    common.doors.open(name, Arc::new(published));
                    if cell.shared.exit().is_some() {
                        // It ended meanwhile, and may have looked for its door before there was one.
                        drop(common.doors.close(name.as_str(), number));
                    }
                }
                common.node.clone()
            }
            (None, None) => return Err(S::Error::custom("a reference leads nowhere")),
        };
        Written { node, name: self.name().clone() }.serialize(serializer)
    }
}

impl<'de, A: Remote> Deserialize<'de> for Ref<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ref<A>, D::Error> {
        let Written { node, name } = Written::deserialize(deserializer)?;
        let Some(common) = HERE.with_borrow(Clone::clone) else {
            return Err(D::Error::custom(
                "a reference can only be read from a message: elsewhere nobody knows which node reads it",
            ));
        };
        if node == common.node {
            let door = common.doors.find(name.as_str());
            let here = door.as_ref().and_then(|door| door.reference().downcast_ref::<Ref<A>>()).cloned();
            return Ok(here.unwrap_or_else(|| ended(&common, name)));
        }
        let Some(route) = common.doors.route(&node) else {
            return Err(D::Error::custom(format!("this node has no way to {node}")));
        };
        let protocol = common.doors.protocol::<A>();
        Ok(Ref::remote(route, name, protocol, common))
    }
}

/// A reference to an actor of this node that is no more: whoever uses it learns that.
fn ended<A: Remote>(common: &Arc<Common>, name: ActorName) -> Ref<A> {
    let shared = Shared::new(0, Some(name), crate::deliver::short_name::<A>, common.clone(), None);
    shared.note_exit(Exit::NoActor);
    shared.announce_end();
    let mailbox = Mailbox::new(1, Overflow::Refuse);
    mailbox.seal();
    Ref::to_cell(Arc::new(Cell::new(shared, mailbox, false)))
}
