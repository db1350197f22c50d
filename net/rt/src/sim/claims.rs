//! The register of a run's claims; see [`crate::claims`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use madsim::task::NodeId;

use crate::Random;
use crate::ledger::record;

/// How likely a site is on in a run.
pub const SITE_ON: f64 = 0.25;

/// Promises that may be open at once; one more is a bug of whoever opens them.
pub const PROMISES_MAX: usize = 65_536;

/// A claim that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What was claimed.
    pub promise: &'static str,
    /// What was seen instead, as the claim says.
    pub detail: String,
    /// The claim's file and line.
    pub place: String,
    /// The node whose task passed it; `-` for the world.
    pub node: String,
    /// Virtual time.
    pub at: Duration,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Breach { detail, place, node, at, .. } = self;
        let gap = if detail.is_empty() { "" } else { " " };
        write!(f, "{detail}{gap}(at {:.6} s on {node}, {place})", at.as_secs_f64())
    }
}

/// What came of a run's claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The first that did not hold.
    pub breach: Option<Breach>,
    /// How often each `sometimes!` and `reachable!` that was passed was true.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// The virtual time at which each of them was first true.
    pub reached: BTreeMap<&'static str, Duration>,
    /// How often each site of `buggify!` that was on has fired.
    pub buggify: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Register {
    breach: Option<Breach>,
    sometimes: BTreeMap<&'static str, u64>,
    reached: BTreeMap<&'static str, Duration>,
    promises: BTreeMap<u64, Promise>,
    /// When the first of them must be kept.
    first_due: Option<Duration>,
    next: u64,
    /// The seed of all sites, if they are wanted.
    dice: Option<u64>,
    sites: BTreeMap<&'static str, Site>,
}

struct Promise {
    text: &'static str,
    detail: String,
    place: (&'static str, u32),
    owner: NodeId,
    due: Duration,
}

struct Site {
    on: bool,
    random: Random,
    fired: u64,
}

thread_local! {
    // As the ledger: a simulation is one thread, so that its claims need not be passed through the product.
    static REGISTER: RefCell<Option<Register>> = const { RefCell::new(None) };
}

fn with<T>(work: impl FnOnce(&mut Register) -> T) -> Option<T> {
    REGISTER.with_borrow_mut(|register| register.as_mut().map(work))
}

/// Begins a register, of the simulations that this thread runs from now on.
///
/// Without one, [`super::run`] keeps its own, and panics at the end when a claim did not hold.
pub fn open() {
    REGISTER.set(Some(Register::default()));
}

/// Ends the register, and gives what it holds.
pub fn close() -> Claims {
    let Some(register) = REGISTER.take() else { return Claims::default() };
    let sites = register.sites.into_iter().filter(|(_, site)| site.on);
    Claims {
        breach: register.breach,
        sometimes: register.sometimes,
        reached: register.reached,
        buggify: sites.map(|(name, site)| (name, site.fired)).collect(),
    }
}

/// How often this `sometimes!` or `reachable!` was true so far.
pub fn reached(what: &str) -> u64 {
    with(|register| register.sometimes.get(what).copied()).flatten().unwrap_or(0)
}

/// From now on, until the register ends, the sites of `buggify!` may fire: which are on, and when they do, comes from `seed`.
pub fn buggify_on(seed: u64) {
    with(|register| register.dice = Some(seed));
}

pub(super) fn is_open() -> bool {
    REGISTER.with_borrow(Option::is_some)
}

/// The run of a simulation's `main` is over: what is still promised will not be kept.
pub(super) fn settle() {
    look();
    let open = with(|register| std::mem::take(&mut register.promises)).unwrap_or_default();
    for promise in open.into_values() {
        let detail = format!("{} still open at the end of the run", promise.detail);
        breach(promise.text, detail.trim_start().to_string(), promise.place, (promise.owner, super::elapsed()));
    }
}

/// A node's life ends, and with it what it promised.
pub(super) fn free(owner: NodeId) {
    with(|register| register.promises.retain(|_, promise| promise.owner != owner));
}

/// Whether a promise has become due; to be called as time passes.
pub(super) fn look() {
    let now = super::elapsed();
    let overdue = with(|register| {
        if register.first_due.is_none_or(|due| now <= due) {
            return Vec::new();
        }
        let overdue: Vec<Promise> =
            register.promises.extract_if(.., |_, promise| promise.due < now).map(|(_, promise)| promise).collect();
        register.first_due = register.promises.values().map(|promise| promise.due).min();
        overdue
    });
    // In the order of their moments, which is not that of their beginnings.
    let mut overdue = overdue.unwrap_or_default();
    overdue.sort_by_key(|promise| promise.due);
    for Promise { text, detail, place, owner, due } in overdue {
        breach(text, format!("{detail} not kept in time").trim_start().to_string(), place, (owner, due));
    }
}

pub(crate) fn broken(promise: &'static str, detail: String, place: (&'static str, u32)) {
    assert!(is_open(), "broken outside a simulation: {promise}: {detail} ({}:{})", place.0, place.1);
    look();
    breach(promise, detail, place, (madsim::plugin::node(), super::elapsed()));
}

fn breach(promise: &'static str, detail: String, (file, line): (&'static str, u32), (owner, at): (NodeId, Duration)) {
    let breach = Breach { promise, detail, place: format!("{file}:{line}"), node: super::track::node_name(owner), at };
    let text = format!("{promise}: {breach}");
    let is_first = with(|register| {
        let is_first = register.breach.is_none();
        register.breach.get_or_insert(breach);
        is_first
    });
    if is_first == Some(true) {
        record("breach", || text);
    }
}

pub(crate) fn seen(what: &'static str, held: bool) {
    let is_first = with(|register| {
        let count = register.sometimes.entry(what).or_default();
        *count += u64::from(held);
        let is_first = held && *count == 1;
        if is_first {
            register.reached.insert(what, super::elapsed());
        }
        is_first
    });
    if is_first == Some(true) {
        record("reached", || what.to_string());
    }
}

pub(crate) fn promise(text: &'static str, within: Duration, detail: String, place: (&'static str, u32)) -> Option<u64> {
    let due = super::elapsed() + within;
    with(|register| {
        assert!(register.promises.len() < PROMISES_MAX, "more than {PROMISES_MAX} promises are open; the last is: {text}");
        let number = register.next;
        register.next += 1;
        register.promises.insert(number, Promise { text, detail, place, owner: madsim::plugin::node(), due });
        register.first_due = Some(register.first_due.map_or(due, |first| first.min(due)));
        number
    })
}

pub(crate) fn kept(number: u64) {
    // If it is too late, this finds it.
    look();
    void(number);
}

pub(crate) fn void(number: u64) {
    with(|register| register.promises.remove(&number));
}

pub(crate) fn fires(name: &'static str, probability: f64) -> bool {
    let fired = with(|register| {
        let seed = register.dice?;
        let site = register.sites.entry(name).or_insert_with(|| Site {
            on: Random::new(seed, &format!("buggify on/{name}")).chance(SITE_ON),
            random: Random::new(seed, &format!("buggify/{name}")),
            fired: 0,
        });
        let fires = site.on && site.random.chance(probability);
        site.fired += u64::from(fires);
        Some(fires)
    });
    let fired = fired.flatten() == Some(true);
    if fired {
        record("buggify", || name.to_string());
    }
    fired
}
