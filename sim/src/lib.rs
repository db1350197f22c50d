//! The whole cluster in one process: the same `Node::start`, the real quinn, rustls, postcard and actix, over a simulated network,
//! disk, clock and dice. One seed is one history.
//!
//! Nothing here is a model of the product: a [`scenario`] starts real nodes in a [`world`], gives them work and faults, and holds what
//! came out against its promises. What befalls a run is a [`plan`], which is data; [`shrink`] makes it smaller, [`explore`] goes on from rare moments of it. A run can be seen as a
//! [`timeline`], asked [`why`] it broke, and its datagrams be read from a [`pcap`]. [`history`] judges what clients saw. Built without `--cfg madsim` only what needs no simulation is here; `cargo sim` builds
//! it with.

#[cfg(madsim)]
pub mod director;
pub mod explore;
pub mod history;
#[cfg(madsim)]
mod nodes;
pub mod pcap;
pub mod plan;
#[cfg(madsim)]
pub mod rehearse;
#[cfg(madsim)]
pub mod scenario;
pub mod shrink;
#[doc(hidden)]
pub mod talk;
#[cfg(madsim)]
pub mod test;
pub mod timeline;
#[cfg(madsim)]
pub mod verdict;
#[cfg(madsim)]
pub mod weather;
pub mod why;
#[cfg(madsim)]
pub mod world;

#[cfg(madsim)]
pub use nodes::Gone;
#[cfg(madsim)]
pub use world::World;

/// Runs a saved plan of one of our scenarios as a test, with each of its [`plan::DICE`].
///
/// # Panics
/// When a promise breaks; if the plan puts a bug in: when the promise that it was saved with holds with all dice, or another one breaks. When
/// `text` is no plan, or for a scenario or with a bug that does not exist.
#[cfg(madsim)]
pub fn pinned(text: &str) {
    let file = plan::PlanFile::parse(text).unwrap_or_else(|error| panic!("{error}"));
    // Of what was seen, the words may differ; the kind and the promise may not.
    let aim = |verdict: &serde_json::Value| (verdict["kind"].clone(), verdict["promise"].clone());
    let wanted = if file.bug.is_some() { file.verdict.clone() } else { serde_json::Value::Null };
    let mut found = serde_json::Value::Null;
    for plan in file.plan.thrown() {
        let file = plan::PlanFile { plan, ..file.clone() };
        // A thread of its own: a history is that of its dice only where nothing ran before.
        let verdict = std::thread::spawn(move || scenario::run_file(file).map(|ended| ended.outcome.verdict.json())).join();
        found = verdict.expect("panics of the simulation are caught").unwrap_or_else(|error| panic!("{error}"));
        if !found.is_null() {
            break;
        }
    }
    assert!(aim(&found) == aim(&wanted), "found {found}, and wanted {wanted}");
}

/// What tests of an application need, beside its own prelude.
#[cfg(madsim)]
pub mod prelude {
    pub use crate::plan::{DiskTrouble, Fault, Offer, Plan, offers};
    pub use crate::{Gone, World};
}

/// What stands here exists only in the simulated world.
#[cfg(madsim)]
#[doc(hidden)]
#[macro_export]
macro_rules! __simulated {
    ($($tokens:tt)*) => { $($tokens)* };
}

/// What stands here exists only in the simulated world, and this is not it.
#[cfg(not(madsim))]
#[doc(hidden)]
#[macro_export]
macro_rules! __simulated {
    ($($tokens:tt)*) => {};
}
