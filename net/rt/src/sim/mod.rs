//! The simulation: madsim's executor and clock, and a network and disks of our own. Only whoever runs a simulation needs this module.
//!
//! One process runs one simulation, on one thread.

pub(crate) mod disk;
mod entropy;
pub mod ledger;
mod life;
pub(crate) mod net;
pub(crate) mod task;
pub(crate) mod time;

pub use disk::Storage;
pub use life::Life;
pub use net::{Flight, Links, Network, NetworkStats};
pub use task::most_at_work;

use crate::{Disk, Host};
use std::net::IpAddr;

/// Runs `main` in a simulation whose chance comes from `seed` alone, and gives what it gives.
///
/// # Panics
/// When a task panics outside a `catch_unwind`; when nothing can happen any more and `main` is not done; when the process's entropy
/// is not closed (see [`entropy_is_closed`]).
pub fn run<F: Future>(seed: u64, main: F) -> F::Output {
    assert!(
        entropy_is_closed(),
        "raw getrandom calls are not seeded in this process, so runs cannot be repeated: link this crate's `syscall` into the binary"
    );
    madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default()).block_on(main)
}

/// Whether the raw system call for entropy, which madsim does not see, obeys the seed.
pub fn entropy_is_closed() -> bool {
    // On threads of their own: std's hashers take their seed from the first simulation of a thread.
    let draw = |seed| {
        let run = move || {
            madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default()).block_on(async { entropy::raw() })
        };
        std::thread::spawn(run).join().ok()
    };
    let first = draw(1);
    first.is_some() && first == draw(1) && first != draw(2)
}

/// Virtual time since the simulation began.
pub fn elapsed() -> std::time::Duration {
    madsim::time::TimeHandle::try_current().map_or_else(Default::default, |time| time.elapsed())
}

/// The wall clock, which here is one for all hosts: time since the Unix epoch.
pub fn wall_clock() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

impl Host {
    /// A host at `ip` on a simulated network, whose chance comes from `seed`.
    pub fn simulated(network: &Network, ip: IpAddr, disk: Disk, seed: u64) -> Host {
        Host::from_parts(network.attach(ip), disk, seed)
    }
}
