//! The same endpoints on the simulated network: loss, delay, partitions, and the same history for the same seed.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use playhouse_net::limits::DATAGRAM_BUFFER;
use playhouse_net::{Authority, Config, Endpoint, Peer, Receiver};
use playhouse_rt::sim::{self, Deliveries, Flight, Links, Network, Storage, ledger};
use playhouse_rt::sync::mpsc;
use playhouse_rt::{Disk, Host, Instant, Random, select, sleep, spawn, timeout};
use playhouse_wire::limits::MESSAGE_MAX;
use playhouse_wire::{Incarnation, Lane, NodeName};

const PORT: u16 = 700;

/// One datagram in twenty is lost, the others take 2 to 20 ms, and none arrives while the network is cut.
struct Weather(Random, Arc<AtomicBool>);

impl Links for Weather {
    fn send(&mut self, _: &Flight) -> Deliveries {
        if self.0.chance(0.05) {
            return Deliveries::lost();
        };
        Deliveries::one(Duration::from_micros(self.0.between(2_000, 20_000)))
    }
    fn arrives(&mut self, _: &Flight) -> bool {
        !self.1.load(Ordering::SeqCst)
    }
}

/// A link of a certain width: what does not fit at once waits in a buffer, and is lost when that is full. What has arrived takes a
/// while, always the same.
struct Pipe {
    free_at: BTreeMap<(SocketAddr, SocketAddr), Instant>,
}

/// How long a datagram takes through an empty pipe.
const LATENCY: Duration = Duration::from_millis(2);
/// Bytes a second that a pipe carries.
const WIDTH: u64 = 20_000_000;
/// Bytes that wait before a pipe; as long as these take, so long may it delay what comes behind.
const BUFFER: u64 = 80_000;

impl Links for Pipe {
    fn send(&mut self, flight: &Flight) -> Deliveries {
        let now = playhouse_rt::now();
        let takes = |bytes: u64| Duration::from_nanos(bytes * 1_000_000_000 / WIDTH);
        let free_at = self.free_at.entry((flight.from, flight.to)).or_insert(now);
        let waits = free_at.saturating_duration_since(now);
        if waits > takes(BUFFER) {
            return Deliveries::lost();
        }
        let passes = waits + takes(flight.length as u64);
        *free_at = now + passes;
        Deliveries::one(passes + LATENCY)
    }
    fn arrives(&mut self, _: &Flight) -> bool {
        true
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
        let weather = Weather(Random::new(seed, "weather"), cut.clone());
        World { cut, ..World::with(seed, Box::new(weather)) }
    }

    fn with(seed: u64, links: Box<dyn Links>) -> World {
        let network = Network::new(links);
        let ca = Authority::new("demo", Host::simulated(&network, ip(9), disk(), seed).wall_clock()).unwrap();
        World { network, ca, cut: Arc::default(), seed }
    }

    fn node(&self, number: u8) -> (Endpoint, mpsc::UnboundedReceiver<String>) {
        let (sender, events) = mpsc::unbounded_channel();
        (self.endpoint(number, Arc::new(Ear(sender))), events)
    }

    fn endpoint(&self, number: u8, receiver: Arc<dyn Receiver>) -> Endpoint {
        let host = Host::simulated(&self.network, ip(number), disk(), self.seed + u64::from(number));
        let identity = self.ca.issue(&called(number), host.wall_clock(), Duration::from_secs(86_400)).unwrap();
        let config = Config::new((ip(number), PORT).into(), identity, Incarnation(1));
        Endpoint::bind(&host, config, receiver).unwrap()
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

/// A node loses its power, and a later life of it comes back where it was. Its peer dialled it, and it does not know where that is.
#[test]
fn who_comes_back_is_found_at_the_next_word_and_not_after_a_silence() {
    sim::run(3, async {
        let world = World::new(3);
        let (a, mut at_a) = world.node(1);
        let host = |life| Host::simulated(&world.network, ip(2), disk(), life);
        let identity = world.ca.issue(&called(2), host(1).wall_clock(), Duration::from_secs(86_400)).unwrap();
        let second = |life: u64| {
            let host = host(life);
            let config = Config::new((ip(2), PORT).into(), identity.clone(), Incarnation(life));
            let (sender, events) = mpsc::unbounded_channel();
            (Endpoint::bind(&host, config, Arc::new(Ear(sender))).unwrap(), events)
        };
        let (first, mut at_first) = second(1);
        a.connect(called(2), first.local_addr());
        let mut told = Vec::new();
        until(&mut at_a, "up n2", &mut told).await;
        until(&mut at_first, "up n1", &mut told).await;
        // A loss of power: not a word goes out.
        world.network.detach(ip(2));
        sleep(Duration::from_secs(1)).await;
        let (_again, mut at_again) = second(2);
        let began = playhouse_rt::now();
        let _ = a.connected(&called(2)).await.send(Lane::Data, Bytes::from(vec![0; 200])).await;
        until(&mut at_a, "down n2", &mut told).await;
        until(&mut at_again, "up n1", &mut told).await;
        let took = playhouse_rt::now() - began;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

/// Counts what comes in bulk, and writes down when all else came.
#[derive(Clone)]
struct Meter {
    bulk: Arc<AtomicU64>,
    arrivals: mpsc::UnboundedSender<(Option<Lane>, Bytes, Duration)>,
}

impl Receiver for Meter {
    fn up(&self, _: &Peer) {}
    fn down(&self, _: &Peer, _: &str) {}
    fn datagram(&self, _: &Peer, bytes: Bytes) {
        let _ = self.arrivals.send((None, bytes, sim::elapsed()));
    }
    fn messages<'a>(&'a self, _: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        for message in batch {
            if lane == Lane::Bulk {
                self.bulk.fetch_add(message.len() as u64, Ordering::Relaxed);
            } else {
                let _ = self.arrivals.send((Some(lane), message, sim::elapsed()));
            }
        }
        Box::pin(std::future::ready(()))
    }
}

/// Two nodes at the ends of a pipe that a never-ending flow of bulk has filled.
struct Saturated {
    a: Endpoint,
    to_b: Peer,
    bulk: Arc<AtomicU64>,
    arrivals: mpsc::UnboundedReceiver<(Option<Lane>, Bytes, Duration)>,
    _b: Endpoint,
}

impl Saturated {
    async fn new(seed: u64) -> Saturated {
        let world = World::with(seed, Box::new(Pipe { free_at: BTreeMap::new() }));
        let (sender, arrivals) = mpsc::unbounded_channel();
        let meter = Meter { bulk: Arc::default(), arrivals: sender };
        let (a, b) = (world.node(1).0, world.endpoint(2, Arc::new(meter.clone())));
        a.connect(called(2), b.local_addr());
        let to_b = a.connected(&called(2)).await;
        let flow = to_b.clone();
        spawn(async move { while flow.send(Lane::Bulk, Bytes::from(vec![7; 1 << 20])).await.is_ok() {} });
        // Until the flow has found the pipe's width.
        while meter.bulk.load(Ordering::Relaxed) < 2 * WIDTH {
            sleep(Duration::from_millis(100)).await;
        }
        Saturated { a, to_b, bulk: meter.bulk, arrivals, _b: b }
    }

    /// Sends `message` on `lane` (or as a datagram) and waits until it arrives. How long it took.
    async fn passes(&mut self, lane: Option<Lane>, message: Bytes) -> Duration {
        let began = sim::elapsed();
        match lane {
            Some(lane) => self.to_b.send(lane, message.clone()).await.unwrap(),
            None => self.to_b.try_send_datagram(message.clone()).unwrap(),
        }
        let arrival =
            timeout(Duration::from_secs(60), self.arrivals.recv()).await.unwrap_or_else(|_| panic!("{lane:?} is starved"));
        let (by, heard, at) = arrival.unwrap();
        assert!(by == lane && heard == message, "{by:?} instead of {lane:?}");
        at - began
    }
}

/// The way through the pipe behind a full buffer.
fn full_pipe() -> Duration {
    LATENCY + Duration::from_nanos(BUFFER * 1_000_000_000 / WIDTH)
}

#[test]
fn urgent_messages_pass_beside_a_saturated_bulk_lane() {
    sim::run(1, async {
        let mut flow = Saturated::new(1).await;
        let (began, before) = (sim::elapsed(), flow.bulk.load(Ordering::Relaxed));
        for lane in [Lane::System, Lane::Control, Lane::Data] {
            let mut delays = Vec::new();
            for number in 0..200u32 {
                delays.push(flow.passes(Some(lane), Bytes::from(format!("{number}"))).await);
                sleep(Duration::from_millis(5)).await;
            }
            delays.sort();
            // Nothing that the node holds is in front of it: only what the path holds, and at worst once more, when it is lost.
            assert!(delays[100] <= full_pipe(), "{lane:?}: {delays:?}");
            assert!(delays[199] <= full_pipe() * 4, "{lane:?}: {delays:?}");
        }
        let carried = flow.bulk.load(Ordering::Relaxed) - before;
        let could = (sim::elapsed() - began).as_secs_f64() * WIDTH as f64;
        assert!(carried as f64 > 0.7 * could, "the bulk lane is not saturated: {carried} of {could} bytes");
    });
}

#[test]
fn a_control_message_of_the_largest_size_passes_beside_a_saturated_bulk_lane() {
    sim::run(2, async {
        let mut flow = Saturated::new(2).await;
        let message = Bytes::from(vec![5; MESSAGE_MAX]);
        let took = flow.passes(Some(Lane::Control), message).await;
        let alone = Duration::from_secs_f64(MESSAGE_MAX as f64 / WIDTH as f64);
        assert!(took < alone * 3 / 2, "{took:?}, and {alone:?} if it were alone");
        flow.a.close("enough").await;
    });
}

#[test]
fn heartbeats_pass_beside_a_saturated_bulk_lane() {
    sim::run(3, async {
        let mut flow = Saturated::new(3).await;
        let mut sent = BTreeMap::new();
        for number in 0..200u32 {
            let beat = Bytes::from(format!("{number}"));
            sent.insert(beat.clone(), sim::elapsed());
            flow.to_b.try_send_datagram(beat).unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let mut arrived = 0;
        while let Ok((by, beat, at)) = flow.arrivals.try_recv() {
            let took = at - sent.remove(&beat).expect("each arrives at most once");
            assert!(by.is_none() && took <= full_pipe() * 3 / 2, "{took:?}");
            arrived += 1;
        }
        // The full buffer may lose some of them, as it loses what is beside them.
        assert!(arrived >= 190, "{arrived} of 200");
    });
}

#[test]
fn of_too_many_datagrams_the_newest_arrive() {
    sim::run(4, async {
        let world = World::with(4, Box::new(Pipe { free_at: BTreeMap::new() }));
        let (sender, mut arrivals) = mpsc::unbounded_channel();
        let (a, b) = (world.node(1).0, world.endpoint(2, Arc::new(Meter { bulk: Arc::default(), arrivals: sender })));
        a.connect(called(2), b.local_addr());
        let to_b = a.connected(&called(2)).await;
        b.connected(&called(1)).await;
        // Without a wait in between, so that none has left when the last one is taken.
        for number in 0..100u8 {
            to_b.try_send_datagram(Bytes::from(vec![number; 1000])).unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        let mut arrived = Vec::new();
        while let Ok((_, bytes, _)) = arrivals.try_recv() {
            arrived.push(bytes[0]);
        }
        let held = DATAGRAM_BUFFER / 1100..=DATAGRAM_BUFFER / 1000;
        assert!(held.contains(&arrived.len()), "{arrived:?}");
        assert_eq!(arrived, Vec::from_iter(100 - arrived.len() as u8..100));
        assert_eq!((a.stats().unreliable_sent, to_b.health().datagrams_sent), (100, arrived.len() as u64));
        assert_eq!(b.stats().unreliable_received, arrived.len() as u64);
    });
}

#[test]
fn a_dialler_moves_and_nothing_is_lost_or_said() {
    for seed in 0..20 {
        sim::run(seed, async move {
            let world = World::new(seed);
            let ((a, mut at_a), (b, mut at_b)) = (world.node(1), world.node(2));
            a.connect(called(2), b.local_addr());
            let (to_b, to_a) = (a.connected(&called(2)).await, b.connected(&called(1)).await);
            let mut told = Vec::new();
            until(&mut at_a, "up n2", &mut told).await;
            until(&mut at_b, "up n1", &mut told).await;
            for number in 0..300u16 {
                if number % 100 == 50 {
                    a.rebind((ip(1), PORT + number).into()).unwrap();
                }
                to_b.send(Lane::Data, Bytes::from(format!("{number}"))).await.unwrap();
                to_a.send(Lane::Data, Bytes::from(format!("{number}"))).await.unwrap();
                sleep(Duration::from_millis(2)).await;
            }
            for (events, from) in [(&mut at_a, "n2"), (&mut at_b, "n1")] {
                let mut told = Vec::new();
                until(events, &format!("{from} Data b\"299\""), &mut told).await;
                assert!(
                    told.iter().eq(&Vec::from_iter((0..300).map(|n| format!("{from} Data b\"{n}\"")))),
                    "seed {seed}: {told:?}"
                );
            }
            assert_eq!((to_a.remote_addr(), a.local_addr()), ((ip(1), PORT + 250).into(), (ip(1), PORT + 250).into()));
            assert_eq!((a.stats().connections, b.stats().connections), (1, 1));
        });
    }
}

#[test]
fn a_dialler_is_seen_elsewhere_and_its_connection_goes_on() {
    for seed in 0..20 {
        sim::run(seed, async move {
            let world = World::new(seed);
            let ((a, mut at_a), (b, mut at_b)) = (world.node(1), world.node(2));
            a.connect(called(2), b.local_addr());
            let (to_b, to_a) = (a.connected(&called(2)).await, b.connected(&called(1)).await);
            let mut told = Vec::new();
            until(&mut at_a, "up n2", &mut told).await;
            until(&mut at_b, "up n1", &mut told).await;
            for number in 0..300u16 {
                match number {
                    50 => world.network.readdress(ip(1), ip(101)),
                    150 => world.network.readdress(ip(1), ip(102)),
                    _ => {}
                }
                to_b.send(Lane::Data, Bytes::from(format!("{number}"))).await.unwrap();
                to_a.send(Lane::Data, Bytes::from(format!("{number}"))).await.unwrap();
                sleep(Duration::from_millis(2)).await;
            }
            for (events, from) in [(&mut at_a, "n2"), (&mut at_b, "n1")] {
                let mut told = Vec::new();
                until(events, &format!("{from} Data b\"299\""), &mut told).await;
                assert!(
                    told.iter().eq(&Vec::from_iter((0..300).map(|n| format!("{from} Data b\"{n}\"")))),
                    "seed {seed}: {told:?}"
                );
            }
            assert_eq!((to_a.remote_addr(), a.local_addr()), ((ip(102), PORT).into(), (ip(1), PORT).into()));
            assert_eq!((a.stats().connections, b.stats().connections), (1, 1));
            assert!(world.network.stats().astray > 0, "what was sent to where it was is lost");
        });
    }
}

/// Nobody is there to hear the last word, so nobody is waited for.
#[test]
fn a_close_does_not_wait_for_a_peer_that_never_answered() {
    sim::run(1, async {
        let world = World::new(1);
        let (a, mut events) = world.node(1);
        let (b, _) = world.node(2);
        a.connect(called(3), (ip(3), PORT).into());
        a.connect(called(2), (ip(2), PORT).into());
        until(&mut events, "up n2", &mut Vec::new()).await;
        let began = playhouse_rt::now();
        a.close("enough").await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(600), "{took:?}");
        b.close("enough").await;
    });
}
