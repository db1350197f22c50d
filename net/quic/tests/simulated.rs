//! The same endpoints on the simulated network: loss, delay, partitions, and the same history for the same seed.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use playhouse_net::{Authority, Config, Endpoint, Peer, Receiver};
use playhouse_rt::sim::{self, Flight, Links, Network, Storage, ledger};
use playhouse_rt::sync::mpsc;
use playhouse_rt::{Disk, Host, Random, select, timeout};
use playhouse_wire::{Incarnation, Lane, NodeName};

const PORT: u16 = 700;

/// One datagram in twenty is lost, the others take 2 to 20 ms, and none arrives while the network is cut.
struct Weather(Random, Arc<AtomicBool>);

impl Links for Weather {
    fn send(&mut self, _: &Flight) -> Vec<Duration> {
        if self.0.chance(0.05) { Vec::new() } else { vec![Duration::from_micros(self.0.between(2_000, 20_000))] }
    }
    fn arrives(&mut self, _: &Flight) -> bool {
        !self.1.load(Ordering::SeqCst)
    }
}

struct Ear(mpsc::UnboundedSender<String>);

impl Receiver for Ear {
    fn up(&self, peer: &Peer) {
        let _ = self.0.send(format!("up {}", peer.node()));
    }
    fn down(&self, peer: &Peer, reason: &str) {
        let _ = self.0.send(format!("down {}: {reason}", peer.node()));
    }
    fn messages<'a>(&'a self, peer: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        for message in batch {
            let _ = self.0.send(format!("{} {lane:?} {message:?}", peer.node()));
        }
        Box::pin(std::future::ready(()))
    }
}

struct World {
    network: Network,
    ca: Authority,
    cut: Arc<AtomicBool>,
    seed: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let cut = Arc::new(AtomicBool::new(false));
        let network = Network::new(Box::new(Weather(Random::new(seed, "weather"), cut.clone())));
        let ca = Authority::new("demo", Host::simulated(&network, ip(9), disk(), seed).wall_clock()).unwrap();
        World { network, ca, cut, seed }
    }

    fn node(&self, number: u8) -> (Endpoint, mpsc::UnboundedReceiver<String>) {
        let host = Host::simulated(&self.network, ip(number), disk(), self.seed + u64::from(number));
        let identity = self.ca.issue(&called(number), host.wall_clock(), Duration::from_secs(86_400)).unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let config = Config::new((ip(number), PORT).into(), identity, Incarnation(1));
        (Endpoint::bind(&host, config, Arc::new(Ear(sender))).unwrap(), events)
    }
}

fn ip(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

fn disk() -> Disk {
    Disk::simulated(&Storage::default(), 1)
}

fn called(number: u8) -> NodeName {
    NodeName::new(&format!("n{number}")).unwrap()
}

async fn until(events: &mut mpsc::UnboundedReceiver<String>, wanted: &str, told: &mut Vec<String>) {
    let heard = async {
        loop {
            let event = events.recv().await.expect("the endpoint lives");
            told.push(event.clone());
            if event.starts_with(wanted) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), heard).await.unwrap_or_else(|_| panic!("no `{wanted}` within a minute: {told:?}"));
}

/// Both dial at once, talk, are cut off from each other, find each other again, talk, and part.
fn story(seed: u64) -> (Vec<String>, (String, u64)) {
    // On a thread of its own: std's hashers take their seed from the first simulation of a thread.
    std::thread::spawn(move || {
        sim::run(seed, async move {
            ledger::open(|_| ());
            let world = World::new(seed);
            let ((a, mut at_a), (b, mut at_b)) = (world.node(1), world.node(2));
            let mut told = Vec::new();
            a.connect(called(2), b.local_addr());
            b.connect(called(1), a.local_addr());
            until(&mut at_a, "up n2", &mut told).await;
            until(&mut at_b, "up n1", &mut told).await;
            let to_b = a.connected(&called(2)).await;
            for number in 0..200 {
                to_b.send(Lane::ALL[number % 4], Bytes::from(format!("{number}"))).await.unwrap();
            }
            until(&mut at_b, "n1 Bulk b\"199\"", &mut told).await;

            world.cut.store(true, Ordering::SeqCst);
            until(&mut at_a, "down n2: no sign of life", &mut told).await;
            until(&mut at_b, "down n1: no sign of life", &mut told).await;
            world.cut.store(false, Ordering::SeqCst);
            until(&mut at_a, "up n2", &mut told).await;
            until(&mut at_b, "up n1", &mut told).await;
            // Both dial again, and a late one of the two may replace the other: then what was under way is lost, and said to be.
            loop {
                let _ = a.connected(&called(2)).await.send(Lane::Data, Bytes::from_static(b"again")).await;
                select! {
                    () = until(&mut at_b, "n1 Data b\"again\"", &mut told) => break,
                    Some(_) = at_a.recv() => {}
                }
            }

            a.close("the end").await;
            until(&mut at_b, "down n1: the end", &mut told).await;
            told.push(format!("{:?} {:?} {:?}", sim::elapsed(), a.stats(), b.stats()));
            (told, ledger::close())
        })
    })
    .join()
    .unwrap()
}

#[test]
fn a_partition_ends_connections_and_its_end_brings_them_back() {
    for seed in 0..100 {
        story(seed);
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}
