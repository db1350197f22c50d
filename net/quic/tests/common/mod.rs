//! What the tests of this crate share: nodes with certificates, an ear that writes down what it hears, and a peer made by hand.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use playhouse_net::limits::HELLO_TIMEOUT;
use playhouse_net::{Authority, Config, Endpoint, Identity, Peer, Receiver, RefusalKind};
use playhouse_rt::sync::{Semaphore, mpsc};
use playhouse_rt::{Host, timeout};
use playhouse_wire::packet::Hello;
use playhouse_wire::{Incarnation, Lane, NodeName};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A test that takes so long hangs.
const HANGS: Duration = Duration::from_secs(30);

pub fn run<F: Future>(test: F) -> F::Output {
    playhouse_rt::run(2, async { timeout(HANGS, test).await.expect("the test hangs") }).expect("threads")
}

pub fn now() -> Duration {
    Host::os().wall_clock()
}

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub fn authority() -> Authority {
    Authority::new("demo", now()).unwrap()
}

pub fn name(name: &str) -> NodeName {
    name.parse().unwrap()
}

pub fn identity(authority: &Authority, node: &str) -> Identity {
    authority.issue(&name(node), now(), DAY).unwrap()
}

#[derive(Debug)]
pub enum Event {
    Up(Peer),
    Down(Peer, String),
    Message(Peer, Lane, Bytes),
    Datagram(Peer, Bytes),
}

/// Writes down what it hears. With a gate, each batch of the data lane first needs a permit. An echoing ear sends everything back.
pub struct Ear {
    pub events: mpsc::UnboundedSender<Event>,
    pub gate: Option<Arc<Semaphore>>,
    pub echo: bool,
}

impl Receiver for Ear {
    fn up(&self, peer: &Peer) {
        let _ = self.events.send(Event::Up(peer.clone()));
    }

    fn down(&self, peer: &Peer, reason: &str) {
        let _ = self.events.send(Event::Down(peer.clone(), reason.to_string()));
    }

    fn datagram(&self, peer: &Peer, bytes: Bytes) {
        if self.echo {
            let _ = peer.try_send_datagram(bytes.clone());
        }
        let _ = self.events.send(Event::Datagram(peer.clone(), bytes));
    }

    fn messages<'a>(&'a self, peer: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if let Some(gate) = self.gate.as_ref().filter(|_| lane == Lane::Data) {
                gate.acquire().await.expect("gates stay").forget();
            }
            for message in batch {
                if self.echo {
                    let _ = peer.send(lane, message.clone()).await;
                }
                let _ = self.events.send(Event::Message(peer.clone(), lane, message));
            }
        })
    }
}

pub struct Node {
    pub endpoint: Endpoint,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub gate: Arc<Semaphore>,
}

pub struct Wanted {
    pub identity: Identity,
    pub incarnation: u64,
    pub listen: SocketAddr,
    pub echo: bool,
    pub gated: bool,
    pub dial_only: bool,
    pub idle_timeout: Duration,
}

impl Wanted {
    pub fn new(identity: Identity) -> Wanted {
        Wanted {
            identity,
            incarnation: 1,
            listen: "127.0.0.1:0".parse().unwrap(),
            echo: false,
            gated: false,
            dial_only: false,
            idle_timeout: playhouse_net::limits::IDLE_TIMEOUT,
        }
    }

    pub fn bind(self) -> Node {
        let (sender, events) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let ear = Ear { events: sender, gate: self.gated.then(|| gate.clone()), echo: self.echo };
        let mut config = Config::new(self.listen, self.identity, Incarnation(self.incarnation));
        config.dial_only = self.dial_only;
        config.idle_timeout = self.idle_timeout;
        let endpoint = Endpoint::bind(&Host::os(), config, Arc::new(ear)).unwrap();
        Node { endpoint, events, gate }
    }
}

pub fn node(authority: &Authority, name: &str) -> Node {
    Wanted::new(identity(authority, name)).bind()
}

impl Node {
    pub async fn event(&mut self) -> Event {
        self.events.recv().await.expect("the endpoint lives")
    }

    pub async fn up(&mut self) -> Peer {
        match self.event().await {
            Event::Up(peer) => peer,
            other => panic!("up was expected, not {other:?}"),
        }
    }

    pub async fn down(&mut self) -> (Peer, String) {
        match self.event().await {
            Event::Down(peer, reason) => (peer, reason),
            other => panic!("down was expected, not {other:?}"),
        }
    }

    pub async fn message(&mut self) -> (Lane, Bytes) {
        match self.event().await {
            Event::Message(_, lane, message) => (lane, message),
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    pub async fn datagram(&mut self) -> Bytes {
        match self.event().await {
            Event::Datagram(_, bytes) => bytes,
            other => panic!("a datagram was expected, not {other:?}"),
        }
    }

    /// Waits until the last dial failed, and gives the reason.
    pub async fn dial_error(&self, node: &str) -> String {
        self.endpoint.dialled(&name(node)).await.expect_err("it must not get through")
    }
}

impl Node {
    /// Waits until so many refusals of the kind are counted: TLS tells the dialler before it tells the endpoint.
    pub async fn refused(&self, kind: RefusalKind, count: u64) {
        while self.endpoint.stats().refused(kind) < count {
            // Counters tell nobody when they change. The wait stands for nothing; the condition does.
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(self.endpoint.stats().refused(kind), count);
    }
}

/// Lets `a` dial `b` and waits until both know.
pub async fn connect(a: &mut Node, b: &mut Node, b_name: &str) -> (Peer, Peer) {
    a.endpoint.connect(name(b_name), b.endpoint.local_addr());
    (a.up().await, b.up().await)
}

/// Two nodes that get on well, to be disturbed by a third.
pub struct Scene {
    pub ca: Authority,
    pub a: Node,
    pub b: Node,
    pub to_b: Peer,
}

pub async fn scene() -> Scene {
    let ca = authority();
    // Patient, so that it is never QUIC that gives up first.
    let mut a = Wanted { idle_timeout: HELLO_TIMEOUT * 4, ..Wanted::new(identity(&ca, "a")) }.bind();
    let mut b = node(&ca, "b");
    let (to_b, _) = connect(&mut a, &mut b, "b").await;
    Scene { ca, a, b, to_b }
}

impl Scene {
    /// Whatever the third one did, the two have the connection that they had, and it works both ways.
    pub async fn b_is_served(&mut self) {
        self.to_b.send(Lane::Data, Bytes::from_static(b"still here")).await.unwrap();
        assert_eq!(self.b.message().await, (Lane::Data, Bytes::from_static(b"still here")));
        let to_a = self.b.endpoint.peer(&name("a")).expect("it is connected");
        to_a.send(Lane::Data, Bytes::from_static(b"here too")).await.unwrap();
        assert_eq!(self.a.message().await, (Lane::Data, Bytes::from_static(b"here too")));
        assert_eq!(self.a.endpoint.peer(&name("b")).as_ref(), Some(&self.to_b));
    }
}

/// A client made by hand: TLS as `identity` (or without a certificate), and no rules beyond.
pub fn by_hand(trusts: &Identity, shows: Option<&Identity>) -> quinn::Endpoint {
    by_hand_with(trusts, shows, quinn::TransportConfig::default())
}

/// The same with other settings of QUIC.
pub fn by_hand_with(trusts: &Identity, shows: Option<&Identity>, transport: quinn::TransportConfig) -> quinn::Endpoint {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusts.to_pem().ca.as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match shows {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let pem = identity.to_pem();
            let chain = vec![CertificateDer::from_pem_slice(pem.cert.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap()).unwrap()
        }
    };
    tls.alpn_protocols = vec![b"playhouse/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(config);
    endpoint
}

pub fn hello(node: &str, cluster: &str) -> Hello {
    Hello {
        version: playhouse_wire::limits::WIRE_VERSION,
        cluster: cluster.into(),
        node: name(node),
        incarnation: Incarnation(1),
    }
}

/// Opens the system lane and says `hello` there; nothing comes of it when the connection is closed meanwhile.
pub async fn try_say(connection: &quinn::Connection, hello: &Hello) -> Option<quinn::SendStream> {
    let mut system = connection.open_uni().await.ok()?;
    let mut bytes = BytesMut::from(&[0u8][..]);
    playhouse_wire::frame::write_message(&mut bytes, &hello.encode().unwrap());
    system.write_all(&bytes).await.ok()?;
    Some(system)
}

/// The same with a peer that listens.
pub async fn say(connection: &quinn::Connection, hello: &Hello) -> quinn::SendStream {
    try_say(connection, hello).await.expect("the connection is open")
}

/// A peer that has a valid certificate and has said its hello; what it does then is up to the test.
pub async fn hostile(target: &mut Node, authority: &Authority, called: &str) -> (quinn::Connection, quinn::SendStream) {
    let identity = identity(authority, called);
    let client = by_hand(&identity, Some(&identity));
    let connection = client.connect(target.endpoint.local_addr(), "a").unwrap().await.unwrap();
    let system = say(&connection, &hello(called, "demo")).await;
    target.up().await;
    (connection, system)
}

/// Opens the lane `number` and writes `bytes` to it.
pub async fn lane(connection: &quinn::Connection, number: u8, bytes: &[u8]) -> quinn::SendStream {
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(&[&[number], bytes].concat()).await.unwrap();
    stream
}
