//! What one node stands on.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::side::clock::WallClock;
use crate::side::net::Net;
use crate::{Datagrams, Disk, Random};

/// What one node stands on: its sockets, its disk, its wall clock and its dice.
///
/// In production there is one kind, [`Host::os`]. The simulator makes others, one per life of a node.
#[derive(Clone, Debug)]
pub struct Host {
    net: Net,
    disk: Disk,
    clock: WallClock,
    seed: u64,
}

impl Host {
    pub(crate) fn from_parts(net: Net, disk: Disk, seed: u64) -> Host {
        Host { net, disk, clock: WallClock::default(), seed }
    }

    /// The same host by another clock.
    #[cfg(madsim)]
    #[must_use]
    pub fn with_clock(self, clock: &crate::sim::WallClock) -> Host {
        Host { clock: clock.clone(), ..self }
    }

    /// The operating system's.
    #[cfg(not(madsim))]
    pub fn os() -> Host {
        use std::hash::{BuildHasher, RandomState};
        // std seeds its hashers from the operating system; good enough for jitter and back-off.
        Host::from_parts(Net, Disk::new(), RandomState::new().hash_one(std::process::id()))
    }

    /// A datagram socket bound to `address`; port 0 chooses a free one.
    ///
    /// # Errors
    /// When the address is taken or not this host's.
    pub fn bind(&self, address: SocketAddr) -> io::Result<Datagrams> {
        self.net.bind(address)
    }

    /// The disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The stream of chance called `label`. Asking twice gives the same stream from its beginning.
    pub fn random(&self, label: &str) -> Random {
        Random::new(self.seed, label)
    }

    /// The wall clock: time since the Unix epoch. May jump; use [`crate::now`] to measure.
    pub fn wall_clock(&self) -> Duration {
        self.clock.read()
    }

    /// The wall clock, for who wants it as std's type.
    pub fn system_time(&self) -> SystemTime {
        UNIX_EPOCH + self.wall_clock()
    }
}
