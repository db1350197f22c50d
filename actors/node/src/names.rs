//! Names of the cluster that this node owns.
//!
//! Its claims have one lease together. A keeper, a task that lives as long as there are any, says often which are held; each word that a
//! majority of the coordinators has heard extends the lease, counted from when the word was begun. When the lease is over all claims are
//! lost, and only later does the cluster give the names away (see [`playhouse_plane::names`]).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use playhouse_actors::AskError;
use playhouse_plane::{Claimed, Owner};
use playhouse_rt::sync::Notify;
use playhouse_wire::Incarnation;

use crate::coordinators::Coordinators;
use crate::finder::Finder;
use crate::limits::{CLAIM_PATIENCE, CLAIM_TRY, KEEP_TRIES, KEEPS, RELEASE_WITHIN};
use crate::messages::{ClaimNames, FetchNames, FetchOwner, KeepNames, ReleaseNames};

/// Names that begin so are this crate's own.
const OWN: char = '_';

/// A name is not owned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Somebody owns it, perhaps this node by another claim. Nothing was changed; try again when it is free.
    #[error("{}{} owns it, with fence {}", .0.node, .0.incarnation, .0.fence)]
    Owned(Owner),
    /// The name is none, or there are too many. Nothing was changed.
    #[error("the name is refused: {0}")]
    Refused(String),
    /// No coordinator that leads answered, at last for this reason. A claim that was granted all the same ends by itself.
    #[error("no coordinator answered for {} s, at last: {last}", CLAIM_PATIENCE.as_secs())]
    Coordinator {
        /// Why the last try failed.
        last: AskError,
    },
    /// The node was started without knowing a coordinator, or it stops.
    #[error("this node takes no part in a cluster: it knows no coordinator, or it stops")]
    NoCluster,
}

/// The claims of a node. Clones are the same.
#[derive(Clone)]
pub(crate) struct Names(Arc<Inner>);

struct Inner {
    finder: Finder,
    incarnation: Incarnation,
    coordinators: Coordinators,
    state: Mutex<State>,
    /// A claim is lost, or the keeper has something to do.
    news: Notify,
}

#[derive(Default)]
struct State {
    /// The highest number that was given to a claim.
    tickets: u64,
    /// The number of the latest word.
    words: u64,
    /// Claims without an answer.
    asked: BTreeSet<u64>,
    /// Claims that are granted and not lost, if the lease is not over.
    held: BTreeSet<u64>,
    /// Claims to be given up.
    over: BTreeSet<u64>,
    /// When the lease is over.
    until: Option<Instant>,
    /// How long it is.
    lease: Duration,
    kept: bool,
    stops: bool,
}

impl State {
    /// Loses all claims when the lease is over: true when it is.
    fn expire(&mut self, now: Instant, planted: bool) -> bool {
        let expires = self.until.is_some_and(|until| now >= until) && !planted;
        if expires {
            self.held.clear();
            self.until = None;
        }
        expires
    }

    /// How long the lease is; before the first one nothing depends on it.
    fn lease(&self) -> Duration {
        if self.lease.is_zero() { CLAIM_TRY } else { self.lease }
    }

    /// What was begun to be said at `since` was heard.
    fn extend(&mut self, since: Instant, lease: Duration) {
        self.lease = lease;
        self.until = self.until.max(Some(since + lease));
    }
}

impl Names {
    pub(crate) fn new(finder: Finder, incarnation: Incarnation, coordinators: Coordinators) -> Names {
        let (state, news) = (Mutex::default(), Notify::new());
        Names(Arc::new(Inner { finder, incarnation, coordinators, state, news }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.expire(playhouse_rt::now(), self.0.finder.system.planted().lease_kept) {
            // Whoever looks first finds it; those who wait must hear it, too.
            self.0.news.notify_waiters();
        }
        state
    }

    fn life(&self) -> (playhouse_wire::NodeName, Incarnation) {
        (self.0.finder.system.node().clone(), self.0.incarnation)
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    pub(crate) fn finder(&self) -> &Finder {
        &self.0.finder
    }

    /// Claims names at once; each answer stands where its name does.
    pub(crate) async fn claim_all(&self, names: Vec<String>) -> Result<Vec<Result<Claim, ClaimError>>, ClaimError> {
        let claims: Vec<Claim> = {
            let mut state = self.lock();
            if state.stops {
                return Err(ClaimError::NoCluster);
            }
            let claims = names.into_iter().map(|name| {
                state.tickets += 1;
                let ticket = state.tickets;
                state.asked.insert(ticket);
                Claim { names: self.clone(), ticket, name, fence: 0 }
            });
            claims.collect()
        };
        let patience = playhouse_rt::now() + CLAIM_PATIENCE;
        let (node, incarnation) = self.life();
        let address = self.0.finder.roads.endpoint.local_addr().to_string();
        let asked: Vec<_> = claims.iter().map(|claim| (claim.ticket, claim.name.clone())).collect();
        let claim = ClaimNames { node, incarnation, address, claims: asked };
        loop {
            let since = playhouse_rt::now();
            match self.0.coordinators.ask(claim.clone(), CLAIM_TRY, Some(since + CLAIM_TRY)).await {
                Ok((lease, answers)) => return Ok(self.granted(since, lease, claims, answers)),
                Err(last) if playhouse_rt::now() >= patience => return Err(ClaimError::Coordinator { last }),
                Err(_) => {}
            }
        }
    }

    fn granted(
        &self,
        since: Instant,
        lease: Duration,
        claims: Vec<Claim>,
        answers: Vec<Claimed>,
    ) -> Vec<Result<Claim, ClaimError>> {
        let mut results = Vec::new();
        for (mut claim, answer) in claims.into_iter().zip(answers) {
            results.push(match answer {
                Claimed::Granted(fence) => {
                    let mut state = self.lock();
                    state.asked.remove(&claim.ticket);
                    state.held.insert(claim.ticket);
                    state.extend(since, lease);
                    claim.fence = fence;
                    drop(state);
                    playhouse_rt::ledger::record("owns", || format!("{} with fence {fence}", claim.name));
                    Ok(claim)
                }
                Claimed::Owned(owner) => Err((claim, ClaimError::Owned(owner))),
                Claimed::Refused(why) => Err((claim, ClaimError::Refused(why))),
            });
        }
        let refused = |(claim, error): (Claim, ClaimError)| {
            // It never was one: there is nothing to give back.
            self.lock().asked.remove(&claim.ticket);
            error
        };
        let results = results.into_iter().map(|result| result.map_err(refused)).collect();
        self.keep();
        results
    }

    pub(crate) async fn owner(&self, name: &str) -> Result<Option<Owner>, ClaimError> {
        let until = Some(playhouse_rt::now() + CLAIM_PATIENCE);
        let answer = self.0.coordinators.ask(FetchOwner { name: name.into() }, CLAIM_TRY, until).await;
        answer.map_err(|last| ClaimError::Coordinator { last })
    }

    pub(crate) async fn under(&self, prefix: &str) -> Result<Vec<(String, Owner)>, ClaimError> {
        let until = Some(playhouse_rt::now() + CLAIM_PATIENCE);
        let answer = self.0.coordinators.ask(FetchNames { prefix: prefix.into() }, CLAIM_TRY, until).await;
        answer.map_err(|last| ClaimError::Coordinator { last })
    }

    /// Sees to it that somebody keeps the claims.
    fn keep(&self) {
        if !std::mem::replace(&mut self.lock().kept, true) {
            let names = self.clone();
            drop(playhouse_rt::spawn(async move { names.keeper().await }));
        }
        self.0.news.notify_waiters();
    }

    async fn keeper(&self) {
        let mut next = playhouse_rt::now();
        loop {
            let mut news = std::pin::pin!(self.0.news.notified());
            news.as_mut().enable();
            let (over, until) = {
                let mut state = self.lock();
                if state.held.is_empty() && state.asked.is_empty() && state.over.is_empty() {
                    state.kept = false;
                    return;
                }
                next = next.min(playhouse_rt::now() + state.lease() / KEEPS);
                let until = state.until.filter(|until| *until > playhouse_rt::now());
                (std::mem::take(&mut state.over), until)
            };
            if !over.is_empty() {
                // The lease is kept meanwhile, and its end heard.
                let names = self.clone();
                drop(playhouse_rt::spawn(async move { names.release(over).await }));
                continue;
            }
            let ends = async {
                match until {
                    Some(until) => playhouse_rt::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            playhouse_rt::select! {
                () = playhouse_rt::sleep_until(next) => {
                    next = playhouse_rt::now() + self.lock().lease() / KEEPS;
                    self.say().await;
                }
                () = ends => self.lose(),
                () = news => {}
            }
        }
    }

    /// The lease is over; whoever waits for that hears it.
    fn lose(&self) {
        drop(self.lock());
        self.0.news.notify_waiters();
    }

    /// Says which claims are held. Until it is heard the lease runs on, and may end.
    async fn say(&self) {
        let since = playhouse_rt::now();
        let (node, incarnation) = self.life();
        let (keep, held, until) = {
            let mut state = self.lock();
            state.words += 1;
            let tickets: Vec<u64> = state.held.union(&state.asked).copied().collect();
            let keep = KeepNames { node, incarnation, number: state.words, upto: state.tickets, tickets };
            (keep, state.held.clone(), state.until.unwrap_or(since + CLAIM_TRY))
        };
        // Soon enough for another coordinator, if this one is gone.
        let each = (self.lock().lease() / KEEP_TRIES).min(CLAIM_TRY);
        let asked = self.0.coordinators.ask(keep, each, Some(since + each));
        playhouse_rt::select! {
            answer = asked => if let Ok((lease, kept)) = answer {
                let mut state = self.lock();
                // Those that were granted meanwhile are none of its business.
                state.held.retain(|ticket| !held.contains(ticket) || kept.contains(ticket));
                if lease > Duration::ZERO && !state.held.is_empty() {
                    state.extend(since, lease);
                }
            },
            () = playhouse_rt::sleep_until(until) => {}
        }
        self.lose();
    }

    async fn release(&self, tickets: BTreeSet<u64>) {
        let (node, incarnation) = self.life();
        let release = ReleaseNames { node, incarnation, tickets: tickets.into_iter().collect() };
        // If it is not heard, the next word says the same, or the silence.
        let _ = self.0.coordinators.ask(release, RELEASE_WITHIN, Some(playhouse_rt::now() + RELEASE_WITHIN)).await;
    }

    async fn lost(&self, ticket: u64) {
        loop {
            let mut news = std::pin::pin!(self.0.news.notified());
            news.as_mut().enable();
            if !self.lock().held.contains(&ticket) {
                return;
            }
            news.await;
        }
    }

    /// The node begins to stop: no name is claimed any more.
    pub(crate) fn stop(&self) {
        self.lock().stops = true;
        self.0.news.notify_waiters();
    }

    pub(crate) fn stops(&self) -> bool {
        self.lock().stops
    }

    /// Waits until the node begins to stop.
    pub(crate) async fn stopped(&self) {
        loop {
            let mut news = std::pin::pin!(self.0.news.notified());
            news.as_mut().enable();
            if self.stops() {
                return;
            }
            news.await;
        }
    }

    /// The node has stopped. Its claims are lost, and free if nothing acts in their names any more; else they are when it is silent.
    pub(crate) async fn let_go(&self, all_ended: bool) {
        let held = {
            let mut state = self.lock();
            let mut held = std::mem::take(&mut state.held);
            held.append(&mut state.over);
            state.until = None;
            held
        };
        self.0.news.notify_waiters();
        if !held.is_empty() && all_ended {
            self.release(held).await;
        }
    }
}

/// A name of the cluster that this node owns, until the claim is dropped or lost.
///
/// It is lost when the node could not tell the cluster in time that it lives. Then nobody owns the name for a moment, and another node may
/// own it a moment later: whatever is done in the name must have ended by then. What may be delayed, a message to something outside the
/// cluster, should carry the [fence](Claim::fence), so that the receiver can refuse one that is lower than one that it has seen.
#[must_use = "a claim that is dropped is given up"]
pub struct Claim {
    names: Names,
    ticket: u64,
    name: String,
    fence: u64,
}

impl Claim {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number that is higher than that of every claim that was granted before, to whomever, and lower than that of every later one.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether the node owns the name, by its own clock, at this moment.
    pub fn is_held(&self) -> bool {
        self.names.lock().held.contains(&self.ticket)
    }

    /// Waits until the claim is lost; it never is again. Cancel-safe. A thread that is busy with something else hears it later, and
    /// [`Claim::is_held`] does not.
    pub async fn lost(&self) {
        self.names.lost(self.ticket).await;
    }

    /// The same, without the claim: ready also when it was dropped.
    pub(crate) fn lost_later(&self) -> impl Future<Output = ()> + Send + use<> {
        let (names, ticket) = (self.names.clone(), self.ticket);
        async move { names.lost(ticket).await }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.names.lock();
        let (held, asked) = (state.held.remove(&self.ticket), state.asked.remove(&self.ticket));
        if held || asked {
            state.over.insert(self.ticket);
        }
        drop(state);
        self.names.0.news.notify_waiters();
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({} with fence {})", self.name, self.fence)
    }
}

/// Whether a user may have this name.
pub(crate) fn public(name: &str) -> Result<String, ClaimError> {
    if name.starts_with(OWN) {
        return Err(ClaimError::Refused(format!("names that begin with {OWN:?} are Playhouse's own")));
    }
    Ok(name.to_string())
}

impl crate::Node {
    fn names(&self) -> Result<&Names, ClaimError> {
        self.0.names.as_ref().ok_or(ClaimError::NoCluster)
    }

    /// Claims a name of the whole cluster for this node. A name has one owner at a time: a claim of one that is owned is refused, also when
    /// this node owns it. Cancel-safe: a claim that is not waited for is given up.
    ///
    /// ```
    /// # use playhouse::prelude::*;
    /// # use playhouse::{ClaimError, Coordinate};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # rt::run(1, async {
    /// # let folder = std::env::temp_dir().join(format!("playhouse-claim-{}", std::process::id()));
    /// # let host = Host::os();
    /// # let authority = Authority::new("doc", host.wall_clock())?;
    /// # let identity = authority.issue(&NodeName::new("a")?, host.wall_clock(), Duration::from_secs(3600))?;
    /// # let config = NodeConfig::coordinator(identity, ([127, 0, 0, 1], 0).into(), Coordinate::new(&folder));
    /// # let node = Node::start(host, config).await?;
    /// let claim = node.claim("billing").await?;
    /// assert!(matches!(node.claim("billing").await, Err(ClaimError::Owned(owner)) if owner.fence == claim.fence()));
    /// assert_eq!(node.whereis("billing").await?.map(|owner| owner.node), Some(node.name().clone()));
    /// # drop(claim);
    /// # node.stop(Duration::from_secs(1)).await;
    /// # let _ = std::fs::remove_dir_all(folder);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`ClaimError`].
    pub async fn claim(&self, name: &str) -> Result<Claim, ClaimError> {
        let claimed = self.names()?.claim_all(vec![public(name)?]).await?;
        claimed.into_iter().next().unwrap_or(Err(ClaimError::NoCluster))
    }

    /// Who owns a name of the cluster. The answer is not stale when it is given; it may be when it is used. Cancel-safe.
    ///
    /// # Errors
    /// When no coordinator that leads answers, or the node knows none.
    pub async fn whereis(&self, name: &str) -> Result<Option<Owner>, ClaimError> {
        self.names()?.owner(name).await
    }
}
