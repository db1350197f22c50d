//! The datagram network: sockets, and a policy that decides what becomes of each datagram.
//!
//! madsim's own sockets cannot serve QUIC (each call costs a virtual millisecond, and there is nothing to poll).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::Notify;

use super::ledger::{Hash, often};
use super::links::{Delivery, Flight, Links};
use crate::ledger::record;

/// Datagrams that a socket holds for its reader; more are lost, as in a full receive buffer.
const RECEIVE_QUEUE: usize = 4096;

/// What the network has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkStats {
    /// Datagrams that sockets sent.
    pub sent: u64,
    /// Copies that reached a socket.
    pub delivered: u64,
    /// Datagrams of which no copy was made: by chance, or because the link does not carry them.
    pub lost: u64,
    /// Copies beyond the first.
    pub duplicated: u64,
    /// Copies that found no socket, a cut link or a full one.
    pub dropped: u64,
    /// Copies that overtook an earlier datagram of their link.
    pub reordered: u64,
    /// Copies that reached a socket with a bit that was not as it was sent.
    pub corrupted: u64,
    /// Copies that found a full socket.
    pub overflowed: u64,
    /// Copies that found nobody, because the host that had the address is seen elsewhere now.
    pub astray: u64,
    /// Bytes that sockets sent.
    pub bytes: u64,
}

/// A simulated network. Cheap to clone; all clones are the same network.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    /// A copy is under way that arrives before all others.
    sooner: Notify,
}

struct Inner {
    links: Box<dyn Links>,
    /// Lives of hosts: sockets of an earlier one send and receive nothing.
    lives: BTreeMap<IpAddr, u64>,
    sockets: BTreeMap<SocketAddr, Arc<Mutex<Receive>>>,
    /// Where others see a host that was given another address; only those that moved.
    outside: BTreeMap<IpAddr, IpAddr>,
    under_way: BinaryHeap<Reverse<(Instant, u64, Copy)>>,
    last_delivered: BTreeMap<(SocketAddr, SocketAddr), u64>,
    next: u64,
    stats: NetworkStats,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Copy {
    /// As its receiver sees it.
    from: SocketAddr,
    to: SocketAddr,
    /// The address that the sender was given.
    by: IpAddr,
    ecn: Option<u8>,
    corrupt: bool,
    bytes: Arc<[u8]>,
}

#[derive(Default)]
struct Receive {
    queue: VecDeque<Copy>,
    waker: Option<Waker>,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    /// A network that obeys `links`. Call within a simulation: a task delivers what is sent.
    pub fn new(links: Box<dyn Links>) -> Network {
        let inner = Inner {
            links,
            lives: BTreeMap::new(),
            sockets: BTreeMap::new(),
            outside: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            last_delivered: BTreeMap::new(),
            next: 0,
            stats: NetworkStats::default(),
        };
        let network = Network(Arc::new(Shared { inner: Mutex::new(inner), sooner: Notify::new() }));
        drop(madsim::task::spawn(network.clone().deliver()));
        network
    }

    /// What it has done so far.
    pub fn stats(&self) -> NetworkStats {
        lock(&self.0.inner).stats
    }

    /// The host at `ip` is gone: its sockets neither send nor receive. Another one may come in its place.
    pub fn detach(&self, ip: IpAddr) {
        let mut inner = lock(&self.0.inner);
        *inner.lives.entry(ip).or_default() += 1;
        inner.sockets.retain(|address, receive| {
            if address.ip() == ip {
                let mut receive = lock(receive);
                receive.closed = true;
                receive.queue.clear();
            }
            address.ip() != ip
        });
    }

    /// From now on the host that was given `home` is seen at `outside` by all others: as one behind a router that chose another address
    /// for it. What is sent to where it was seen before finds nobody. Its own sockets notice nothing. `home` itself ends it.
    ///
    /// # Panics
    /// When `outside` is another host's.
    pub fn readdress(&self, home: IpAddr, outside: IpAddr) {
        let mut inner = lock(&self.0.inner);
        inner.outside.remove(&home);
        if outside != home {
            let taken = inner.lives.contains_key(&outside) || inner.outside.values().any(|other| *other == outside);
            assert!(!taken, "{outside} is another host's");
            inner.outside.insert(home, outside);
        }
        record("readdress", || format!("{home} is seen at {outside}"));
    }

    pub(super) fn attach(&self, ip: IpAddr) -> Net {
        let life = *lock(&self.0.inner).lives.entry(ip).or_default();
        Net { network: self.clone(), ip, life }
    }

    async fn deliver(self) {
        loop {
            let next = {
                let mut inner = lock(&self.0.inner);
                let now = crate::now();
                while inner.under_way.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
                    if let Some(Reverse((_, number, copy))) = inner.under_way.pop() {
                        inner.arrive(number, copy);
                    }
                }
                inner.under_way.peek().map(|Reverse((at, _, _))| *at)
            };
            match next {
                // Not a timer of the product, so it stays out of the ledger.
                Some(at) => crate::select! {
                    () = self.0.sooner.notified() => {}
                    () = madsim::time::sleep_until(at) => {}
                },
                None => self.0.sooner.notified().await,
            }
        }
    }
}

impl Inner {
    fn send(&mut self, by: SocketAddr, to: SocketAddr, ecn: Option<u8>, bytes: &[u8]) -> bool {
        // Within one host nothing passes the router.
        let seen_at = if to.ip() == by.ip() { None } else { self.outside.get(&by.ip()) };
        let from = SocketAddr::new(*seen_at.unwrap_or(&by.ip()), by.port());
        let deliveries = self.links.send(&Flight { from: by, to: self.home(by.ip(), to).unwrap_or(to), length: bytes.len() });
        let copies = deliveries.copies();
        self.stats.sent += 1;
        self.stats.bytes += bytes.len() as u64;
        super::capture::datagram(self.next, (from, to), ecn, bytes, copies);
        let mut content = Hash::new();
        content.add(bytes);
        let add = |hash: &mut Hash| {
            hash.address(from);
            hash.address(to);
            hash.word(self.next);
            hash.both(content);
            hash.word(copies.len() as u64);
            for copy in copies {
                hash.word(copy.after.as_nanos() as u64);
                hash.word(copy.corrupt.map_or(0, |bit| bit + 1));
            }
        };
        often("send", add, || {
            let fate = |copy: &Delivery| {
                let corrupt = copy.corrupt.map_or(String::new(), |bit| format!(" bit {bit} flipped"));
                format!("+{}us{corrupt}", copy.after.as_micros())
            };
            let fates: Vec<String> = copies.iter().map(fate).collect();
            format!(
                "{from} > {to} {} B #{} {content} {}",
                bytes.len(),
                self.next,
                if fates.is_empty() { "lost".into() } else { fates.join(" ") }
            )
        });
        self.stats.duplicated += copies.len().saturating_sub(1) as u64;
        if copies.is_empty() {
            self.stats.lost += 1;
            self.next += 1;
            return false;
        }
        let first = self.under_way.peek().map(|Reverse((at, _, _))| *at);
        let whole: Arc<[u8]> = bytes.into();
        let now = crate::now();
        let mut sooner = false;
        for copy in copies {
            let at = now + copy.after;
            sooner |= first.is_none_or(|first| at < first);
            let (bytes, corrupt) = match copy.corrupt.filter(|_| !whole.is_empty()) {
                Some(bit) => (flipped(&whole, bit), true),
                None => (whole.clone(), false),
            };
            self.under_way.push(Reverse((at, self.next, Copy { from, to, by: by.ip(), ecn, corrupt, bytes })));
        }
        self.next += 1;
        sooner
    }

    /// The address that the host which is seen at `to` was given; none when nobody is seen there because who was has moved.
    fn home(&self, by: IpAddr, to: SocketAddr) -> Option<SocketAddr> {
        if self.outside.is_empty() || to.ip() == by {
            return Some(to);
        }
        match self.outside.iter().find(|(_, outside)| **outside == to.ip()) {
            Some((home, _)) => Some(SocketAddr::new(*home, to.port())),
            None => Some(to).filter(|to| !self.outside.contains_key(&to.ip())),
        }
    }

    fn arrive(&mut self, number: u64, copy: Copy) {
        let home = self.home(copy.by, copy.to);
        let from = SocketAddr::new(copy.by, copy.from.port());
        let arrives = self.links.arrives(&Flight { from, to: home.unwrap_or(copy.to), length: copy.bytes.len() });
        let receive = home.and_then(|home| self.sockets.get(&home));
        let fate = match receive {
            _ if !arrives => " cut",
            None => " nobody",
            Some(_) => "",
        };
        let add = |hash: &mut Hash| {
            hash.address(copy.from);
            hash.address(copy.to);
            hash.word(number);
            hash.add(fate.as_bytes());
        };
        often("arrive", add, || format!("{} > {} {} B #{number}{fate}", copy.from, copy.to, copy.bytes.len()));
        let Some(receive) = receive.filter(|_| arrives) else {
            self.stats.dropped += 1;
            self.stats.astray += u64::from(arrives && home.is_none());
            return;
        };
        let mut receive = lock(receive);
        if receive.queue.len() >= RECEIVE_QUEUE {
            self.stats.dropped += 1;
            self.stats.overflowed += 1;
            return;
        }
        let last = self.last_delivered.entry((copy.from, copy.to)).or_default();
        if number < *last {
            self.stats.reordered += 1;
        }
        *last = number.max(*last);
        self.stats.delivered += 1;
        self.stats.corrupted += u64::from(copy.corrupt);
        receive.queue.push_back(copy);
        if let Some(waker) = receive.waker.take() {
            waker.wake();
        }
    }
}

fn flipped(bytes: &[u8], bit: u64) -> Arc<[u8]> {
    let bit = bit % (bytes.len() as u64 * 8);
    let mut bytes = bytes.to_vec();
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    bytes.into()
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network {:?}", self.stats())
    }
}

/// One host's part of a network, during one life.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    network: Network,
    ip: IpAddr,
    life: u64,
}

impl Net {
    pub(crate) fn bind(&self, address: SocketAddr) -> io::Result<Datagrams> {
        /// Where free ports are looked for, as on Linux.
        const FREE: std::ops::RangeInclusive<u16> = 32_768..=60_999;
        let mut inner = lock(&self.network.0.inner);
        if inner.lives.get(&self.ip) != Some(&self.life) {
            return Err(io::Error::new(io::ErrorKind::NetworkDown, "this host is gone"));
        }
        if !address.ip().is_unspecified() && address.ip() != self.ip {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, format!("{address} is not an address of {}", self.ip)));
        }
        let free = |port: &u16| !inner.sockets.contains_key(&SocketAddr::new(self.ip, *port));
        let port = if address.port() == 0 { FREE.clone().find(free) } else { Some(address.port()).filter(free) };
        let port = port.ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, format!("{address} is taken")))?;
        let local = SocketAddr::new(self.ip, port);
        let receive = Arc::new(Mutex::new(Receive::default()));
        inner.sockets.insert(local, receive.clone());
        Ok(Datagrams { net: self.clone(), local, receive })
    }
}

/// A datagram socket.
pub struct Datagrams {
    net: Net,
    local: SocketAddr,
    receive: Arc<Mutex<Receive>>,
}

impl Datagrams {
    /// The address that it is bound to.
    ///
    /// # Errors
    /// Never, here.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// Sends a datagram, or loses it, as the network decides. Never waits.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr, ecn: Option<u8>) -> io::Result<()> {
        let shared = &self.net.network.0;
        let mut inner = lock(&shared.inner);
        if inner.lives.get(&self.net.ip) != Some(&self.net.life) {
            return Err(io::Error::new(io::ErrorKind::NetworkDown, "this host is gone"));
        }
        if inner.send(self.local, to, ecn, bytes) {
            shared.sooner.notify_one();
        }
        Ok(())
    }

    /// The next datagram: its length, sender and ECN mark. What is longer than `buffer` is cut.
    ///
    /// # Errors
    /// When the host is gone.
    pub fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr, Option<u8>)>> {
        let mut receive = lock(&self.receive);
        if receive.closed {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::NetworkDown, "this host is gone")));
        }
        match receive.queue.pop_front() {
            Some(copy) => {
                let length = copy.bytes.len().min(buffer.len());
                buffer[..length].copy_from_slice(&copy.bytes[..length]);
                Poll::Ready(Ok((length, copy.from, copy.ecn)))
            }
            None => {
                receive.waker = Some(cx.waker().clone());
                super::track::waits_at(self.local);
                Poll::Pending
            }
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let mut inner = lock(&self.net.network.0.inner);
        if inner.sockets.get(&self.local).is_some_and(|receive| Arc::ptr_eq(receive, &self.receive)) {
            inner.sockets.remove(&self.local);
        }
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagrams at {}", self.local)
    }
}
