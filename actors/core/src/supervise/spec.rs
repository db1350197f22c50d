//! What the author of a supervisor chooses.

use std::time::Duration;

use super::limits::{CALM_AFTER, STOP_WITHIN};

/// A supervisor, as plain data. How its children are built is not part of it.
///
/// ```
/// use playhouse_actors::supervise::{ChildSpec, Lifetime, Strategy, SupervisorSpec};
///
/// let shop = SupervisorSpec {
///     strategy: Strategy::RestForOne,
///     children: vec![
///         ChildSpec::new("database"),
///         ChildSpec { lifetime: Lifetime::Transient, ..ChildSpec::new("import") },
///     ],
///     ..SupervisorSpec::new("shop")
/// };
/// assert_eq!(shop.intensity.max, 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorSpec {
    /// What it is called in reports.
    pub name: String,
    /// Whom a failure concerns.
    pub strategy: Strategy,
    /// When it gives up.
    pub intensity: Intensity,
    /// How long it waits before a restart.
    pub backoff: Backoff,
    /// Started in this order, stopped in reverse. They get the numbers 1, 2, ...; more can come later.
    pub children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// One for one, at most five restarts within thirty seconds, back-off from 10 ms to 1 s, no children yet.
    pub fn new(name: impl Into<String>) -> SupervisorSpec {
        SupervisorSpec {
            name: name.into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            children: Vec::new(),
        }
    }
}

/// A child, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSpec {
    /// What it is called in reports.
    pub name: String,
    /// Which ends call for a restart.
    pub lifetime: Lifetime,
    /// How long it may take to stop; then it is given up. `Duration::MAX`: as long as it takes, which is right for a child that is
    /// a supervisor itself, since its own children have deadlines.
    pub stop_within: Duration,
}

impl ChildSpec {
    /// A permanent child that has five seconds to stop.
    pub fn new(name: impl Into<String>) -> ChildSpec {
        ChildSpec { name: name.into(), lifetime: Lifetime::default(), stop_within: STOP_WITHIN }
    }
}

/// Whom the failure of a child concerns. The others that live are stopped in reverse order, then all of them start again in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Only the child itself.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// The child and those that were started after it.
    RestForOne,
}

/// Which ends of a child call for a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Every end.
    #[default]
    Permanent,
    /// A failure. After another end it rests, until a restart of the group or a request wakes it.
    Transient,
    /// None. It is forgotten when it ends, even if it failed to start, and when it is stopped for the restart of its group.
    Temporary,
}

/// How many restarts, of all children together, a supervisor bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// At most so many restarts...
    pub max: u32,
    /// ...within so long; one more, and the supervisor stops all its children and fails itself. A restart of a whole group counts once.
    pub within: Duration,
}

impl Default for Intensity {
    /// Five restarts within thirty seconds.
    fn default() -> Intensity {
        Intensity { max: 5, within: Duration::from_secs(30) }
    }
}

/// How long a child that failed waits before it is started again. In a group, and while all start for the first time, nobody else starts
/// before it either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure; doubled with each further one in a row.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
    /// Chance takes away at most so many thousandths of the wait, so that many children that failed together do not return together.
    /// More than 1000 counts as 1000.
    pub jitter_permille: u16,
    /// After so long a life, the next failure is a first one again.
    pub calm_after: Duration,
}

impl Backoff {
    /// No wait at all.
    pub const NONE: Backoff =
        Backoff { first: Duration::ZERO, max: Duration::ZERO, jitter_permille: 0, calm_after: Duration::ZERO };
}

impl Default for Backoff {
    /// From 10 ms to 1 s, of which chance takes away up to a fifth; calm after a life of ten seconds.
    fn default() -> Backoff {
        Backoff { first: Duration::from_millis(10), max: Duration::from_secs(1), jitter_permille: 200, calm_after: CALM_AFTER }
    }
}

/// Bugs put in on purpose, each honoured in exactly one place, so that the checks can be shown to find them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Children are stopped in the order in which they were started.
    pub forget_order: bool,
    /// The supervisor never gives up.
    pub ignore_intensity: bool,
    /// A temporary child that fails is started again.
    pub restart_temporary: bool,
    /// What an earlier life of a child says is believed.
    pub believe_old_lives: bool,
    /// The next child is started before the former has reported.
    pub hasty_start: bool,
    /// A child that misses its deadline is waited for.
    pub endless_patience: bool,
}
