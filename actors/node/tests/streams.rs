//! Many answers to one question, across nodes.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use bytes::Bytes;
use common::{actor_name, join, run, until};
use playhouse::prelude::*;
use playhouse::rt;
use playhouse_wire::limits::{STREAM_BYTES, STREAM_ITEMS};
use serde::{Deserialize, Serialize};

/// Produces items of any number and length.
#[derive(Clone, Default)]
struct Producer {
    produced: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Actor for Producer {
    type Context = Ctx<Self>;
}

#[derive(Serialize, Deserialize)]
struct Give {
    items: u64,
    length: usize,
    /// Waits for ever after so many.
    stuck_at: Option<u64>,
}
impl Message for Give {
    type Result = Streaming<Bytes>;
}

struct Ended(Arc<AtomicBool>);
impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

impl Handler<Give> for Producer {
    type Result = Streamed<Bytes>;
    fn handle(&mut self, give: Give, _: &mut Ctx<Self>) -> Streamed<Bytes> {
        let (produced, ended) = (self.produced.clone(), Ended(self.ended.clone()));
        Streamed::new(async move |mut sink: Sink<Bytes>| {
            let _ended = ended;
            for n in 0..give.items {
                if give.stuck_at == Some(n) {
                    std::future::pending::<()>().await;
                }
                if sink.send(item(n, give.length)).await.is_err() {
                    return;
                }
                produced.fetch_add(1, SeqCst);
            }
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Quit;
impl Message for Quit {
    type Result = ();
}
impl Handler<Quit> for Producer {
    type Result = ();
    fn handle(&mut self, _: Quit, ctx: &mut Ctx<Self>) {
        ctx.stop_because(Exit::Failed("it quits".into()));
    }
}

impl Remote for Producer {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.stream::<Give, Bytes>(1).message::<Quit>(2);
    }
}

/// A number, then bytes that follow from it.
fn item(n: u64, length: usize) -> Bytes {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(length.max(8), n as u8);
    bytes.into()
}

fn number(item: &Bytes) -> u64 {
    u64::from_le_bytes(item[..8].try_into().unwrap())
}

fn spawn(node: &Node, actor: &str) -> Producer {
    let producer = Producer::default();
    let of_actor = producer.clone();
    node.system().spawn_remote(actor_name(actor), SpawnOptions::default(), move || of_actor.clone()).unwrap();
    producer
}

async fn open(from: &Node, node: &Node, actor: &str, items: u64, length: usize, stuck_at: Option<u64>) -> Streaming<Bytes> {
    let producer = from.actor::<Producer>(node.name(), actor).unwrap();
    producer.ask(Give { items, length, stuck_at }).await.unwrap()
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn all_items_arrive_once_in_order_and_then_the_end() {
    run(|world| async move {
        let (a, b) = world.two().await;
        spawn(&b, "producer");
        for (items, length) in [(0, 8), (1, 8), (5_000, 8), (200, 100_000), (3, 20_000_000)] {
            let items = if cfg!(madsim) { items.min(1_000) } else { items };
            let length = if cfg!(madsim) { length.min(20_000) } else { length };
            let mut stream = open(&a, &b, "producer", items, length, None).await;
            for n in 0..items {
                let got = stream.next().await.unwrap().unwrap();
                assert!(got == item(n, length), "item {n} of {length} bytes");
            }
            assert_eq!(stream.next().await, Ok(None));
            assert_eq!(stream.next().await, Ok(None));
        }
        until(|| b.peers()[0].served == 0 && a.peers()[0].calls == 0).await;
    });
}

#[test]
fn a_large_transfer_arrives_whole() {
    run(|world| async move {
        let (a, b) = world.two().await;
        spawn(&b, "producer");
        let (length, items) = if cfg!(madsim) { (4 * 1024, 256) } else { (64 * 1024, 1024) };
        let mut stream = open(&a, &b, "producer", items, length, None).await;
        let (mut count, mut hash, mut expected) = (0, 0, 0);
        while let Some(got) = stream.next().await.unwrap() {
            hash = fnv(hash, &got);
            expected = fnv(expected, &item(count, length));
            count += 1;
        }
        assert_eq!((count, hash), (items, expected));
    });
}

#[test]
fn a_producer_is_no_further_ahead_than_the_windows() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let producer = spawn(&b, "producer");
        const BESIDE: u64 = 16 + 2; // The producer's own channel, and what is in the hands of the task between.
        for (length, window) in [(8, u64::from(STREAM_ITEMS)), (1 << 20, STREAM_BYTES as u64 >> 20)] {
            if cfg!(madsim) && length > 8 {
                continue;
            }
            producer.produced.store(0, SeqCst);
            let mut stream = open(&a, &b, "producer", 100_000, length, None).await;
            let mut taken = 0;
            for steps in [0, 1, 700, 3] {
                let steps = if length > 8 { steps.min(40) } else { steps };
                for n in taken..taken + steps {
                    assert_eq!(number(&stream.next().await.unwrap().unwrap()), n);
                }
                taken += steps;
                // It comes as far as half a window's room at least, and no further than the whole.
                until(|| producer.produced.load(SeqCst) >= taken + window / 2).await;
                for _ in 0..20 {
                    assert!(producer.produced.load(SeqCst) <= taken + window + BESIDE, "{taken} were taken");
                    rt::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    });
}

#[test]
fn the_producer_hears_that_nobody_reads_and_the_reader_that_nobody_sends() {
    run(|world| async move {
        let (a, b) = world.two().await;
        // The reader goes: with items to come, and while the producer waits for something else.
        for (actor, stuck_at) in [("busy", None), ("stuck", Some(2))] {
            let producer = spawn(&b, actor);
            let mut stream = open(&a, &b, actor, 100_000, 8, stuck_at).await;
            assert_eq!(number(&stream.next().await.unwrap().unwrap()), 0);
            assert!(!producer.ended.load(SeqCst));
            drop(stream);
            until(|| producer.ended.load(SeqCst)).await;
            until(|| b.peers()[0].served == 0 && a.peers()[0].calls == 0).await;
        }
        // The producer's actor goes.
        spawn(&b, "mortal");
        let mut stream = open(&a, &b, "mortal", 100_000, 8, Some(2)).await;
        assert_eq!(number(&stream.next().await.unwrap().unwrap()), 0);
        a.actor::<Producer>(b.name(), "mortal").unwrap().tell(Quit).unwrap();
        assert_eq!(number(&stream.next().await.unwrap().unwrap()), 1);
        assert!(matches!(stream.next().await, Err(AskError::Gone(_))));
        assert_eq!(stream.next().await, Ok(None));
        // There is none.
        let mut stream = open(&a, &b, "nobody", 1, 8, None).await;
        assert_eq!(stream.next().await, Err(AskError::NoActor(actor_name("nobody"))));
        // The connection goes.
        let producer = spawn(&b, "far");
        let mut stream = open(&a, &b, "far", 100_000, 8, Some(1)).await;
        assert_eq!(number(&stream.next().await.unwrap().unwrap()), 0);
        join(&world.node("a").await, &b).await;
        assert!(matches!(stream.next().await, Err(AskError::Unknown(_))));
        until(|| producer.ended.load(SeqCst)).await;
    });
}

/// Its answers cannot all be encoded.
struct Awkward;

impl Actor for Awkward {
    type Context = Ctx<Self>;
}

#[derive(Debug, PartialEq, Deserialize)]
struct Answer(u64);

impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != 2, "there is no two");
        serializer.serialize_u64(self.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Count;
impl Message for Count {
    type Result = Streaming<Answer>;
}
impl Handler<Count> for Awkward {
    type Result = Streamed<Answer>;
    fn handle(&mut self, _: Count, _: &mut Ctx<Self>) -> Streamed<Answer> {
        Streamed::new(async |mut sink: Sink<Answer>| {
            for n in 1..9 {
                if sink.send(Answer(n)).await.is_err() {
                    return;
                }
            }
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Say(u64);
impl Message for Say {
    type Result = Answer;
}
impl Handler<Say> for Awkward {
    type Result = MessageResult<Say>;
    fn handle(&mut self, say: Say, _: &mut Ctx<Self>) -> MessageResult<Say> {
        MessageResult(Answer(say.0))
    }
}

impl Remote for Awkward {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.stream::<Count, Answer>(1).message::<Say>(2);
    }
}

#[test]
fn a_panic_in_what_encodes_an_answer_is_an_error_for_who_asked() {
    run(|world| async move {
        let (a, b) = world.two().await;
        b.system().spawn_remote(actor_name("awkward"), SpawnOptions::default(), || Awkward).unwrap();
        let awkward = a.actor::<Awkward>(b.name(), "awkward").unwrap();
        let mut stream = awkward.ask(Count).await.unwrap();
        assert_eq!(stream.next().await, Ok(Some(Answer(1))));
        assert!(matches!(stream.next().await, Err(AskError::AnswerLost(_) | AskError::Panicked(_))));
        assert_eq!(stream.next().await, Ok(None));
        assert!(matches!(awkward.ask(Say(2)).await, Err(AskError::AnswerLost(_) | AskError::Panicked(_))));
        assert_eq!(awkward.ask(Say(3)).await, Ok(Answer(3)));
        until(|| b.peers()[0].served == 0 && a.peers()[0].calls == 0).await;
    });
}
