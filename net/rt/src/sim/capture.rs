//! What the network carried, byte by byte, and the secrets to read it with: for tools that show packets.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use super::links::Delivery;

/// Something captured.
#[derive(Clone, Copy, Debug)]
pub enum Captured<'a> {
    /// A datagram, at the moment when it was sent.
    Datagram {
        /// Its number in the ledger.
        number: u64,
        /// Virtual time since the start.
        at: Duration,
        /// The sending socket.
        from: SocketAddr,
        /// The receiving address.
        to: SocketAddr,
        /// Its ECN mark.
        ecn: Option<u8>,
        /// What it carries.
        bytes: &'a [u8],
        /// Its copies; none: it is lost.
        copies: &'a [Delivery],
    },
    /// A secret of a connection.
    Secret {
        /// Its name in the NSS key log format.
        label: &'a str,
        /// Says which connection.
        client_random: &'a [u8],
        /// The secret.
        secret: &'a [u8],
    },
}

type Sink = Box<dyn FnMut(&Captured<'_>)>;

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

/// From now on, what is captured in this thread's simulation goes to `sink`, which must not call the product.
pub fn open(sink: impl FnMut(&Captured<'_>) + 'static) {
    SINK.set(Some(Box::new(sink)));
}

/// Ends the capture and drops its sink.
pub fn close() {
    drop(SINK.take());
}

pub(crate) fn is_open() -> bool {
    SINK.with_borrow(Option::is_some)
}

fn give(captured: &Captured<'_>) {
    SINK.with_borrow_mut(|sink| {
        if let Some(sink) = sink {
            sink(captured);
        }
    });
}

pub(crate) fn datagram(number: u64, (from, to): (SocketAddr, SocketAddr), ecn: Option<u8>, bytes: &[u8], copies: &[Delivery]) {
    if is_open() {
        give(&Captured::Datagram { number, at: super::elapsed(), from, to, ecn, bytes, copies });
    }
}

pub(crate) fn secret(label: &str, client_random: &[u8], secret: &[u8]) {
    give(&Captured::Secret { label, client_random, secret });
}
