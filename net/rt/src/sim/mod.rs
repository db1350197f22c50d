//! The simulation: madsim's executor and clock, and a network and disks of our own. Only whoever runs a simulation needs this module.
//!
//! One process runs one simulation, on one thread.

pub mod capture;
pub mod claims;
pub(crate) mod clock;
pub(crate) mod disk;
mod disk_faults;
mod entropy;
pub mod ledger;
mod life;
mod links;
pub(crate) mod net;
mod pages;
pub(crate) mod pool;
mod schedule;
mod storage;
#[expect(unreachable_pub, reason = "what `pool` offers stands upon its pool")]
pub(crate) mod task;
pub(crate) mod time;
pub(crate) mod track;
pub(crate) mod turn;
mod watchdog;

pub use claims::buggify_on;
pub use clock::WallClock;
pub(crate) use disk_faults::owed::add as owe;
pub use disk_faults::{DiskFault, DiskFaults};
pub use life::Life;
pub use links::{COPIES_MAX, Deliveries, Delivery, Flight, Links};
pub use net::{Network, NetworkStats};
pub use schedule::{STARVES_AFTER, Schedule, schedule};
pub use storage::{Flip, SECTOR, Storage};
pub use task::{given_to_threads, most_at_work};
pub use track::{Waiting, slow_polls, slowed_polls, waiting};
pub use turn::{TURNS_MAX, turns};
pub use watchdog::{Spinning, watch};

use crate::{Disk, Host, Place};
use std::cell::Cell;
use std::net::IpAddr;

/// Runs `main` in a simulation whose chance comes from `seed` alone, and gives what it gives.
///
/// # Panics
/// When a task panics outside a `catch_unwind`; when nothing can happen any more and `main` is not done; when the process's entropy
/// is not closed (see [`entropy_is_closed`]); when a claim did not hold and nobody has opened a register of claims (see [`claims::open`]).
#[track_caller]
pub fn run<F: Future>(seed: u64, main: F) -> F::Output {
    assert!(
        entropy_is_closed(),
        "raw getrandom calls are not seeded in this process, so runs cannot be repeated: link this crate's `syscall` into the binary"
    );
    let place = Place::here();
    SEEDS.set(0);
    let own_register = !claims::is_open();
    if own_register {
        claims::open();
    }
    // Also when this panics: the next simulation of the thread begins without what was claimed in this one.
    let mut register = OwnRegister(own_register);
    let output = madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default()).block_on(async {
        let _running = track::Running::begin(seed);
        let output = track::tracked(None, place, main).await;
        claims::settle();
        output
    });
    if let Some(breach) = register.close().breach {
        panic!("broken: {}: {breach}", breach.promise);
    }
    output
}

/// The register of one simulation, if nobody else has opened one.
struct OwnRegister(bool);

impl OwnRegister {
    fn close(&mut self) -> claims::Claims {
        if std::mem::take(&mut self.0) { claims::close() } else { claims::Claims::default() }
    }
}

impl Drop for OwnRegister {
    fn drop(&mut self) {
        self.close();
    }
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

/// The right time, since the Unix epoch: what hosts' clocks show unless they are told to be wrong (see [`WallClock`]).
pub fn wall_clock() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

impl Host {
    /// A host at `ip` on a simulated network, whose chance comes from `seed`.
    pub fn simulated(network: &Network, ip: IpAddr, disk: Disk, seed: u64) -> Host {
        Host::from_parts(network.attach(ip), disk, seed)
    }
}

thread_local! {
    /// How often [`seed_here`] was called in this simulation.
    static SEEDS: Cell<u64> = const { Cell::new(0) };
}

/// Another number at each call, the same ones in each run of a seed.
pub(crate) fn seed_here() -> u64 {
    let number = SEEDS.get();
    SEEDS.set(number + 1);
    // Far apart, so that neither seed nor number alone decides the upper bits.
    madsim::runtime::Handle::current().seed() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
