//! In which order tasks run that could run at the same time.
//!
//! madsim takes any of them, evenly: good at finding what goes wrong in many orders, bad at what needs one task to be overtaken by another for
//! long. Probabilistic concurrency testing gives each task a priority, lets the highest run, and lowers a priority at a few drawn points: an
//! order bug that needs `depth` constraints is then found with a chance that can be stated (Burckhardt, Kothari, Musuvathi, Nagarakatte: "A
//! randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010, https://doi.org/10.1145/1736020.1736040).
//!
//! madsim cannot be told whom to run, but it runs only who was woken: so each task wakes us, and we pass on only the wake of the highest. What
//! is no task of the product (the network's delivery) runs as before. Each hand-over costs madsim's 50 to 100 virtual nanoseconds, as any poll.
//!
//! The published algorithm starves whoever is low for as long as others can run; that is its strength, but some of our tasks wait for others by
//! asking again and again. So there is a bound: see [`TURNS_MAX`] for one task alone, [`STARVES_AFTER`] for several that keep each other busy.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use super::track;
use crate::Random;

/// In which order tasks run that could run at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Each time any of them, all with the same chance.
    #[default]
    Random,
    /// By priorities: probabilistic concurrency testing.
    Pct {
        /// How many constraints on the order a bug may need: priorities fall at one point fewer.
        depth: u32,
        /// About how many polls a run has: the points are drawn among so many, each another one. After them nothing falls any more.
        steps: u64,
    },
}

/// A task that is polled so often in a row while others could run waits for one of them: it falls below all.
const TURNS_MAX: u32 = 1000;

/// A task that could run and was not let for so many polls of others goes before all of them: they may wait for it.
pub const STARVES_AFTER: u64 = 5_000;

/// So often, in polls, it is looked whether a task starves.
const LOOK_EVERY: u64 = 100;

const _: () = assert!(TURNS_MAX as u64 <= STARVES_AFTER && LOOK_EVERY <= STARVES_AFTER, "who spins alone is found first");

/// Virtual nanoseconds after which a woken task that was not polled cannot be: its node is paused. Others need not wait for it.
const PAUSED_AFTER: u64 = 1_000_000;

struct Pct {
    dice: Random,
    /// At which steps a priority falls, and to what.
    falls: BTreeMap<u64, i64>,
    step: u64,
    /// What the next task gets that waits for a lower one; each lower than all before.
    lowest: i64,
    /// What the last one got that starved; each higher than all before.
    highest: i64,
    tasks: BTreeMap<u64, Ranked>,
    /// Who could run: the last one runs.
    ready: BTreeSet<(i64, u64)>,
    running: Option<u64>,
    /// Who was woken, and when.
    called: Option<(u64, u64)>,
    /// Who ran last, and for how many turns in a row.
    turns: (u64, u32),
    referee: Option<Waker>,
}

struct Ranked {
    priority: i64,
    waker: Option<Waker>,
    /// Since which step it could run.
    since: u64,
}

/// Above all priorities to which tasks fall, and this wide, are those that tasks begin with; above these are those of who starved.
const FIRST: i64 = 1 << 40;

thread_local! {
    static WANTED: Cell<Schedule> = const { Cell::new(Schedule::Random) };
    static PCT: RefCell<Option<Pct>> = const { RefCell::new(None) };
}

/// In which order the tasks of this thread's next simulation run.
pub fn schedule(schedule: Schedule) {
    WANTED.set(schedule);
}

pub(super) fn begin(seed: u64) {
    PCT.set(match WANTED.replace(Schedule::Random) {
        Schedule::Random => None,
        Schedule::Pct { depth, steps } => {
            let mut dice = Random::new(seed, "schedule");
            let falls = points(&mut dice, depth, steps);
            let (tasks, ready) = (BTreeMap::new(), BTreeSet::new());
            let (lowest, highest) = (0, 2 * FIRST);
            Some(Pct {
                dice,
                falls,
                step: 0,
                lowest,
                highest,
                tasks,
                ready,
                running: None,
                called: None,
                turns: (0, 0),
                referee: None,
            })
        }
    });
    if with(|_| ()).is_some() {
        drop(madsim::task::spawn(referee()));
    }
}

/// At which of `steps` steps a priority falls, and to what.
fn points(dice: &mut Random, depth: u32, steps: u64) -> BTreeMap<u64, i64> {
    let mut falls = BTreeMap::new();
    // At two equal points there would be one fall.
    let steps = steps.max(depth.into());
    for to in 1..i64::from(depth) {
        let at = loop {
            let at = 1 + dice.below(steps);
            if !falls.contains_key(&at) {
                break at;
            }
        };
        falls.insert(at, to);
    }
    falls
}

/// While somebody waits for a higher one, looks again and again whether that one runs: nothing else may happen that would show it.
async fn referee() {
    loop {
        let waits = std::future::poll_fn(|cx| {
            with(|pct| {
                pct.referee = Some(cx.waker().clone());
                if pct.ready.len() > 1 { Poll::Ready(true) } else { Poll::Pending }
            })
            .unwrap_or(Poll::Ready(false))
        });
        if !waits.await {
            return;
        }
        madsim::time::sleep(Duration::from_nanos(PAUSED_AFTER)).await;
        with(Pct::call).flatten().inspect(Waker::wake_by_ref);
    }
}

pub(super) fn end() {
    PCT.set(None);
}

fn with<T>(what: impl FnOnce(&mut Pct) -> T) -> Option<T> {
    // Wakers may be used when the thread is about to end.
    PCT.try_with(|pct| pct.borrow_mut().as_mut().map(what)).ok()?
}

/// A task that was started. What it is to wake, if the order is ours.
pub(super) fn register(task: u64) -> Option<Waker> {
    with(|pct| {
        let priority = FIRST + pct.dice.below(FIRST as u64) as i64;
        pct.tasks.insert(task, Ranked { priority, waker: None, since: pct.step });
        // madsim has put it among those that can run.
        pct.ready.insert((priority, task));
        Waker::from(Arc::new(Signal(task)))
    })
}

/// Wakes a task, when it is its turn.
struct Signal(u64);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let next = with(|pct| {
            pct.wakes(self.0)?;
            pct.call()
        });
        next.flatten().inspect(Waker::wake_by_ref);
    }
}

/// Whether the task, which madsim polls, runs now. Else it stays woken until its turn comes.
pub(super) fn may_run(task: u64, waker: &Waker) -> bool {
    let (runs, next) = with(|pct| pct.admit(task, waker)).unwrap_or((true, None));
    next.inspect(Waker::wake_by_ref);
    runs
}

/// The poll of a task has ended.
pub(super) fn pauses(task: u64) {
    let next = with(|pct| {
        if pct.running == Some(task) {
            pct.running = None;
        }
        pct.call()
    });
    next.flatten().inspect(Waker::wake_by_ref);
}

/// A task is gone.
pub(super) fn ended(task: u64) {
    let next = with(|pct| {
        if let Some(ranked) = pct.tasks.remove(&task) {
            pct.ready.remove(&(ranked.priority, task));
        }
        pct.call()
    });
    next.flatten().inspect(Waker::wake_by_ref);
}

impl Pct {
    fn admit(&mut self, task: u64, waker: &Waker) -> (bool, Option<Waker>) {
        let Some(ranked) = self.tasks.get_mut(&task) else { return (true, None) };
        if ranked.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            ranked.waker = Some(waker.clone());
        }
        self.wakes(task);
        if self.top() != Some(task) {
            return (false, self.call());
        }
        self.turns = (task, if self.turns.0 == task { self.turns.1 + 1 } else { 1 });
        if self.turns.1 > TURNS_MAX && self.ready.len() > 1 {
            self.lowest -= 1;
            self.rank(task, self.lowest);
            return (false, self.call());
        }
        self.step += 1;
        if let Some(to) = self.falls.remove(&self.step) {
            self.rank(task, to);
        }
        if self.step.is_multiple_of(LOOK_EVERY)
            && let Some(starved) = self.starved()
        {
            self.highest += 1;
            self.rank(starved, self.highest);
        }
        if self.top() != Some(task) {
            return (false, self.call());
        }
        if let Some(ranked) = self.tasks.get(&task) {
            self.ready.remove(&(ranked.priority, task));
        }
        self.running = Some(task);
        self.called = None;
        (true, None)
    }

    fn top(&self) -> Option<u64> {
        self.ready.last().map(|(_, task)| *task)
    }

    /// A task can run from now on, or since it could before.
    fn wakes(&mut self, task: u64) -> Option<()> {
        let ranked = self.tasks.get_mut(&task)?;
        if self.ready.insert((ranked.priority, task)) {
            ranked.since = self.step;
        }
        Some(())
    }

    /// Who could run for longest, if that is too long.
    fn starved(&self) -> Option<u64> {
        let since = |task: &u64| self.tasks.get(task).map_or(self.step, |ranked| ranked.since);
        let longest = self.ready.iter().map(|(_, task)| *task).min_by_key(|task| (since(task), *task))?;
        (since(&longest) + STARVES_AFTER <= self.step).then_some(longest)
    }

    /// A task that can run gets another priority.
    fn rank(&mut self, task: u64, to: i64) {
        if let Some(ranked) = self.tasks.get_mut(&task) {
            self.ready.remove(&(ranked.priority, task));
            ranked.priority = to;
            self.ready.insert((to, task));
        }
        let how = if to > FIRST { "rise" } else { "fall" };
        crate::ledger::record(how, || format!("task {task} to {to}"));
    }

    /// Whom to wake now: the highest, unless somebody runs.
    fn call(&mut self) -> Option<Waker> {
        if self.running.is_some() {
            return None;
        }
        let now = track::nanos().unwrap_or(0);
        if let Some((task, at)) = self.called
            && now - at > PAUSED_AFTER
            && let Some(ranked) = self.tasks.get(&task)
        {
            // madsim still keeps it, and will poll it when its node goes on.
            self.ready.remove(&(ranked.priority, task));
            self.called = None;
        }
        if self.ready.len() > 1 {
            // Not a timer from here: this may be called by one, and madsim's queue of them is locked then.
            self.referee.take().inspect(Waker::wake_by_ref);
        }
        let top = self.top()?;
        if self.called.is_none_or(|(called, _)| called != top) {
            self.called = Some((top, now));
        }
        // None: it was never polled, so madsim has it among those that can run.
        self.tasks.get(&top)?.waker.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::Life;
    use super::*;

    #[test]
    fn no_fall_is_lost_where_points_are_few() {
        for seed in 0..100 {
            let falls = points(&mut Random::new(seed, "schedule"), 4, 4);
            assert_eq!(falls.values().copied().collect::<BTreeSet<i64>>(), BTreeSet::from([1, 2, 3]), "seed {seed}: {falls:?}");
        }
        assert_eq!(points(&mut Random::new(1, "schedule"), 20, 0).len(), 19, "as many points as falls, at the least");
    }

    /// Each of two tasks wakes the other one; the third could run all the while.
    #[test]
    fn two_that_keep_each_other_busy_starve_nobody() {
        const MOST: u32 = 40_000;
        let mut waited = 0;
        for seed in 0..20 {
            schedule(Schedule::Pct { depth: 1, steps: 100 });
            let rounds = super::super::run(seed, async {
                let ball = Arc::new(AtomicU32::new(0));
                let third = Arc::new(AtomicU32::new(u32::MAX));
                let waiting: Arc<std::sync::Mutex<[Option<Waker>; 2]>> = Arc::default();
                let play = |side: u32| {
                    let (ball, third, waiting) = (ball.clone(), third.clone(), waiting.clone());
                    crate::spawn(std::future::poll_fn(move |cx| {
                        let at = ball.load(Ordering::Relaxed);
                        if at >= MOST || third.load(Ordering::Relaxed) < MOST {
                            waiting.lock().unwrap().iter_mut().filter_map(Option::take).for_each(Waker::wake);
                            return Poll::Ready(());
                        }
                        waiting.lock().unwrap()[side as usize] = Some(cx.waker().clone());
                        if at % 2 == side {
                            ball.store(at + 1, Ordering::Relaxed);
                            let other = waiting.lock().unwrap()[1 - side as usize].take();
                            other.into_iter().for_each(Waker::wake);
                        }
                        Poll::Pending
                    }))
                };
                let players = [play(0), play(1)];
                let looks = {
                    let (ball, third) = (ball.clone(), third.clone());
                    crate::spawn(async move { third.store(ball.load(Ordering::Relaxed), Ordering::Relaxed) })
                };
                for player in players {
                    player.await.unwrap();
                }
                looks.await.unwrap();
                third.load(Ordering::Relaxed)
            });
            assert!(
                u64::from(rounds) <= STARVES_AFTER + 2 * LOOK_EVERY,
                "seed {seed}: it ran after {rounds} rounds of the others"
            );
            waited += u32::from(rounds > 1_000);
        }
        assert!(waited > 0, "it was never the lowest: this shows nothing");
    }

    #[test]
    fn who_is_paused_holds_up_nobody_whatever_its_priority() {
        for seed in 0..20 {
            schedule(Schedule::Pct { depth: 2, steps: 2000 });
            super::super::run(seed, async {
                let counts: [Arc<AtomicU32>; 2] = Default::default();
                let start = |name: &str, count: &Arc<AtomicU32>| {
                    let count = count.clone();
                    Life::start(name, async move {
                        loop {
                            crate::sleep(Duration::from_millis(1)).await;
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                };
                let lives = [start("a#1", &counts[0]), start("b#1", &counts[1])];
                let seen = || [0, 1].map(|at| counts[at].load(Ordering::Relaxed));
                crate::sleep(Duration::from_millis(100)).await;
                madsim::runtime::Handle::current().pause("a#1");
                let before = seen();
                crate::sleep(Duration::from_millis(100)).await;
                let paused = seen();
                assert!(paused[0] <= before[0] + 1 && paused[1] > before[1] + 20, "{before:?} {paused:?}");
                madsim::runtime::Handle::current().resume("a#1");
                crate::sleep(Duration::from_millis(100)).await;
                let resumed = seen();
                assert!(resumed[0] > paused[0] + 20 && resumed[1] > paused[1] + 20, "{paused:?} {resumed:?}");
                for life in lives {
                    life.kill().await;
                }
            });
        }
    }
}
