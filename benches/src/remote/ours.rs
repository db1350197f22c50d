//! Our transport and our actors, joined by hand as a node joins them. To be replaced by the node itself: only this file knows how.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use playhouse_actors::prelude::*;
use playhouse_actors::{Route, RouteError};
use playhouse_net::{Config, Endpoint, Identity, Peer, Receiver, SendError};
use playhouse_rt::sync::oneshot;
use playhouse_rt::{Host, timeout};
use playhouse_wire::packet::{CallId, Packet};
use playhouse_wire::{Incarnation, RemoteError};
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

type Reply = oneshot::Sender<Result<Bytes, AskError>>;

/// The open asks of a connection.
#[derive(Default)]
struct Calls {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Reply>>,
}

impl Calls {
    fn open(&self, reply: Reply) -> CallId {
        let call = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(call, reply);
        CallId(call)
    }

    fn close(&self, call: CallId) -> Option<Reply> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&call.0)
    }
}

/// Hands what arrives to the actors, and answers to those who asked.
struct Desk {
    system: System,
    calls: Arc<Calls>,
}

impl Desk {
    fn ask(
        &self,
        peer: &Peer,
        lane: Lane,
        call: CallId,
        answer: Result<impl Future<Output = Answer> + Send + 'static, RemoteError>,
    ) {
        let peer = peer.clone();
        playhouse_rt::spawn(async move {
            let answer = match answer {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            let packet = match &answer {
                Ok(payload) => Packet::Reply { call, payload },
                Err(error) => Packet::Failed { call, error: error.clone() },
            };
            // When the connection is gone, so is the asker.
            let _ = peer.send(lane, packet.encode().into()).await;
        });
    }

    fn hear(&self, peer: &Peer, lane: Lane, bytes: &Bytes) {
        match Packet::decode(bytes) {
            Ok(Packet::Tell { to, message, payload }) => {
                // What is dropped is missing in the count.
                let _ = self.system.receive_tell(to, message, payload);
            }
            Ok(Packet::Ask { call, to, message, deadline_ms, payload }) => {
                let within = Duration::from_millis(deadline_ms.into());
                self.ask(peer, lane, call, self.system.receive_ask(to, message, payload, within));
            }
            Ok(Packet::Reply { call, payload }) => {
                if let Some(reply) = self.calls.close(call) {
                    let _ = reply.send(Ok(bytes.slice_ref(payload)));
                }
            }
            Ok(Packet::Failed { call, error }) => {
                if let Some(reply) = self.calls.close(call) {
                    let _ = reply.send(Err(AskError::Gone(error.to_string())));
                }
            }
            Err(error) => peer.close(&error.to_string()),
        }
    }
}

type Answer = Result<Vec<u8>, RemoteError>;

impl Receiver for Desk {
    fn up(&self, _: &Peer) {}

    fn down(&self, _: &Peer, _: &str) {}

    fn messages<'a>(&'a self, peer: &'a Peer, lane: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move { batch.iter().for_each(|bytes| self.hear(peer, lane, bytes)) })
    }
}

/// The way to the far node.
struct Road {
    peer: Peer,
    calls: Arc<Calls>,
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Road({:?})", self.peer)
    }
}

impl Road {
    fn send(&self, lane: Lane, packet: &Packet<'_>) -> Result<(), RouteError> {
        self.peer.try_send(lane, packet.encode().into()).map_err(|error| match error {
            SendError::Full(_) => RouteError::Full,
            other => RouteError::Unreachable(other.to_string()),
        })
    }
}

impl Route for Road {
    fn node(&self) -> &NodeName {
        self.peer.node()
    }

    fn tell(&self, lane: Lane, to: &ActorName, id: MessageId, payload: &[u8]) -> Result<(), RouteError> {
        self.send(lane, &Packet::Tell { to: to.as_str(), message: id, payload })
    }

    fn ask(
        &self,
        lane: Lane,
        to: &ActorName,
        id: MessageId,
        payload: &[u8],
        within: Duration,
        reply: Reply,
    ) -> Result<(), RouteError> {
        let call = self.calls.open(reply);
        let deadline_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let sent = self.send(lane, &Packet::Ask { call, to: to.as_str(), message: id, deadline_ms, payload });
        if sent.is_err() {
            self.calls.close(call);
        }
        sent
    }
}

fn bind(system: &System, identity: &Identity, incarnation: u64) -> Result<(Endpoint, Arc<Calls>), String> {
    let calls: Arc<Calls> = Arc::default();
    let desk = Desk { system: system.clone(), calls: calls.clone() };
    let config = Config::new((Ipv4Addr::LOCALHOST, 0).into(), identity.clone(), Incarnation(incarnation));
    let endpoint = Endpoint::bind(&Host::os(), config, Arc::new(desk)).map_err(|e| e.to_string())?;
    Ok((endpoint, calls))
}

fn system(identity: &Identity) -> Result<System, String> {
    System::new(identity.node().clone(), 1).map_err(|e| e.to_string())
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
            let system = system(&identity)?;
            let name = ActorName::new(ACTOR).map_err(|e| e.to_string())?;
            let options = SpawnOptions { mailbox: MAILBOX, ..SpawnOptions::default() };
            let _sink = system.spawn_remote(name, options, Sink::default).map_err(|e| e.to_string())?;
            let (endpoint, _) = bind(&system, &identity, 1)?;
            let _ = of_thread.set(endpoint.local_addr());
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
    let all = async move {
        let system = system(&wire.identity)?;
        let (endpoint, calls) = bind(&system, &wire.identity, wire.turn)?;
        let far = NodeName::new(FAR).map_err(|e| e.to_string())?;
        endpoint.connect(far.clone(), wire.address);
        let peer = timeout(PATIENCE, endpoint.connected(&far)).await;
        let peer = peer.map_err(|_| endpoint.last_error(&far).unwrap_or_else(|| "no connection".to_string()))?;
        let name = ActorName::new(ACTOR).map_err(|e| e.to_string())?;
        let sink = system.remote::<Sink>(Arc::new(Road { peer, calls }), name);
        // On a worker of the runtime, beside the connection's own tasks.
        let result = playhouse_rt::spawn(load(sink)).await.map_err(|e| e.to_string())?;
        endpoint.close("done").await;
        system.stop(PATIENCE).await;
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
