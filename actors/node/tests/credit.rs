//! A slow actor slows those who tell it something from other nodes, and nobody else; and a peer that breaks the rules is cut off.
#![allow(missing_docs)]

mod common;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use common::{World, actor_name, name, run, until};
use playhouse::prelude::*;
use playhouse::rt;
use playhouse::rt::sync::{Semaphore, mpsc};
use playhouse_net::{Config, Endpoint, Peer, Receiver};
#[cfg(not(madsim))]
use playhouse_wire::limits::TELL_TOTAL;
use playhouse_wire::limits::{STREAM_ITEMS, TELL_WEIGHT, TELL_WINDOW};
use playhouse_wire::{CallId, Incarnation, Packet, Parcel};
use serde::{Deserialize, Serialize};

/// Handles one message for each permit of its gate.
struct Slow {
    gate: Arc<Semaphore>,
    got: Vec<u64>,
}

impl Actor for Slow {
    type Context = Ctx<Self>;
}

#[derive(Serialize, Deserialize)]
struct Put(u64, Bytes);
impl Message for Put {
    type Result = ();
}
impl Handler<Put> for Slow {
    type Result = ();
    fn handle(&mut self, put: Put, ctx: &mut Ctx<Self>) {
        self.got.push(put.0);
        let gate = self.gate.clone();
        ctx.wait(async move { gate.acquire().await.unwrap().forget() }.into_actor(self));
    }
}

#[derive(Serialize, Deserialize)]
struct Got;
impl Message for Got {
    type Result = Vec<u64>;
}
impl Handler<Got> for Slow {
    type Result = MessageResult<Got>;
    fn handle(&mut self, _: Got, _: &mut Ctx<Self>) -> MessageResult<Got> {
        MessageResult(self.got.clone())
    }
}

impl Remote for Slow {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Put>(1).message::<Got>(2);
    }
}

const MAILBOX: usize = 16;
const LONG: Duration = Duration::from_secs(50);

fn sink(node: &Node, actor: &str, permits: usize) -> (Arc<Semaphore>, Ref<Slow>) {
    let gate = Arc::new(Semaphore::new(permits));
    let options = SpawnOptions { mailbox: MAILBOX, ..SpawnOptions::default() };
    let of_actor = gate.clone();
    let sink = move || Slow { gate: of_actor.clone(), got: Vec::new() };
    (gate, node.system().spawn_remote(actor_name(actor), options, sink).unwrap())
}

async fn tell_all(sink: Ref<Slow>, count: u64, length: usize) {
    let payload = Bytes::from(vec![7; length]);
    for n in 0..count {
        sink.tell_when_ready(Put(n, payload.clone())).await.unwrap();
    }
}

/// What a sink got, when it has so much.
async fn all(sink: &Ref<Slow>, count: usize) -> Vec<u64> {
    loop {
        match sink.ask(Got).await {
            Ok(got) if got.len() >= count => return got,
            Ok(_) | Err(AskError::Full) => rt::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_slow_actor_slows_its_senders_and_nobody_else() {
    run(|world| async move {
        let (a, b) = world.two().await;
        // Small ones, long ones, and ones that are longer than the window.
        for (round, (count, length)) in [(40_000, 16), (1_000, 10_000), (40, TELL_WINDOW * 3)].into_iter().enumerate() {
            // A lossy network carries less.
            let (count, length) = if cfg!(madsim) { (count / 4, length / 2) } else { (count, length) };
            if cfg!(madsim) && round == 2 {
                continue;
            }
            let (slow, quick) = (format!("slow-{round}"), format!("quick-{round}"));
            let (gate, there) = sink(&b, &slow, 0);
            sink(&b, &quick, Semaphore::MAX_PERMITS);
            let source = rt::spawn(tell_all(a.actor(b.name(), &slow).unwrap(), count, length));
            let quick = a.actor::<Slow>(b.name(), &quick).unwrap();
            // The source comes to its end of the window; others are served meanwhile, on the same lane.
            let mut n = 0;
            let most = TELL_WINDOW + TELL_WINDOW / 4 + length;
            loop {
                let (told, waiting) = (a.peers()[0].told, b.peers()[0].waiting);
                assert!(told <= most && waiting <= most, "{told} {waiting}");
                assert!(there.depth() <= MAILBOX);
                if waiting > TELL_WINDOW / 2 {
                    break;
                }
                quick.tell_when_ready(Put(n, Bytes::new())).await.unwrap();
                n += 1;
                assert_eq!(quick.ask_within(Got, LONG).await.unwrap().len() as u64, n);
            }
            // Nobody overtakes those who wait.
            let far = a.actor::<Slow>(b.name(), &slow).unwrap();
            assert_eq!(far.ask_within(Got, LONG).await, Err(AskError::Full));
            assert!(matches!(
                a.actor::<Slow>(b.name(), &slow).unwrap().tell(Put(0, vec![0; TELL_WINDOW].into())),
                Err(TellError::Full(_))
            ));
            // In its own time it gets all of them, in order.
            gate.add_permits(count as usize);
            source.await.unwrap();
            assert_eq!(all(&there, count as usize).await, (0..count).collect::<Vec<_>>());
            assert_eq!(b.counters().dead_letters, 0);
        }
    });
}

#[test]
fn several_senders_to_one_slow_actor_all_come_to_their_end() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let (gate, there) = sink(&b, "slow", 0);
        // A sender of long messages must not starve among those of short ones.
        let sources: Vec<_> = [(400, 4_000), (400, 4_000), (4, TELL_WINDOW * 2), (40, TELL_WINDOW / 2)]
            .into_iter()
            .map(|(count, length)| (count, if cfg!(madsim) { length / 16 } else { length }))
            .map(|(count, length)| rt::spawn(tell_all(a.actor(b.name(), "slow").unwrap(), count, length)))
            .collect();
        until(|| b.peers()[0].waiting > 0).await;
        gate.add_permits(1_000);
        for source in sources {
            source.await.unwrap();
        }
        assert_eq!(all(&there, 844).await.len(), 844);
    });
}

#[test]
#[cfg(not(madsim))]
fn what_waits_for_all_actors_together_is_bounded_and_no_lane_is_held_up() {
    run(|world| async move {
        let (a, b) = world.two().await;
        const SINKS: usize = 48;
        let length = 60_000;
        let count = TELL_WINDOW / length + 40;
        let sinks: Vec<_> = (0..SINKS).map(|n| sink(&b, &format!("s{n}"), 0)).collect();
        let (_gate, quick) = sink(&b, "quick", Semaphore::MAX_PERMITS);
        let sources: Vec<_> =
            (0..SINKS).map(|n| rt::spawn(tell_all(a.actor(b.name(), &format!("s{n}")).unwrap(), count as u64, length))).collect();
        let bounded = || {
            let (told, waiting) = (a.peers()[0].told, b.peers()[0].waiting);
            assert!(told <= TELL_TOTAL + 2 * length && waiting <= TELL_TOTAL + 2 * length, "{told} {waiting}");
            waiting > TELL_TOTAL / 2 && told >= TELL_TOTAL
        };
        until(bounded).await;
        // A question and its answer pass on the same lane. So does the end of an actor.
        let far = a.actor::<Slow>(b.name(), "quick").unwrap();
        assert_eq!(far.ask_within(Got, LONG).await, Ok(vec![]));
        assert!(matches!(far.tell(Put(0, Bytes::new())), Err(TellError::Full(_))));
        let ended = rt::spawn(async move { far.ended().await });
        until(|| b.peers()[0].served == 1).await;
        quick.stop();
        assert_eq!(ended.await.unwrap(), Exit::Stopped);
        assert!(bounded());
        for (gate, _) in &sinks {
            gate.add_permits(count);
        }
        for source in sources {
            source.await.unwrap();
        }
        for (_, sink) in &sinks {
            assert_eq!(all(sink, count).await, (0..count as u64).collect::<Vec<_>>());
        }
    });
}

#[test]
#[cfg(not(madsim))]
fn a_little_for_each_of_many_actors_does_not_use_up_what_all_have() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let length = TELL_WINDOW / 5;
        // Less for each than a step of granting anew, and more in all than may be under way.
        let count = TELL_TOTAL / length + 20;
        for n in 0..count {
            let (_gate, there) = sink(&b, &format!("s{n}"), Semaphore::MAX_PERMITS);
            tell_all(a.actor(b.name(), &format!("s{n}")).unwrap(), 1, length).await;
            assert_eq!(all(&there, 1).await, [0]);
        }
        assert!(a.peers()[0].told < TELL_TOTAL / 2);
    });
}

#[test]
fn who_asks_when_there_is_room_waits_for_it_here_and_there() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let (gate, there) = sink(&b, "slow", 0);
        // One is in the actor's hands, and its mailbox is full.
        for n in 0..=MAILBOX as u64 {
            there.tell_when_ready(Put(n, Bytes::new())).await.unwrap();
        }
        let far = a.actor::<Slow>(b.name(), "slow").unwrap();
        for sink in [&there, &far] {
            assert_eq!(sink.ask(Got).await, Err(AskError::Full));
            let short = Duration::from_millis(50);
            let refused = sink.ask_when_ready(Got, short).await;
            // From afar the time may be up while the question is on its way.
            let late = refused == Err(AskError::Timeout) && !std::ptr::eq(sink, &there);
            assert!(refused == Err(AskError::Full) || late, "no room came: {refused:?}");
        }
        let asked = [there.clone(), far].map(|sink| rt::spawn(async move { sink.ask_when_ready(Got, LONG).await }));
        gate.add_permits(1_000);
        for answer in asked {
            assert!(!answer.await.unwrap().unwrap().is_empty());
        }
        there.stop();
        there.ended().await;
        assert!(matches!(there.ask_when_ready(Got, LONG).await, Err(AskError::Gone(_))));
    });
}

#[cfg(not(madsim))]
mod asking {
    use super::*;

    /// Asks another one before it goes on.
    struct Asking {
        gate: Arc<Semaphore>,
        other: Ref<Slow>,
        answers: Vec<u64>,
    }

    impl Actor for Asking {
        type Context = Ctx<Self>;
    }

    impl Handler<Put> for Asking {
        type Result = Exclusive<Self, ()>;
        fn handle(&mut self, put: Put, _: &mut Ctx<Self>) -> Exclusive<Self, ()> {
            Exclusive::new(async move |me: &mut Asking, _: &mut Ctx<Asking>| {
                let _open = me.gate.acquire().await.unwrap();
                me.other.ask_within(Got, LONG).await.unwrap();
                me.answers.push(put.0);
            })
        }
    }

    impl Handler<Got> for Asking {
        type Result = MessageResult<Got>;
        fn handle(&mut self, _: Got, _: &mut Ctx<Self>) -> MessageResult<Got> {
            MessageResult(self.answers.clone())
        }
    }

    impl Remote for Asking {
        fn protocol(protocol: &mut Protocol<Self>) {
            protocol.message::<Put>(1).message::<Got>(2);
        }
    }

    #[test]
    fn actors_that_ask_their_teller_before_they_go_on_all_come_to_their_end() {
        run(|world| async move {
            let (a, b) = world.two().await;
            const ACTORS: u64 = 48;
            const EACH: u64 = 20;
            let gate = Arc::new(Semaphore::new(0));
            let asked = || Slow { gate: Arc::new(Semaphore::new(0)), got: vec![7] };
            a.system().spawn_remote(actor_name("asked"), SpawnOptions::default(), asked).unwrap();
            let mut there = Vec::new();
            let mut sources = Vec::new();
            for n in 0..ACTORS {
                let (gate, other) = (gate.clone(), b.actor::<Slow>(a.name(), "asked").unwrap());
                let actor = move || Asking { gate: gate.clone(), other: other.clone(), answers: Vec::new() };
                let options = SpawnOptions { mailbox: 4, ..SpawnOptions::default() };
                there.push(b.system().spawn_remote(actor_name(&format!("s{n}")), options, actor).unwrap());
                let far = a.actor::<Asking>(b.name(), &format!("s{n}")).unwrap();
                sources.push(rt::spawn(async move {
                    for n in 0..EACH {
                        far.tell_when_ready(Put(n, vec![0; 60_000].into())).await.unwrap();
                    }
                }));
            }
            // Their answers would lie behind all that waits.
            until(|| a.peers()[0].told >= TELL_TOTAL).await;
            gate.add_permits(Semaphore::MAX_PERMITS >> 1);
            for source in sources {
                source.await.unwrap();
            }
            for actor in there {
                until(|| actor.depth() == 0).await;
                assert_eq!(actor.ask_within(Got, LONG).await.unwrap().len() as u64, EACH);
            }
        });
    }
}

#[test]
fn what_still_waits_when_the_connection_ends_is_a_dead_letter() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let (gate, there) = sink(&b, "slow", 0);
        let far = a.actor::<Slow>(b.name(), "slow").unwrap();
        for n in 0..100 {
            far.tell(Put(n, Bytes::new())).unwrap();
        }
        // One is in the actor's hands, its mailbox is full.
        until(|| b.peers()[0].waiting == (100 - 1 - MAILBOX) * (TELL_WEIGHT + 2)).await;
        common::join(&world.node("a").await, &b).await;
        until(|| b.counters().dead_letters == (100 - 1 - MAILBOX) as u64).await;
        gate.add_permits(1_000);
        until(|| there.depth() == 0).await;
        assert_eq!(there.ask(Got).await.unwrap(), (0..=MAILBOX as u64).collect::<Vec<_>>());
    });
}

/// Hears why its connection ended.
struct Ear(mpsc::UnboundedSender<String>);

impl Receiver for Ear {
    fn up(&self, _: &Peer) {}
    fn down(&self, _: &Peer, reason: &str) {
        let _ = self.0.send(reason.to_string());
    }
    fn messages<'a>(&'a self, _: &'a Peer, _: Lane, _: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
}

async fn stranger(world: &World, node: &Node, life: u64) -> (Endpoint, Peer, mpsc::UnboundedReceiver<String>) {
    let (host, address) = world.host();
    let (sender, reasons) = mpsc::unbounded_channel();
    let config = Config::new(address, world.identity("stranger"), Incarnation(life));
    let endpoint = Endpoint::bind(&host, config, Arc::new(Ear(sender))).unwrap();
    endpoint.connect(node.name().clone(), node.address());
    let peer = endpoint.connected(node.name()).await;
    (endpoint, peer, reasons)
}

#[test]
fn a_peer_that_takes_more_than_it_was_granted_is_cut_off() {
    run(|world| async move {
        let b = world.node("b").await;
        let (_gate, _sink) = sink(&b, "slow", 0);
        let payload = playhouse_wire::encode(&Put(1, vec![7; TELL_WINDOW / 4].into())).unwrap();
        let message = MessageId { id: 1, version: 1 };
        let parcel = |to| Parcel { to, message, priority: Priority::Normal, trace: None, payload: &payload };
        let bad: [(&str, Vec<Packet<'_>>); 5] = [
            // The mailbox takes some of them before the window counts.
            ("more was told than was granted", vec![Packet::Tell(parcel("slow")); 6 + MAILBOX]),
            ("credit came for an actor that was told nothing", vec![Packet::Credit { to: "slow", lane: Lane::Data, bytes: 1 }]),
            ("two open calls had one number", vec![Packet::Watch { call: CallId(1), to: "slow", link: None }; 2]),
            ("a message was for what is no name", vec![Packet::Tell(Parcel { to: "no name", ..parcel("slow") })]),
            ("a link was from what is no name", vec![Packet::Watch { call: CallId(1), to: "slow", link: Some("\n") }]),
        ];
        for (life, (why, packets)) in bad.into_iter().enumerate() {
            let (endpoint, peer, mut reasons) = stranger(&world, &b, life as u64 + 1).await;
            for packet in packets {
                if peer.send(Lane::Data, packet.encode().into()).await.is_err() {
                    break;
                }
            }
            let reason = reasons.recv().await.unwrap();
            assert!(reason.contains(why), "{reason:?} instead of {why:?}");
            endpoint.close("done").await;
        }
        // And one that answers more than it was asked.
        let (endpoint, peer, mut reasons) = stranger(&world, &b, 100).await;
        b.connected(&name("stranger")).await;
        let asked = b.actor::<Streamer>(&name("stranger"), "any").unwrap();
        let _stream = asked.ask(Give).await.unwrap();
        for call in 0..4 {
            for _ in 0..=STREAM_ITEMS {
                let _ = peer.send(Lane::Bulk, Packet::Item { call: CallId(call), payload: b"x" }.encode().into()).await;
            }
        }
        let reason = reasons.recv().await.unwrap();
        assert!(reason.contains("more of a stream came than was granted"), "{reason:?}");
        endpoint.close("done").await;
    });
}

struct Streamer;
impl Actor for Streamer {
    type Context = Ctx<Self>;
}
#[derive(Serialize, Deserialize)]
struct Give;
impl Message for Give {
    type Result = Streaming<u64>;
}
impl Handler<Give> for Streamer {
    type Result = Streamed<u64>;
    fn handle(&mut self, _: Give, _: &mut Ctx<Self>) -> Streamed<u64> {
        Streamed::new(async |_: Sink<u64>| {})
    }
}
impl Remote for Streamer {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.stream::<Give, u64>(1);
    }
}
