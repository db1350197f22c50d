//! Datagrams between nodes: short words that may be lost, and that wait behind nothing. Made for heartbeats.

use std::sync::Arc;

use bytes::Bytes;
use playhouse_rt::{Duration, Instant, now};
use quinn::{Connection, SendDatagramError};

use crate::limits::{DATAGRAM_BURST, DATAGRAM_EVERY, DATAGRAM_MAX, READ_PIECES};
use crate::peer::{Link, Peer, Receiver};
use crate::refusal::Refusal;
use crate::signal::yield_now;

/// A datagram was not taken; it was not sent. Gives it back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Longer than [`crate::limits::DATAGRAM_MAX`], or than the path carries: use a lane.
    #[error("a datagram of {} bytes is too long; nothing was sent", .0.len())]
    TooLong(Bytes),
    /// More than [`crate::limits::DATAGRAM_BURST`] at once, or one each [`crate::limits::DATAGRAM_EVERY`] for long; the peer would end
    /// the connection for it. Send fewer, or use a lane.
    #[error("too many datagrams at once; this one was not sent")]
    TooMany(Bytes),
    /// The peer takes no datagrams: use a lane.
    #[error("the peer takes no datagrams; nothing was sent")]
    Unsupported(Bytes),
    /// The connection has ended.
    #[error("the connection has ended; this datagram was not sent")]
    Closed(Bytes),
}

impl DatagramError {
    /// The datagram.
    pub fn into_message(self) -> Bytes {
        match self {
            DatagramError::TooLong(bytes)
            | DatagramError::TooMany(bytes)
            | DatagramError::Unsupported(bytes)
            | DatagramError::Closed(bytes) => bytes,
        }
    }
}

/// How many datagrams may still come: `burst` at once, and one more each [`DATAGRAM_EVERY`].
#[derive(Debug)]
pub(crate) struct Budget {
    /// The moment at which the budget is whole again.
    whole_at: Instant,
    burst: Duration,
}

impl Budget {
    pub(crate) fn new(burst: u32, now: Instant) -> Budget {
        Budget { whole_at: now, burst: DATAGRAM_EVERY * burst }
    }

    /// Spends one, if there is one.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let after = self.whole_at.max(now) + DATAGRAM_EVERY;
        let has_one = after.saturating_duration_since(now) <= self.burst;
        if has_one {
            self.whole_at = after;
        }
        has_one
    }
}

/// Hands a datagram to QUIC, which drops the oldest ones when the path cannot take them all.
pub(crate) fn send(connection: &Connection, budget: &mut Budget, bytes: Bytes) -> Result<(), DatagramError> {
    if bytes.len() > DATAGRAM_MAX {
        return Err(DatagramError::TooLong(bytes));
    }
    if !budget.spend(now()) {
        return Err(DatagramError::TooMany(bytes));
    }
    connection.send_datagram(bytes.clone()).map_err(|error| match error {
        SendDatagramError::TooLarge => DatagramError::TooLong(bytes),
        SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled => DatagramError::Unsupported(bytes),
        SendDatagramError::ConnectionLost(_) => DatagramError::Closed(bytes),
    })
}

/// Gives the receiver what arrives until the connection ends; ends it when the peer sends more than a peer like us would.
pub(crate) async fn read(link: Arc<Link>, receiver: Arc<dyn Receiver>, connection: Connection) {
    let _guard = PanicGuard(&link);
    let peer = Peer(link.clone());
    // What left within the sender's budget may have been held up and arrive together with as much that left later.
    let mut budget = Budget::new(2 * DATAGRAM_BURST, now());
    for number in 1.. {
        let Ok(bytes) = connection.read_datagram().await else { return };
        if !budget.spend(now()) {
            return link.refuse(&Refusal::Flood);
        }
        if bytes.len() > DATAGRAM_MAX {
            return link.refuse(&Refusal::LongDatagram(bytes.len()));
        }
        link.counters.unreliable_received();
        receiver.datagram(&peer, bytes);
        if number % READ_PIECES == 0 {
            yield_now().await;
        }
    }
}

/// Datagrams whose receiver panics are read no more, so their connection must not live on as if they were.
struct PanicGuard<'a>(&'a Link);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.refuse(&Refusal::PanickedDatagram);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back() {
        let start = now();
        let mut budget = Budget::new(3, start);
        let spent = |budget: &mut Budget, at: Instant| (0..10).take_while(|_| budget.spend(at)).count();
        assert_eq!(spent(&mut budget, start), 3);
        assert_eq!(spent(&mut budget, start + DATAGRAM_EVERY * 2), 2);
        // However long it rests, no more than a burst.
        assert_eq!(spent(&mut budget, start + DATAGRAM_EVERY * 1_000), 3);
        // A refused one costs nothing, and a clock that steps back gives nothing.
        assert_eq!(spent(&mut budget, start), 0);
        assert_eq!(spent(&mut budget, start + DATAGRAM_EVERY * 1_001), 1);
    }

    /// What a sender's budget lets through, held up for a whole burst's time, is within the receiver's.
    #[test]
    fn a_sender_within_its_budget_is_no_flood_even_if_the_path_holds_it_up() {
        let start = now();
        let held_until = start + DATAGRAM_EVERY * DATAGRAM_BURST;
        let (mut sender, mut receiver) = (Budget::new(DATAGRAM_BURST, start), Budget::new(2 * DATAGRAM_BURST, start));
        for step in 0..4 * DATAGRAM_BURST {
            let at = start + DATAGRAM_EVERY * step;
            while sender.spend(at) {
                assert!(receiver.spend(at.max(held_until)), "step {step}");
            }
        }
    }
}
