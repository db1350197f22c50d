//! Our nodes: an actor on one, a reference to it on the other.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use playhouse::prelude::*;
use playhouse_net::Identity;
use playhouse_rt::{Host, timeout};
use serde::{Deserialize, Serialize};

use super::{FAR, RECORD, Wire};

pub(crate) const TELL_NOTE: &str = "mutual TLS; each record encoded, told by reference, decoded, through the bounded mailbox (16384) to its handler; an ask per 4096";
pub(crate) const ASK_NOTE: &str = "mutual TLS; Ref::ask of 64 bytes to an actor and back, with a deadline";

/// Records of a window: it ends with an ask, and two windows fit into the mailbox, so that nothing is dropped.
const WINDOW: usize = 4096;
const MAILBOX: usize = 4 * WINDOW;
const ACTOR: &str = "sink";
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts what it is told.
#[derive(Default)]
struct Sink {
    records: u64,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Record(Bytes);

/// Gives the records and bytes since the last question.
#[derive(Serialize, Deserialize)]
struct Count;

/// Gives back what it brings.
#[derive(Serialize, Deserialize)]
struct Echo(Bytes);

impl Actor for Sink {
    type Context = Ctx<Self>;
}

impl Message for Record {
    type Result = ();
}

impl Message for Count {
    type Result = (u64, u64);
}

impl Message for Echo {
    type Result = Bytes;
}

impl Handler<Record> for Sink {
    type Result = ();

    fn handle(&mut self, record: Record, _: &mut Ctx<Self>) {
        self.records += 1;
        self.bytes += record.0.len() as u64;
    }
}

impl Handler<Count> for Sink {
    type Result = MessageResult<Count>;

    fn handle(&mut self, _: Count, _: &mut Ctx<Self>) -> MessageResult<Count> {
        MessageResult((std::mem::take(&mut self.records), std::mem::take(&mut self.bytes)))
    }
}

impl Handler<Echo> for Sink {
    type Result = MessageResult<Echo>;

    fn handle(&mut self, echo: Echo, _: &mut Ctx<Self>) -> MessageResult<Echo> {
        MessageResult(echo.0)
    }
}

impl Remote for Sink {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Record>(1).message::<Count>(2).message::<Echo>(3);
    }
}

async fn node(identity: &Identity) -> Result<Node, String> {
    let mut config = NodeConfig::actors(identity.clone(), (Ipv4Addr::LOCALHOST, 0).into());
    config.threads = 1;
    Node::start(Host::os(), config).await.map_err(|e| e.to_string())
}

/// The far side's node.
pub(super) struct Server(SocketAddr);

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.0
    }
}

/// Serves until the process ends.
pub(super) fn serve(identity: &Identity) -> Result<Server, String> {
    let address = Arc::new(OnceLock::new());
    let (of_thread, identity) = (address.clone(), identity.clone());
    let (ready, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        playhouse_rt::run(0, async {
            let node = node(&identity).await?;
            let name = ActorName::new(ACTOR).map_err(|e| e.to_string())?;
            let options = SpawnOptions { mailbox: MAILBOX, ..SpawnOptions::default() };
            let _sink = node.system().spawn_remote(name, options, Sink::default).map_err(|e| e.to_string())?;
            let _pulses = super::beats::serve(&node)?;
            let _ = of_thread.set(node.address());
            let _ = ready.send(());
            std::future::pending::<Result<(), String>>().await
        })
    });
    // An error drops the sender.
    let _ = started.recv();
    address.get().copied().map(Server).ok_or_else(|| "our node does not start".to_string())
}

/// Runs `load` with a reference to the far actor.
fn with_sink<T, L>(wire: Wire, load: impl FnOnce(Ref<Sink>) -> L + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    L: Future<Output = Result<T, String>> + Send + 'static,
{
    with_node(wire, move |node| async move {
        let far = NodeName::new(FAR).map_err(|e| e.to_string())?;
        load(node.actor::<Sink>(&far, ACTOR).ok_or("the far actor should be elsewhere")?).await
    })
}

/// Runs `load` with a node that is connected to the far one.
pub(super) fn with_node<T, L>(wire: Wire, load: impl FnOnce(Node) -> L + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    L: Future<Output = Result<T, String>> + Send + 'static,
{
    let all = async move {
        let node = node(&wire.identity).await?;
        let far = NodeName::new(FAR).map_err(|e| e.to_string())?;
        timeout(PATIENCE, node.dial(far.clone(), wire.address)).await.map_err(|e| e.to_string())??;
        // On a worker of the runtime, beside the connection's own tasks.
        let result = playhouse_rt::spawn(load(node.clone())).await.map_err(|e| e.to_string())?;
        node.stop(PATIENCE).await;
        result
    };
    playhouse_rt::run(0, all).map_err(|e| e.to_string())?
}

/// As `tell`, but waits while our own lane is full.
async fn tell_patiently(sink: &Ref<Sink>, mut record: Record) -> Result<(), String> {
    loop {
        record = match sink.tell(record) {
            Ok(()) => return Ok(()),
            Err(TellError::Full(record)) => record,
            Err(other) => return Err(other.to_string()),
        };
        tokio::task::yield_now().await;
    }
}

/// Sends windows of records; while one is on its way, the next is sent.
pub(super) fn tell(wire: Wire, records: usize) -> Result<Duration, String> {
    with_sink(wire, move |sink| async move {
        let record = Bytes::from_static(&[7; RECORD]);
        sink.ask(Count).await.map_err(|e| e.to_string())?;
        let since = Instant::now();
        let (mut sent, mut arrived, mut before) = (0, (0, 0), None);
        while sent < records {
            let window = WINDOW.min(records - sent);
            for _ in 0..window {
                tell_patiently(&sink, Record(record.clone())).await?;
            }
            sent += window;
            if let Some(count) = before.replace(sink.ask_within(Count, PATIENCE)) {
                let (records, bytes) = count.await.map_err(|e| e.to_string())?;
                arrived = (arrived.0 + records, arrived.1 + bytes);
            }
        }
        if let Some(count) = before {
            let (records, bytes) = count.await.map_err(|e| e.to_string())?;
            arrived = (arrived.0 + records, arrived.1 + bytes);
        }
        let time = since.elapsed();
        let expected = (records as u64, (records * RECORD) as u64);
        if arrived == expected { Ok(time) } else { Err(format!("{arrived:?} arrived of {expected:?} records and bytes")) }
    })
}

/// Asks one at a time.
pub(super) fn ask(wire: Wire, questions: usize) -> Result<Vec<Duration>, String> {
    with_sink(wire, move |sink| async move {
        let payload = Bytes::from_static(&[7; RECORD]);
        let mut times = Vec::with_capacity(questions);
        for _ in 0..questions {
            let since = Instant::now();
            let answer = sink.ask(Echo(payload.clone())).await.map_err(|e| e.to_string())?;
            times.push(since.elapsed());
            if answer != payload {
                return Err("the echo is another".to_string());
            }
        }
        Ok(times)
    })
}
