//! The language of the stories.

mod parse;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use playhouse_plane::{
    Feed, Fence, JobId, JobKey, Machine, Payload, Plane, PlaneConfig, PlaneEffect, PlaneEvent, Quota, RequestId, Shard, ShardId,
    ShardState, TaskOutput, TenantId, WorkerId,
};
use playhouse_wire::{Incarnation, NodeName, Time};

const BEAT: Duration = Duration::from_millis(500);

/// A plane, and a world that does nothing but what it is told to.
pub(crate) struct Story {
    plane: Plane,
    now: Time,
    requests: u64,
    /// Workers come up, and go down, as soon as they are told to.
    auto: bool,
    /// Who beats by itself.
    beats: BTreeSet<NodeName>,
    incarnations: BTreeMap<NodeName, Incarnation>,
    dispatched: BTreeMap<Fence, WorkerId>,
    shards: BTreeMap<ShardId, Owner>,
    durable: BTreeMap<ShardId, ShardState>,
}

/// What the latest effects say about a shard, and the real shard behind them.
struct Owner {
    epoch: u32,
    shard: Shard,
    feed: Option<Feed>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self {
            plane: Plane::new(PlaneConfig::default()),
            now: Time::ZERO,
            requests: 0,
            auto: false,
            beats: BTreeSet::new(),
            incarnations: BTreeMap::new(),
            dispatched: BTreeMap::new(),
            shards: BTreeMap::new(),
            durable: BTreeMap::new(),
        }
    }

    /// Does what one line says; what comes of it goes to `out`.
    pub(crate) fn command(&mut self, line: &str, out: &mut Vec<String>) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = || words[2..].join(" ");
        match words[0] {
            // config workers=2 slots=2 queued=3
            "config" => {
                let number = |name| parse::option(&words, name).map(parse::number);
                let mut config = PlaneConfig::default();
                config.workers = number("workers").unwrap_or(config.workers);
                let quota = Quota { slots: number("slots").unwrap_or(100), queued: number("queued").unwrap_or(100) };
                config.tenants = [(TenantId("default".into()), quota)].into();
                self.plane = Plane::new(config);
            }
            // auto: from here on workers come up and go down as soon as they are told to
            "auto" => self.auto = true,
            // node NAME[#LIFE] CAPACITY: it joins, and beats from here on
            "node" => {
                let (node, incarnation) = parse::node(words[1]);
                self.incarnations.insert(node.clone(), incarnation);
                self.beats.insert(node.clone());
                self.tell(PlaneEvent::NodeUp { node, incarnation, capacity: parse::number(words[2]) }, out);
            }
            // silent NAME; beats NAME
            "silent" => assert!(self.beats.remove(&parse::name(words[1]))),
            "beats" => assert!(self.beats.insert(parse::name(words[1]))),
            // beat NAME[#LIFE] [tasks=..] [workers=..]: once; by default it says what the plane believes
            "beat" => {
                let (node, incarnation) = parse::node(words[1]);
                let mut beat = self.beat(&node, incarnation);
                if let PlaneEvent::Heartbeat { running, workers, .. } = &mut beat {
                    parse::option(&words, "tasks").into_iter().for_each(|list| *running = parse::list(list, parse::fence));
                    parse::option(&words, "workers").into_iter().for_each(|list| *workers = parse::list(list, parse::number));
                }
                self.tell(beat, out);
            }
            // linkdown NAME[#LIFE]
            "linkdown" => {
                let (node, incarnation) = parse::node(words[1]);
                self.tell(PlaneEvent::LinkDown { node, incarnation }, out);
            }
            // drains NAME[#LIFE]; leaves NAME[#LIFE]: with a beat no more
            "drains" => {
                let (node, incarnation) = parse::node(words[1]);
                self.tell(PlaneEvent::NodeDrains { node, incarnation }, out);
            }
            "leaves" => {
                let (node, incarnation) = parse::node(words[1]);
                self.beats.remove(&node);
                self.tell(PlaneEvent::NodeLeaves { node, incarnation }, out);
            }
            // tookover: another leader applies from here on
            "tookover" => self.tell(PlaneEvent::TookOver, out),
            // up WORKER; down WORKER REASON
            "up" => self.tell(PlaneEvent::WorkerUp { id: parse::worker(words[1]) }, out),
            "down" => self.tell(PlaneEvent::WorkerDown { id: parse::worker(words[1]), reason: rest() }, out),
            // submit CLIENT:NUMBER [tenant=..] [attempts=..] [stream=SHARDSxWINDOW] [out=TASK,..] FUNCTION[(TASK,..)][@FLOOR] ..
            "submit" => {
                self.requests += 1;
                let (client, number) = words[1].split_once(':').expect("CLIENT:NUMBER");
                let key = JobKey { client: client.into(), number: parse::number(number) };
                self.tell(PlaneEvent::Submit { request: RequestId(self.requests), key, spec: parse::job(&words[2..]) }, out);
            }
            // done FENCE [events=TIME:KEY:VALUE,..]; fail FENCE REASON; undelivered FENCE
            "done" => {
                let fence = parse::fence(words[1]);
                let events = parse::option(&words, "events").map(|list| parse::list(list, parse::event)).unwrap_or_default();
                let values = vec![Payload::from(fence.to_string().into_bytes())];
                let worker = self.dispatched[&fence].clone();
                self.tell(PlaneEvent::TaskDone { fence, worker, outcome: Ok(TaskOutput { values, events }) }, out);
            }
            "fail" => {
                let fence = parse::fence(words[1]);
                let worker = self.dispatched[&fence].clone();
                self.tell(PlaneEvent::TaskDone { fence, worker, outcome: Err(rest()) }, out);
            }
            "undelivered" => {
                let fence = parse::fence(words[1]);
                let worker = self.dispatched[&fence].clone();
                self.tell(PlaneEvent::DispatchFailed { fence, worker, reason: "unreachable".into() }, out);
            }
            // opened SHARD: its owner restores it and says so
            "opened" => {
                let shard = parse::shard(words[1]);
                let owner = &self.shards[&shard];
                self.tell(PlaneEvent::ShardOpened { shard, epoch: owner.epoch, seq: owner.shard.seq() }, out);
            }
            // fed SHARD [checkpoint|dies]: its owner applies the latest feed; writes a checkpoint, due or not; or dies before it
            // writes or answers anything
            "fed" => self.fed(&words, out),
            // shardfail SHARD REASON
            "shardfail" => {
                let shard = parse::shard(words[1]);
                let epoch = self.shards[&shard].epoch;
                self.tell(PlaneEvent::ShardFailed { shard, epoch, reason: rest() }, out);
            }
            // tick DURATION: time passes, with everything that is due in it
            "tick" => self.pass(parse::duration(words[1]), out),
            // claim NAME[#LIFE] TICKET:NAME,..; keep NAME[#LIFE] NUMBER UPTO [TICKET,..]; release NAME[#LIFE] TICKET,..
            "claim" => {
                let (node, incarnation) = parse::node(words[1]);
                let claim = |word: &str| word.split_once(':').map(|(ticket, name)| (parse::number(ticket), name.into()));
                let claims: Vec<(u64, String)> = parse::list(words[2], |word| claim(word).expect("TICKET:NAME"));
                let (address, asked) = (format!("{node}:1"), claims.clone());
                self.tell(PlaneEvent::ClaimNames { node: node.clone(), incarnation, address, claims }, out);
                out.extend(
                    asked
                        .iter()
                        .map(|(ticket, name)| show::claimed(name, &self.plane.claimed(&node, incarnation, *ticket, name))),
                );
            }
            "keep" => {
                let (node, incarnation) = parse::node(words[1]);
                let (number, upto) = (parse::number(words[2]), parse::number(words[3]));
                let tickets = parse::list(words.get(4).unwrap_or(&""), parse::number);
                self.tell(PlaneEvent::KeepNames { node: node.clone(), incarnation, number, upto, tickets }, out);
                out.push(format!("{node}{incarnation} holds {:?}", self.plane.tickets(&node, incarnation)));
            }
            "release" => {
                let (node, incarnation) = parse::node(words[1]);
                self.tell(PlaneEvent::ReleaseNames { node, incarnation, tickets: parse::list(words[2], parse::number) }, out);
            }
            "names" => {
                let prefix = words.get(1).unwrap_or(&"");
                out.extend(
                    self.plane.names(prefix).map(|(name, o)| format!("{name}: {}{} fence {}", o.node, o.incarnation, o.fence)),
                );
            }
            // Questions.
            "status" => out.push(show::status(&self.plane.job_status(JobId(parse::number(words[1]))))),
            "result" => out.push(format!("{:?}", self.plane.result(JobId(parse::number(words[1]))))),
            "windows" => out.extend(self.plane.windows(JobId(parse::number(words[1]))).iter().flatten().map(show::window)),
            "nodes" => out.extend(self.plane.nodes().iter().map(|(name, n)| format!("{name}{} {:?}", n.incarnation, n.state))),
            "workers" => out.extend(self.plane.workers().iter().map(show::worker)),
            "counters" => out.push(format!("{:?}", self.plane.counters())),
            other => panic!("there is no command {other:?}"),
        }
    }

    fn fed(&mut self, words: &[&str], out: &mut Vec<String>) {
        let shard = parse::shard(words[1]);
        let owner = self.shards.get_mut(&shard).expect("it was opened");
        let feed = owner.feed.take().expect("it was fed");
        let wanted = owner.shard.feed(&feed).expect("no gap");
        if words.contains(&"dies") {
            return;
        }
        if let Some(state) = wanted.or_else(|| words.contains(&"checkpoint").then(|| owner.shard.state().clone())) {
            owner.shard.checkpointed(state.seq);
            self.durable.insert(shard, state);
        }
        let (epoch, reply) = (owner.epoch, owner.shard.reply());
        self.tell(PlaneEvent::ShardFed { shard, epoch, reply }, out);
    }

    fn pass(&mut self, time: Duration, out: &mut Vec<String>) {
        let target = self.now + time;
        loop {
            let beat = Time::from_nanos((self.now.as_nanos() / BEAT.as_nanos() as u64 + 1) * BEAT.as_nanos() as u64);
            let due = self.plane.wakes_at().unwrap_or(Time::MAX);
            if beat.min(due) > target {
                break;
            }
            self.now = self.now.max(beat.min(due));
            // A beat that is due at the same moment as its absence is heard first.
            if beat <= self.now {
                for node in self.beats.clone() {
                    self.tell(self.beat(&node, self.incarnations[&node]), out);
                }
            }
            let mut effects = Vec::new();
            self.plane.tick(self.now, &mut effects);
            self.absorb(effects, out);
        }
        self.now = target;
    }

    /// A heartbeat that says what the plane believes.
    fn beat(&self, node: &NodeName, incarnation: Incarnation) -> PlaneEvent {
        let here = |id: &WorkerId| id.node == *node && id.incarnation == incarnation;
        let workers: Vec<_> = self.plane.workers().into_iter().filter(|w| w.up && here(&w.id)).collect();
        let running = workers.iter().filter_map(|w| w.task).collect();
        PlaneEvent::Heartbeat { node: node.clone(), incarnation, running, workers: workers.iter().map(|w| w.id.number).collect() }
    }

    fn tell(&mut self, event: PlaneEvent, out: &mut Vec<String>) {
        let mut effects = Vec::new();
        self.plane.on(self.now, event, &mut effects);
        self.absorb(effects, out);
    }

    fn absorb(&mut self, effects: Vec<PlaneEffect>, out: &mut Vec<String>) {
        for effect in effects {
            out.push(format!("{:.3}s {}", self.now.as_millis() as f64 / 1000.0, show::effect(&effect)));
            match effect {
                PlaneEffect::Dispatch { worker, fence, .. } => {
                    self.dispatched.insert(fence, worker);
                }
                PlaneEffect::OpenShard { shard, epoch, window, .. } => {
                    let state = self.durable.get(&shard).cloned().unwrap_or_default();
                    self.shards.insert(shard, Owner { epoch, shard: Shard::restore(window, state), feed: None });
                }
                PlaneEffect::Feed { shard, feed, .. } => self.shards.get_mut(&shard).expect("it was opened").feed = Some(feed),
                PlaneEffect::StartWorker { id } if self.auto => self.tell(PlaneEvent::WorkerUp { id }, out),
                PlaneEffect::StopWorker { id } if self.auto => {
                    self.tell(PlaneEvent::WorkerDown { id, reason: "stopped".into() }, out);
                }
                _ => {}
            }
        }
    }
}
