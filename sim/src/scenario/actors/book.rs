//! The book of what happened: every actor, message and notice is entered where it happens, and what breaks a promise at that moment is
//! noted. It belongs to nobody in the world, so no crash takes it away.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use playhouse::rt;
use playhouse_actors::prelude::*;

use super::oracles::urgent::Urgent;
use super::plan::{NAMES, PLACES};
use super::player::Player;

/// A supervisor that has given up has stopped its children after this.
pub(super) const DISTURBANCE: Duration = Duration::from_secs(2);

thread_local! {
    static BOOK: RefCell<Option<Book>> = const { RefCell::new(None) };
}

/// Opens an empty book.
pub(super) fn open(bounds: [usize; NAMES.len()], held: [Duration; PLACES.len()]) {
    BOOK.set(Some(Book { bounds, held, ..Book::default() }));
}

/// Takes the book away: what is entered after this is ignored.
pub(super) fn close() -> Option<Book> {
    BOOK.take()
}

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    // When the thread ends, late drops find no book; and a drop within a write enters nothing.
    BOOK.try_with(|book| book.try_borrow_mut().ok()?.as_mut().map(write)).ok().flatten()
}

/// Where something stands in a list of the book.
pub(super) type Index = usize;

#[derive(Default)]
pub(super) struct Book {
    pub(super) bounds: [usize; NAMES.len()],
    /// For how long the actors of each place may be held up.
    pub(super) held: [Duration; PLACES.len()],
    /// Actors make work.
    pub(super) load: bool,
    pub(super) breach: Option<(&'static str, String)>,
    pub(super) nodes: Vec<NodeLife>,
    pub(super) cells: Vec<CellEntry>,
    pub(super) lives: Vec<LifeEntry>,
    pub(super) streams: Vec<Stream>,
    pub(super) notes: Vec<NoteEntry>,
    pub(super) asks: Vec<AskEntry>,
    pub(super) watches: Vec<WatchEntry>,
    pub(super) ties: Vec<Tie>,
    /// Supervisors' lives: when each built a child.
    pub(super) births: BTreeMap<Index, Vec<(Instant, usize)>>,
    pub(super) supervisors: usize,
    /// The load is over.
    pub(super) calm: bool,
    /// All must become well now.
    pub(super) healing: bool,
    /// Until when parts cannot be built: place and name.
    pub(super) outages: BTreeMap<(usize, usize), Instant>,
    /// Who was asked to stop, place and name, and until when that may still be the reason of an end.
    asked_to_stop: BTreeMap<(usize, usize), Instant>,
    /// Who heard that a node was lost: its place, the other's, when and why.
    pub(super) losses: Vec<(usize, usize, Instant, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeState {
    Up,
    Stopping,
    Stopped,
    Crashed,
}

/// A life of a node.
pub(super) struct NodeLife {
    pub(super) place: usize,
    pub(super) state: NodeState,
    pub(super) over_at: Option<Instant>,
    /// Its actors are there, and its peers were connected.
    pub(super) ready: bool,
    /// Why it has not healed; empty when it has.
    pub(super) open: Option<String>,
    /// Notes that became dead letters, by whom they were for and which node they came from.
    pub(super) letters: BTreeMap<(usize, Option<usize>), u64>,
    /// Dead letters of all kinds that waited when an actor ended.
    pub(super) lost: u64,
    /// What the system says of itself after its stop: lost messages, living actors.
    pub(super) counted: Option<(u64, u64)>,
    pub(super) began_top: u32,
    /// When something last happened that makes supervisors stop children by themselves.
    pub(super) disturbed: Option<Instant>,
    pub(super) stops_at: Option<Instant>,
    /// The last ends of lives since the stop began that nobody but the stop can have caused: where they stood, in order.
    pub(super) ends: Vec<[u32; 3]>,
}

/// An actor, from its start to its end for good: one mailbox.
pub(super) struct CellEntry {
    pub(super) node: Index,
    pub(super) name: usize,
    pub(super) me: Ref<Player>,
    pub(super) living: Option<Index>,
    /// Notes of this node in its mailbox.
    inside: i64,
    pub(super) waiting: Vec<Urgent>,
}

/// A life of an actor: one value of its type.
pub(super) struct LifeEntry {
    pub(super) node: Index,
    pub(super) name: usize,
    pub(super) cell: Option<Index>,
    /// Its place in the tree: the later in the order of starting, the higher.
    rank: [u32; 3],
    pub(super) over: bool,
    /// It will end by its own deed.
    doomed: bool,
}

/// All that one life of an actor tells through one reference with one priority, one way.
pub(super) struct Stream {
    pub(super) from: Index,
    pub(super) place: usize,
    pub(super) name: usize,
    /// If it lives on the same node.
    pub(super) cell: Option<Index>,
    /// The higher, the more urgent.
    pub(super) priority: usize,
    next: u64,
    last: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Its sender is waiting, or has ended while it was.
    Pending,
    Ok,
    Refused,
}

pub(super) struct NoteEntry {
    pub(super) stream: Index,
    pub(super) told: Told,
    pub(super) arrived: u32,
    pub(super) handled: u32,
    pub(super) dropped: u32,
}

pub(super) struct AskEntry {
    pub(super) node: Index,
    pub(super) until: Instant,
    /// The stream that it is part of, and its number there.
    way: Option<(Index, u64)>,
    pub(super) handled: u32,
    /// It was said not to have been handled.
    pub(super) refused: bool,
    pub(super) done: bool,
}

/// A link between two actors.
pub(super) struct Tie {
    pub(super) cell: Index,
    pub(super) whom: Whom,
    /// The life of the other one's node at that time.
    pub(super) there: Option<Index>,
}

/// Whom a watch is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom {
    Here(Index),
    There { place: usize, name: usize },
}

pub(super) struct WatchEntry {
    pub(super) owner: Index,
    pub(super) whom: Whom,
    /// The life of the watched actor's node at that time.
    pub(super) node: Option<Index>,
    pub(super) cancelled: bool,
    pub(super) downs: u32,
}

impl Book {
    /// The first broken promise counts.
    pub(super) fn breach(&mut self, promise: &'static str, seen: impl FnOnce(&Book) -> String) {
        if self.breach.is_none() {
            let seen = seen(self);
            rt::ledger::record("breach", || seen.clone());
            self.breach = Some((promise, seen));
        }
    }

    pub(super) fn check(&mut self, promise: &'static str, holds: bool, seen: impl FnOnce(&Book) -> String) {
        if !holds {
            self.breach(promise, seen);
        }
    }

    pub(super) fn is(&self, node: Index, state: NodeState) -> bool {
        self.nodes[node].state == state
    }

    pub(super) fn gone(&self, node: Index) -> bool {
        matches!(self.nodes[node].state, NodeState::Stopped | NodeState::Crashed)
    }

    /// The present life of a place's node.
    pub(super) fn node_at(&self, place: usize) -> Option<Index> {
        self.nodes.iter().rposition(|node| node.place == place)
    }

    pub(super) fn title(&self, node: Index, name: usize) -> String {
        format!("{}@{}#{node}", NAMES[name], PLACES[self.nodes[node].place])
    }

    // Nodes.

    pub(super) fn node_begins(&mut self, place: usize) -> Index {
        self.nodes.push(NodeLife {
            place,
            state: NodeState::Up,
            over_at: None,
            ready: false,
            open: None,
            letters: BTreeMap::new(),
            lost: 0,
            counted: None,
            began_top: 0,
            disturbed: None,
            stops_at: None,
            ends: Vec::new(),
        });
        self.nodes.len() - 1
    }

    /// A number for what is started at the top of a node: each higher than the former.
    pub(super) fn top(&mut self, node: Index) -> u32 {
        self.nodes[node].began_top += 1;
        self.nodes[node].began_top
    }

    pub(super) fn node_stops(&mut self, node: Index) {
        self.nodes[node].state = NodeState::Stopping;
        self.nodes[node].stops_at = Some(rt::now());
    }

    /// Something that makes supervisors act by themselves.
    pub(super) fn disturb(&mut self, node: Index) {
        self.nodes[node].disturbed = Some(rt::now());
    }

    /// An actor is asked to stop, from anywhere.
    pub(super) fn asked_to_stop(&mut self, place: usize, name: usize) {
        self.asked_to_stop.insert((place, name), rt::now() + DISTURBANCE);
    }

    pub(super) fn node_ends(&mut self, node: Index, state: NodeState) {
        self.nodes[node].state = state;
        self.nodes[node].over_at = Some(rt::now());
        if state == NodeState::Stopped {
            self.check_ends(node);
        }
    }

    // Actors.

    /// A value of an actor is made.
    pub(super) fn born(&mut self, node: Index, name: usize, rank: [u32; 3], supervisor: Option<Index>) -> Index {
        self.check_alone(node, name);
        self.check_running(node, |book| format!("{} was built", book.title(node, name)));
        if let Some(supervisor) = supervisor {
            self.births.entry(supervisor).or_default().push((rt::now(), name));
        }
        self.nodes[node].ends.retain(|other| *other != rank);
        self.lives.push(LifeEntry { node, name, cell: None, rank, over: false, doomed: false });
        self.lives.len() - 1
    }

    /// It could not be made.
    pub(super) fn failed_birth(&mut self, node: Index, supervisor: Index, name: usize) {
        self.births.entry(supervisor).or_default().push((rt::now(), name));
        self.disturb(node);
    }

    /// Whether a part cannot live now; it ends by itself then.
    pub(super) fn is_out(&mut self, life: Index) -> bool {
        let place = self.nodes[self.lives[life].node].place;
        let out = self.outages.get(&(place, self.lives[life].name)).is_some_and(|until| rt::now() < *until);
        self.lives[life].doomed |= out;
        out
    }

    /// It has its context.
    pub(super) fn begins(&mut self, life: Index, me: &Ref<Player>) {
        let cell = self.cell(self.lives[life].node, self.lives[life].name, me);
        self.lives[life].cell = Some(cell);
        self.cells[cell].living = Some(life);
        self.check_unannounced(cell);
    }

    /// The actor behind a reference of its own node.
    pub(super) fn cell(&mut self, node: Index, name: usize, me: &Ref<Player>) -> Index {
        let known = self.cells.iter().position(|cell| cell.node == node && cell.me == *me);
        known.unwrap_or_else(|| {
            self.cells.push(CellEntry { node, name, me: me.clone(), living: None, inside: 0, waiting: Vec::new() });
            self.cells.len() - 1
        })
    }

    pub(super) fn doom(&mut self, life: Index) {
        self.lives[life].doomed = true;
    }

    pub(super) fn dies(&mut self, life: Index) {
        let LifeEntry { node, name, rank, cell, doomed, .. } = self.lives[life];
        let doomed = doomed || self.asked_to_stop.get(&(self.nodes[node].place, name)).is_some_and(|until| rt::now() < *until);
        self.lives[life].over = true;
        if let Some(cell) = cell {
            self.cells[cell].living = None;
        }
        if doomed {
            self.disturb(node);
        } else if self.is(node, NodeState::Stopping) {
            self.nodes[node].ends.push(rank);
        }
    }

    pub(super) fn ticks(&mut self, life: Index) {
        let LifeEntry { node, name, .. } = self.lives[life];
        self.check_running(node, |book| format!("a timer of {} fires", book.title(node, name)));
    }

    // Notes: messages that are told.

    pub(super) fn stream(
        &mut self,
        from: Index,
        (place, name): (usize, usize),
        priority: usize,
        here: Option<&Ref<Player>>,
    ) -> Index {
        let node = self.lives[from].node;
        let cell = here.map(|me| self.cell(node, name, me));
        self.streams.push(Stream { from, place, name, cell, priority, next: 0, last: None });
        self.streams.len() - 1
    }

    pub(super) fn note(&mut self, stream: Index) -> (u64, u64) {
        self.notes.push(NoteEntry { stream, told: Told::Pending, arrived: 0, handled: 0, dropped: 0 });
        (self.notes.len() as u64 - 1, self.number(stream))
    }

    /// The next number of a stream.
    fn number(&mut self, stream: Index) -> u64 {
        let next = &mut self.streams[stream].next;
        *next += 1;
        *next
    }

    /// A number of a stream is handled; gives the highest that was before.
    fn comes(&mut self, stream: Index, seq: u64) -> Option<u64> {
        let last = self.streams[stream].last;
        self.streams[stream].last = last.max(Some(seq));
        last
    }

    pub(super) fn describe(&self, id: u64) -> String {
        let stream = &self.streams[self.notes[id as usize].stream];
        let from = &self.lives[stream.from];
        format!("note {id} of {} to {}@{}", self.title(from.node, from.name), NAMES[stream.name], PLACES[stream.place])
    }

    pub(super) fn told(&mut self, id: u64, told: Told) {
        let note = &mut self.notes[id as usize];
        note.told = told;
        let (touched, waits) = (note.arrived + note.handled + note.dropped > 0, note.handled + note.dropped == 0);
        self.check_kept(id, told == Told::Refused && touched, "was delivered");
        if told == Told::Ok && waits {
            self.step_inside(id, 1);
        }
    }

    fn step_inside(&mut self, id: u64, step: i64) {
        let stream = &self.streams[self.notes[id as usize].stream];
        let Some(cell) = stream.cell else { return };
        self.cells[cell].inside += step;
        self.waits(cell, id, step > 0);
        let CellEntry { node, name, inside, .. } = self.cells[cell];
        self.depth(node, name, inside.max(0) as usize);
    }

    pub(super) fn arrived(&mut self, id: u64) {
        self.notes[id as usize].arrived += 1;
        let note = &self.notes[id as usize];
        let (times, refused) = (note.arrived, note.told == Told::Refused);
        self.check_once(times, |book| format!("{} arrives", book.describe(id)));
        self.check_kept(id, refused, "arrives");
    }

    pub(super) fn dropped(&mut self, id: u64) {
        self.notes[id as usize].dropped += 1;
        if self.notes[id as usize].told == Told::Ok {
            self.step_inside(id, -1);
        }
    }

    pub(super) fn handled(&mut self, id: u64, seq: u64, life: Index) {
        let note = &mut self.notes[id as usize];
        note.handled += 1;
        let (times, told, stream) = (note.handled, note.told, note.stream);
        let last = self.comes(stream, seq);
        let LifeEntry { node, over, .. } = self.lives[life];
        self.check_once(times, |book| format!("{} is handled", book.describe(id)));
        self.check_order(seq, last, |book| book.describe(id));
        self.check_kept(id, told == Told::Refused, "is handled");
        self.check_living(over, |book| format!("{} is handled", book.describe(id)));
        self.check_running(node, |book| format!("{} is handled", book.describe(id)));
        self.check_urgency(id);
        if told == Told::Ok {
            self.step_inside(id, -1);
        }
    }

    // Asks.

    pub(super) fn asks(&mut self, node: Index, stream: Option<Index>, within: Duration) -> u64 {
        let until = rt::now() + within;
        let way = stream.map(|stream| (stream, self.number(stream)));
        self.asks.push(AskEntry { node, until, way, handled: 0, refused: false, done: false });
        self.asks.len() as u64 - 1
    }

    pub(super) fn asked(&mut self, id: u64, life: Index) {
        let ask = &mut self.asks[id as usize];
        ask.handled += 1;
        let (times, refused, way) = (ask.handled, ask.refused, ask.way);
        if let Some((stream, seq)) = way {
            let last = self.comes(stream, seq);
            self.check_order(seq, last, |_| format!("ask {id} of stream {stream}"));
        }
        self.check_once(times, |_| format!("ask {id} is handled"));
        self.check_unrefused(id, refused);
        let node = self.lives[life].node;
        self.check_running(node, |_| format!("ask {id} is handled"));
    }

    pub(super) fn answered(&mut self, id: u64, answer: &Result<u64, AskError>) {
        use AskError::{Full, NoActor, Unreachable};
        let ask = &mut self.asks[id as usize];
        ask.done = true;
        ask.refused = matches!(answer, Err(Full | NoActor(_) | Unreachable(_)));
        self.check_answer(id, answer);
    }

    // Watches.

    pub(super) fn whom(&mut self, node: Index, (place, name): (usize, usize), here: Option<&Ref<Player>>) -> Whom {
        match here {
            Some(me) => Whom::Here(self.cell(node, name, me)),
            None => Whom::There { place, name },
        }
    }

    /// An actor ties itself to another one.
    pub(super) fn links(&mut self, owner: Index, whom: Whom) {
        let LifeEntry { node, name, cell, .. } = self.lives[owner];
        let Some(cell) = cell else { return };
        let other = match whom {
            Whom::Here(other) => (self.nodes[node].place, self.cells[other].name),
            Whom::There { place, name } => (place, name),
        };
        // From now on either may end by the other, at any time.
        for end in [(self.nodes[node].place, name), other] {
            self.asked_to_stop.insert(end, rt::now() + Duration::from_secs(3600));
        }
        let there = self.node_at(other.0);
        self.ties.push(Tie { cell, whom, there });
    }

    pub(super) fn watches(&mut self, owner: Index, whom: Whom) -> Index {
        let node = match whom {
            Whom::Here(cell) => Some(self.cells[cell].node),
            Whom::There { place, .. } => self.node_at(place),
        };
        self.watches.push(WatchEntry { owner, whom, node, cancelled: false, downs: 0 });
        self.watches.len() - 1
    }
}
