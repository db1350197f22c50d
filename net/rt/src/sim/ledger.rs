//! The ledger: one line for each thing that happened, in order, and a running hash over all of them.
//!
//! What happens often (polls, draws of chance, datagrams, new tasks) is hashed by its numbers; it becomes text only for who reads the lines.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::track;
use crate::Place;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 0.
    pub number: u64,
    /// Virtual nanoseconds since the start.
    pub at: u64,
    /// The node whose task did it; `-` for the world.
    pub node: &'a str,
    /// The number of the task that did it; 0 for none.
    pub task: u64,
    /// Where that task was started, as `file:line`; empty for none.
    pub place: &'a str,
    /// The name of that task, an actor's; empty for none.
    pub name: &'a str,
    /// The actor whose code did it; empty when it was none.
    pub actor: &'a str,
    /// A short word.
    pub kind: &'static str,
    /// The rest.
    pub detail: &'a str,
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (s, ns) = (self.at / 1_000_000_000, self.at % 1_000_000_000);
        write!(f, "{:>7} {s:>4}.{ns:09} {:<12} {:>5} {:<9} {}", self.number, self.node, self.task, self.kind, self.detail)?;
        if self.actor.is_empty() { Ok(()) } else { write!(f, " [{}]", self.actor) }
    }
}

type Sink = Box<dyn FnMut(&Line<'_>)>;

struct Ledger {
    /// Who reads the lines, if anybody does.
    sink: Option<Sink>,
    hash: Hash,
    count: u64,
    polls: u64,
    draws: u64,
    kinds: BTreeMap<&'static str, u64>,
    tags: u64,
    /// Messages on their way to other nodes.
    ways: BTreeMap<String, Way>,
}

/// What left by one way in its order: the n-th that leaves is the n-th that comes.
#[derive(Default)]
struct Way {
    left: u64,
    came: u64,
    under_way: BTreeMap<u64, u64>,
}

/// The most messages of one way that are remembered at once: what never arrives was lost with its connection.
const WAY_MAX: usize = 65_536;

thread_local! {
    static LEDGER: RefCell<Option<Ledger>> = const { RefCell::new(None) };
    static IS_OPEN: Cell<bool> = const { Cell::new(false) };
    static LABELS: RefCell<BTreeMap<u64, String>> = const { RefCell::new(BTreeMap::new()) };
    static ACTOR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Starts a ledger whose lines also go to `sink`.
pub fn open(sink: impl FnMut(&Line<'_>) + 'static) {
    start(Some(Box::new(sink)));
}

/// Starts a ledger of which only the hash and the counts are wanted.
pub fn open_unread() {
    start(None);
}

fn start(sink: Option<Sink>) {
    LEDGER.set(Some(Ledger {
        sink,
        hash: Hash::new(),
        count: 0,
        polls: 0,
        draws: 0,
        kinds: BTreeMap::new(),
        tags: 0,
        ways: BTreeMap::new(),
    }));
    IS_OPEN.set(true);
}

/// How many lines of each kind there are so far.
pub fn kinds() -> BTreeMap<&'static str, u64> {
    LEDGER.with_borrow(|ledger| {
        let Some(ledger) = ledger else { return BTreeMap::new() };
        let mut kinds = ledger.kinds.clone();
        kinds.extend([(POLL, ledger.polls), (DRAW, ledger.draws)].into_iter().filter(|(_, count)| *count > 0));
        kinds
    })
}

/// Ends the ledger: its hash as 32 hexadecimal digits, and how many lines it had.
pub fn close() -> (String, u64) {
    IS_OPEN.set(false);
    LEDGER.take().map_or_else(|| (Hash::new().to_string(), 0), |ledger| (ledger.hash.to_string(), ledger.count))
}

pub(crate) fn is_open() -> bool {
    // What is dropped at the thread's end may ask.
    IS_OPEN.try_with(Cell::get).unwrap_or(false)
}

const POLL: &str = "poll";
const DRAW: &str = "draw";

pub(crate) fn set_actor(name: String) -> String {
    ACTOR.replace(name)
}

/// 0 when no ledger is open.
pub(crate) fn next_tag() -> u64 {
    LEDGER.with_borrow_mut(|ledger| {
        ledger.as_mut().map_or(0, |ledger| {
            ledger.tags += 1;
            ledger.tags
        })
    })
}

pub(crate) fn leaves(tag: u64, way: String) {
    LEDGER.with_borrow_mut(|ledger| {
        let Some(ledger) = ledger else { return };
        let way = ledger.ways.entry(way).or_default();
        way.left += 1;
        if way.under_way.len() < WAY_MAX {
            way.under_way.insert(way.left, tag);
        }
    });
}

/// 0 when nothing is known of it.
pub(crate) fn arrived(way: &str) -> u64 {
    LEDGER.with_borrow_mut(|ledger| {
        let Some(way) = ledger.as_mut().and_then(|ledger| ledger.ways.get_mut(way)) else { return 0 };
        way.came += 1;
        way.under_way.remove(&way.came).unwrap_or_default()
    })
}

/// Of a text that anybody gave.
pub(crate) fn append(kind: &'static str, detail: &str) {
    // Time has passed, as it does at every event.
    super::claims::look();
    enter(kind, |ledger| {
        *ledger.kinds.entry(kind).or_default() += 1;
        ledger.hash.add(kind.as_bytes());
        ledger.hash.add(detail.as_bytes());
        ACTOR.with_borrow(|actor| ledger.hash.add(actor.as_bytes()));
        |tell: &mut dyn FnMut(&str)| tell(detail)
    });
}

/// Of what happens often: `add` adds to the hash what makes up the text.
pub(super) fn often(kind: &'static str, add: impl FnOnce(&mut Hash), text: impl FnOnce() -> String) {
    if is_open() {
        super::claims::look();
        enter(kind, |ledger| {
            *ledger.kinds.entry(kind).or_default() += 1;
            ledger.hash.add(kind.as_bytes());
            add(&mut ledger.hash);
            ACTOR.with_borrow(|actor| ledger.hash.add(actor.as_bytes()));
            |tell: &mut dyn FnMut(&str)| tell(&text())
        });
    }
}

/// A task begins to be polled.
pub(super) fn polls() {
    if is_open() {
        enter(POLL, |ledger| {
            ledger.polls += 1;
            ledger.hash.word(1);
            |tell: &mut dyn FnMut(&str)| tell("")
        });
    }
}

/// A task was started at a place.
pub(super) fn begins(task: u64, place: Place) {
    let add = |hash: &mut Hash| {
        hash.word(task);
        hash.add(place.file().as_bytes());
        hash.word(place.line().into());
    };
    often("begin", add, || format!("task {task} at {place}"));
}

/// A number was drawn from the stream of that label.
pub(crate) fn draws(label: u64, drawn: u64) {
    if is_open() {
        enter(DRAW, |ledger| {
            ledger.draws += 1;
            ledger.hash.word(label);
            ledger.hash.word(drawn);
            move |tell: &mut dyn FnMut(&str)| {
                LABELS.with_borrow(|labels| {
                    let label = labels.get(&label).map_or("?", String::as_str);
                    tell(&format!("{label} {drawn:016x}"));
                });
            }
        });
    }
}

/// A stream of chance was opened.
pub(crate) fn name_label(hash: u64, label: &str) {
    let _ = LABELS.try_with(|labels| {
        if let Ok(mut labels) = labels.try_borrow_mut()
            && !labels.contains_key(&hash)
        {
            labels.insert(hash, label.into());
        }
    });
}

/// The process drew so many bytes of entropy.
pub(super) fn entropy(bytes: &[u8]) {
    // Within a system call nothing may panic: then the line is left out.
    let free = LEDGER.try_with(|ledger| ledger.try_borrow_mut().is_ok()).unwrap_or(false);
    if free && is_open() {
        let mut hash = Hash::new();
        hash.add(bytes);
        append("entropy", &format!("{} B {hash}", bytes.len()));
    }
}

/// Adds a line of the running task. `add` adds what is its own to the hash, and gives what makes its text.
fn enter<T: FnOnce(&mut dyn FnMut(&str))>(kind: &'static str, add: impl FnOnce(&mut Ledger) -> T) {
    let Some(at) = track::nanos() else { return };
    let spot = track::current();
    LEDGER.with_borrow_mut(|ledger| {
        let Some(ledger) = ledger else { return };
        let number = ledger.count;
        ledger.count += 1;
        ledger.hash.word(at);
        ledger.hash.word(spot.task);
        let text = add(ledger);
        let Some(sink) = &mut ledger.sink else { return };
        track::describe(spot, |node, place, name| {
            let place = place.map(|place| place.to_string()).unwrap_or_default();
            let (task, place, name) = (spot.task, place.as_str(), name.unwrap_or_default());
            ACTOR.with_borrow(|actor| {
                text(&mut |detail| sink(&Line { number, at, node, task, place, name, actor, kind, detail }));
            });
        });
    });
}

/// A running hash in the manner of FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), but by words of 64 bits, and turned at each so that all bits
/// of the state meet: not against forgers, only against chance. Each step can be undone, so one word that differs leaves another state.
#[derive(Clone, Copy)]
pub(crate) struct Hash(u128);

impl Hash {
    pub(crate) const fn new() -> Hash {
        Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    pub(crate) fn word(&mut self, word: u64) {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        self.0 = (self.0.rotate_left(59) ^ u128::from(word)).wrapping_mul(PRIME);
    }

    pub(super) fn both(&mut self, other: Hash) {
        self.word(other.0 as u64);
        self.word((other.0 >> 64) as u64);
    }

    pub(super) fn address(&mut self, address: std::net::SocketAddr) {
        match address.ip() {
            std::net::IpAddr::V4(ip) => self.word(ip.to_bits().into()),
            std::net::IpAddr::V6(ip) => self.add(&ip.octets()),
        }
        self.word(address.port().into());
    }

    /// Adds bytes and their number, so that where one text ends and the next begins is part of the hash.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.word(rest ^ (bytes.len() as u64) << 56);
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
