//! Tells that may be lost: as datagrams where the other node takes them, on their lane otherwise, and never against credit.
#![allow(missing_docs)]

mod common;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use common::{World, actor_name, name, run, until};
use playhouse::prelude::*;
use playhouse::rt;
use playhouse::rt::sync::mpsc;
use playhouse::{Coordinate, DatagramCounts, MonitorConfig, PlaneConfig};
use playhouse_net::limits::DATAGRAM_MAX;
use playhouse_net::{Config, Endpoint, Peer, Receiver};
use playhouse_wire::{Incarnation, Packet, Parcel};
use serde::{Deserialize, Serialize};

/// Remembers the newest level that it heard of, and how often it was told one.
#[derive(Default)]
struct Gauge {
    newest: u64,
    told: u64,
    put: u64,
}

#[actor(remote)]
impl Gauge {
    #[message(id = 1, unreliable)]
    fn level(&mut self, number: u64, rest: Vec<u8>) -> usize {
        self.newest = self.newest.max(number);
        self.told += 1;
        rest.len()
    }
    #[message(id = 2)]
    fn put(&mut self) {
        self.put += 1;
    }
    #[message(id = 3)]
    fn heard(&self) -> (u64, u64, u64) {
        (self.newest, self.told, self.put)
    }
}

fn gauge(node: &Node) -> Ref<Gauge> {
    node.system().spawn_remote(actor_name("gauge"), SpawnOptions::default(), Gauge::default).unwrap()
}

fn counts(node: &Node) -> DatagramCounts {
    node.peers()[0].datagrams
}

/// Tells levels until they go as datagrams; gives the number of the last one.
async fn until_datagrams(far: &Ref<Gauge>, from: &Node) -> u64 {
    let mut number = 0;
    let mut ticks = rt::interval(Duration::from_millis(20));
    while counts(from).sent == 0 {
        ticks.tick().await;
        number += 1;
        far.tell_level(number, Vec::new()).unwrap();
    }
    number
}

#[test]
fn a_tell_that_may_be_lost_is_a_datagram_once_the_other_node_takes_it_so() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let there = gauge(&b);
        let far = a.actor::<Gauge>(b.name(), "gauge").unwrap();
        let mut number = until_datagrams(&far, &a).await;
        assert!(number >= 2, "the first one took its lane: nobody had said anything");
        let mut ticks = rt::interval(Duration::from_millis(10));
        while counts(&b).received < 5 {
            ticks.tick().await;
            number += 1;
            far.tell_level(number, Vec::new()).unwrap();
        }
        let (newest, told, _) = there.heard().await.unwrap();
        assert!(newest <= number && told <= number && told >= 5);
        assert_eq!(counts(&b).refused, 0);
        // The one that must arrive takes its lane, as do asks.
        let sent = counts(&a).sent;
        far.send_put().await.unwrap();
        assert_eq!(far.level(number + 1, vec![7; 3]).await, Ok(3));
        until(|| b.peers()[0].waiting == 0).await;
        assert_eq!((far.heard().await.unwrap().2, counts(&a).sent), (1, sent));
    });
}

#[test]
fn one_that_is_too_long_takes_its_lane() {
    run(|world| async move {
        let (a, b) = world.two().await;
        gauge(&b);
        let far = a.actor::<Gauge>(b.name(), "gauge").unwrap();
        until_datagrams(&far, &a).await;
        let sent = counts(&a).sent;
        far.tell_level(1_000, vec![7; DATAGRAM_MAX]).unwrap();
        // On a lane none is lost.
        while far.heard().await.unwrap().0 != 1_000 {}
        assert_eq!(counts(&a).sent, sent);
        // Beyond what may go at once, too: nothing of it is lost for that.
        let before = far.heard().await.unwrap().1;
        for number in 2_000..4_000 {
            // A lane that is full says so; it is not by the time that an answer is back on it.
            while far.tell_level(number, Vec::new()).is_err() {
                far.heard().await.unwrap();
            }
        }
        let as_datagrams = counts(&a).sent - sent;
        assert!(as_datagrams < 2_000, "{as_datagrams}");
        while far.heard().await.unwrap().1 < before + 2_000 - as_datagrams {}
    });
}

#[test]
fn datagrams_use_no_credit() {
    run(|world| async move {
        let (a, b) = world.two().await;
        gauge(&b);
        let far = a.actor::<Gauge>(b.name(), "gauge").unwrap();
        until_datagrams(&far, &a).await;
        let told = a.peers()[0].told;
        // Whatever the network loses of it: nobody waits for credit that will not come.
        for number in 0..200 {
            far.tell_level(number, vec![0; 500]).unwrap();
            rt::sleep(Duration::from_millis(5)).await;
        }
        assert!(counts(&a).sent >= 200);
        assert_eq!(a.peers()[0].told, told);
    });
}

/// A node without actors, that says what it likes.
struct Ear(mpsc::UnboundedSender<Bytes>);

impl Receiver for Ear {
    fn up(&self, _: &Peer) {}
    fn down(&self, _: &Peer, reason: &str) {
        assert!(reason.contains("this node"), "the connection ended: {reason}");
    }
    fn messages<'a>(&'a self, _: &'a Peer, _: Lane, _: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
    fn datagram(&self, _: &Peer, bytes: Bytes) {
        let _ = self.0.send(bytes);
    }
}

async fn stranger(world: &World, node: &Node) -> (Endpoint, Peer, mpsc::UnboundedReceiver<Bytes>) {
    let (host, address) = world.host();
    let config = Config::new(address, world.identity("stranger"), Incarnation(1));
    let (sender, heard) = mpsc::unbounded_channel();
    let endpoint = Endpoint::bind(&host, config, Arc::new(Ear(sender))).unwrap();
    endpoint.connect(node.name().clone(), node.address());
    let peer = endpoint.dialled(node.name()).await.unwrap();
    node.connected(&name("stranger")).await;
    (endpoint, peer, heard)
}

fn parcel(to: &'static str, id: u32, payload: &'static [u8]) -> Parcel<'static> {
    let message = playhouse::MessageId { id, version: 1 };
    Parcel { to, message, priority: Default::default(), trace: None, payload }
}

#[test]
fn what_must_not_come_as_a_datagram_is_refused_and_counted() {
    run(|world| async move {
        let b = world.node("b").await;
        let there = gauge(&b);
        let (_endpoint, peer, mut heard) = stranger(&world, &b).await;
        let nobody = Packet::Tell(parcel("nobody", 1, &[5, 0])).encode();
        let must_arrive = Packet::Tell(parcel("gauge", 2, &[])).encode();
        let a_question =
            Packet::Ask { call: playhouse_wire::CallId(1), deadline_ms: 1_000, parcel: parcel("gauge", 1, &[5, 0]) }.encode();
        for (sent, refused) in [nobody, must_arrive.clone(), a_question, b"no packet".to_vec(), Vec::new()].into_iter().zip(1..) {
            // Until it is not lost.
            while counts(&b).refused < refused {
                peer.try_send_datagram(sent.clone().into()).unwrap();
                rt::sleep(Duration::from_millis(20)).await;
            }
        }
        assert_eq!(there.heard().await.unwrap(), (0, 0, 0), "no actor was told");
        assert_eq!(counts(&b).received, 0);
        // Who sent one is told that it is not taken so: where it was, another actor may be now.
        let word = Packet::Datagrams { to: "gauge", message: parcel("gauge", 2, &[]).message, may: false }.encode();
        loop {
            playhouse::rt::select! {
                bytes = heard.recv() => if bytes.unwrap() == word { break },
                () = rt::sleep(Duration::from_millis(50)) => peer.try_send_datagram(must_arrive.clone().into()).unwrap(),
            }
        }
        // And one that it takes is taken, from the same peer.
        while there.heard().await.unwrap().0 != 5 {
            peer.try_send_datagram(Packet::Tell(parcel("gauge", 1, &[5, 0])).encode().into()).unwrap();
            rt::sleep(Duration::from_millis(20)).await;
        }
        assert!(counts(&b).received > 0);
    });
}

/// A worker node and its coordinator, as they are.
fn member(world: &World, node: &str, head: &Node, folder: &std::path::Path) -> (rt::Host, NodeConfig) {
    let (host, address) = world.host();
    let mut config = NodeConfig::new(world.identity(node), address, vec![(head.name().clone(), head.address())]);
    config.capacity = 1;
    config.checkpoints = Some(folder.join("checkpoints"));
    config.threads = 1;
    (host, config)
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("playhouse-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn beats_are_datagrams() {
    let folder = Folder::new("beats");
    run(|world| {
        let folder = folder.0.clone();
        async move {
            let (host, address) = world.host();
            let monitor = MonitorConfig { beat_every: Duration::from_millis(100), ..MonitorConfig::default() };
            let plane = PlaneConfig { monitor, workers: 1, ..PlaneConfig::default() };
            let coordinate = Coordinate { plane, ..Coordinate::new(folder.join("data")) };
            let config = NodeConfig::coordinator(world.identity("head"), address, coordinate);
            let head = Node::start(host, config).await.unwrap();
            let (host, config) = member(&world, "worker", &head, &folder);
            let worker = Node::start(host, config).await.unwrap();
            head.connected(&name("worker")).await;
            until(|| counts(&head).received >= 10).await;
            assert_eq!(counts(&head).refused, 0);
            assert!(head.traffic().unreliable_received >= 10);
            // None was lost for it, and its worker is up.
            let status = worker.client().workers_up(1).await.unwrap();
            assert_eq!(status.counters.nodes_lost, 0);
            worker.stop(Duration::ZERO).await;
            head.stop(Duration::ZERO).await;
        }
    });
}

/// As the coordinator understands it.
#[derive(Serialize, Deserialize)]
struct Join(NodeName, Incarnation, u32);
impl Message for Join {
    type Result = Result<Result<Duration, String>, (Option<NodeName>, u64)>;
}

#[derive(Serialize, Deserialize)]
struct Beat(NodeName, Incarnation, u64, Vec<(u64, u32, u32)>, Vec<u32>);
impl Message for Beat {
    type Result = ();
}

/// Never runs here: it says what the reference to a coordinator can send.
struct SeenFromOutside;
impl Actor for SeenFromOutside {
    type Context = Ctx<Self>;
}
impl Handler<Join> for SeenFromOutside {
    type Result = Result<Result<Duration, String>, (Option<NodeName>, u64)>;
    fn handle(&mut self, _: Join, _: &mut Ctx<Self>) -> Self::Result {
        Ok(Ok(Duration::ZERO))
    }
}
impl Handler<Beat> for SeenFromOutside {
    type Result = ();
    fn handle(&mut self, _: Beat, _: &mut Ctx<Self>) {}
}
impl Remote for SeenFromOutside {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Join>(playhouse::MessageId { id: 1, version: 3 }, Lane::Control);
        protocol.message_on::<Beat>(playhouse::MessageId { id: 2, version: 2 }, Lane::System);
    }
}

#[test]
fn an_older_beat_changes_nothing() {
    let folder = Folder::new("older-beat");
    run(|world| {
        let folder = folder.0.clone();
        async move {
            let (host, address) = world.host();
            let plane = PlaneConfig { workers: 0, ..PlaneConfig::default() };
            let coordinate = Coordinate { plane, ..Coordinate::new(folder.join("data")) };
            let config = NodeConfig::coordinator(world.identity("head"), address, coordinate);
            let head = Node::start(host, config).await.unwrap();
            let old = world.node("old").await;
            common::join(&old, &head).await;
            let coordinator = old.actor::<SeenFromOutside>(&name("head"), "coordinator").unwrap();
            let seen = async || head.client().status().await.unwrap().nodes[&name("old")].clone();
            // It leads by now.
            head.client().status().await.unwrap();
            coordinator.ask(Join(name("old"), old.incarnation(), 3)).await.unwrap().unwrap().unwrap();
            let mut before = seen().await.last_beat;
            for (number, is_newer) in [(7, true), (7, false), (3, false), (8, true), (1, false)] {
                rt::sleep(Duration::from_millis(1)).await;
                // It names a worker that nobody knows: a beat without news is told when the plane next wakes.
                coordinator.ask(Beat(name("old"), old.incarnation(), number, vec![], vec![9])).await.unwrap();
                // Submitted behind it: when that is agreed on, so is the beat, if it was taken at all.
                let job = Job::new("default");
                let nothing = job.value(&()).unwrap();
                head.client().submit(job, nothing).await.unwrap();
                let now = seen().await.last_beat;
                assert_eq!(now > before, is_newer, "{number}");
                before = now;
            }
            head.stop(Duration::ZERO).await;
        }
    });
}
