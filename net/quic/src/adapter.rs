//! quinn upon the seam: the only file that knows which side of it we are on.
//!
//! quinn's next release changes `AsyncUdpSocket`; what has to change with it is here.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use playhouse_rt::Host;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Runtime, ServerConfig, UdpPoller};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::signal::lock;
use crate::stats::Counters;

/// Binds a socket and puts a QUIC endpoint upon it. Gives also the plug by which the socket can be pulled out.
pub(crate) fn open(
    host: &Host,
    listen: SocketAddr,
    server: ServerConfig,
    secret: &[u8],
    counters: Arc<Counters>,
) -> io::Result<(Endpoint, Plug)> {
    let (plugged, runtime) = plugged(host, listen, counters)?;
    let plug = Plug(Mutex::new(vec![Arc::downgrade(&plugged)]));
    let endpoint = Endpoint::new_with_abstract_socket(lasting(secret), Some(server), plugged, runtime)?;
    Ok((endpoint, plug))
}

/// What an endpoint ends connections with that it does not know: the same in each life of a node. So a peer of a life that was lost hears at
/// its next word that this one knows nothing of it, and dials again; else it would wait for its idle time-out.
fn lasting(secret: &[u8]) -> EndpointConfig {
    let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"playhouse: stateless resets");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())));
    config.cid_generator(|| Box::new(Ids(SystemRandom::new())));
    config
}

/// Draws the ids that connections are known by, so that nobody who listens can tell which belong together. quinn's own ones would be dropped
/// without a word by another life.
struct Ids(SystemRandom);

/// As long as quinn's own.
const ID_BYTES: usize = 8;

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_BYTES];
        // Without it there would be no handshake either.
        self.0.fill(&mut id).expect("the system gives random bytes");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Pulls the socket out from under an endpoint. quinn keeps its socket until the last connection has drained, which takes three times
/// its probe time-out: many seconds after a partition that inflated the measured round trip.
#[derive(Debug)]
pub(crate) struct Plug(Mutex<Vec<Weak<Plugged>>>);

fn plugged(host: &Host, listen: SocketAddr, counters: Arc<Counters>) -> io::Result<(Arc<Plugged>, Arc<dyn Runtime>)> {
    let (socket, runtime) = side::socket(host, listen)?;
    let (local, may_fragment) = (socket.local_addr()?, socket.may_fragment());
    Ok((Arc::new(Plugged { counters, local, may_fragment, socket: RwLock::new(Some(socket)) }), runtime))
}

impl Plug {
    /// Puts a new socket under the endpoint. quinn still reads the old one until something arrives at the new one. Gives its address.
    pub(crate) fn rebind(
        &self,
        endpoint: &Endpoint,
        host: &Host,
        listen: SocketAddr,
        counters: Arc<Counters>,
    ) -> io::Result<SocketAddr> {
        let (plugged, _) = plugged(host, listen, counters)?;
        let local = plugged.local;
        let mut sockets = lock(&self.0);
        sockets.retain(|old| old.strong_count() > 0);
        sockets.push(Arc::downgrade(&plugged));
        endpoint.rebind_abstract(plugged)?;
        Ok(local)
    }

    /// Frees the sockets' addresses now. What quinn still sends is lost.
    pub(crate) fn pull(&self) {
        for plugged in lock(&self.0).drain(..).filter_map(|weak| weak.upgrade()) {
            plugged.write().take();
        }
    }
}

/// A socket that can be pulled out, and whose traffic is counted, also that of handshakes which come to nothing.
#[derive(Debug)]
struct Plugged {
    counters: Arc<Counters>,
    local: SocketAddr,
    may_fragment: bool,
    /// Used under the lock only, so that nobody holds it when it has been taken.
    socket: RwLock<Option<Arc<dyn AsyncUdpSocket>>>,
}

impl Plugged {
    fn read(&self) -> RwLockReadGuard<'_, Option<Arc<dyn AsyncUdpSocket>>> {
        self.socket.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Arc<dyn AsyncUdpSocket>>> {
        self.socket.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for room to send. Holds the real socket only while it waits.
#[derive(Debug)]
struct Waiter {
    plugged: Arc<Plugged>,
    inner: Option<Pin<Box<dyn UdpPoller>>>,
}

impl UdpPoller for Waiter {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inner.is_none() {
            let socket = self.plugged.read().clone();
            self.inner = socket.map(AsyncUdpSocket::create_io_poller);
        }
        // Without a socket nothing holds back what will be lost anyway.
        let Some(inner) = &mut self.inner else { return Poll::Ready(Ok(())) };
        let ready = inner.as_mut().poll_writable(cx);
        if ready.is_ready() {
            self.inner = None;
        }
        ready
    }
}

impl AsyncUdpSocket for Plugged {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Waiter { plugged: self, inner: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let socket = self.read();
        let Some(socket) = &*socket else { return Ok(()) };
        socket.try_send(transmit)?;
        let length = transmit.contents.len();
        let datagrams = transmit.segment_size.map_or(1, |size| length.div_ceil(size.max(1)));
        self.counters.datagrams_sent.fetch_add(datagrams as u64, Relaxed);
        self.counters.bytes_sent.fetch_add(length as u64, Relaxed);
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> Poll<io::Result<usize>> {
        let socket = self.read();
        let Some(socket) = &*socket else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let received = socket.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(count)) = &received {
            for meta in &meta[..*count] {
                self.counters.datagrams_received.fetch_add(meta.len.div_ceil(meta.stride.max(1)) as u64, Relaxed);
                self.counters.bytes_received.fetch_add(meta.len as u64, Relaxed);
            }
        }
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_transmit_segments(&self) -> usize {
        // Asked anew each time: it falls when the operating system turns out not to segment.
        self.read().as_ref().map_or(1, |socket| socket.max_transmit_segments())
    }

    fn max_receive_segments(&self) -> usize {
        self.read().as_ref().map_or(1, |socket| socket.max_receive_segments())
    }

    fn may_fragment(&self) -> bool {
        self.may_fragment
    }
}

type Parts = (Arc<dyn AsyncUdpSocket>, Arc<dyn Runtime>);

#[cfg(not(madsim))]
mod side {
    use super::*;

    /// The operating system's socket, with segmentation offload, driven by quinn's own adapter.
    pub(super) fn socket(host: &Host, listen: SocketAddr) -> io::Result<Parts> {
        let runtime = Arc::new(quinn::TokioRuntime);
        let socket = host.bind(listen)?.into_std();
        Ok((runtime.wrap_udp_socket(socket)?, runtime))
    }
}

#[cfg(madsim)]
mod side {
    use std::time::Instant;

    use playhouse_rt::{Datagrams, Sleep, sleep_until, spawn};
    use quinn::AsyncTimer;
    use quinn::udp::EcnCodepoint;

    use super::*;

    /// The simulated network's socket, driven by the simulated executor and clock.
    pub(super) fn socket(host: &Host, listen: SocketAddr) -> io::Result<Parts> {
        Ok((Arc::new(Socket(host.bind(listen)?)), Arc::new(Simulated)))
    }

    #[derive(Debug)]
    struct Simulated;

    impl Runtime for Simulated {
        fn new_timer(&self, deadline: Instant) -> Pin<Box<dyn AsyncTimer>> {
            Box::pin(Timer(Box::pin(sleep_until(deadline))))
        }

        fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
            spawn(future);
        }

        fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "a simulation has no sockets of the operating system"))
        }

        fn now(&self) -> Instant {
            playhouse_rt::now()
        }
    }

    /// Boxed, because a `Sleep` must not move and quinn's timers may.
    #[derive(Debug)]
    struct Timer(Pin<Box<Sleep>>);

    impl AsyncTimer for Timer {
        fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
            self.0.as_mut().reset(deadline);
        }

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.0.as_mut().poll(cx)
        }
    }

    #[derive(Debug)]
    struct Socket(Datagrams);

    /// A simulated socket takes datagrams at any time; the network loses what it cannot carry.
    #[derive(Debug)]
    struct AlwaysWritable;

    impl UdpPoller for AlwaysWritable {
        fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncUdpSocket for Socket {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            Box::pin(AlwaysWritable)
        }

        fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
            let ecn = transmit.ecn.map(|mark| mark as u8);
            let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
            for datagram in transmit.contents.chunks(segment) {
                self.0.try_send_to(datagram, transmit.destination, ecn)?;
            }
            Ok(())
        }

        fn poll_recv(&self, cx: &mut Context<'_>, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> Poll<io::Result<usize>> {
            let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
            self.0.poll_recv_from(cx, buffer).map_ok(|(len, addr, ecn)| {
                *meta = RecvMeta { addr, len, stride: len, ecn: ecn.and_then(EcnCodepoint::from_bits), dst_ip: None };
                1
            })
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }

        fn may_fragment(&self) -> bool {
            false
        }
    }
}
