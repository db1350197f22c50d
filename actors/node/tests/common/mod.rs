//! A few nodes, over real QUIC on loopback or over the simulated network: one body for both.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Mutex;

use playhouse::prelude::*;
use playhouse::rt::{self, Host};
use playhouse::{Authority, Identity};

const DAY: Duration = Duration::from_secs(86_400);

/// Makes hosts and certificates.
pub(crate) struct World {
    authority: Authority,
    nodes: Mutex<Vec<Node>>,
    #[cfg(madsim)]
    network: rt::sim::Network,
    #[cfg(madsim)]
    seed: u64,
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(crate) fn actor_name(text: &str) -> ActorName {
    ActorName::new(text).unwrap()
}

/// Runs the body once over real sockets, or for some seeds in the simulation.
pub(crate) fn run<F: Future<Output = ()>>(body: impl Fn(std::sync::Arc<World>) -> F) {
    #[cfg(not(madsim))]
    rt::run(2, async {
        let world = World { authority: Authority::new("test", Host::os().wall_clock()).unwrap(), nodes: Mutex::default() };
        all(std::sync::Arc::new(world), &body).await;
    })
    .unwrap();
    #[cfg(madsim)]
    for seed in 0..5 {
        rt::sim::run(seed, async {
            let weather = Weather(rt::Random::new(seed, "weather"));
            let network = rt::sim::Network::new(Box::new(weather));
            let authority = Authority::new("test", host(&network, 250, seed).wall_clock()).unwrap();
            let world = World { authority, nodes: Mutex::default(), network, seed };
            all(std::sync::Arc::new(world), &body).await;
        });
    }
}

async fn all<F: Future<Output = ()>>(world: std::sync::Arc<World>, body: &impl Fn(std::sync::Arc<World>) -> F) {
    within(body(world.clone())).await;
    let nodes = std::mem::take(&mut *world.nodes.lock().unwrap());
    for node in nodes {
        node.stop(Duration::ZERO).await;
    }
}

/// What must come soon. A limit against hanging, no promise of speed.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    rt::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

/// Looks again and again, and lets others run between.
pub(crate) async fn until(mut is: impl FnMut() -> bool) {
    let mut ticks = rt::interval(Duration::from_millis(1));
    while !is() {
        ticks.tick().await;
    }
}

#[cfg(madsim)]
struct Weather(rt::Random);

#[cfg(madsim)]
impl rt::sim::Links for Weather {
    fn send(&mut self, _: &rt::sim::Flight) -> rt::sim::Deliveries {
        if self.0.chance(0.02) {
            return rt::sim::Deliveries::lost();
        };
        rt::sim::Deliveries::one(Duration::from_micros(self.0.between(200, 5_000)))
    }
    fn arrives(&mut self, _: &rt::sim::Flight) -> bool {
        true
    }
}

#[cfg(madsim)]
fn host(network: &rt::sim::Network, number: u8, seed: u64) -> Host {
    let disk = rt::Disk::simulated(&rt::sim::Storage::default(), 1);
    Host::simulated(network, std::net::IpAddr::from([10, 0, 0, number]), disk, seed + u64::from(number))
}

impl World {
    /// A host, and an address on it.
    pub(crate) fn host(&self) -> (Host, std::net::SocketAddr) {
        #[cfg(not(madsim))]
        return (Host::os(), "127.0.0.1:0".parse().unwrap());
        #[cfg(madsim)]
        {
            use std::sync::atomic::{AtomicU8, Ordering};
            static NEXT: AtomicU8 = AtomicU8::new(1);
            let number = NEXT.fetch_add(1, Ordering::SeqCst) % 200 + 1;
            (host(&self.network, number, self.seed), (std::net::IpAddr::from([10, 0, 0, number]), 700).into())
        }
    }

    pub(crate) fn identity(&self, node: &str) -> Identity {
        self.authority.issue(&name(node), self.host().0.wall_clock(), DAY).unwrap()
    }

    /// Starts a node. A second one of the same name is a later life of it: it takes over the connections of the first.
    pub(crate) async fn node(&self, node: &str) -> Node {
        // Lives are numbered by milliseconds.
        rt::sleep(Duration::from_millis(2)).await;
        let (host, address) = self.host();
        let mut config = NodeConfig::actors(self.identity(node), address);
        config.threads = 1;
        let node = Node::start(host, config).await.unwrap();
        self.nodes.lock().unwrap().push(node.clone());
        node
    }

    /// Two nodes with a connection.
    pub(crate) async fn two(&self) -> (Node, Node) {
        let (a, b) = (self.node("a").await, self.node("b").await);
        join(&a, &b).await;
        (a, b)
    }
}

/// Connects two nodes.
pub(crate) async fn join(a: &Node, b: &Node) {
    a.dial(b.name().clone(), b.address()).await.unwrap();
    b.connected(a.name()).await;
}
