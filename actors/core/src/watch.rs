//! Who hears of an actor's end: watches and links.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use actix::Actor;
use playhouse_wire::{ActorName, Exit, NodeName};

use crate::route::Route;
use crate::shared::{Life, Manner};
use crate::{Ctx, Ref};

/// An actor that was watched is no more, or nobody knows whether it is. Comes exactly once for each [`Ctx::watch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// The actor's name on its node.
    pub name: ActorName,
    /// Its node; `None`: this one.
    pub node: Option<NodeName>,
    /// Why.
    pub exit: Exit,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{}@{node}: {}", self.name, self.exit),
            None => write!(f, "{}: {}", self.name, self.exit),
        }
    }
}

/// The end of an actor of another node, to be waited for. Dropped, nobody watches any more.
pub type Watching = Pin<Box<dyn Future<Output = Exit> + Send>>;

/// Where an actor lives, without its type.
pub(crate) enum Place {
    Here(Arc<dyn Life>),
    There(Arc<dyn Route>, ActorName),
}

impl Place {
    fn title(&self) -> String {
        match self {
            Place::Here(life) => format!("{}@{}", life.shared().name(), life.shared().common.node),
            Place::There(route, name) => format!("{name}@{}", route.node()),
        }
    }
}

fn linked_to(other: &Place, exit: &Exit) -> Exit {
    if let Exit::Linked(_) = exit {
        // The first of a chain is the one to know.
        return exit.clone();
    }
    Exit::Linked(format!("{}, which ended: {exit}", other.title()))
}

pub(crate) fn link<A: Actor<Context = Ctx<A>>, B: Actor<Context = Ctx<B>>>(one: &Ref<A>, other: &Ref<B>) {
    match (one.place(), other.place()) {
        (Place::Here(one), Place::Here(other)) => link_here(one, other),
        (Place::Here(one), there @ Place::There(..)) => link_there(one, there),
        // An actor links itself, so one side is here.
        (Place::There(..), _) => unreachable!("a reference to an actor of another node is not `me`"),
    }
}

fn link_here(one: Arc<dyn Life>, other: Arc<dyn Life>) {
    let numbers: Arc<[OnceLock<u64>; 2]> = Arc::default();
    let hook = |of: usize, dead: &Arc<dyn Life>, partner: &Arc<dyn Life>| {
        let (numbers, dead, partner) = (numbers.clone(), Place::Here(dead.clone()), partner.clone());
        Box::new(move |exit: &Exit| {
            if !exit.is_normal() {
                partner.shared().stop(Manner::Soon, linked_to(&dead, exit));
            }
            // The partner may outlive many links.
            if let Some(number) = numbers[1 - of].get() {
                partner.shared().unhook(*number);
            }
        })
    };
    for (of, (dead, partner)) in [(&one, &other), (&other, &one)].into_iter().enumerate() {
        match dead.shared().when_ended(hook(of, dead, partner)) {
            Ok(number) => drop(numbers[of].set(number)),
            Err(exit) => {
                hook(of, dead, partner)(&exit);
                return;
            }
        }
    }
    // The first may have ended before it could know the second's number.
    if one.shared().exit().is_some()
        && let Some(number) = numbers[1].get()
    {
        other.shared().unhook(*number);
    }
}

fn link_there(one: Arc<dyn Life>, there: Place) {
    let Place::There(route, name) = &there else { unreachable!("matched by the caller") };
    let (route, name) = (route.clone(), name.clone());
    let mut watching = route.watch(&name, Some(one.shared().name()));
    playhouse_rt::spawn(async move {
        // Held until the stop is on its way: a watch that is given up no longer stops the other one when the connection ends.
        playhouse_rt::select! {
            exit = &mut watching => if !exit.is_normal() {
                one.shared().stop(Manner::Soon, linked_to(&there, &exit));
            },
            exit = one.shared().ended() => if !exit.is_normal() {
                // When it does not get through, the connection is lost, and that ends the other one too.
                route.stop(&name, linked_to(&Place::Here(one.clone()), &exit));
            },
        }
    });
}
