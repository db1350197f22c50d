//! The endpoint: one socket, the connections of one node, and the wishes for more.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_rt::sync::Semaphore;
use playhouse_rt::{Host, spawn, timeout};
use playhouse_wire::limits::WIRE_VERSION;
use playhouse_wire::packet::Hello;
use playhouse_wire::{Incarnation, NodeName};

use crate::adapter::Plug;
use crate::identity::Identity;
use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, CLOSE_MAX, DRAIN_MAX, HANDSHAKES_MAX, IDLE_TIMEOUT, LAST_WORD, LAST_WORD_ROUNDS, OUTLIVED_AFTER,
};
use crate::peer::{Link, Peer, Receiver};
use crate::refusal::{Failure, GOODBYE, Refusal, cut};
use crate::renew::{Credentials, RenewError};
use crate::signal::{Signal, lock};
use crate::stats::{Counters, Stats};
use crate::table::{State, Table};
use crate::utc::Utc;
use crate::{accept, adapter, dial};

/// How an endpoint is to be; [`Config::new`] fills in what has a default.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// Who this node is, and whom it trusts.
    pub identity: Identity,
    /// Which life of this node this is: larger than in any earlier life.
    pub incarnation: Incarnation,
    /// A connection is given up after so long without a sign of life. The shorter one of both sides holds.
    pub idle_timeout: Duration,
    /// The first wait before dialling again.
    pub backoff_min: Duration,
    /// The longest wait before dialling again.
    pub backoff_max: Duration,
    /// Only dials out: whoever dials this node is refused. For nodes that others cannot reach, or must not.
    pub dial_only: bool,
    /// Bugs put in on purpose, to test the tests. All off.
    #[doc(hidden)]
    pub planted: Planted,
}

/// Bugs put in on purpose, each honoured in exactly one cold place, so that the simulator can be shown to find them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Certificates of peers are judged by the time at which one's own was issued: those that have ended since are good.
    pub stale_certificate: bool,
}

impl Config {
    /// With the defaults of [`crate::limits`].
    pub fn new(listen: SocketAddr, identity: Identity, incarnation: Incarnation) -> Config {
        let (idle_timeout, backoff_min, backoff_max) = (IDLE_TIMEOUT, BACKOFF_MIN, BACKOFF_MAX);
        let planted = Planted::default();
        Config { listen, identity, incarnation, idle_timeout, backoff_min, backoff_max, dial_only: false, planted }
    }
}

/// Who listens at an address was not learnt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameAtError {
    /// Somebody answers there who cannot be trusted. Asked again, it is the same, until a certificate changes.
    #[error("{0}")]
    Refused(String),
    /// Nobody answers there, or nobody who takes connections, or the connection was lost.
    #[error("{0}")]
    Lost(String),
}

/// An endpoint could not be made. Nothing is left behind.
#[derive(thiserror::Error)]
pub enum BindError {
    /// The address is taken or not this host's: choose another one.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The configuration is at fault.
    #[error("the endpoint cannot be configured: {0}")]
    Config(String),
    /// Nobody would believe the certificate any more: issue a new one.
    #[error("the certificate of {node} has expired at {since}; issue a new one (if the clock of this host is right)")]
    Expired {
        /// The node that it names.
        node: NodeName,
        /// When it expired.
        since: Utc,
    },
    /// The endpoint is closed: bind another one.
    #[error("the endpoint is closed")]
    Closed,
}

impl std::fmt::Debug for BindError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A node's end of all its connections. Clones are the same endpoint. When the last clone is dropped, everything ends at once;
/// [`Endpoint::close`] ends it politely.
#[derive(Clone)]
pub struct Endpoint(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    local: Mutex<SocketAddr>,
    /// Frees and changes the socket.
    plug: Plug,
}

/// What an endpoint's tasks share. They do not hold the endpoint itself, so that it can be dropped.
pub(crate) struct Shared {
    pub(crate) own: Hello,
    pub(crate) host: Host,
    pub(crate) credentials: Credentials,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) dial_only: bool,
    pub(crate) receiver: Arc<dyn Receiver>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) table: Table,
    pub(crate) closing: Signal,
    /// Places for incoming handshakes under way.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Taken out on close, so that the socket becomes free.
    pub(crate) quinn: Mutex<Option<quinn::Endpoint>>,
}

impl Endpoint {
    /// Binds the socket and begins to answer. Must be called within the runtime.
    ///
    /// # Errors
    /// When the address is not free or the configuration is at fault.
    pub fn bind(host: &Host, config: Config, receiver: Arc<dyn Receiver>) -> Result<Endpoint, BindError> {
        let Config { listen, identity, incarnation, idle_timeout, backoff_min, backoff_max, dial_only, planted } = config;
        if backoff_min.is_zero() || backoff_min > backoff_max {
            return Err(BindError::Config(format!("a wait before dialling from {backoff_min:?} to {backoff_max:?}")));
        }
        let (credentials, server) = Credentials::new(host, identity.clone(), idle_timeout, planted)?;
        let counters = Arc::new(Counters::default());
        let at = |error| BindError::Address { address: listen, error };
        let secret = identity.key().map_err(|error| BindError::Config(error.to_string()))?;
        let (quinn, plug) = adapter::open(host, listen, server, secret.secret_der(), counters.clone()).map_err(at)?;
        let local = quinn.local_addr().map_err(at)?;
        let own =
            Hello { version: WIRE_VERSION, cluster: identity.cluster().to_string(), node: identity.node().clone(), incarnation };
        let shared = Arc::new(Shared {
            own,
            host: host.clone(),
            credentials,
            backoff: (backoff_min, backoff_max),
            dial_only,
            receiver,
            counters,
            table: Table::default(),
            closing: Signal::default(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            quinn: Mutex::new(Some(quinn.clone())),
        });
        spawn(accept::answer_all(shared.clone(), quinn));
        Ok(Endpoint(Arc::new(Handle { shared, local: Mutex::new(local), plug })))
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        *lock(&self.0.local)
    }

    /// Moves to another address: a network has changed, or a port has. Connections that this node dialled go on, and nothing that
    /// they carry is lost. Those that others dialled end by their idle time-out, as QUIC lets only diallers move; the others then
    /// dial the address that they know, so give them the new one.
    ///
    /// # Errors
    /// When the address is not free, or the endpoint is closed. It stays where it was then.
    pub fn rebind(&self, listen: SocketAddr) -> Result<(), BindError> {
        let shared = &self.0.shared;
        // Locked until the end, so that a close finds either the old or the new socket.
        let quinn = lock(&shared.quinn);
        let Some(endpoint) = &*quinn else { return Err(BindError::Closed) };
        let moved = self.0.plug.rebind(endpoint, &shared.host, listen, shared.counters.clone());
        let local = moved.map_err(|error| BindError::Address { address: listen, error })?;
        *lock(&self.0.local) = local;
        tracing::info!(node = %shared.own.node, %local, "endpoint moved");
        Ok(())
    }

    /// Wants a connection to `peer` from now on: dials whenever there is none, with growing pauses, until [`Endpoint::forget`] or the
    /// end. Asked again, only a new address changes anything: later dials take it.
    pub fn connect(&self, peer: NodeName, address: SocketAddr) {
        self.want(peer, address, true);
    }

    /// As [`Endpoint::connect`], until [`Endpoint::leave`] if nobody else connects to it.
    pub fn visit(&self, peer: NodeName, address: SocketAddr) {
        self.want(peer, address, false);
    }

    fn want(&self, peer: NodeName, address: SocketAddr, keep: bool) {
        let shared = &self.0.shared;
        if shared.closing.is_set() {
            return;
        }
        if let Some(wish) = shared.table.wish(&peer, address, keep) {
            spawn(dial::keep(shared.clone(), peer, wish));
        }
    }

    /// Learns which node of the cluster listens at an address: what its certificate proves. Nothing else is kept of the connection.
    /// Cancel-safe.
    ///
    /// # Errors
    /// When nobody answers there, or somebody who is not of the cluster, or who takes no connections.
    pub async fn name_at(&self, address: SocketAddr) -> Result<NodeName, NameAtError> {
        dial::name_at(&self.0.shared, address).await.map_err(|failure| match failure {
            Failure::Refused(refusal) => NameAtError::Refused(refusal.to_string()),
            failure => NameAtError::Lost(failure.to_string()),
        })
    }

    /// Dials `peer` no more. A live connection stays; [`Peer::close`] ends it.
    pub fn forget(&self, peer: &NodeName) {
        self.0.shared.table.forget(peer);
    }

    /// Dials `peer` no more, if it was only [visited](Endpoint::visit). A live connection stays.
    pub fn leave(&self, peer: &NodeName) {
        self.0.shared.table.leave(peer);
    }

    /// The live connection to `node`, if there is one, whoever dialled.
    pub fn peer(&self, node: &NodeName) -> Option<Peer> {
        self.0.shared.table.look(|state| live(state, node))
    }

    /// All live connections, in the order of their nodes' names.
    pub fn peers(&self) -> Vec<Peer> {
        self.0.shared.table.links().into_iter().filter(|link| link.is_live()).map(Peer).collect()
    }

    /// Waits until there is a live connection to `node`. For ever, if nobody dials: put a limit around it.
    pub async fn connected(&self, node: &NodeName) -> Peer {
        self.0.shared.table.until(|state| live(state, node)).await
    }

    /// Waits until there is a live connection to `node`, or a dial of it has failed since the last one that succeeded.
    ///
    /// # Errors
    /// Why the dial failed. The endpoint dials on.
    pub async fn dialled(&self, node: &NodeName) -> Result<Peer, String> {
        let look = |state: &State| live(state, node).map(Ok).or_else(|| state.last_error(node).cloned().map(Err));
        self.0.shared.table.until(look).await
    }

    /// Why the last dial of `node` failed; `None` when it did not, or was forgotten.
    pub fn last_error(&self, node: &NodeName) -> Option<String> {
        self.0.shared.table.look(|state| state.last_error(node).cloned())
    }

    /// Waits until a peer has refused this node for [`crate::limits::OUTLIVED_AFTER`], as it is connected to a later life of it: so that life
    /// does live, and this one can reach nobody who knows it. Gives the peer, and what it says.
    pub async fn outlived(&self) -> (NodeName, String) {
        self.0.shared.table.until(|state| state.outlived(OUTLIVED_AFTER)).await
    }

    /// Proves itself with another identity of the same node from now on, and trusts whom that one trusts: all handshakes that begin
    /// later do so, whoever dials. Live connections stay, also those that could no longer be made; [`Peer::close`] ends one. Cheap, and
    /// may be called from anywhere.
    ///
    /// # Errors
    /// See [`RenewError`]; nothing changes then.
    pub fn renew(&self, identity: Identity) -> Result<(), RenewError> {
        let shared = &self.0.shared;
        // Held until both sides have changed, so that two calls at once leave one identity.
        let quinn = lock(&shared.quinn);
        let quinn = quinn.as_ref().ok_or(RenewError::Closed)?;
        quinn.set_server_config(Some(shared.credentials.renew(&shared.host, identity)?));
        Ok(())
    }

    /// What it proves itself with now.
    pub fn identity(&self) -> Identity {
        self.0.shared.credentials.identity()
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.0.shared.counters.read()
    }

    /// Ends all connections and tells the peers `reason`. What was queued before is delivered first, unless that takes longer than
    /// [`crate::limits::CLOSE_MAX`]. Afterwards the receiver knows that all connections are gone, and the address is free.
    pub async fn close(&self, reason: &str) {
        let shared = &self.0.shared;
        shared.closing.set();
        let links = shared.table.links();
        // A peer's late packets come within a few round trips. Who never answered a dial sends none, and is not waited for.
        let rtt = links.iter().map(|link| Peer(link.clone()).rtt()).max().unwrap_or_default();
        let last_word = (LAST_WORD + rtt * LAST_WORD_ROUNDS).min(CLOSE_MAX);
        for link in links {
            link.say_goodbye(reason);
        }
        let gone = || shared.table.until(|state| (state.links == 0).then_some(()));
        let in_time = timeout(CLOSE_MAX + DRAIN_MAX, gone()).await.is_ok();
        let quinn = lock(&shared.quinn).take();
        if let Some(quinn) = quinn {
            quinn.close(GOODBYE, cut(reason).as_bytes());
            // The last word is repeated for late packets of the peers; that may be cut short.
            let _ = timeout(last_word, quinn.wait_idle()).await;
        }
        // Handshakes that were under way have failed by now, and so has what they admitted last.
        let _ = timeout(CLOSE_MAX, shared.handshakes.acquire_many(HANDSHAKES_MAX as u32)).await;
        let in_time = timeout(DRAIN_MAX, gone()).await.is_ok() && in_time;
        self.0.plug.pull();
        if !in_time {
            tracing::warn!(node = %shared.own.node, "the endpoint did not close in time");
        }
    }
}

fn live(state: &State, node: &NodeName) -> Option<Peer> {
    state.current(node).filter(|link| link.is_live()).cloned().map(Peer)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.0.shared.own.node, self.0.shared.own.incarnation, self.local_addr())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closing.set();
        if let Some(quinn) = lock(&self.shared.quinn).take() {
            quinn.close(GOODBYE, b"the endpoint was dropped");
        }
    }
}

impl Shared {
    /// Makes `link` the connection that counts, if it may be.
    pub(crate) fn admit(&self, link: &Arc<Link>) -> Result<Option<Arc<Link>>, Refusal> {
        self.table.admit(&self.own.node, link)
    }

    /// Counts a handshake that failed because we refused it.
    pub(crate) fn count(&self, failure: &Failure) {
        if let Failure::Refused(refusal) = failure {
            self.counters.refused(refusal.kind());
        }
    }
}
