//! Three nodes of actors on the real stack, what befalls them, and their ends: the ground that the scenarios `streams` and `groups`
//! stand on. What the actors do and what they are promised is the scenario's.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use playhouse::rt::sync::Notify;
use playhouse::rt::{self, Host, Random};
use playhouse::{Node, NodeConfig, NodeName};
use playhouse_actors::Planted;

use super::frame::Papers;
use crate::director::{Cue, Director};
use crate::plan::{Draw, Fault, Offer, Plan, offers};
use crate::verdict::Verdict;
use crate::world::World;

/// The nodes.
pub(super) const PLACES: [&str; 3] = ["a", "b", "c"];

/// Where something stands in a list of a book.
pub(super) type Index = usize;

/// A link that is cut for no longer than this keeps its connection: what was sent arrives.
const SHORT_CUT: Duration = Duration::from_millis(1_000);

/// The longest cut.
const LONGEST_CUT_MS: u64 = 6_000;

/// Within so much virtual time all nodes must be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// All dials have succeeded or failed then, so that no connection is replaced by another one any more.
const DIALLED_AFTER: Duration = Duration::from_secs(6);

/// The longest time that a connection lives without a sign of life, and what a slow network needs for what is under way.
const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// How long a node may take to stop, and all of them together.
const STOP_WITHIN: Duration = Duration::from_secs(5);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// How often the promises are looked at while the actors are at work.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const PORT: u16 = 4433;

/// The longest pause: with all else that may befall a link at once, no connection is silent for as long as it may be.
pub(super) const LONGEST_PAUSE_MS: u64 = 400;

/// For so long links are worse at most, or polls late.
pub(super) const LONGEST_ILL_MS: u64 = 2_000;

/// How late a poll may be.
pub(super) const SLOWEST_POLL_US: u64 = 4_000;

/// So many polls in a row lie between a cause and what an actor sees of it.
pub(super) const POLLS_IN_A_ROW: u32 = 20;

/// What else befalls nodes of actors, beside cuts and ends. At most one of them moves: two that have moved would look for each other in vain.
pub(super) fn ills() -> [Offer<'static>; 4] {
    [
        offers::pauses(25, 2, &PLACES, LONGEST_PAUSE_MS),
        offers::links(30, 2, &PLACES, LONGEST_ILL_MS),
        offers::moves(15, 1, &PLACES),
        offers::slow_polls(20, 2, &PLACES, SLOWEST_POLL_US, LONGEST_ILL_MS),
    ]
}

/// Up to two cuts, what is ill, and perhaps a node that goes and comes back when all is calm, within a load of `load_ms`.
pub(super) fn draw_faults(draw: &mut Draw, load_ms: u64) {
    let within_ms = load_ms * 9 / 10;
    let place = |number: u64| PLACES[number as usize % PLACES.len()].to_string();
    let mut offers = vec![Offer::new(67, 2, |random| {
        let one = random.below(3);
        let ms = if random.chance(0.5) { random.between(20, 1_000) } else { random.between(1_001, LONGEST_CUT_MS) };
        Fault::Cut { from: place(one), to: place(one + 1), one_way: random.chance(0.2), ms }
    })];
    offers.extend(ills());
    draw.swarm(within_ms, &offers);
    // At most one node goes, so that there is always somebody to speak to.
    let mut random = draw.random("who goes");
    let (node, at_ms) = (place(random.below(3)), random.between(10, within_ms));
    let down_ms = random.chance(0.8).then(|| LONGEST_CUT_MS + load_ms - at_ms + random.between(2, 3_000));
    match random.below(4) {
        0 => draw.fault(at_ms, Fault::Crash { node, down_ms, lose_disk: false }),
        1 => draw.fault(at_ms, Fault::Stop { node, down_ms }),
        _ => {}
    }
}

/// Cuts that no connection is lost by, one every ten seconds.
pub(super) fn draw_short_cuts(draw: &mut Draw, load_ms: u64) {
    let mut random = draw.random("short cuts");
    for ten in 0..load_ms / 10_000 {
        let one = random.below(3) as usize;
        let (from, to) = (PLACES[one].to_string(), PLACES[(one + 1) % 3].to_string());
        let at_ms = ten * 10_000 + random.between(0, 5_000);
        draw.fault(at_ms, Fault::Cut { from, to, one_way: false, ms: random.between(20, 1_000) });
    }
}

/// What of a plan the promises depend on.
#[derive(Clone, Debug, Default)]
struct Faults {
    /// Links that are cut, and for how long.
    cuts: Vec<(usize, usize, Duration)>,
    /// Places whose node goes, or moves: QUIC lets only who dialled move, so connections end by it.
    gone: Vec<usize>,
    /// Places, and for how long their actors may be held up: each time.
    held: Vec<(usize, Duration)>,
}

impl Faults {
    const NONE: Faults = Faults { cuts: Vec::new(), gone: Vec::new(), held: Vec::new() };

    fn of(plan: &Plan) -> Faults {
        let place = |name: &str| PLACES.iter().position(|place| *place == name).unwrap_or_default();
        // To the others, one that never was there is as one that has gone.
        let mut faults = Faults { gone: plan.absent.iter().map(|name| place(name)).collect(), ..Faults::NONE };
        for timed in &plan.faults {
            match &timed.fault {
                Fault::Cut { from, to, ms, .. } => faults.cuts.push((place(from), place(to), Duration::from_millis(*ms))),
                Fault::Crash { node, .. } | Fault::Stop { node, .. } | Fault::Move { node } => faults.gone.push(place(node)),
                Fault::Pause { node, ms } => faults.held.push((place(node), Duration::from_millis(*ms))),
                Fault::SlowPolls { node, us, .. } => {
                    faults.held.push((place(node), Duration::from_micros(*us) * POLLS_IN_A_ROW));
                }
                _ => {}
            }
        }
        faults
    }

    /// Whether nothing befalls these two places (or this one) or the link between them that ends a connection or a node.
    fn spare(&self, one: usize, other: usize) -> bool {
        let held = self.held.iter().filter(|(place, _)| [one, other].contains(place)).map(|(_, lasts)| *lasts);
        self.between(one, other).chain(held).all(|lasts| lasts <= SHORT_CUT)
            && !self.gone.iter().any(|place| *place == one || *place == other)
    }

    /// For how long the link between these two is cut, each time.
    fn between(&self, one: usize, other: usize) -> impl Iterator<Item = Duration> + '_ {
        let cuts = self.cuts.iter().filter(move |(a, b, _)| (*a, *b) == (one, other) || (*b, *a) == (one, other));
        cuts.map(|(_, _, lasts)| *lasts)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nodes start.
    Before,
    /// Actors make work.
    Load,
    /// Nothing new is begun; what was begun comes to its end.
    Calm,
    /// All must have come to its end.
    Settled,
    /// All nodes have stopped.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Stopping,
    Stopped,
    Crashed,
}

/// A life of a node.
struct NodeLife {
    place: usize,
    state: State,
    /// Its actors are there, and its peers were connected.
    ready: bool,
}

/// What is known of the nodes. It belongs to nobody in the world, so no crash takes it away.
struct Nodes {
    phase: Phase,
    lives: Vec<NodeLife>,
    faults: Faults,
}

thread_local! {
    static NODES: RefCell<Nodes> = const { RefCell::new(Nodes { phase: Phase::Before, lives: Vec::new(), faults: Faults::NONE }) };
}

fn nodes<T>(look: impl FnOnce(&mut Nodes) -> T) -> T {
    NODES.with_borrow_mut(look)
}

pub(super) fn phase() -> Phase {
    nodes(|nodes| nodes.phase)
}

/// The state of a life of a node.
pub(super) fn state(at: Index) -> State {
    nodes(|nodes| nodes.lives[at].state)
}

pub(super) fn place_of(at: Index) -> usize {
    nodes(|nodes| nodes.lives[at].place)
}

/// The life of a place's node that is up.
pub(super) fn up_at(place: usize) -> Option<Index> {
    nodes(|nodes| nodes.lives.iter().rposition(|life| life.place == place && life.state == State::Up))
}

/// Whether nothing befalls these two places, or the link between them, that ends a connection or a node.
pub(super) fn spared(one: usize, other: usize) -> bool {
    nodes(|nodes| nodes.faults.spare(one, other))
}

/// How long the link between these two is cut, in all.
pub(super) fn cut_between(one: usize, other: usize) -> Duration {
    nodes(|nodes| nodes.faults.between(one, other).sum())
}

/// For how long the actors of this place may have been held up, in all.
pub(super) fn held_up(place: usize) -> Duration {
    nodes(|nodes| nodes.faults.held.iter().filter(|(held, _)| *held == place).map(|(_, lasts)| *lasts).sum())
}

pub(super) fn node_name(place: usize) -> NodeName {
    NodeName::new(PLACES[place]).expect("a name")
}

/// One life of a node, as what runs there knows it.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) node: Node,
    /// Which life of all.
    pub(super) at: Index,
    pub(super) place: usize,
    seed: u64,
}

impl Stage {
    /// A stream of chance of this life's own.
    pub(super) fn random(&self, label: &str) -> Random {
        Random::new(self.seed ^ (self.at as u64) << 40, label)
    }

    /// Whether there is work to be made here.
    pub(super) fn is_loaded(&self) -> bool {
        phase() == Phase::Load && state(self.at) == State::Up
    }

    /// Waits for the load; false when this life of the node is over before.
    pub(super) async fn load(&self) -> bool {
        while phase() < Phase::Load && state(self.at) == State::Up {
            rt::sleep(Duration::from_millis(20)).await;
        }
        self.is_loaded()
    }
}

/// What a scenario adds.
pub(super) struct Play {
    pub(super) load: Duration,
    /// Starts a node's actors.
    pub(super) begin: fn(Stage) -> Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The first promise that is broken, if one is.
    pub(super) judge: fn() -> Result<(), Verdict>,
}

/// What a node is started with.
#[derive(Clone)]
struct Script {
    config: NodeConfig,
    place: usize,
    seed: u64,
    planted: Planted,
    begin: fn(Stage) -> Pin<Box<dyn Future<Output = ()> + Send>>,
    stop: Arc<Notify>,
}

pub(super) async fn rehearse(world: &World, plan: &Plan, planted: Planted, play: Play) -> Result<(), Verdict> {
    let Play { load, begin, judge } = play;
    let seed = plan.dice;
    NODES.set(Nodes { phase: Phase::Before, lives: Vec::new(), faults: Faults::of(plan) });
    let papers = Papers::new()?;
    let addresses = PLACES.map(|place| SocketAddr::new(world.ip(place), PORT));
    let mut scripts = Vec::new();
    for (place, listen) in addresses.iter().enumerate() {
        let mut config = NodeConfig::actors(papers.of(PLACES[place])?, *listen);
        config.threads = 1;
        let peers = PLACES.iter().zip(addresses).filter(|(name, _)| **name != PLACES[place]);
        config.peers = peers.map(|(name, address)| (NodeName::new(name).expect("a name"), address)).collect();
        scripts.push(Script { config, place, seed, planted, begin, stop: Arc::new(Notify::new()) });
    }
    let taking_part = || scripts.iter().filter(|script| plan.has(PLACES[script.place]));
    for script in taking_part() {
        start(world, script);
    }
    let all = taking_part().count();
    let ready = || nodes(|nodes| nodes.lives.len() == all && nodes.lives.iter().all(|life| life.ready));
    until(READY_WITHIN, ready).await.map_err(|()| Verdict::Stuck("the nodes are not ready".into()))?;
    rt::sleep(DIALLED_AFTER).await;

    set(Phase::Load);
    let mut director = Director::new(plan);
    let end = rt::now() + load;
    while let Some(cue) = next(&mut director, world, Some(end), judge).await? {
        follow(cue, world, &scripts).await?;
    }
    look_for(end.saturating_duration_since(rt::now()), judge).await?;
    set(Phase::Calm);
    while let Some(cue) = next(&mut director, world, None, judge).await? {
        follow(cue, world, &scripts).await?;
    }
    look_for(SETTLED_AFTER, judge).await?;
    set(Phase::Settled);
    judge()?;
    scripts.iter().for_each(|script| script.stop.notify_one());
    stopped().await?;
    // What runs after the stop would show now.
    rt::sleep(Duration::from_secs(1)).await;
    set(Phase::Over);
    judge()
}

fn set(phase: Phase) {
    rt::ledger::record("phase", || format!("{phase:?}"));
    nodes(|nodes| nodes.phase = phase);
}

fn start(world: &World, script: &Script) {
    let script = script.clone();
    world.start(PLACES[script.place], |host| live(host, script));
}

/// A node's process.
async fn live(host: Host, script: Script) {
    let Script { config, place, seed, planted, begin, stop } = script;
    let at = nodes(|nodes| {
        nodes.lives.push(NodeLife { place, state: State::Up, ready: false });
        nodes.lives.len() - 1
    });
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("a node does not start: {error}"));
    node.system().plant(planted);
    for peer in (0..PLACES.len()).filter(|peer| *peer != place) {
        // One that has gone for good is not waited for.
        let _ = rt::timeout(Duration::from_secs(4), node.connected(&node_name(peer))).await;
    }
    begin(Stage { node: node.clone(), at, place, seed }).await;
    nodes(|nodes| nodes.lives[at].ready = true);
    stop.notified().await;
    nodes(|nodes| nodes.lives[at].state = State::Stopping);
    rt::ledger::record("stopping", || PLACES[place].to_string());
    let shutdown = node.stop(STOP_WITHIN).await;
    rt::ledger::record("stopped", || format!("{}: {shutdown:?}", PLACES[place]));
    nodes(|nodes| nodes.lives[at].state = State::Stopped);
    // Whatever still happens happens after the stop, and shows.
    std::future::pending().await
}

/// The next thing to do, until then; meanwhile the promises are looked at again and again.
async fn next(
    director: &mut Director,
    world: &World,
    until: Option<Instant>,
    judge: fn() -> Result<(), Verdict>,
) -> Result<Option<Cue>, Verdict> {
    loop {
        judge()?;
        let left = until.map_or(LOOK_EVERY, |until| until.saturating_duration_since(rt::now()).min(LOOK_EVERY));
        if left.is_zero() {
            return Ok(None);
        }
        if let Ok(cue) = rt::timeout(left, director.next(world)).await {
            return Ok(cue);
        }
    }
}

/// Does what the plan cannot do by itself.
async fn follow(cue: Cue, world: &World, scripts: &[Script]) -> Result<(), Verdict> {
    let at = |node: &str| PLACES.iter().position(|place| *place == node).unwrap_or_default();
    match cue {
        Cue::Crash { node, .. } => {
            if let Some(life) = up_at(at(&node)) {
                nodes(|nodes| nodes.lives[life].state = State::Crashed);
            }
            world.crash(&node).await;
        }
        Cue::Stop(node) => scripts[at(&node)].stop.notify_one(),
        Cue::Back(node) => {
            stopped().await?;
            world.end(&node).await;
            start(world, &scripts[at(&node)]);
            let place = at(&node);
            let ready =
                || nodes(|nodes| nodes.lives.iter().any(|life| life.place == place && life.state == State::Up && life.ready));
            until(READY_WITHIN, ready).await.map_err(|()| Verdict::Stuck(format!("{node} does not come back")))?;
        }
        Cue::Own { name, .. } => panic!("the plan has a fault that this scenario does not know: {name:?}"),
    }
    Ok(())
}

/// Lets so much time pass, and looks at the promises again and again.
async fn look_for(time: Duration, judge: fn() -> Result<(), Verdict>) -> Result<(), Verdict> {
    let end = rt::now() + time;
    loop {
        judge()?;
        let left = end.saturating_duration_since(rt::now());
        if left.is_zero() {
            return Ok(());
        }
        rt::sleep(left.min(LOOK_EVERY)).await;
    }
}

/// Waits for the nodes that are stopping.
async fn stopped() -> Result<(), Verdict> {
    rt::sleep(Duration::from_millis(10)).await;
    let none = || nodes(|nodes| nodes.lives.iter().all(|life| life.state != State::Stopping));
    until(STOPPED_WITHIN, none).await.map_err(|()| Verdict::Stuck("a node does not stop".into()))
}

async fn until(limit: Duration, done: impl Fn() -> bool) -> Result<(), ()> {
    let wait = async {
        while !done() {
            rt::sleep(Duration::from_millis(50)).await;
        }
    };
    rt::timeout(limit, wait).await.map_err(drop)
}
