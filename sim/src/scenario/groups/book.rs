//! The book of groups, drains, children, offloaded work and timers: what happened, entered where it happens.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use playhouse::rt;
use playhouse_actors::Told;
use playhouse_actors::supervise::Lifetime;

use crate::scenario::frame::Shelf;
use crate::scenario::trio::{Index, PLACES, State, place_of, state};

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
    pub(super) members: Vec<Member>,
    pub(super) places: Vec<Place>,
    pub(super) shouts: Vec<Shout>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) drops: Vec<Drop>,
    pub(super) children: Vec<Child>,
    /// The children that ended while their node stopped, in order: those that nothing else was asked of.
    pub(super) stops: Vec<(Index, Index)>,
    pub(super) lives: Vec<Life>,
    pub(super) works: Vec<Work>,
    pub(super) timers: Vec<Timer>,
    pub(super) intervals: Vec<Interval>,
}

/// An actor that is in groups: one mailbox, under a name that nobody else ever has.
pub(super) struct Member {
    pub(super) at: Index,
    /// Its mailbox holds all that it may be told here.
    pub(super) roomy: bool,
    /// Other nodes can reach it.
    pub(super) named: bool,
    /// It was told to stop, or its state was dropped.
    pub(super) ends: bool,
}

/// A place in a group or topic of a node.
pub(super) struct Place {
    pub(super) group: (Index, usize),
    pub(super) member: Index,
    pub(super) left: bool,
}

/// What was said to a group.
pub(super) struct Shout {
    pub(super) group: (Index, usize),
    /// Who was in it.
    pub(super) to: Vec<Index>,
    pub(super) told: Option<Told>,
    /// By whom it was handled, and how often.
    pub(super) handled: BTreeMap<Index, u32>,
}

/// An actor that is drained.
pub(super) struct Bucket {
    pub(super) at: Index,
    pub(super) drained: bool,
    pub(super) ended: bool,
}

/// What a bucket is told.
pub(super) struct Drop {
    pub(super) bucket: Index,
    /// After the call of `drain`.
    pub(super) late: bool,
    pub(super) taken: bool,
    pub(super) handled: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastEnd {
    None,
    Failed,
    Left,
    /// It was stopped, for a restart that was asked for or for good.
    Stopped,
}

/// A child that is added at run time.
pub(super) struct Child {
    pub(super) at: Index,
    pub(super) lifetime: Lifetime,
    pub(super) added: bool,
    pub(super) born: u32,
    pub(super) started: u32,
    pub(super) alive: u32,
    /// Ends that call for another life, or may.
    pub(super) ends: u32,
    pub(super) restarts: u32,
    pub(super) last: LastEnd,
    /// It was asked for, and when it was done: the lives until then.
    pub(super) removing: bool,
    pub(super) removed: Option<u32>,
}

/// A life of an actor that offloads work or sets timers.
pub(super) struct Life {
    pub(super) at: Index,
    pub(super) over: bool,
    /// It has the actor for itself.
    pub(super) exclusive: bool,
}

pub(super) struct Work {
    pub(super) life: Index,
    pub(super) back: u32,
    pub(super) posthumous: bool,
}

/// A timer or a delayed message.
pub(super) struct Timer {
    pub(super) life: Index,
    pub(super) due: Instant,
    pub(super) cancelled: bool,
    pub(super) fired: u32,
    pub(super) odd: Option<String>,
}

pub(super) struct Interval {
    pub(super) life: Index,
    pub(super) every: Duration,
    /// Its ticks are messages, which may wait for what has the actor for itself; then only their number is bounded.
    pub(super) sent: bool,
    pub(super) began: Instant,
    pub(super) count: u32,
    /// Of these, after it was cancelled.
    pub(super) late: u32,
    pub(super) last: Instant,
    pub(super) cancelled: bool,
    pub(super) odd: Option<String>,
}

impl Book {
    pub(super) fn title(&self, at: Index) -> String {
        format!("{}#{at}", PLACES[place_of(at)])
    }

    // Groups.

    pub(super) fn member(&mut self, at: Index, roomy: bool, named: bool) -> Index {
        self.members.push(Member { at, roomy, named, ends: false });
        self.members.len() - 1
    }

    pub(super) fn joins(&mut self, group: (Index, usize), member: Index) -> Index {
        self.places.push(Place { group, member, left: false });
        self.places.len() - 1
    }

    pub(super) fn is_in(&self, group: (Index, usize), member: Index) -> bool {
        self.places.iter().any(|place| place.group == group && place.member == member && !place.left)
    }

    pub(super) fn shout(&mut self, group: (Index, usize)) -> Index {
        let to = self.places.iter().filter(|place| place.group == group && !place.left).map(|place| place.member).collect();
        self.shouts.push(Shout { group, to, told: None, handled: BTreeMap::new() });
        self.shouts.len() - 1
    }

    pub(super) fn heard(&mut self, shout: Index, member: Index) {
        *self.shouts[shout].handled.entry(member).or_default() += 1;
    }

    // Drains.

    pub(super) fn bucket(&mut self, at: Index) -> Index {
        self.buckets.push(Bucket { at, drained: false, ended: false });
        self.buckets.len() - 1
    }

    pub(super) fn drips(&mut self, bucket: Index) -> Index {
        let late = self.buckets[bucket].drained;
        self.drops.push(Drop { bucket, late, taken: false, handled: 0 });
        self.drops.len() - 1
    }

    // Children.

    pub(super) fn child(&mut self, at: Index, lifetime: Lifetime) -> Index {
        self.children.push(Child {
            at,
            lifetime,
            added: false,
            born: 0,
            started: 0,
            alive: 0,
            ends: 0,
            restarts: 0,
            last: LastEnd::None,
            removing: false,
            removed: None,
        });
        self.children.len() - 1
    }

    pub(super) fn born(&mut self, child: Index) {
        let child = &mut self.children[child];
        child.born += 1;
        child.alive += 1;
        child.last = LastEnd::None;
    }

    /// A life is over; `why`, if it was by itself.
    pub(super) fn dies(&mut self, number: Index, why: Option<LastEnd>) {
        let child = &mut self.children[number];
        child.alive -= 1;
        child.last = why.unwrap_or(LastEnd::Stopped);
        child.ends += u32::from(why.is_some());
        let asked = child.removing || child.restarts > 0 || why.is_some();
        if state(child.at) == State::Stopping && !asked {
            let at = child.at;
            self.stops.push((at, number));
        }
    }

    // Offloaded work and timers.

    pub(super) fn life(&mut self, at: Index) -> Index {
        self.lives.push(Life { at, over: false, exclusive: false });
        self.lives.len() - 1
    }

    pub(super) fn work(&mut self, life: Index) -> Index {
        self.works.push(Work { life, back: 0, posthumous: false });
        self.works.len() - 1
    }

    pub(super) fn comes_back(&mut self, work: Index) {
        let Work { life, .. } = self.works[work];
        self.works[work].back += 1;
        self.works[work].posthumous |= self.lives[life].over;
    }

    pub(super) fn sets(&mut self, life: Index, after: Duration) -> Index {
        self.timers.push(Timer { life, due: rt::now() + after, cancelled: false, fired: 0, odd: None });
        self.timers.len() - 1
    }

    pub(super) fn fires(&mut self, timer: Index) {
        let now = rt::now();
        let Life { over, exclusive, .. } = self.lives[self.timers[timer].life];
        let timer = &mut self.timers[timer];
        timer.fired += 1;
        let odd = if timer.cancelled {
            Some("it fires after it was cancelled".to_string())
        } else if now < timer.due {
            Some(format!("it fires {:?} early", timer.due - now))
        } else if timer.fired > 1 {
            Some("it fires twice".to_string())
        } else if over || exclusive {
            Some("it fires after its actor's end, or while something has the actor for itself".to_string())
        } else {
            None
        };
        timer.odd = timer.odd.take().or(odd);
    }

    pub(super) fn repeats(&mut self, life: Index, every: Duration, sent: bool) -> Index {
        self.intervals.push(Interval {
            life,
            every,
            sent,
            began: rt::now(),
            count: 0,
            late: 0,
            last: rt::now(),
            cancelled: false,
            odd: None,
        });
        self.intervals.len() - 1
    }

    pub(super) fn ticks(&mut self, interval: Index) {
        let now = rt::now();
        let Life { over, exclusive, .. } = self.lives[self.intervals[interval].life];
        let interval = &mut self.intervals[interval];
        let since = now.saturating_duration_since(interval.last);
        interval.last = now;
        interval.count += 1;
        let bunch = if interval.sent { interval.every * interval.count > now - interval.began } else { since < interval.every };
        interval.late += u32::from(interval.cancelled);
        // One that was sent is on its way.
        let odd = if interval.late > u32::from(interval.sent) {
            Some("it ticks after it was cancelled".to_string())
        } else if bunch {
            Some(format!("it ticks {since:?} after the last time, for the {}th time", interval.count))
        } else if over || exclusive {
            Some("it ticks after its actor's end, or while something has the actor for itself".to_string())
        } else {
            None
        };
        interval.odd = interval.odd.take().or(odd);
    }
}
