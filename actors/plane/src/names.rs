//! Names of the whole cluster: who owns which.
//!
//! A node that owns names keeps a session: it says in time, again and again, which of its claims it still holds. When it is silent for
//! [`given_away_after`], all its names are free. It stops by itself long before: its lease lasts for [`lease`] from the moment when it
//! *began to say* so, by its own clock. What lies between the two is its time to stop what it does in the name, and covers clocks that
//! run at different rates, up to a half faster or slower than each other. Each grant has a fence, a number that no grant had before.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use playhouse_wire::{Incarnation, NodeName, Time};
use serde::{Deserialize, Serialize};

use crate::config::MonitorConfig;
use crate::limits::{NAMES_MAX, NAMES_PER_NODE_MAX, NODES_MAX};
use crate::spec::validate_name;

/// For so long a node may believe that it owns its names, from when it began to say that it lives, in words that a majority has heard.
pub fn lease(monitor: &MonitorConfig) -> Duration {
    monitor.lost_after
}

/// A node that said nothing for so long owns no name any more.
pub fn given_away_after(monitor: &MonitorConfig) -> Duration {
    lease(monitor) * 3 / 2
}

/// Who owns a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The node.
    pub node: NodeName,
    /// In which of its lives.
    pub incarnation: Incarnation,
    /// Where it listens, as it says.
    pub address: String,
    /// No grant before had a number as high, of whatever name.
    pub fence: u64,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claimed {
    /// It is granted, with this fence.
    Granted(u64),
    /// Somebody owns the name, perhaps the same node by another claim.
    Owned(Owner),
    /// The name is empty or too long, or there are too many.
    Refused(String),
}

/// A life of a node.
type Life = (NodeName, Incarnation);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Grant {
    life: Life,
    /// The claim, as its node numbers them.
    ticket: u64,
    fence: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    address: String,
    until: Time,
    /// Of the latest word that was heard.
    number: u64,
    /// What it owns, by ticket.
    names: BTreeMap<u64, String>,
}

/// The names of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Names {
    given_away_after: Duration,
    next_fence: u64,
    grants: BTreeMap<String, Grant>,
    sessions: BTreeMap<Life, Session>,
    /// When each session ends, if nothing is heard.
    due: BTreeSet<(Time, Life)>,
}

impl Names {
    /// Fences begin with this one, which must be higher than any that an earlier life of the cluster gave.
    pub(crate) fn new(given_away_after: Duration, first_fence: u64) -> Names {
        let (grants, sessions, due) = Default::default();
        Names { given_away_after, next_fence: first_fence, grants, sessions, due }
    }

    /// A life of a node claims names, each by a ticket of its own. Those that are free are its own from here on.
    pub(crate) fn claim(&mut self, now: Time, life: &Life, address: String, claims: Vec<(u64, String)>) {
        for (ticket, name) in claims {
            if self.grants.get(&name).is_some_and(|grant| grant.life == *life && grant.ticket == ticket) {
                // Asked again.
                self.extend(now, life);
                continue;
            }
            let owned = self.sessions.get(life).map_or(0, |session| session.names.len());
            let is_new = owned == 0 || self.sessions.get(life).is_some_and(|session| !session.names.contains_key(&ticket));
            let room = self.grants.len() < NAMES_MAX && owned < NAMES_PER_NODE_MAX;
            if self.grants.contains_key(&name) || validate_name(&name).is_err() || !is_new || !room {
                continue;
            }
            if !self.open(now, life, &address) {
                return;
            }
            // Its node counts its lease from here, too.
            self.extend(now, life);
            let fence = self.next_fence;
            self.next_fence += 1;
            self.grants.insert(name.clone(), Grant { life: life.clone(), ticket, fence });
            if let Some(session) = self.sessions.get_mut(life) {
                session.names.insert(ticket, name);
            }
        }
    }

    /// A life of a node says which of its claims up to the ticket `upto` it holds: of these it owns no others from here on. A word with a
    /// lower number than one before comes late, and says nothing.
    pub(crate) fn keep(&mut self, now: Time, life: &Life, number: u64, upto: u64, tickets: &[u64]) {
        let Some(session) = self.sessions.get_mut(life).filter(|session| session.number < number) else { return };
        session.number = number;
        let held: BTreeSet<u64> = tickets.iter().copied().collect();
        let over: Vec<u64> = session.names.range(..=upto).map(|(ticket, _)| *ticket).filter(|t| !held.contains(t)).collect();
        self.extend(now, life);
        self.release(life, &over);
    }

    /// A life of a node gives up claims.
    pub(crate) fn release(&mut self, life: &Life, tickets: &[u64]) {
        let Some(session) = self.sessions.get_mut(life) else { return };
        for ticket in tickets {
            if let Some(name) = session.names.remove(ticket) {
                self.grants.remove(&name);
            }
        }
        if session.names.is_empty() {
            self.end(life);
        }
    }

    /// Nobody could be heard for a while: another leader took over. All sessions last for as long as if they had been heard now.
    pub(crate) fn forgive(&mut self, now: Time) {
        let lives: Vec<Life> = self.sessions.keys().cloned().collect();
        lives.iter().for_each(|life| self.extend(now, life));
    }

    /// Ends the sessions that are due; gives how many names each had.
    pub(crate) fn tick(&mut self, now: Time) -> Vec<(NodeName, Incarnation, u32)> {
        let mut ended = Vec::new();
        while let Some((due, life)) = self.due.first().cloned()
            && due <= now
        {
            let names = self.end(&life);
            ended.push((life.0, life.1, names));
        }
        ended
    }

    pub(crate) fn wakes_at(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(crate) fn owner(&self, name: &str) -> Option<Owner> {
        self.grants.get(name).map(|grant| self.owner_of(grant))
    }

    /// The names that begin so, in order, with their owners.
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Owner)> {
        let from = self.grants.range::<str, _>((core::ops::Bound::Included(prefix), core::ops::Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix)).map(|(name, grant)| (name.as_str(), self.owner_of(grant)))
    }

    /// What came of a claim, if it was just made.
    pub(crate) fn claimed(&self, life: &Life, ticket: u64, name: &str) -> Claimed {
        match self.grants.get(name) {
            Some(grant) if grant.life == *life && grant.ticket == ticket => Claimed::Granted(grant.fence),
            Some(grant) => Claimed::Owned(self.owner_of(grant)),
            None => match validate_name(name) {
                Err(error) => Claimed::Refused(alloc::format!("{error}")),
                Ok(()) => Claimed::Refused(alloc::format!("the node has {NAMES_PER_NODE_MAX} names, or the cluster {NAMES_MAX}")),
            },
        }
    }

    /// The claims of a life that it owns names by.
    pub(crate) fn tickets(&self, life: &Life) -> Vec<u64> {
        self.sessions.get(life).map(|session| session.names.keys().copied().collect()).unwrap_or_default()
    }

    fn owner_of(&self, grant: &Grant) -> Owner {
        let (node, incarnation) = grant.life.clone();
        let address = self.sessions[&grant.life].address.clone();
        Owner { node, incarnation, address, fence: grant.fence }
    }

    /// Sees to it that there is a session. False: there are too many.
    fn open(&mut self, now: Time, life: &Life, address: &str) -> bool {
        if self.sessions.contains_key(life) {
            return true;
        }
        if self.sessions.len() >= NODES_MAX {
            return false;
        }
        let until = now + self.given_away_after;
        self.due.insert((until, life.clone()));
        self.sessions.insert(life.clone(), Session { address: address.into(), until, number: 0, names: BTreeMap::new() });
        true
    }

    fn extend(&mut self, now: Time, life: &Life) {
        let Some(session) = self.sessions.get_mut(life) else { return };
        assert!(self.due.remove(&(session.until, life.clone())), "each session has its end");
        session.until = session.until.max(now + self.given_away_after);
        self.due.insert((session.until, life.clone()));
    }

    fn end(&mut self, life: &Life) -> u32 {
        let Some(session) = self.sessions.remove(life) else { return 0 };
        assert!(self.due.remove(&(session.until, life.clone())), "each session has its end");
        session.names.values().for_each(|name| drop(self.grants.remove(name)));
        session.names.len() as u32
    }

    /// What does not hold between the parts, if anything: for the checks.
    pub(crate) fn torn(&self) -> Option<String> {
        let owned: usize = self.sessions.values().map(|session| session.names.len()).sum();
        if owned != self.grants.len() || self.due.len() != self.sessions.len() {
            return Some(alloc::format!("{owned} owned, {} granted; {} due", self.grants.len(), self.due.len()));
        }
        let stray = self.grants.iter().find(|(name, grant)| {
            let session = self.sessions.get(&grant.life);
            session.and_then(|session| session.names.get(&grant.ticket)) != Some(name) || grant.fence >= self.next_fence
        });
        stray.map(|(name, grant)| alloc::format!("{name} is not in the session of its owner: {grant:?}"))
    }
}
