//! The book of streams: what was produced, taken and given up, and how far sources were ahead of their sinks.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use playhouse::rt;

use crate::scenario::frame::Shelf;
use crate::scenario::trio::{Index, Phase, State, phase, place_of, spared, state};

thread_local! {
    static PLACE: RefCell<Option<Book>> = const { RefCell::new(None) };
}

pub(super) const BOOK: Shelf<Book> = Shelf::new(&PLACE);

/// Writes into the book. Gives nothing when there is none any more.
pub(super) fn enter<T>(write: impl FnOnce(&mut Book) -> T) -> Option<T> {
    BOOK.enter(write)
}

#[derive(Default)]
pub(super) struct Book {
    /// A sink is slow for a minute.
    pub(super) minute: bool,
    pub(super) streams: Vec<Stream>,
    pub(super) freights: Vec<Freight>,
    /// Which lives of nodes had a source that failed.
    pub(super) failed: Vec<Index>,
    /// Resident bytes of this process when the load began, and the most since.
    pub(super) memory: Option<(u64, u64)>,
}

/// How a stream ended, at its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    /// It said that this was all.
    Done,
    Failed(String),
    /// Its reader wanted no more.
    Left(Instant),
}

/// One stream.
pub(super) struct Stream {
    pub(super) reader: Index,
    pub(super) place: usize,
    /// The life of the node that produces it, when it does.
    pub(super) source: Option<Index>,
    pub(super) items: u64,
    pub(super) length: usize,
    /// It is the one of the slow sink.
    pub(super) slow: bool,
    pub(super) produced: u64,
    pub(super) taken: u64,
    pub(super) most_ahead: u64,
    /// The first item that was not the next one: what came, and what should have.
    pub(super) odd: Option<(u64, u64)>,
    /// Over the bytes of all items, as they were produced and as they were taken.
    pub(super) hashes: (u64, u64),
    /// The same over what was produced, when as many had been taken: see `hashes_at`.
    pub(super) hash_at: Vec<u64>,
    pub(super) end: End,
    /// How often it was asked for, at its source.
    pub(super) asked: u32,
    /// When its producer began, and was over.
    pub(super) begun: Option<Instant>,
    pub(super) over: Option<Instant>,
    /// How long its source was held up for want of room.
    pub(super) held_up: Duration,
}

impl Stream {
    pub(super) fn title(&self) -> String {
        let (from, to) = (crate::scenario::trio::PLACES[self.place], crate::scenario::trio::PLACES[place_of(self.reader)]);
        format!("of {} items of {} bytes from {from} to {to}", self.items, self.length)
    }

    pub(super) fn is_local(&self) -> bool {
        place_of(self.reader) == self.place
    }

    /// Nothing befell its nodes and their link that ends it.
    pub(super) fn is_spared(&self) -> bool {
        spared(place_of(self.reader), self.place)
    }

    /// Both its nodes live still.
    pub(super) fn lives(&self) -> bool {
        state(self.reader) == State::Up && self.source.is_some_and(|source| state(source) == State::Up)
    }
}

/// What is told to an actor that is slower than who tells it.
pub(super) struct Freight {
    pub(super) from: Index,
    pub(super) to: usize,
    pub(super) length: usize,
    pub(super) mailbox: usize,
    pub(super) told: u64,
    pub(super) handled: u64,
    pub(super) most_ahead: u64,
    /// The first that was not the next one: what came, and what should have.
    pub(super) odd: Option<(u64, u64)>,
    /// Something was not taken: the connection ended.
    pub(super) broken: bool,
    pub(super) held_up: Duration,
}

pub(super) const EMPTY_HASH: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a.
pub(super) fn hash(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Book {
    pub(super) fn opens(&mut self, reader: Index, place: usize, items: u64, length: usize, slow: bool) -> Index {
        self.streams.push(Stream {
            reader,
            place,
            source: None,
            items,
            length,
            slow,
            produced: 0,
            taken: 0,
            most_ahead: 0,
            odd: None,
            hashes: (EMPTY_HASH, EMPTY_HASH),
            hash_at: vec![EMPTY_HASH],
            end: End::Open,
            asked: 0,
            begun: None,
            over: None,
            held_up: Duration::ZERO,
        });
        self.streams.len() - 1
    }

    pub(super) fn begins(&mut self, stream: Index, source: Index) {
        let stream = &mut self.streams[stream];
        stream.source = Some(source);
        stream.asked += 1;
        stream.begun.get_or_insert(rt::now());
    }

    pub(super) fn produced(&mut self, stream: Index, bytes: &[u8], waited: Duration) {
        let stream = &mut self.streams[stream];
        stream.produced += 1;
        stream.held_up += waited;
        stream.hashes.0 = hash(stream.hashes.0, bytes);
        stream.hash_at.push(stream.hashes.0);
        stream.most_ahead = stream.most_ahead.max(stream.produced.saturating_sub(stream.taken));
    }

    pub(super) fn taken(&mut self, stream: Index, number: u64, bytes: &[u8]) {
        let stream = &mut self.streams[stream];
        if number != stream.taken {
            stream.odd.get_or_insert((number, stream.taken));
        }
        stream.taken += 1;
        stream.hashes.1 = hash(stream.hashes.1, bytes);
    }

    pub(super) fn ends(&mut self, stream: Index, end: End) {
        rt::ledger::record("end", || format!("stream {stream}: {end:?}"));
        self.streams[stream].end = end;
    }

    pub(super) fn over(&mut self, stream: Index) {
        self.streams[stream].over = Some(rt::now());
    }

    pub(super) fn fails(&mut self, source: Index) {
        self.failed.push(source);
    }

    pub(super) fn loads(&mut self, from: Index, to: usize, length: usize, mailbox: usize) -> Index {
        self.freights.push(Freight {
            from,
            to,
            length,
            mailbox,
            told: 0,
            handled: 0,
            most_ahead: 0,
            odd: None,
            broken: false,
            held_up: Duration::ZERO,
        });
        self.freights.len() - 1
    }

    pub(super) fn told(&mut self, freight: Index, waited: Duration) {
        let freight = &mut self.freights[freight];
        freight.told += 1;
        freight.held_up += waited;
        freight.most_ahead = freight.most_ahead.max(freight.told.saturating_sub(freight.handled));
    }

    pub(super) fn handled(&mut self, freight: Index, number: u64) {
        let freight = &mut self.freights[freight];
        if number != freight.handled {
            freight.odd.get_or_insert((number, freight.handled));
        }
        freight.handled += 1;
    }

    /// What this process holds, which is one simulation: all its nodes together.
    pub(super) fn look_at_memory(&mut self) {
        if !self.minute || phase() != Phase::Load {
            return;
        }
        let now = resident();
        let (before, most) = self.memory.unwrap_or((now, now));
        self.memory = Some((before, most.max(now)));
    }
}

/// Resident bytes of this process; 0 where nobody says.
fn resident() -> u64 {
    // The second field of /proc/self/statm, in pages of at least 4 KiB (proc(5)).
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
