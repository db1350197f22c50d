//! Datagrams of the operating system.

use std::io;
use std::net::{SocketAddr, UdpSocket};

#[derive(Clone, Debug)]
pub(crate) struct Net;

impl Net {
    pub(crate) fn bind(&self, address: SocketAddr) -> io::Result<Datagrams> {
        UdpSocket::bind(address).map(Datagrams)
    }
}

/// A datagram socket.
#[derive(Debug)]
pub struct Datagrams(UdpSocket);

impl Datagrams {
    /// The address that it is bound to.
    ///
    /// # Errors
    /// When the operating system no longer knows.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The socket itself, for code that drives it in its own way.
    pub fn into_std(self) -> UdpSocket {
        self.0
    }
}
