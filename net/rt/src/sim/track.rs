//! Who runs: each task that the product starts has a number, a place in the source where it was started, a node, and perhaps a name.
//!
//! madsim knows tasks too, but not what they wait on, and lets nobody come between it and a poll. So each future is wrapped.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use madsim::task::NodeId;
use madsim::time::TimeHandle;

use super::{ledger, schedule, turn, watchdog};
use crate::{Place, Random, Sleep};

/// A task and where to find what is known of it. Task 0 stands for what no task does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) task: u64,
    slot: usize,
    node: usize,
}

#[derive(Debug)]
struct Entry {
    task: u64,
    node: usize,
    place: Place,
    name: Option<String>,
    /// Virtual nanoseconds at which it was last polled, or was started.
    polled: u64,
    timer: Option<Instant>,
    socket: Option<SocketAddr>,
    on: Option<Cow<'static, str>>,
}

struct Node {
    name: String,
    /// Polls of its tasks come so much later, at most.
    slow: Duration,
}

struct Table {
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    tasks: u64,
    nodes: Vec<Node>,
    node_of: BTreeMap<NodeId, usize>,
    slow_dice: Random,
    slowed: u64,
    clock: Option<TimeHandle>,
}

impl Table {
    fn new(seed: u64, clock: Option<TimeHandle>) -> Table {
        // The first node is whoever runs the simulation.
        let nodes = vec![Node { name: "-".into(), slow: Duration::ZERO }];
        let slow_dice = Random::new(seed, "slow polls");
        Table { slots: vec![], free: vec![], tasks: 0, nodes, node_of: BTreeMap::new(), slow_dice, slowed: 0, clock }
    }

    fn entry(&mut self, spot: Spot) -> Option<&mut Entry> {
        self.slots.get_mut(spot.slot)?.as_mut().filter(|entry| entry.task == spot.task)
    }

    fn nanos(&self) -> Option<u64> {
        Some(u64::try_from(self.clock.as_ref()?.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

thread_local! {
    // A simulation is one thread of one process, so what is known of its tasks can be found without being passed through the product.
    static TABLE: RefCell<Table> = RefCell::new(Table::new(0, None));
    static CURRENT: Cell<Spot> = const { Cell::new(Spot { task: 0, slot: 0, node: 0 }) };
    static ANY_SLOW: Cell<bool> = const { Cell::new(false) };
}

/// The running simulation of this thread; it ends when this is dropped. What is dropped later leaves no trace in the ledger.
pub(super) struct Running(());

impl Running {
    pub(super) fn begin(seed: u64) -> Running {
        TABLE.set(Table::new(seed, TimeHandle::try_current()));
        ANY_SLOW.set(false);
        turn::begin();
        schedule::begin(seed);
        Running(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        schedule::end();
        turn::end();
        TABLE.with_borrow_mut(|table| table.clock = None);
    }
}

/// Virtual nanoseconds since the start; nothing outside a simulation.
pub(super) fn nanos() -> Option<u64> {
    TABLE.try_with(|table| table.try_borrow().ok()?.nanos()).ok()?
}

/// The running task.
pub(super) fn current() -> Spot {
    CURRENT.try_with(Cell::get).unwrap_or_default()
}

/// What is known of the running task: its node's name, its place and its own name.
pub(super) fn describe<T>(spot: Spot, tell: impl FnOnce(&str, Option<Place>, Option<&str>) -> T) -> T {
    TABLE.with_borrow_mut(|table| {
        let (place, name) = table.entry(spot).map_or((None, None), |entry| (Some(entry.place), entry.name.take()));
        let told = tell(table.nodes.get(spot.node).map_or("-", |node| &node.name), place, name.as_deref());
        if let Some(entry) = table.entry(spot) {
            entry.name = name;
        }
        told
    })
}

pub(super) fn name_node(id: NodeId, name: String) {
    watchdog::name_node(&name);
    TABLE.with_borrow_mut(|table| {
        table.node_of.insert(id, table.nodes.len());
        table.nodes.push(Node { name, slow: Duration::ZERO });
    });
}

/// A node's name; `-` for the world.
pub(super) fn node_name(id: NodeId) -> String {
    TABLE.with_borrow(|table| {
        table.node_of.get(&id).and_then(|at| table.nodes.get(*at)).map_or("-", |node| &node.name).to_string()
    })
}

/// From now on the running task is called so.
pub(crate) fn name_task(name: String) {
    TABLE.with_borrow_mut(|table| {
        if let Some(entry) = table.entry(current()) {
            entry.name = Some(name);
        }
    });
}

fn note(what: impl FnOnce(&mut Entry)) {
    let spot = current();
    if spot.task != 0 {
        TABLE.with_borrow_mut(|table| table.entry(spot).map(what));
    }
}

/// The running task waits on this, beside what else it says in the same poll.
pub(crate) fn waits(on: impl FnOnce() -> Cow<'static, str>) {
    if current().task != 0 {
        let on = on();
        note(|entry| entry.on = Some(on));
    }
}

pub(super) fn waits_until(deadline: Instant) {
    note(|entry| entry.timer = Some(entry.timer.map_or(deadline, |known| known.min(deadline))));
}

pub(super) fn waits_at(socket: SocketAddr) {
    note(|entry| entry.socket = Some(socket));
}

/// The place that started the running task.
pub(super) fn place() -> Option<Place> {
    TABLE.with_borrow_mut(|table| table.entry(current()).map(|entry| entry.place))
}

/// A future with a number. It belongs to `node`, or to the node whose task runs now.
pub(super) fn tracked<F: Future>(node: Option<NodeId>, place: Place, future: F) -> Tracked<F> {
    let node = node.unwrap_or_else(madsim::plugin::node);
    let spot = TABLE.with_borrow_mut(|table| {
        table.tasks += 1;
        let node = table.node_of.get(&node).copied().unwrap_or(0);
        let slot = table.free.pop().unwrap_or_else(|| {
            table.slots.push(None);
            table.slots.len() - 1
        });
        let polled = table.nanos().unwrap_or(0);
        let task = table.tasks;
        table.slots[slot] = Some(Entry { task, node, place, name: None, polled, timer: None, socket: None, on: None });
        Spot { task, slot, node }
    });
    ledger::begins(spot.task, place);
    let waker = schedule::register(spot.task);
    Tracked { spot, future: Some(Box::pin(future)), late: None, waker }
}

/// A future with a number.
pub(super) struct Tracked<F> {
    spot: Spot,
    future: Option<Pin<Box<F>>>,
    /// On a slow node: until when the poll that is due is put off.
    late: Option<Pin<Box<Sleep>>>,
    /// What the future wakes when the order of tasks is ours; else madsim's own waker is good enough.
    waker: Option<Waker>,
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.waker.is_some() && !schedule::may_run(this.spot.task, cx.waker()) {
            return Poll::Pending;
        }
        let entered = Entered::poll(this.spot, this.waker.is_some());
        let cx = &mut Context::from_waker(this.waker.as_ref().unwrap_or(cx.waker()));
        if (ANY_SLOW.get() || this.late.is_some()) && is_late(this.spot, &mut this.late, cx) {
            return Poll::Pending;
        }
        let future = this.future.as_mut().expect("it is there until this is dropped");
        let poll = future.as_mut().poll(cx);
        drop(entered);
        poll
    }
}

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        // What the future does when it is dropped, it does as this task.
        let entered = Entered::still(self.spot);
        drop(self.future.take());
        drop(entered);
        if self.waker.is_some() {
            schedule::ended(self.spot.task);
        }
        let _ = TABLE.try_with(|table| {
            let Ok(mut table) = table.try_borrow_mut() else { return };
            if table.entry(self.spot).is_some() {
                table.slots[self.spot.slot] = None;
                table.free.push(self.spot.slot);
            }
        });
    }
}

/// While it lives, this task runs.
struct Entered {
    before: Spot,
    /// Whether this is a poll, and not only a drop.
    polls: bool,
    /// The task, if its order is ours.
    ordered: Option<u64>,
}

impl Entered {
    fn still(spot: Spot) -> Entered {
        Entered { before: CURRENT.try_with(|current| current.replace(spot)).unwrap_or_default(), polls: false, ordered: None }
    }

    fn poll(spot: Spot, ordered: bool) -> Entered {
        let mut entered = Entered::still(spot);
        (entered.polls, entered.ordered) = (true, ordered.then_some(spot.task));
        let (at, place) = TABLE.with_borrow_mut(|table| {
            let at = table.nanos().unwrap_or(0);
            let place = table.entry(spot).map(|entry| {
                entry.polled = at;
                (entry.timer, entry.socket, entry.on) = (None, None, None);
                entry.place
            });
            (at, place)
        });
        turn::look(at);
        ledger::polls();
        watchdog::begins(spot.task, spot.node, place);
        entered
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.set(self.before));
        if self.polls {
            watchdog::ends();
        }
        if let Some(task) = self.ordered {
            schedule::pauses(task);
        }
    }
}

fn is_late(spot: Spot, late: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    if late.is_none() {
        let (most, mut dice) = TABLE.with_borrow(|table| (table.nodes[spot.node].slow, table.slow_dice.clone()));
        if most.is_zero() {
            return false;
        }
        let delay = Duration::from_micros(dice.between(1, most.as_micros() as u64 + 1));
        TABLE.with_borrow_mut(|table| {
            table.slow_dice = dice;
            table.slowed += 1;
        });
        *late = Some(Box::pin(crate::sleep(delay)));
    }
    let pending = late.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_pending());
    if !pending {
        *late = None;
    }
    pending
}

/// From now on each poll of a task of the node called `node` (as in the ledger) comes later, by a time drawn from `0..=most`: as on a machine
/// that swaps. Zero ends it. The least delay is a virtual millisecond. False when there is no such node.
pub fn slow_polls(node: &str, most: Duration) -> bool {
    let found = TABLE.with_borrow_mut(|table| {
        // The latest of that name: an earlier life does nothing any more.
        let found = table.nodes.iter_mut().rev().find(|known| known.name == node);
        let found = found.map(|known| known.slow = most).is_some();
        ANY_SLOW.set(table.nodes.iter().any(|node| !node.slow.is_zero()));
        found
    });
    if found {
        crate::ledger::record("slow", || format!("{node} by {most:?}"));
    }
    found
}

/// How many polls came later for [`slow_polls`], in this simulation.
pub fn slowed_polls() -> u64 {
    TABLE.with_borrow(|table| table.slowed)
}

/// A task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its node; `-` for the world.
    pub node: String,
    /// Its number.
    pub task: u64,
    /// Where it was started, as `file:line`.
    pub place: String,
    /// Its name, if it has one: an actor's.
    pub name: Option<String>,
    /// The virtual time since the start at which it was last polled, or was started.
    pub since: Duration,
    /// What it waits on, as far as it has said so.
    pub on: String,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let since = self.since.as_secs_f64();
        write!(f, "{} task {}{name} from {}: since {since:.3} s on {}", self.node, self.task, self.place, self.on)
    }
}

/// All tasks that wait now, and on what: who waits for longest comes first.
pub fn waiting() -> Vec<Waiting> {
    let running = current().task;
    let now = crate::now();
    let mut rows: Vec<Waiting> = TABLE.with_borrow(|table| {
        let entries = table.slots.iter().flatten().filter(|entry| entry.task != running);
        let rows = entries.map(|entry| Waiting {
            node: table.nodes[entry.node].name.clone(),
            task: entry.task,
            place: entry.place.to_string(),
            name: entry.name.clone(),
            since: Duration::from_nanos(entry.polled),
            on: entry.on_what(now),
        });
        rows.collect()
    });
    rows.sort_by_key(|row| (row.since, row.task));
    rows
}

impl Entry {
    fn on_what(&self, now: Instant) -> String {
        let mut on: Vec<String> = self.on.iter().map(|on| on.to_string()).collect();
        on.extend(self.socket.map(|socket| format!("a datagram at {socket}")));
        on.extend(self.timer.map(|deadline| match deadline.checked_duration_since(now) {
            Some(left) => format!("a timer that fires in {:.3} s", left.as_secs_f64()),
            None => "a timer that fires now".into(),
        }));
        if on.is_empty() { "a wake-up by another task".into() } else { on.join(", ") }
    }
}
