//! The ledger: one line for each thing that happened, in order, and a running hash over all of them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use madsim::task::NodeId;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 0.
    pub number: u64,
    /// Virtual nanoseconds since the start.
    pub at: u64,
    /// The node whose task did it; `-` for the world.
    pub node: &'a str,
    /// A short word.
    pub kind: &'static str,
    /// The rest.
    pub detail: &'a str,
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (s, us) = (self.at / 1_000_000_000, self.at / 1_000 % 1_000_000);
        write!(f, "{:>7} {s:>4}.{us:06} {:<12} {:<9} {}", self.number, self.node, self.kind, self.detail)
    }
}

type Sink = Box<dyn FnMut(&Line<'_>)>;

struct Ledger {
    sink: Sink,
    hash: Hash,
    count: u64,
}

thread_local! {
    // A simulation is one thread of one process, so its ledger can be found from anywhere without being passed through the product.
    static LEDGER: RefCell<Option<Ledger>> = const { RefCell::new(None) };
    static NAMES: RefCell<BTreeMap<NodeId, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// Starts a ledger whose lines also go to `sink`.
pub fn open(sink: impl FnMut(&Line<'_>) + 'static) {
    LEDGER.set(Some(Ledger { sink: Box::new(sink), hash: Hash::new(), count: 0 }));
}

/// Ends the ledger: its hash as 32 hexadecimal digits, and how many lines it had.
pub fn close() -> (String, u64) {
    LEDGER.take().map_or_else(|| (Hash::new().to_string(), 0), |ledger| (ledger.hash.to_string(), ledger.count))
}

pub(crate) fn is_open() -> bool {
    LEDGER.with_borrow(Option::is_some)
}

pub(crate) fn name_node(id: NodeId, name: String) {
    NAMES.with_borrow_mut(|names| names.insert(id, name));
}

/// A node's name; `-` for the world.
pub(crate) fn name_of(id: NodeId) -> String {
    NAMES.with_borrow(|names| names.get(&id).map_or("-", String::as_str).to_string())
}

/// The node whose task runs now.
pub(crate) fn owner_here() -> NodeId {
    madsim::plugin::node()
}

pub(crate) fn append(kind: &'static str, detail: &str) {
    // Time has passed, as it does at every event.
    super::claims::look();
    let Some(time) = madsim::time::TimeHandle::try_current() else { return };
    let at = u64::try_from(time.elapsed().as_nanos()).unwrap_or(u64::MAX);
    NAMES.with_borrow(|names| {
        let node = names.get(&madsim::plugin::node()).map_or("-", String::as_str);
        LEDGER.with_borrow_mut(|ledger| {
            let Some(ledger) = ledger else { return };
            let line = Line { number: ledger.count, at, node, kind, detail };
            ledger.hash.add(&at.to_le_bytes());
            for part in [node, kind, detail] {
                ledger.hash.add(part.as_bytes());
                ledger.hash.add(b"\n");
            }
            ledger.count += 1;
            (ledger.sink)(&line);
        });
    });
}

/// FNV-1a with 128 bits (http://www.isthe.com/chongo/tech/comp/fnv/): not against forgers, only against chance.
#[derive(Clone, Copy)]
pub(crate) struct Hash(u128);

impl Hash {
    pub(crate) const fn new() -> Hash {
        Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
