//! How a node is seen from outside: the actor `node/inspect`, and what it looks at.
//!
//! Looking costs something (times are taken, names are copied), so all of it happens when somebody asks, and what goes on between two
//! questions ends [`WATCHED_FOR`] after the last one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use playhouse_actors::prelude::*;
use playhouse_actors::{ActorStatus, DeadLetters};
use playhouse_wire::Incarnation;
use serde::{Deserialize, Serialize};

use crate::finder::Finder;
use crate::limits::{
    ACTORS_LOOKED_AT, ACTORS_SHOWN, INSPECT_MAILBOX, KINDS, LETTER_TEXT, LETTERS_SHOWN, PEERS_SHOWN, RATES_OVER, RATES_STALE,
    TREE_TEXT, WATCHED_FOR,
};
use crate::metrics::{ActorFigures, Histogram, KindFigures, Metrics, OTHER_KINDS, PeerFigures, lanes, refusals};
use crate::tree::{Tree, tree};

/// The name of the actor that every node has for this.
pub(crate) const INSPECT: &str = "node/inspect";

/// What to look at on a node; see [`crate::Node::inspect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    /// How many actors to name, [`ACTORS_SHOWN`] at most.
    pub actors: u32,
    /// Those that come first by this.
    pub sort: Sort,
    /// Whether to draw the tree of supervisors.
    pub tree: bool,
}

impl Message for Inspect {
    // The box keeps the mailbox's entries small. None: the node was dropped meanwhile.
    type Result = Option<Box<Inspection>>;
}

/// By what actors are sorted, the largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sort {
    /// Messages that wait.
    Depth,
    /// Messages handled in a second.
    #[default]
    Rate,
    /// The share of the time that it runs.
    Busy,
    /// How often it was built anew.
    Restarts,
    /// Messages handled since its start.
    Handled,
}

/// What was seen of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// What it has counted.
    pub metrics: Metrics,
    /// The actors that come first.
    pub actors: Vec<ActorFigures>,
    /// The last dead letters since it is being watched, oldest first: at most [`LETTERS_SHOWN`].
    pub dead_letters: Vec<String>,
    /// Its supervisors and what is beneath, as text, if it was asked for.
    pub tree: Option<String>,
}

/// Looks at one node. Held by the node; the actor has it weakly, so that a node that is dropped ends.
pub(crate) struct Observer {
    finder: Finder,
    incarnation: Incarnation,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What every actor had handled at the last look, and, by kind, what all had that were ever seen.
    seen: BTreeMap<ActorName, u64>,
    handled: BTreeMap<String, u64>,
    /// Two looks that rates are counted from: the one before, and the next one to be.
    base: Option<Marks>,
    next: Option<Marks>,
    /// When somebody asked last.
    watched: Option<Instant>,
    /// Times are taken also when nobody asks.
    keep_times: bool,
    letters: Option<DeadLetters>,
    last_letters: VecDeque<String>,
}

struct Marks {
    at: Instant,
    of: BTreeMap<ActorName, (u64, Duration)>,
}

impl Marks {
    fn of(actors: &[ActorStatus], at: Instant) -> Marks {
        Marks { at, of: actors.iter().map(|actor| (actor.name.clone(), (actor.handled, actor.busy))).collect() }
    }
}

impl Observer {
    pub(crate) fn new(finder: Finder, incarnation: Incarnation) -> Observer {
        Observer { finder, incarnation, began: playhouse_rt::now(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let actors = self.finder.system.actors(ACTORS_LOOKED_AT);
        self.metrics_of(&actors, &mut self.state())
    }

    fn metrics_of(&self, actors: &[ActorStatus], state: &mut State) -> Metrics {
        let system = &self.finder.system;
        let endpoint = &self.finder.roads.endpoint;
        let (counters, stats, mut peers) = (system.counters(), endpoint.stats(), endpoint.peers());
        let peers_left_out = peers.len().saturating_sub(PEERS_SHOWN) as u64;
        peers.truncate(PEERS_SHOWN);
        Metrics {
            node: system.node().clone(),
            incarnation: self.incarnation,
            address: endpoint.local_addr(),
            uptime: playhouse_rt::now().saturating_duration_since(self.began),
            alive: counters.alive,
            spawned: counters.spawned,
            panics: counters.panics,
            restarts: counters.restarts,
            expired: counters.expired,
            lost: counters.lost,
            dead_letters: counters.dead_letters,
            kinds: state.kinds(actors),
            not_looked_at: if actors.len() < ACTORS_LOOKED_AT {
                0
            } else {
                counters.alive.saturating_sub(ACTORS_LOOKED_AT as u64)
            },
            wait: Histogram::from(&system.wait_times()),
            handle: Histogram::from(&system.handle_times()),
            peers: peers.iter().map(PeerFigures::of).collect(),
            peers_left_out,
            lanes: lanes(&stats),
            connections: stats.connections,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            refusals: refusals(&stats),
        }
    }

    fn inspect(&self, what: Inspect) -> Inspection {
        let actors = self.finder.system.actors(ACTORS_LOOKED_AT);
        let now = playhouse_rt::now();
        let mut state = self.state();
        state.watched = Some(now);
        self.finder.system.take_times(true);
        let letters = state.letters.get_or_insert_with(|| self.finder.system.dead_letters());
        let news = waiting(letters);
        state.last_letters.extend(news);
        let too_many = state.last_letters.len().saturating_sub(LETTERS_SHOWN);
        state.last_letters.drain(..too_many);
        let metrics = self.metrics_of(&actors, &mut state);
        state.mark(&actors, now);
        let mut figures: Vec<ActorFigures> = actors.iter().map(|actor| state.figures(actor, now)).collect();
        figures.sort_by(|a, b| what.sort.key(b).total_cmp(&what.sort.key(a)).then_with(|| a.name.cmp(&b.name)));
        figures.truncate((what.actors as usize).min(ACTORS_SHOWN));
        Inspection { metrics, actors: figures, dead_letters: state.last_letters.iter().cloned().collect(), tree: None }
    }

    /// Takes times also when nobody asks, or not any more.
    pub(crate) fn keep_times(&self, yes: bool) {
        let mut state = self.state();
        state.keep_times = yes;
        self.finder.system.take_times(yes || state.watched.is_some());
    }

    /// Ends what is only for those who watch, if nobody asked of late. Gives the wait before it is time to look again.
    fn rest(&self) -> Option<Duration> {
        let mut state = self.state();
        let idle = playhouse_rt::now().saturating_duration_since(state.watched?);
        if idle < WATCHED_FOR {
            return Some(WATCHED_FOR - idle);
        }
        let State { seen, handled, keep_times, .. } = std::mem::take(&mut *state);
        self.finder.system.take_times(keep_times);
        *state = State { seen, handled, keep_times, ..State::default() };
        None
    }

    pub(crate) async fn tree(&self) -> Tree {
        tree(&self.finder.system).await
    }
}

/// The dead letters that wait already.
fn waiting(letters: &mut DeadLetters) -> Vec<String> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut news = Vec::new();
    while let Poll::Ready(Some(letter)) = pin!(letters.next()).poll(&mut cx) {
        news.push(letter.to_string().chars().take(LETTER_TEXT).collect());
    }
    news
}

impl State {
    /// Sums by kind, and adds what was handled since the last look to what was handled in all.
    fn kinds(&mut self, actors: &[ActorStatus]) -> Vec<KindFigures> {
        let mut kinds: BTreeMap<String, KindFigures> = BTreeMap::new();
        let mut seen = BTreeMap::new();
        for actor in actors {
            let known = self.handled.contains_key(actor.kind);
            let kind = if known || self.handled.len() < KINDS { actor.kind } else { OTHER_KINDS };
            // One that has handled fewer than before is another one of that name.
            let before = self.seen.get(&actor.name).filter(|before| **before <= actor.handled);
            *self.handled.entry(kind.into()).or_default() += actor.handled - before.copied().unwrap_or(0);
            seen.insert(actor.name.clone(), actor.handled);
            let sum = kinds.entry(kind.into()).or_default();
            sum.actors += 1;
            sum.depth += actor.depth as u64;
            sum.depth_max = sum.depth_max.max(actor.depth as u64);
            sum.restarts += u64::from(actor.restarts);
        }
        self.seen = seen;
        let all = self.handled.iter().map(|(kind, handled)| KindFigures {
            kind: kind.clone(),
            handled: *handled,
            ..kinds.remove(kind).unwrap_or_default()
        });
        all.collect()
    }

    /// Notes how things stand, unless that was noted a moment ago.
    fn mark(&mut self, actors: &[ActorStatus], now: Instant) {
        let age = self.next.as_ref().map(|next| now.saturating_duration_since(next.at));
        if age.is_none_or(|age| age >= RATES_OVER) {
            let next = self.next.replace(Marks::of(actors, now));
            self.base = next.filter(|_| age.is_some_and(|age| age <= RATES_STALE));
        }
    }

    fn figures(&self, actor: &ActorStatus, now: Instant) -> ActorFigures {
        let lately = self.base.as_ref().and_then(|base| {
            let span = now.saturating_duration_since(base.at).as_secs_f64();
            // One that has started since has done all of it since.
            let (handled, busy) = base.of.get(&actor.name).copied().unwrap_or_default();
            let busy = actor.busy.saturating_sub(busy).as_secs_f64();
            (span > 0.0).then(|| (actor.handled.saturating_sub(handled) as f64 / span, (busy / span).min(1.0)))
        });
        ActorFigures {
            name: actor.name.clone(),
            kind: actor.kind.into(),
            depth: actor.depth as u64,
            bound: actor.bound as u64,
            handled: actor.handled,
            rate: lately.map(|(rate, _)| rate),
            busy: lately.map(|(_, busy)| busy),
            restarts: actor.restarts,
        }
    }
}

impl Sort {
    fn key(self, actor: &ActorFigures) -> f64 {
        match self {
            Sort::Depth => actor.depth as f64,
            Sort::Rate => actor.rate.unwrap_or_default(),
            Sort::Busy => actor.busy.unwrap_or_default(),
            Sort::Restarts => f64::from(actor.restarts),
            Sort::Handled => actor.handled as f64,
        }
    }
}

/// The actor that answers [`Inspect`].
pub(crate) struct Inspector {
    observer: Weak<Observer>,
    /// A timer will end what is only for those who watch.
    will_rest: bool,
}

impl Inspector {
    fn rest_later(&mut self, after: Duration, ctx: &mut Ctx<Self>) {
        self.will_rest = true;
        ctx.run_later(after, |inspector, ctx| {
            inspector.will_rest = false;
            if let Some(after) = inspector.observer.upgrade().and_then(|observer| observer.rest()) {
                inspector.rest_later(after, ctx);
            }
        });
    }
}

impl Actor for Inspector {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        // Also after a panic, which took the timer with it.
        self.rest_later(WATCHED_FOR, ctx);
    }
}

impl Remote for Inspector {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Inspect>(MessageId { id: 1, version: 1 }, Lane::Control);
    }
}

impl Handler<Inspect> for Inspector {
    type Result = Later<Option<Box<Inspection>>>;

    fn handle(&mut self, what: Inspect, ctx: &mut Ctx<Self>) -> Self::Result {
        if !self.will_rest {
            self.rest_later(WATCHED_FOR, ctx);
        }
        let observer = self.observer.upgrade();
        Later::new(async move {
            let observer = observer?;
            let mut seen = Box::new(observer.inspect(what));
            if what.tree {
                seen.tree = Some(cut(observer.tree().await.to_string()));
            }
            Some(seen)
        })
    }
}

/// Whole lines, as many as an answer may hold.
fn cut(mut text: String) -> String {
    if text.len() > TREE_TEXT {
        let end = text.floor_char_boundary(TREE_TEXT);
        let end = text[..end].rfind('\n').map_or(end, |at| at + 1);
        let more = text[end..].lines().count();
        text.truncate(end);
        text.push_str(&format!("… and {more} more lines\n"));
    }
    text
}

/// What a node holds of all this. Dropping it ends the actor, which else would keep its system.
pub(crate) struct Watchtower {
    pub(crate) observer: Arc<Observer>,
    inspector: Ref<Inspector>,
}

impl Watchtower {
    pub(crate) fn raise(finder: Finder, incarnation: Incarnation) -> Result<Watchtower, playhouse_actors::NameTaken> {
        let system = finder.system.clone();
        let observer = Arc::new(Observer::new(finder, incarnation));
        let weak = Arc::downgrade(&observer);
        let options = SpawnOptions { mailbox: INSPECT_MAILBOX, stoppable: false, ..SpawnOptions::default() };
        let factory = move || Inspector { observer: weak.clone(), will_rest: false };
        let inspector = system.spawn_remote(ActorName::new(INSPECT).expect("a name"), options, factory)?;
        Ok(Watchtower { observer, inspector })
    }
}

impl Drop for Watchtower {
    fn drop(&mut self) {
        self.inspector.stop();
    }
}

impl fmt::Debug for Watchtower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watchtower of {}", self.observer.finder.system.node())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(name: &str, kind: &'static str, handled: u64) -> ActorStatus {
        let name = ActorName::new(name).unwrap();
        ActorStatus { name, kind, depth: 2, bound: 8, handled, busy: Duration::from_millis(10 * handled), restarts: 1 }
    }

    #[test]
    fn what_kinds_have_handled_never_shrinks() {
        let mut state = State::default();
        let mut handled = |actors: &[ActorStatus]| state.kinds(actors).iter().map(|kind| kind.handled).collect::<Vec<_>>();
        assert_eq!(handled(&[actor("a", "A", 5), actor("b", "A", 7), actor("c", "B", 1)]), [12, 1]);
        assert_eq!(handled(&[actor("a", "A", 9), actor("c", "B", 0)]), [16, 1], "b has ended; another c has begun");
        assert_eq!(handled(&[]), [16, 1]);
    }

    #[test]
    fn kinds_are_bounded() {
        let handled = (0..KINDS).map(|n| (format!("K{n}"), 0)).collect();
        let mut state = State { handled, ..State::default() };
        let kinds = state.kinds(&[actor("a", "Late", 5), actor("b", "Later", 6)]);
        assert_eq!(kinds.len(), KINDS + 1);
        let other = kinds.iter().find(|kind| kind.kind == OTHER_KINDS).unwrap();
        assert_eq!((other.actors, other.depth, other.depth_max, other.handled, other.restarts), (2, 4, 2, 11, 2));
    }

    #[test]
    fn rates_are_of_late() {
        let (mut state, began) = (State::default(), playhouse_rt::now());
        let mut at = |ms, handled| {
            let (actors, now) = ([actor("a", "A", handled)], began + Duration::from_millis(ms));
            state.mark(&actors, now);
            let figures = state.figures(&actors[0], now);
            figures.rate.zip(figures.busy)
        };
        assert_eq!(at(0, 10), None, "one look is none");
        assert_eq!(at(100, 20), None, "too near");
        assert_eq!(at(1000, 60), Some((50.0, 0.5)));
        assert_eq!(at(1250, 60), Some((40.0, 0.4)), "a second watcher does not shorten the span");
        assert_eq!(at(2000, 160), Some((100.0, 1.0)));
        assert_eq!(at(3_600_000, 10_000), None, "an hour without a look is not of late");
    }

    #[test]
    fn long_trees_are_cut_at_a_line() {
        let text = cut("ä line\n".repeat(TREE_TEXT));
        assert!(text.len() < TREE_TEXT + 64 && text.ends_with(" more lines\n"), "{}", text.len());
        assert_eq!(cut("short\n".into()), "short\n");
    }
}
