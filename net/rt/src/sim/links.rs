//! What a network's policy is asked, and what it answers.

use std::net::SocketAddr;
use std::time::Duration;

/// Copies that one datagram can have.
pub const COPIES_MAX: usize = 4;

/// What the policy knows of a datagram. Both addresses are those that the hosts were given, also while others see a host elsewhere
/// (see [`super::Network::readdress`]): a policy is about hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The sending socket.
    pub from: SocketAddr,
    /// The receiving address.
    pub to: SocketAddr,
    /// Its length in bytes.
    pub length: usize,
}

/// One copy of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// After how long it arrives.
    pub after: Duration,
    /// The bit (modulo the datagram's bits) that is not as it was sent.
    pub corrupt: Option<u64>,
}

/// The copies of a datagram. None: it is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deliveries {
    copies: [Delivery; COPIES_MAX],
    count: usize,
}

impl Deliveries {
    /// No copy.
    pub fn lost() -> Deliveries {
        Deliveries::default()
    }

    /// One copy, whole.
    pub fn one(after: Duration) -> Deliveries {
        Deliveries::lost().and(Delivery { after, corrupt: None })
    }

    /// One copy more.
    ///
    /// # Panics
    /// Beyond [`COPIES_MAX`].
    #[must_use]
    pub fn and(mut self, copy: Delivery) -> Deliveries {
        self.copies[self.count] = copy;
        self.count += 1;
        self
    }

    /// All copies.
    pub fn copies(&self) -> &[Delivery] {
        &self.copies[..self.count]
    }
}

/// Decides what becomes of each datagram.
pub trait Links: Send {
    /// A datagram is sent: its copies. The order of arrival follows from their times.
    fn send(&mut self, flight: &Flight) -> Deliveries;

    /// Whether a copy whose time has come still arrives: a link may have been cut while it was under way.
    fn arrives(&mut self, flight: &Flight) -> bool;
}
