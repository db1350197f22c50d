//! One node: its supervision tree, who listens to its dead letters, who looks at its mailboxes, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use playhouse::rt::sync::Notify;
use playhouse::rt::{self, Host};
use playhouse::{Node, NodeConfig, NodeName};
use playhouse_actors::prelude::*;
use playhouse_actors::{BuildError, DeadLetter, Letter, Planted};

use super::book::{Index, NodeState, enter};
use super::plan::{Cast, NAMES, PLACES, SOLO};
use super::player::{Deed, Player, Query};

/// How long a node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a node is started with.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) config: NodeConfig,
    pub(super) place: usize,
    pub(super) cast: Arc<Cast>,
    pub(super) seed: u64,
    pub(super) planted: Planted,
    /// Tells it to stop.
    pub(super) stop: Arc<Notify>,
}

/// One life of a node, as its actors' factories know it.
#[derive(Clone)]
struct Stage {
    node: Node,
    at: Index,
    place: usize,
    cast: Arc<Cast>,
    seed: u64,
}

/// A node's process.
pub(super) async fn live(host: Host, script: Script) {
    let Script { config, place, cast, seed, planted, stop } = script;
    let Some(at) = enter(|book| book.node_begins(place)) else { return };
    let node = Node::start(host, config).await.unwrap_or_else(|error| panic!("a node does not start: {error}"));
    node.system().plant(planted);
    let stage = Stage { node: node.clone(), at, place, cast, seed };
    rt::spawn(listen(node.system().dead_letters(), at));
    rt::spawn(look(node.clone(), at));
    for peer in (0..PLACES.len()).filter(|peer| *peer != place) {
        // One that has gone for good is not waited for.
        let _ = rt::timeout(Duration::from_secs(4), node.connected(&name(peer))).await;
    }
    let solo = stage.clone();
    let rank = [enter(|book| book.top(at)).unwrap_or_default(), 0, 0];
    let part = stage.cast.parts[SOLO];
    let options = SpawnOptions { mailbox: part.bound, overflow: part.overflow, ..SpawnOptions::default() };
    let solo = move || Player::new((&solo.node, solo.at, solo.place), SOLO, rank, None, (solo.seed, &solo.cast));
    let actor = ActorName::new(NAMES[SOLO]).expect("a name");
    node.system().spawn_remote(actor, options, solo).unwrap_or_else(|error| panic!("{error}"));
    rt::spawn(supervise(stage.clone()));
    rt::spawn(probe(stage));
    stop.notified().await;
    enter(|book| book.node_stops(at));
    rt::ledger::record("stopping", || PLACES[place].to_string());
    let shutdown = node.stop(STOP_WITHIN).await;
    rt::ledger::record("stopped", || format!("{}: {shutdown:?}", PLACES[place]));
    if !shutdown.late.is_empty() {
        enter(|book| {
            book.breach(super::oracles::orderly::PROMISE, |_| {
                format!("late at the stop of {}: {:?}", PLACES[place], shutdown.late)
            })
        });
    }
    let counters = node.counters();
    enter(|book| {
        book.nodes[at].counted = Some((counters.lost, counters.alive));
        book.node_ends(at, NodeState::Stopped);
    });
    // Whatever still happens happens after the stop, and shows.
    std::future::pending().await
}

fn name(place: usize) -> NodeName {
    NodeName::new(PLACES[place]).expect("a name")
}

/// Keeps a supervision tree up: one that gives up is started anew.
async fn supervise(stage: Stage) {
    while enter(|book| book.is(stage.at, NodeState::Up)) == Some(true) {
        let top = enter(|book| book.top(stage.at)).unwrap_or_default();
        match stage.node.system().supervise(tree(&stage, top)).await {
            Ok(supervisor) => {
                enter(|book| book.nodes[stage.at].ready = true);
                let exit = supervisor.ended().await;
                if enter(|book| book.is(stage.at, NodeState::Up)) == Some(true) {
                    rt::reachable!("gave-up");
                    rt::ledger::record("gave-up", || format!("{}: {exit}", PLACES[stage.place]));
                }
            }
            Err(error) => rt::ledger::record("not-up", || error.to_string()),
        }
        rt::sleep(Duration::from_millis(50)).await;
    }
}

fn tree(stage: &Stage, top: u32) -> Supervision {
    let new_supervisor = || {
        enter(|book| {
            book.supervisors += 1;
            book.supervisors
        })
        .unwrap_or_default()
    };
    let cast = &stage.cast;
    let supervisor = new_supervisor();
    let outer = group("stage", cast.top, cast);
    let outer = child(outer, stage, 0, [top, 0, 0], supervisor);
    let outer = child(outer, stage, 1, [top, 1, 0], supervisor);
    let of_inner = stage.clone();
    let outer = outer.supervisor(ChildSpec::new("inner"), move || {
        let cast = &of_inner.cast;
        let supervisor = new_supervisor();
        let inner = group("inner", cast.inner, cast);
        let inner = child(inner, &of_inner, 2, [top, 2, 1], supervisor);
        child(inner, &of_inner, 3, [top, 2, 2], supervisor)
    });
    child(outer, stage, 4, [top, 3, 0], supervisor)
}

fn group(name: &str, (strategy, intensity): (Strategy, Intensity), cast: &Cast) -> Supervision {
    Supervision::new(name).strategy(strategy).intensity(intensity).backoff(cast.backoff)
}

fn child(group: Supervision, stage: &Stage, name: usize, rank: [u32; 3], supervisor: Index) -> Supervision {
    let part = stage.cast.parts[name];
    let short = NAMES[name].rsplit('/').next().unwrap_or_default();
    let spec = ChildSpec { lifetime: part.lifetime, stop_within: stage.cast.stop_within, ..ChildSpec::new(short) };
    let options = SpawnOptions { mailbox: part.bound, overflow: part.overflow, ..SpawnOptions::default() };
    let stage = stage.clone();
    group.remote_child(spec, options, move || {
        let out = enter(|book| {
            let out = book.outages.get(&(stage.place, name)).is_some_and(|until: &Instant| rt::now() < *until);
            if out {
                book.failed_birth(stage.at, supervisor, name);
            }
            out
        });
        if out == Some(true) {
            return Err(BuildError::from("its props are missing"));
        }
        Ok(Player::new((&stage.node, stage.at, stage.place), name, rank, Some(supervisor), (stage.seed, &stage.cast)))
    })
}

/// Enters the node's dead letters.
async fn listen(mut letters: playhouse_actors::DeadLetters, at: Index) {
    while let Some(letter) = letters.next().await {
        rt::reachable!("letter");
        rt::ledger::record("letter", || letter.to_string());
        let DeadLetter { to, message, from, why } = letter;
        let to = NAMES.iter().position(|name| *name == to.as_str());
        let from = from.and_then(|from| PLACES.iter().position(|place| *place == from.as_str()));
        let is_note = match message {
            Letter::Type(kind) => kind == "Note",
            Letter::Wire(id, _) => id.id == 1,
        };
        enter(|book| {
            let node = &mut book.nodes[at];
            node.lost += u64::from(why == "the actor ended before it was handled");
            if let (Some(to), true) = (to, is_note) {
                *node.letters.entry((to, from)).or_default() += 1;
            }
        });
    }
}

/// Looks at the mailboxes from outside, now and then.
async fn look(node: Node, at: Index) {
    let mut ticks = rt::interval(Duration::from_millis(13));
    loop {
        ticks.tick().await;
        let actors = node.system().actors(64);
        let more = enter(|book| {
            for status in actors {
                if let Some(name) = NAMES.iter().position(|name| *name == status.name.as_str()) {
                    book.depth(at, name, status.depth);
                }
            }
            book.load
        });
        if more != Some(true) {
            // Nothing comes any more; look again when something may.
            rt::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// After the load: says what is not well yet, until all is.
async fn probe(stage: Stage) {
    let mut ticks = rt::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        if enter(|book| book.healing) != Some(true) {
            continue;
        }
        let open = what_is_open(&stage).await;
        let done = open.is_empty();
        enter(|book| book.nodes[stage.at].open = Some(open));
        if done {
            return;
        }
    }
}

async fn what_is_open(stage: &Stage) -> String {
    let system = stage.node.system();
    let Some(top) = system.supervisors().into_iter().next() else { return "there is no supervisor".into() };
    let report = match top.report().await {
        Ok(report) => report,
        Err(error) => return error.to_string(),
    };
    let mut wanted: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (name, part) in stage.cast.parts.iter().enumerate() {
        if part.lifetime == Lifetime::Permanent && name != SOLO {
            wanted.entry(stage.place).or_default().push(name);
        }
    }
    // A transient one may rest, but not after an end that was none of its own will.
    let torn = enter(|book| {
        let mut parts = stage.cast.parts.iter().enumerate().filter(|(_, part)| part.lifetime == Lifetime::Transient);
        parts.find_map(|(name, _)| {
            let last = book.cells.iter().rposition(|cell| cell.node == stage.at && cell.name == name)?;
            super::judge::exit(book, last).filter(|exit| matches!(exit, Exit::Linked(_))).map(|exit| (name, exit))
        })
    });
    if let Some((name, exit)) = torn.flatten() {
        return format!("{} rests, though {exit}:\n{report}", NAMES[name]);
    }
    let others = enter(|book| {
        let up = |place: &usize| book.node_at(*place).is_some_and(|node| book.is(node, NodeState::Up));
        (0..PLACES.len()).filter(|place| *place != stage.place).filter(up).collect::<Vec<_>>()
    });
    for other in others.unwrap_or_default() {
        wanted.entry(other).or_default().push(0);
    }
    for (place, names) in wanted {
        for of in names {
            let Some(actor) = stage.node.actor::<Player>(&name(place), NAMES[of]) else {
                return format!("{} is not there:\n{report}", NAMES[of]);
            };
            let within = Duration::from_millis(500);
            let Some(id) = enter(|book| book.asks(stage.at, None, within)) else { return String::new() };
            let answer = actor.ask_within(Query { id, deed: Deed::Nothing }, within).await;
            enter(|book| book.answered(id, &answer));
            if let Err(error) = answer {
                return format!("{}@{}: {error}\n{report}", NAMES[of], PLACES[place]);
            }
        }
    }
    String::new()
}
