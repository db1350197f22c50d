//! One member of ours, as a process: a journal, a copy of the store, and two actors before it.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use playhouse::prelude::*;
use playhouse_cluster::{Called, Command, Group, Member, Profile, Replica, Scribe, Transport};
use playhouse_net::Identity;
use playhouse_plane::Machine;
use playhouse_rt::sync::{mpsc, oneshot};
use playhouse_rt::{Blocking, Host};
use playhouse_wire::Time;
use serde::{Deserialize, Serialize};

use super::load::Put;

/// The hidden sub-command.
pub(crate) const MEMBER: &str = "cluster-member";

/// Its actors: for the other members, and for clients.
const VOICE: &str = "voice";
pub(super) const DOOR: &str = "door";

/// Puts that wait for the batch that is under way, and the most that go into one.
const QUEUE: usize = 1_024;

/// The line that a member reads when it starts.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) cert: String,
    pub(super) key: String,
    pub(super) ca: String,
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    /// Those that found the group, in their order.
    pub(super) members: Vec<(String, u16)>,
    pub(super) part: Part,
}

/// What a member does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// It founds the group with the others.
    Founds,
    /// It is about to be in the group, or was.
    IsIn,
    /// It asks to be let in, and learns.
    Enters,
}

/// What the members agree on.
#[derive(Default, Serialize, Deserialize)]
struct Store(BTreeMap<Bytes, Bytes>);

impl Machine for Store {
    type Event = Put;
    type Effect = ();

    fn on(&mut self, _: Time, (key, value): Put, _: &mut Vec<()>) {
        self.0.insert(key, value);
    }

    fn tick(&mut self, _: Time, _: &mut Vec<()>) {}

    fn wakes_at(&self) -> Option<Time> {
        None
    }
}

/// Keeps no record: nor does etcd.
struct Silent;

impl Scribe<Store> for Silent {
    fn begins(&mut self, _: &Store, _: Time) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn hears(&mut self, _: &Store, _: &Put) {}

    fn tells(&mut self, _: &Store, _: Time, _: &[()]) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

type Copies = Group<Replica<Store>>;

/// Another member asks.
#[derive(Serialize, Deserialize)]
struct Question(Bytes);

impl Message for Question {
    type Result = Result<Bytes, String>;
}

/// A client wants these applied.
#[derive(Serialize, Deserialize)]
pub(super) struct Puts(pub(super) Vec<Put>);

impl Message for Puts {
    type Result = Result<(), String>;
}

/// A client asks who leads.
#[derive(Serialize, Deserialize)]
pub(super) struct WhoLeads;

impl Message for WhoLeads {
    type Result = Option<String>;
}

/// Somebody asks how many commands it has applied.
#[derive(Serialize, Deserialize)]
pub(super) struct Applied;

impl Message for Applied {
    type Result = u64;
}

struct Voice(Copies);

impl Actor for Voice {
    type Context = Ctx<Self>;
}

impl Remote for Voice {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Question>(playhouse::MessageId { id: 1, version: 1 }, playhouse::Lane::Control);
    }
}

impl Handler<Question> for Voice {
    type Result = Later<Result<Bytes, String>>;

    fn handle(&mut self, Question(question): Question, ctx: &mut Ctx<Self>) -> Self::Result {
        let (from, group) = (ctx.from().map(|from| from.node.clone()), self.0.clone());
        Later::new(async move {
            let from = from.ok_or("only other members ask")?;
            group.answer_from(&from, &question).await.map(Bytes::from)
        })
    }
}

type Waiting = (Vec<Put>, oneshot::Sender<Result<(), String>>);

pub(super) struct Door {
    group: Copies,
    queue: mpsc::Sender<Waiting>,
}

impl Actor for Door {
    type Context = Ctx<Self>;
}

impl Remote for Door {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Puts>(1).message::<WhoLeads>(2).message::<Applied>(3);
    }
}

impl Handler<Puts> for Door {
    type Result = Later<Result<(), String>>;

    fn handle(&mut self, Puts(puts): Puts, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.try_send((puts, reply)).map_err(|_| "too much waits".to_string());
        Later::new(async move {
            queued?;
            answer.await.map_err(|_| "nobody answers".to_string())?
        })
    }
}

impl Handler<WhoLeads> for Door {
    type Result = MessageResult<WhoLeads>;

    fn handle(&mut self, _: WhoLeads, _: &mut Ctx<Self>) -> MessageResult<WhoLeads> {
        MessageResult(self.group.standing().leader)
    }
}

impl Handler<Applied> for Door {
    type Result = MessageResult<Applied>;

    fn handle(&mut self, _: Applied, _: &mut Ctx<Self>) -> MessageResult<Applied> {
        MessageResult(self.group.read(Replica::applied))
    }
}

/// Has what waits agreed on, a batch at a time: as a coordinator does with the plane's events.
async fn agree(group: Copies, mut queue: mpsc::Receiver<Waiting>) {
    while let Some(first) = queue.recv().await {
        let (mut all, mut commands) = (vec![first], Vec::new());
        while all.len() < QUEUE
            && let Ok(next) = queue.try_recv()
        {
            all.push(next);
        }
        if group.read(|replica| replica.machine().is_none()) {
            commands.push((Time::ZERO, Group::begin(&Store::default())));
        }
        let (puts, replies): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        commands.extend(puts.into_iter().flatten().map(|put| (Time::ZERO, Command::Event(put))));
        let term = group.standing().term;
        let agreed = group.command(term, &commands).await.map(drop).map_err(|error| error.to_string());
        replies.into_iter().for_each(|reply| drop(reply.send(agreed.clone())));
    }
}

/// Carries the members' questions as asks.
struct Asks(Node);

impl Transport for Asks {
    fn call(&self, to: &Member, request: Vec<u8>, within: Duration) -> Called {
        let voice = NodeName::new(&to.name).ok().and_then(|name| self.0.actor::<Voice>(&name, VOICE));
        let answer = voice.map(|voice| voice.ask_within(Question(request.into()), within));
        Box::pin(async move {
            let answer = answer.ok_or("it is this member")?.await.map_err(|error| error.to_string())?;
            answer.map(|bytes| bytes.to_vec())
        })
    }
}

/// What the process does, until its standard input ends.
pub(crate) fn member_side() -> Result<(), String> {
    let mut stdin = std::io::stdin().lock();
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(|error| error.to_string())?;
    let orders: Orders = serde_json::from_str(&line).map_err(|error| format!("no orders: {error}"))?;
    let (end, ended) = oneshot::channel();
    drop(stdin);
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = end.send(());
    });
    let all = async {
        playhouse_rt::select! {
            served = serve(orders) => served,
            _ = ended => Ok(()),
        }
    };
    playhouse_rt::run(0, all).map_err(|error| error.to_string())?
}

async fn serve(orders: Orders) -> Result<(), String> {
    let identity = Identity::from_pem(&orders.cert, &orders.key, &orders.ca).map_err(|error| error.to_string())?;
    let own = identity.node().clone();
    let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let config = NodeConfig::actors(identity, address(orders.port));
    let node = Node::start(Host::os(), config).await.map_err(|error| error.to_string())?;
    let member = |(name, port): &(String, u16)| Member { name: name.clone(), address: address(*port).to_string() };
    let all: Vec<Member> = orders.members.iter().map(member).collect();
    // Those that come later dial these.
    for (name, port) in orders.members.iter().filter(|(name, _)| name != own.as_str()) {
        node.connect(NodeName::new(name).map_err(|error| error.to_string())?, address(*port));
    }
    let place = (Host::os().disk().clone(), orders.folder.join("journal.redb"), Blocking::new(2));
    let copy = Replica::new(&own, node.incarnation(), Silent, None);
    let me = member(&(own.to_string(), orders.port));
    let group = Group::join(own, Profile::FAST, place, copy, Arc::new(Asks(node.clone()))).await;
    let group = group.map_err(|error| error.to_string())?;
    let actor = |name| ActorName::new(name).map_err(|error| error.to_string());
    let options = SpawnOptions { mailbox: QUEUE, ..SpawnOptions::default() };
    let (voice, door) = (group.clone(), group.clone());
    let (queue, waiting) = mpsc::channel(QUEUE);
    let taken = |taken: playhouse_actors::NameTaken| taken.to_string();
    node.system().spawn_remote(actor(VOICE)?, options, move || Voice(voice.clone())).map_err(taken)?;
    let door = move || Door { group: door.clone(), queue: queue.clone() };
    node.system().spawn_remote(actor(DOOR)?, options, door).map_err(taken)?;
    println!("ready");
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    let part = match orders.part {
        Part::Founds => group.found(&all).await,
        Part::IsIn => Ok(()),
        Part::Enters => group.enter(me, &all, false).await,
    };
    part.map_err(|error| error.to_string())?;
    agree(group, waiting).await;
    Err("nobody has anything to agree on any more".into())
}
