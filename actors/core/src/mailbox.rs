//! The mailbox: bounded to the message, in order within a priority, with a named policy for what comes when it is full.
//!
//! One lock for a push; the runner takes many messages under one lock, and gives each place back as it handles the message.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use playhouse_wire::Priority;

use crate::limits::BUDGET;

/// What happens to a message that finds the mailbox full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// `tell` gives the message back, [`crate::Ref::tell_when_ready`] waits, and other nodes are slowed down: nothing is lost.
    #[default]
    Wait,
    /// Nobody waits: the message comes back, or (from another node) is a dead letter.
    Refuse,
    /// The oldest of the least urgent messages gives its place and is a dead letter: the new one itself, when all others are more urgent.
    DropOldest,
    /// The new message is a dead letter.
    DropNewest,
}

/// A message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// `E` is an envelope.
pub(crate) struct Mailbox<E> {
    bound: usize,
    overflow: Overflow,
    /// How many of all messages the runner has taken from its hand, so that their places are free. Only the runner writes it.
    released: AtomicUsize,
    /// Somebody waits for a place.
    wanted: AtomicBool,
    /// A message came that goes before those in the runner's hand.
    overtaking: AtomicBool,
    queue: Mutex<Queue<E>>,
}

struct Queue<E> {
    /// How many messages came, and places were promised, in all. Minus the released ones, never above the bound.
    came: usize,
    levels: Levels<E>,
    /// The priority of what the runner has in its hand.
    in_hand: usize,
    closed: bool,
    waiting: VecDeque<Arc<Waiter>>,
    /// A sample of how long messages wait: the number of messages that go before, and since when.
    sample: Option<(u64, Instant)>,
}

/// What waits, by priority.
struct Levels<E> {
    normal: VecDeque<E>,
    /// The less urgent and the more urgent. Most mailboxes never have any.
    others: Option<Box<[VecDeque<E>; 2]>>,
}

const LOW: usize = Priority::Low as usize;
const NORMAL: usize = Priority::Normal as usize;

impl<E> Levels<E> {
    fn at(&mut self, level: usize) -> &mut VecDeque<E> {
        if level == NORMAL {
            return &mut self.normal;
        }
        let others = self.others.get_or_insert_with(|| Box::new([VecDeque::new(), VecDeque::new()]));
        &mut others[usize::from(level > NORMAL)]
    }

    fn has(&self, level: usize) -> bool {
        let others = || self.others.as_ref().is_some_and(|others| !others[usize::from(level > NORMAL)].is_empty());
        if level == NORMAL { !self.normal.is_empty() } else { others() }
    }

    /// The most urgent level that has any.
    fn most_urgent(&self) -> Option<usize> {
        if self.others.is_none() {
            return self.has(NORMAL).then_some(NORMAL);
        }
        (LOW..=Priority::High as usize).rev().find(|level| self.has(*level))
    }

    fn is_empty(&self) -> bool {
        self.most_urgent().is_none()
    }
}

/// Somebody who waits for a place.
#[derive(Default)]
struct Waiter(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    waker: Option<Waker>,
    granted: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E> Mailbox<E> {
    pub(crate) fn new(bound: usize, overflow: Overflow) -> Mailbox<E> {
        Mailbox {
            bound: bound.max(1),
            overflow,
            released: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            overtaking: AtomicBool::new(false),
            queue: Mutex::new(Queue {
                came: 0,
                levels: Levels { normal: VecDeque::new(), others: None },
                in_hand: 0,
                closed: false,
                waiting: VecDeque::new(),
                sample: None,
            }),
        }
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(crate) fn depth(&self) -> usize {
        self.taken(&lock(&self.queue))
    }

    /// Places that are taken.
    fn taken(&self, queue: &Queue<E>) -> usize {
        queue.came.wrapping_sub(self.released.load(Acquire))
    }

    // Senders.

    /// Takes a message, unless there is no place and the policy is to say so. Gives back what had to go for it: an older one, or itself.
    /// `seal` makes an envelope of it when that is certain, so that what comes back is what was given.
    pub(crate) fn push<T>(
        &self,
        priority: Priority,
        message: T,
        seal: impl FnOnce(T) -> E,
        timed: bool,
    ) -> Result<Option<E>, (Refused, T)> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err((Refused::Closed, message));
        }
        // Nobody overtakes those who wait.
        if self.taken(&queue) >= self.bound || !queue.waiting.is_empty() {
            playhouse_rt::reachable!("mailbox-full");
            match self.overflow {
                Overflow::Wait | Overflow::Refuse => return Err((Refused::Full, message)),
                Overflow::DropNewest => return Ok(Some(seal(message))),
                Overflow::DropOldest => {
                    // What the runner has in its hand is not counted under this policy, so a full mailbox has all here. Nothing that is
                    // more urgent gives its place.
                    let level = (LOW..=priority as usize).find(|level| queue.levels.has(*level));
                    let Some(oldest) = level.and_then(|level| queue.levels.at(level).pop_front()) else {
                        return Ok(Some(seal(message)));
                    };
                    self.put(&mut queue, priority, seal(message), timed);
                    return Ok(Some(oldest));
                }
            }
        }
        queue.came = queue.came.wrapping_add(1);
        self.put(&mut queue, priority, seal(message), timed);
        Ok(None)
    }

    fn put(&self, queue: &mut Queue<E>, priority: Priority, envelope: E, timed: bool) {
        if timed && queue.sample.is_none() {
            queue.sample = Some((self.taken(queue) as u64, playhouse_rt::now()));
        }
        playhouse_rt::always!(
            self.taken(queue) <= self.bound,
            "a mailbox holds no more than its bound",
            "{} for {}",
            self.taken(queue),
            self.bound
        );
        let level = priority as usize;
        if level > queue.in_hand {
            self.overtaking.store(true, Release);
        }
        queue.levels.at(level).push_back(envelope);
    }

    /// Waits for a place, behind all who wait already.
    pub(crate) fn place(&self) -> Place<'_, E> {
        Place { mailbox: self, state: PlaceState::New }
    }

    fn grant(&self, queue: &mut Queue<E>) {
        while self.taken(queue) < self.bound
            && let Some(waiter) = queue.waiting.pop_front()
        {
            queue.came = queue.came.wrapping_add(1);
            waiter.grant();
        }
        self.wanted.store(!queue.waiting.is_empty(), Release);
    }

    /// A promised place is not used.
    fn give_back(&self) {
        let mut queue = lock(&self.queue);
        queue.came = queue.came.wrapping_sub(1);
        self.grant(&mut queue);
    }

    // The runner.

    /// The place of a message that the runner takes from its hand is free.
    pub(crate) fn release(&self) {
        if self.overflow == Overflow::DropOldest {
            return;
        }
        // Nobody else writes it, so this needs no exchange.
        self.released.store(self.released.load(Relaxed).wrapping_add(1), Release);
        // One who begins to wait at this very moment may be overlooked, but not by the next look: at the next message, or in `refill`.
        if self.wanted.load(Acquire) {
            self.grant(&mut lock(&self.queue));
        }
    }

    /// Fills the empty `hand` with the most urgent messages. When there are none, calls `park` and gives false: whoever pushes after that
    /// finds what `park` wrote. Calls `park` as well when it hands out the only message: most often it is the only one for a while, and
    /// who finds nobody pushed meanwhile need not look again.
    pub(crate) fn refill(&self, hand: &mut VecDeque<E>, park: impl FnOnce()) -> bool {
        let mut queue = lock(&self.queue);
        if !queue.waiting.is_empty() {
            self.grant(&mut queue);
        }
        self.overtaking.store(false, Relaxed);
        let Some(level) = queue.levels.most_urgent() else {
            // Nothing is in the hand now, so nothing can be overtaken.
            queue.in_hand = 2;
            park();
            return false;
        };
        queue.in_hand = level;
        let level = queue.levels.at(level);
        let most = BUDGET as usize;
        if self.overflow == Overflow::DropOldest {
            // One at a time: what is in the hand could not be dropped for a newer one.
            hand.extend(level.pop_front());
            queue.came = queue.came.wrapping_sub(1);
        } else if level.len() <= most {
            std::mem::swap(level, hand);
        } else {
            hand.extend(level.drain(..most));
        }
        // Those who wait for a place count on the next look; with a place left nobody waits, unless others were promised places, and
        // those come or give them back.
        if hand.len() == 1 && self.bound > 1 && queue.waiting.is_empty() && queue.levels.is_empty() {
            park();
        }
        true
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.queue).levels.is_empty()
    }

    /// To be called before the runner waits for something else than messages: nobody who waits for a free place is overlooked.
    pub(crate) fn look_for_waiters(&self) {
        // With the fence of whoever begins to wait: one of the two sees what the other wrote.
        fence(SeqCst);
        if self.wanted.load(Relaxed) {
            self.grant(&mut lock(&self.queue));
        }
    }

    /// Whether something more urgent than what is in the hand has come.
    pub(crate) fn overtaken(&self) -> bool {
        self.overtaking.load(Acquire)
    }

    /// Puts back what is in the hand, where it was.
    pub(crate) fn put_back(&self, hand: &mut VecDeque<E>) {
        let mut queue = lock(&self.queue);
        let level = queue.in_hand;
        while let Some(envelope) = hand.pop_back() {
            queue.levels.at(level).push_front(envelope);
        }
    }

    /// How long a message had waited, if one was being timed and the runner has come to it: to be asked once a turn, with the number of
    /// messages that were handled since it was asked last.
    pub(crate) fn waited(&self, handled: u64) -> Option<Duration> {
        let mut queue = lock(&self.queue);
        let (ahead, since) = queue.sample?;
        if ahead > handled {
            queue.sample = Some((ahead - handled, since));
            return None;
        }
        queue.sample = None;
        Some(playhouse_rt::now().saturating_duration_since(since))
    }

    /// Takes no more; what waits is still handed out. Those who wait for a place learn it.
    pub(crate) fn seal(&self) {
        let waiting = {
            let mut queue = lock(&self.queue);
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        for waiter in waiting {
            waiter.wake();
        }
    }

    /// All that still waits, most urgent first; to be dropped by the caller, outside the lock.
    pub(crate) fn drain(&self) -> Vec<E> {
        let mut queue = lock(&self.queue);
        let mut all = Vec::new();
        while let Some(level) = queue.levels.most_urgent() {
            all.extend(queue.levels.at(level).drain(..));
        }
        queue.came = queue.came.wrapping_sub(all.len());
        all
    }
}

impl Waiter {
    fn grant(&self) {
        let waker = {
            let mut waiting = lock(&self.0);
            waiting.granted = true;
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wake(&self) {
        let waker = lock(&self.0).waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A place that is waited for. Cancel-safe: dropped, it takes none.
pub(crate) struct Place<'a, E> {
    mailbox: &'a Mailbox<E>,
    state: PlaceState,
}

enum PlaceState {
    New,
    Waiting(Arc<Waiter>),
    Granted,
    Used,
}

impl<E> Place<'_, E> {
    /// Puts a message on the place, which must have been granted; gives it back when the mailbox was closed meanwhile.
    pub(crate) fn put<T>(mut self, priority: Priority, message: T, seal: impl FnOnce(T) -> E, timed: bool) -> Result<(), T> {
        debug_assert!(matches!(self.state, PlaceState::Granted), "the place was waited for");
        let mut queue = lock(&self.mailbox.queue);
        if queue.closed {
            return Err(message);
        }
        self.state = PlaceState::Used;
        self.mailbox.put(&mut queue, priority, seal(message), timed);
        Ok(())
    }

    /// Ready when the place is granted; false when the mailbox was closed.
    pub(crate) fn poll_granted(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mailbox = self.mailbox;
        loop {
            match &self.state {
                PlaceState::Granted | PlaceState::Used => return Poll::Ready(true),
                PlaceState::Waiting(waiter) => {
                    let granted = {
                        let mut waiting = lock(&waiter.0);
                        if !waiting.granted {
                            waiting.waker = Some(cx.waker().clone());
                        }
                        waiting.granted
                    };
                    if granted {
                        self.state = PlaceState::Granted;
                        continue;
                    }
                    // After the waker is in its place: who closes it wakes it or was seen.
                    return if lock(&mailbox.queue).closed { Poll::Ready(false) } else { Poll::Pending };
                }
                PlaceState::New => {
                    let mut queue = lock(&mailbox.queue);
                    if queue.closed {
                        return Poll::Ready(false);
                    }
                    let waiter = Arc::new(Waiter::default());
                    queue.waiting.push_back(waiter.clone());
                    mailbox.wanted.store(true, Relaxed);
                    fence(SeqCst);
                    mailbox.grant(&mut queue);
                    self.state = PlaceState::Waiting(waiter);
                }
            }
        }
    }
}

impl<E> Drop for Place<'_, E> {
    fn drop(&mut self) {
        match &self.state {
            PlaceState::New | PlaceState::Used => {}
            PlaceState::Granted => self.mailbox.give_back(),
            PlaceState::Waiting(waiter) => {
                let mut queue = lock(&self.mailbox.queue);
                queue.waiting.retain(|other| !Arc::ptr_eq(other, waiter));
                let granted = lock(&waiter.0).granted;
                drop(queue);
                if granted {
                    self.mailbox.give_back();
                }
            }
        }
    }
}

impl<E> Unpin for Place<'_, E> {}

impl<E> Future for Place<'_, E> {
    type Output = bool;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        self.poll_granted(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(n: u32) -> u32 {
        n
    }

    fn numbers(mailbox: &Mailbox<u32>) -> Vec<u32> {
        let (mut hand, mut all) = (VecDeque::new(), Vec::new());
        while mailbox.refill(&mut hand, || ()) {
            while let Some(n) = hand.pop_front() {
                mailbox.release();
                all.push(n);
            }
        }
        all
    }

    #[test]
    fn each_policy_keeps_what_it_says() {
        // (policy, what is refused, what had to go, what is left)
        let table = [
            (Overflow::Wait, vec![3, 4], vec![], vec![1, 2]),
            (Overflow::Refuse, vec![3, 4], vec![], vec![1, 2]),
            (Overflow::DropOldest, vec![], vec![1, 2], vec![3, 4]),
            (Overflow::DropNewest, vec![], vec![3, 4], vec![1, 2]),
        ];
        for (overflow, refused, went, left) in table {
            let mailbox = Mailbox::new(2, overflow);
            let (mut no, mut gone) = (vec![], vec![]);
            for n in 1..=4 {
                match mailbox.push(Priority::Normal, n, same, false) {
                    Ok(other) => gone.extend(other),
                    Err((why, n)) => {
                        assert_eq!(why, Refused::Full);
                        no.push(n);
                    }
                }
                assert!(mailbox.depth() <= 2);
            }
            assert_eq!((no, gone, numbers(&mailbox)), (refused, went, left), "{overflow:?}");
        }
    }

    #[test]
    fn the_urgent_overtake_also_what_the_runner_has_in_its_hand() {
        let mailbox = Mailbox::new(100, Overflow::Wait);
        for n in [10, 11, 12] {
            mailbox.push(Priority::Normal, n, same, false).unwrap();
        }
        let mut hand = VecDeque::new();
        assert!(mailbox.refill(&mut hand, || ()));
        assert_eq!(hand.pop_front(), Some(10));
        mailbox.push(Priority::Low, 1, same, false).unwrap();
        mailbox.push(Priority::Normal, 13, same, false).unwrap();
        assert!(!mailbox.overtaken());
        mailbox.push(Priority::High, 20, same, false).unwrap();
        assert!(mailbox.overtaken());
        mailbox.put_back(&mut hand);
        assert_eq!(numbers(&mailbox), [20, 11, 12, 13, 1]);
    }

    #[test]
    fn places_are_granted_in_order_and_given_back() {
        let mailbox = Mailbox::new(1, Overflow::Wait);
        mailbox.push(Priority::Normal, 0, same, false).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second, mut third) = (mailbox.place(), mailbox.place(), mailbox.place());
        assert!(first.poll_granted(&mut cx).is_pending());
        assert!(second.poll_granted(&mut cx).is_pending());
        assert!(third.poll_granted(&mut cx).is_pending());
        drop(second);
        assert_eq!(numbers(&mailbox), [0]);
        assert!(third.poll_granted(&mut cx).is_pending(), "the first was granted the only place");
        assert_eq!(mailbox.push(Priority::Normal, 7, same, false).unwrap_err().0, Refused::Full, "nobody overtakes who waits");
        assert_eq!(first.poll_granted(&mut cx), Poll::Ready(true));
        // Dropped without a message, its place goes to the next.
        drop(first);
        assert_eq!(third.poll_granted(&mut cx), Poll::Ready(true));
        third.put(Priority::Normal, 3, same, false).unwrap();
        assert_eq!(mailbox.depth(), 1);
        let mut last = mailbox.place();
        assert!(last.poll_granted(&mut cx).is_pending());
        mailbox.seal();
        assert_eq!(last.poll_granted(&mut cx), Poll::Ready(false));
        drop(last);
        assert_eq!(mailbox.push(Priority::Normal, 7, same, false).unwrap_err().0, Refused::Closed);
        assert_eq!(numbers(&mailbox), [3]);
        assert_eq!(mailbox.depth(), 0);
    }

    /// The runner and one who begins to wait, at the same moment, many times: either sees the other.
    #[test]
    fn nobody_who_waits_for_a_free_place_is_overlooked() {
        const ROUNDS: usize = 20_000;
        let mailboxes: Vec<_> = (0..ROUNDS).map(|_| Mailbox::new(1, Overflow::Wait)).collect();
        let begin = std::sync::Barrier::new(2);
        let end = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for mailbox in &mailboxes {
                    mailbox.push(Priority::Normal, 0, same, false).unwrap();
                    let mut hand = VecDeque::new();
                    assert!(mailbox.refill(&mut hand, || ()));
                    begin.wait();
                    mailbox.release();
                    mailbox.look_for_waiters();
                    end.wait();
                }
            });
            for mailbox in &mailboxes {
                let mut place = mailbox.place();
                let mut cx = Context::from_waker(Waker::noop());
                begin.wait();
                let _ = place.poll_granted(&mut cx);
                end.wait();
                assert_eq!(place.poll_granted(&mut cx), Poll::Ready(true));
            }
        });
    }
}
