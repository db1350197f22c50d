//! Where a node finds the coordinator that leads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use playhouse_actors::prelude::*;
use playhouse_net::NameAtError;
use playhouse_rt::sync::Notify;
use playhouse_wire::{ActorName, MessageId};

use crate::coordinator::{COORDINATOR, Coordinator};
use crate::finder::Finder;
use crate::limits::{COORDINATORS_MAX, REPORT_BACKOFF, SEED_DEADLINE};
use crate::messages::{FetchCoordinators, Instead, Leads, Led, NotTaken};

/// The actor that hears who leads.
pub(crate) const FOLLOWER: &str = "follower";

/// The coordinators that a node knows, and the one that leads, as far as it has heard. Clones are the same.
#[derive(Clone)]
pub(crate) struct Coordinators(Arc<Inner>);

struct Inner {
    finder: Finder,
    known: Mutex<Known>,
    /// Another one is to be asked.
    changed: Notify,
}

struct Known {
    addresses: BTreeMap<NodeName, SocketAddr>,
    /// The highest term that was heard of, and who leads in it.
    term: u64,
    leader: Option<NodeName>,
    /// Who is asked next.
    guess: NodeName,
}

impl Known {
    /// Somebody leads in this term. False: an earlier one, or nobody who could.
    fn hears(&mut self, term: u64, leader: &NodeName) -> bool {
        if term < self.term || !self.addresses.contains_key(leader) {
            return false;
        }
        if term > self.term {
            (self.term, self.leader) = (term, None);
        }
        let leads = self.leader.get_or_insert_with(|| leader.clone());
        if leads == leader {
            self.guess = leader.clone();
            return true;
        }
        false
    }

    /// Whether somebody who leads in this term is not known to be there.
    fn is_news(&self, term: u64, leader: &NodeName, address: SocketAddr) -> bool {
        term >= self.term && self.addresses.get(leader) != Some(&address)
    }

    /// The one after this.
    fn after(&self, than: &NodeName) -> NodeName {
        let later = self.addresses.range::<NodeName, _>((std::ops::Bound::Excluded(than), std::ops::Bound::Unbounded));
        let next = later.map(|(name, _)| name).chain(self.addresses.keys()).next();
        next.unwrap_or(than).clone()
    }
}

impl Coordinators {
    /// Those that the node was told of; `None` if it was told of none.
    pub(crate) fn new(finder: Finder, listed: &[(NodeName, SocketAddr)]) -> Option<Coordinators> {
        let addresses: BTreeMap<_, _> = listed.iter().take(COORDINATORS_MAX).cloned().collect();
        let guess = listed.first()?.0.clone();
        let known = Mutex::new(Known { addresses, term: 0, leader: None, guess });
        Some(Coordinators(Arc::new(Inner { finder, known, changed: Notify::new() })))
    }

    pub(crate) fn finder(&self) -> &Finder {
        &self.0.finder
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known; whoever waits for a change hears of it.
    fn update<T>(&self, update: impl FnOnce(&mut Known) -> T) -> T {
        let (news, result) = {
            let mut known = self.known();
            let before = known.guess.clone();
            let result = update(&mut known);
            (known.guess != before, result)
        };
        if news {
            self.0.changed.notify_waiters();
        }
        result
    }

    /// All of them, with their addresses.
    pub(crate) fn list(&self) -> Vec<(NodeName, SocketAddr)> {
        self.known().addresses.iter().map(|(name, address)| (name.clone(), *address)).collect()
    }

    /// Whether a node of this name is one.
    pub(crate) fn has(&self, node: &NodeName) -> bool {
        self.known().addresses.contains_key(node)
    }

    /// There is another one, or will be.
    pub(crate) fn meet(&self, node: &NodeName, address: SocketAddr) {
        let mut known = self.known();
        if known.addresses.len() < COORDINATORS_MAX {
            known.addresses.insert(node.clone(), address);
        }
    }

    /// These are all, says the one that leads. One that is not among them is forgotten when another one leads.
    pub(crate) fn are(&self, coordinators: &[(NodeName, SocketAddr)]) {
        let own = self.0.finder.system.node();
        for (name, address) in coordinators.iter().take(COORDINATORS_MAX) {
            let news = self.known().addresses.insert(name.clone(), *address) != Some(*address);
            if news && name != own {
                self.0.finder.roads.endpoint.connect(name.clone(), *address);
            }
        }
        self.update(|known| known.addresses.retain(|name, _| coordinators.iter().any(|(listed, _)| listed == name)));
    }

    /// The one that is believed to lead: the best to tell something that needs no answer.
    pub(crate) fn leader(&self) -> Option<Ref<Coordinator>> {
        self.find(&self.guess())
    }

    /// The coordinator on this node.
    pub(crate) fn find(&self, node: &NodeName) -> Option<Ref<Coordinator>> {
        self.0.finder.find(node, COORDINATOR)
    }

    /// Waits for a connection to this node, as long as one may still come.
    pub(crate) async fn meets(&self, node: &NodeName, within: Duration) {
        if node != self.0.finder.system.node() {
            // Whoever asks then is told why there is none.
            let _ = playhouse_rt::timeout(within, self.0.finder.roads.endpoint.dialled(node)).await;
        }
    }

    /// The name of the one that is believed to lead.
    pub(crate) fn guess(&self) -> NodeName {
        self.known().guess.clone()
    }

    /// Whether a message to this node is an order of the coordinator that leads. Nobody else gives any.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn is_order(&self, from: &NodeName, term: u64) -> Result<(), String> {
        self.update(|known| {
            if known.hears(term, from) {
                return Ok(());
            }
            let leader = known.leader.as_ref().map_or("nobody known here".to_string(), ToString::to_string);
            Err(format!("{from} does not lead in term {term}; {leader} does in term {}", known.term))
        })
    }

    /// Waits until another one is believed to lead than `seen`.
    pub(crate) async fn changed(&self, seen: &NodeName) -> NodeName {
        loop {
            let changed = self.0.changed.notified();
            let guess = self.guess();
            if guess != *seen {
                return guess;
            }
            changed.await;
        }
    }

    /// Asks the one that leads, whoever that is, until it has answered: again after `each`, and when another one leads. So every message may
    /// arrive twice.
    ///
    /// # Errors
    /// When the message itself is at fault, so that no further try can succeed; or the last try's error, at `until`.
    pub(crate) async fn ask<M, R>(&self, message: M, each: Duration, until: Option<Instant>) -> Result<R, AskError>
    where
        Coordinator: Handler<M>,
        M: Message<Result = Led<R>> + Clone + Send + 'static,
        R: Send + 'static,
    {
        let (mut wait, longest) = REPORT_BACKOFF;
        loop {
            let to = self.guess();
            let last = match self.find(&to) {
                Some(coordinator) => {
                    let answer = coordinator.ask_within(message.clone(), each);
                    playhouse_rt::select! {
                        answer = answer => match answer {
                            Ok(Ok(answer)) => return Ok(answer),
                            Ok(Err(not_taken)) => {
                                self.elsewhere(&to, &not_taken);
                                AskError::Gone(format!("{to} does not lead"))
                            }
                            Err(
                                error @ (AskError::Unsendable(_)
                                | AskError::NotInProtocol(_)
                                | AskError::Undecodable(_)
                                | AskError::NotUnderstood(_)),
                            ) => return Err(error),
                            Err(error) => {
                                self.update(|known| if known.guess == to { known.guess = known.after(&to) });
                                error
                            }
                        },
                        _ = self.changed(&to) => AskError::Gone(format!("{to} leads no more")),
                    }
                }
                None => {
                    self.update(|known| {
                        if known.guess == to {
                            known.guess = known.after(&to)
                        }
                    });
                    AskError::Gone("the coordinator of this node has ended".into())
                }
            };
            tracing::debug!(error = %last, "a coordinator did not answer; it is tried again");
            if until.is_some_and(|until| playhouse_rt::now() >= until) {
                return Err(last);
            }
            let rest = until.map_or(wait, |until| wait.min(until.saturating_duration_since(playhouse_rt::now())));
            playhouse_rt::sleep(rest).await;
            wait = (wait * 2).min(longest);
        }
    }

    /// One that was asked does not lead, and says who does.
    fn elsewhere(&self, asked: &NodeName, NotTaken { leader, address, term }: &NotTaken) {
        // One that came while this node heard of nothing, or that is elsewhere since: it does not know where to say that it leads.
        if let (Some(leader), Some(address)) = (leader, address)
            && self.known().is_news(*term, leader, *address)
        {
            self.meet(leader, *address);
            self.0.finder.roads.endpoint.connect(leader.clone(), *address);
        }
        self.update(|known| {
            let told = leader.as_ref().is_some_and(|leader| leader != asked && known.hears(*term, leader));
            if !told && known.guess == *asked {
                known.guess = known.after(asked);
            }
        });
    }

    /// A node takes this coordinator, which does not lead, for the one that does: it hears who is, if that is known here. The one that leads
    /// may have no connection to it.
    pub(crate) fn send_on(&self, node: &NodeName, instead: NotTaken) {
        if let Some(follower) = instead.leader.is_some().then(|| self.0.finder.find::<Follower>(node, FOLLOWER)).flatten() {
            // If it is lost, the next beat brings another.
            let _ = follower.tell(Instead(instead));
        }
    }
}

/// Hears who leads.
pub(crate) struct Follower(pub(crate) Coordinators);

impl Actor for Follower {
    type Context = Ctx<Self>;
}

impl Remote for Follower {
    fn protocol(protocol: &mut Protocol<Self>) {
        let version = 1;
        protocol
            .message_on::<Leads>(MessageId { id: 1, version }, Lane::Control)
            .message_on::<FetchCoordinators>(MessageId { id: 2, version }, Lane::Control)
            .message_on::<Instead>(MessageId { id: 3, version }, Lane::Control);
    }
}

impl Handler<Leads> for Follower {
    type Result = ();

    fn handle(&mut self, leads: Leads, ctx: &mut Ctx<Self>) {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node);
        match self.0.is_order(from, leads.term) {
            Ok(()) => self.0.are(&leads.coordinators),
            Err(why) => tracing::debug!(%why, "a node that does not lead says that it does"),
        }
    }
}

impl Handler<Instead> for Follower {
    type Result = ();

    fn handle(&mut self, Instead(instead): Instead, ctx: &mut Ctx<Self>) {
        let from = ctx.from().map_or(ctx.system().node(), |from| &from.node);
        if self.0.has(from) {
            self.0.elsewhere(from, &instead);
        }
    }
}

impl Handler<FetchCoordinators> for Follower {
    type Result = MessageResult<FetchCoordinators>;

    fn handle(&mut self, _: FetchCoordinators, _: &mut Ctx<Self>) -> MessageResult<FetchCoordinators> {
        MessageResult(self.0.list())
    }
}

/// Asks whichever nodes of the cluster listen at these addresses who the coordinators are, until one says so.
///
/// # Errors
/// What the last one said, or why it said nothing, when the time is up; or at once, when none of them can be trusted.
pub(crate) async fn discover(
    finder: &Finder,
    seeds: &[SocketAddr],
    within: Duration,
) -> Result<Vec<(NodeName, SocketAddr)>, String> {
    let until = playhouse_rt::now() + within;
    let (mut wait, longest) = REPORT_BACKOFF;
    loop {
        let (mut last, mut hopeless) = (String::new(), true);
        for seed in seeds {
            match ask_seed(finder, *seed).await {
                Ok(coordinators) => return Ok(coordinators),
                Err(error) => {
                    hopeless &= matches!(error, NameAtError::Refused(_));
                    last = format!("{seed}: {error}");
                }
            }
        }
        // Whoever cannot be trusted now cannot be trusted in a moment.
        if hopeless || playhouse_rt::now() >= until {
            return Err(last);
        }
        playhouse_rt::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}

async fn ask_seed(finder: &Finder, seed: SocketAddr) -> Result<Vec<(NodeName, SocketAddr)>, NameAtError> {
    let endpoint = &finder.roads.endpoint;
    let name = endpoint.name_at(seed).await?;
    if name == *finder.system.node() {
        return Err(NameAtError::Lost(format!("a node called {name} runs there, and this one has that name")));
    }
    endpoint.connect(name.clone(), seed);
    let asked = async {
        endpoint.dialled(&name).await?;
        let follower = finder.find::<Follower>(&name, FOLLOWER).ok_or("it is this node")?;
        let told = follower.ask_within(FetchCoordinators {}, SEED_DEADLINE).await;
        let told = told.map_err(|error| format!("{name} does not say who the coordinators are: {error}"))?;
        if told.is_empty() { Err(format!("{name} knows no coordinator")) } else { Ok(told) }
    };
    let told = asked.await;
    // Those that matter are connected to by those who know them.
    endpoint.forget(&name);
    told.map_err(NameAtError::Lost)
}

impl Coordinators {
    /// Lets the node hear who leads.
    pub(crate) fn follow(&self, system: &System) -> Result<(), playhouse_actors::NameTaken> {
        let options = SpawnOptions { stoppable: false, ..SpawnOptions::default() };
        let of = self.clone();
        system.spawn_remote(ActorName::new(FOLLOWER).expect("a name"), options, move || Follower(of.clone()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    fn known() -> Known {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let addresses = ["a", "b", "c"].map(|node| (name(node), address)).into();
        Known { addresses, term: 0, leader: None, guess: name("a") }
    }

    #[test]
    fn who_led_in_an_earlier_term_leads_no_more() {
        let mut known = known();
        assert!(known.hears(3, &name("b")));
        assert!(known.hears(3, &name("b")), "said again");
        assert!(!known.hears(3, &name("c")), "nobody leads beside it in its term");
        assert!(!known.hears(2, &name("a")));
        assert_eq!(known.guess, name("b"));
        assert!(known.hears(4, &name("c")));
        assert!(!known.hears(3, &name("b")));
        assert_eq!((known.guess.as_str(), known.term), ("c", 4));
        assert!(!known.hears(9, &name("stranger")), "only coordinators lead");
        assert_eq!(known.term, 4, "and a stranger's term counts for nothing");
    }

    #[test]
    fn a_leader_that_has_moved_is_looked_for_where_it_is() {
        let (mut known, elsewhere) = (known(), SocketAddr::from(([127, 0, 0, 1], 2)));
        assert!(!known.is_news(3, &name("b"), known.addresses[&name("b")]));
        assert!(known.is_news(3, &name("b"), elsewhere) && known.is_news(0, &name("stranger"), elsewhere));
        assert!(known.hears(4, &name("c")));
        assert!(!known.is_news(3, &name("b"), elsewhere), "an earlier term says where it was");
    }

    #[test]
    fn all_are_asked_in_turn() {
        let known = known();
        let turn = |from: &str| known.after(&name(from)).as_str().to_string();
        assert_eq!([turn("a"), turn("b"), turn("c"), turn("aa")], ["b", "c", "a", "b"]);
    }
}
