//! What an actor promises, on the operating system and in the simulation: one body for both.
#![allow(missing_docs)]

mod common;

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use common::run;
use playhouse_actors::prelude::*;
use playhouse_actors::{Answers, Arrival, Origin, Outgoing, PollItems, RawItems, Route, RouteError, Watching};
use playhouse_rt::sync::oneshot;
use playhouse_wire::Incarnation;

/// Keeps a list; its messages do odd things.
#[derive(Default)]
struct Worker {
    list: Vec<u32>,
    starts: Option<Arc<AtomicU32>>,
    gate: Option<Arc<playhouse_rt::sync::Notify>>,
}

impl Actor for Worker {
    type Context = Ctx<Self>;
    fn started(&mut self, _: &mut Ctx<Self>) {
        if let Some(starts) = &self.starts {
            starts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

macro_rules! message {
    ($name:ident $(($field:ty))? => $result:ty, |$this:ident, $msg:ident, $ctx:ident| $body:expr, $kind:ty) => {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct $name $((pub $field))?;
        impl Message for $name {
            type Result = $result;
        }
        impl Handler<$name> for Worker {
            type Result = $kind;
            #[allow(unused_variables)]
            fn handle(&mut self, $msg: $name, $ctx: &mut Ctx<Self>) -> $kind {
                let $this = self;
                $body
            }
        }
    };
}

message!(Push(u32) => u32, |this, m, ctx| { this.list.push(m.0); this.list.len() as u32 }, u32);
message!(List => Vec<u32>, |this, m, ctx| MessageResult(this.list.clone()), MessageResult<List>);
message!(Boom => u32, |this, m, ctx| { this.list.push(99); panic!("boom") }, u32);
message!(Never => u32, |this, m, ctx| Later::new(std::future::pending()), Later<u32>);
message!(LateBoom => u32, |this, m, ctx| Later::new(async { playhouse_rt::sleep(Duration::from_millis(1)).await; panic!("late boom") }), Later<u32>);
message!(Twice(u32) => u32, |this, m, ctx| {
    // Async, with the state before and after the wait; no other message comes between.
    AtomicResponse::new(Box::pin(playhouse_rt::sleep(Duration::from_millis(2)).into_actor(this).map(move |(), act: &mut Worker, _| { act.list.push(m.0); 2 * m.0 })))
}, AtomicResponse<Worker, u32>);
message!(Waits => (), |this, m, ctx| {
    for n in 1..=5 {
        ctx.wait(playhouse_rt::sleep(Duration::from_millis(6 - n)).into_actor(this).map(move |(), act: &mut Worker, _| act.list.push(n as u32)));
    }
}, ());
message!(Timers => (), |this, m, ctx| {
    ctx.run_later(Duration::from_millis(3), |act, _| act.list.push(3));
    let handle = ctx.run_later(Duration::from_millis(1), |act, _| act.list.push(1));
    ctx.cancel_future(handle);
    ctx.notify_later(Push(2), Duration::from_millis(2));
}, ());
message!(Hold => (), |this, m, ctx| {
    let gate = this.gate.clone().unwrap();
    ctx.wait(async move { gate.notified().await }.into_actor(this));
}, ());
message!(WhoAsks => Option<(NodeName, u64)>, |this, m, ctx| MessageResult(ctx.from().map(|from| (from.node.clone(), from.incarnation.0))), MessageResult<WhoAsks>);
message!(Quit => (), |this, m, ctx| ctx.stop(), ());

#[test]
fn tells_come_in_order_and_asks_are_answered() {
    run(|system| async move {
        let worker = system.spawn(Worker::default);
        for n in 0..500 {
            worker.tell(Push(n)).unwrap();
        }
        assert_eq!(worker.ask(Push(500)).await, Ok(501));
        assert_eq!(worker.ask(List).await, Ok((0..=500).collect()));
        // Sent when asked, not when waited for.
        let (a, b) = (worker.ask(Twice(7)), worker.ask(Push(8)));
        assert_eq!(b.await, Ok(503));
        assert_eq!(a.await, Ok(14));
    });
}

#[test]
fn a_full_mailbox_refuses_exactly_what_is_over_its_bound() {
    run(|system| async move {
        let gate = Arc::new(playhouse_rt::sync::Notify::new());
        let of_actor = gate.clone();
        let options = SpawnOptions { mailbox: 16, ..SpawnOptions::default() };
        let worker = system.spawn_with(options, move || Worker { gate: Some(of_actor.clone()), ..Worker::default() });
        worker.ask(Hold).await.unwrap();
        // Many references, many senders: still sixteen places.
        let accepted: Vec<bool> = (0..1000).map(|n| worker.clone().tell(Push(n)).is_ok()).collect();
        assert_eq!(accepted.iter().filter(|ok| **ok).count(), 16);
        assert_eq!(worker.depth(), 16);
        let Err(TellError::Full(Push(back))) = worker.tell(Push(4711)) else { panic!("it is full") };
        assert_eq!(back, 4711, "the message comes back");
        assert_eq!(worker.ask(List).await, Err(AskError::Full));
        let waiting = worker.clone();
        let waiting = playhouse_rt::spawn(async move { waiting.tell_when_ready(Push(16)).await });
        gate.notify_one();
        waiting.await.unwrap().unwrap();
        // The one that waited took the first free place; the others may still be queued.
        while worker.depth() > 0 {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(worker.ask(List).await, Ok((0..=16).collect()));
    });
}

#[test]
fn a_panic_costs_one_message_and_the_state() {
    run(|system| async move {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = starts.clone();
        let worker = system.spawn(move || Worker { starts: Some(counted.clone()), ..Worker::default() });
        worker.tell(Push(1)).unwrap();
        let boom = worker.ask(Boom);
        let after = worker.ask(Push(2));
        assert_eq!(boom.await, Err(AskError::Panicked("boom".into())));
        assert_eq!(after.await, Ok(1), "built anew behind the same reference; what was queued is handled");
        assert_eq!(starts.load(Ordering::SeqCst), 2);
        assert_eq!((system.counters().panics, system.counters().restarts), (1, 1));
    });
}

#[test]
fn a_panic_in_an_async_handler_is_told_apart_from_all_else() {
    run(|system| async move {
        for _ in 0..50 {
            let worker = system.spawn(Worker::default);
            let (never, boom) = (worker.ask(Never), worker.ask(LateBoom));
            assert_eq!(boom.await, Err(AskError::Panicked("late boom".into())));
            assert_eq!(never.await, Err(AskError::Panicked("late boom".into())), "it was in flight when the actor panicked");
            assert_eq!(worker.ask(Push(5)).await, Ok(1));
        }
    });
}

#[test]
fn an_actor_that_panics_too_often_is_gone_with_the_reason() {
    run(|system| async move {
        let options = SpawnOptions { restart: Restart { max: 2, ..Restart::default() }, ..SpawnOptions::default() };
        let worker = system.spawn_with(options, Worker::default);
        for _ in 0..3 {
            assert!(matches!(worker.ask(Boom).await, Err(AskError::Panicked(_))));
        }
        assert_eq!(worker.ended().await, Exit::Panicked("boom".into()));
        let Err(AskError::Gone(why)) = worker.ask(List).await else { panic!("it is gone") };
        assert!(why.contains("too often") && why.contains("boom"), "{why}");
        assert!(matches!(worker.tell(Push(1)), Err(TellError::Gone(Push(1)))));
    });
}

#[test]
fn a_start_that_panics_is_a_panic_too() {
    run(|system| async move {
        let tries = Arc::new(AtomicU32::new(0));
        let counted = tries.clone();
        let worker = system.spawn(move || {
            assert!(counted.fetch_add(1, Ordering::SeqCst) >= 2, "not yet");
            Worker::default()
        });
        assert_eq!(worker.ask(Push(1)).await, Ok(1), "the message waited for a start that succeeds");
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn deadlines_are_kept_and_what_was_given_up_is_not_handled() {
    run(|system| async move {
        let gate = Arc::new(playhouse_rt::sync::Notify::new());
        let of_actor = gate.clone();
        let worker = system.spawn(move || Worker { gate: Some(of_actor.clone()), ..Worker::default() });
        worker.ask(Hold).await.unwrap();
        let began = playhouse_rt::now();
        assert_eq!(worker.ask_within(Push(1), Duration::from_millis(30)).await, Err(AskError::Timeout));
        assert!(playhouse_rt::now() - began >= Duration::from_millis(30));
        gate.notify_one();
        assert_eq!(worker.ask(List).await, Ok(vec![]), "the asker was gone");
        assert_eq!(system.counters().expired, 1);
    });
}

#[test]
fn stop_overtakes_the_mailbox_and_everyone_learns_it() {
    run(|system| async move {
        let gate = Arc::new(playhouse_rt::sync::Notify::new());
        let worker = system.spawn(move || Worker { gate: Some(gate.clone()), ..Worker::default() });
        worker.ask(Hold).await.unwrap();
        let queued = worker.ask(Push(1));
        worker.stop();
        assert_eq!(worker.ended().await, Exit::Stopped);
        assert_eq!(queued.await, Err(AskError::Gone(Exit::Stopped.to_string())));
        let other = system.spawn(Worker::default);
        other.ask(Quit).await.unwrap();
        assert_eq!(other.ended().await, Exit::Stopped);
    });
}

#[test]
fn an_actor_that_nobody_holds_ends_when_its_work_is_done() {
    struct Tick(Arc<Mutex<Vec<u32>>>, Option<oneshot::Sender<()>>);
    impl Actor for Tick {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            ctx.run_later(Duration::from_millis(5), |act, _| act.0.lock().unwrap().push(5));
        }
        fn stopped(&mut self, _: &mut Ctx<Self>) {
            self.1.take().unwrap().send(()).unwrap();
        }
    }
    run(|system| async move {
        let list = Arc::new(Mutex::new(Vec::new()));
        let (tell, end) = oneshot::channel();
        let (for_actor, mut tell) = (list.clone(), Some(tell));
        drop(system.spawn(move || Tick(for_actor.clone(), tell.take())));
        end.await.unwrap();
        assert_eq!(*list.lock().unwrap(), [5]);
    });
}

#[test]
fn waits_and_timers_keep_their_order() {
    run(|system| async move {
        let worker = system.spawn(Worker::default);
        worker.tell(Waits).unwrap();
        worker.tell(Push(6)).unwrap();
        assert_eq!(worker.ask(List).await, Ok((1..=6).collect()));
        let worker = system.spawn(Worker::default);
        worker.tell(Timers).unwrap();
        while worker.ask(List).await.unwrap().len() < 2 {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        let mut list = worker.ask(List).await.unwrap();
        // On a machine that is late by milliseconds both timers are due at once; only virtual time is never late.
        if cfg!(not(madsim)) {
            list.sort();
        }
        assert_eq!(list, [2, 3], "in order, and the cancelled one is not among them");
    });
}

#[test]
fn a_busy_actor_lets_others_of_its_thread_run() {
    struct Loop(Arc<AtomicU32>);
    impl Actor for Loop {
        type Context = Ctx<Self>;
    }
    struct Again;
    impl Message for Again {
        type Result = ();
    }
    impl Handler<Again> for Loop {
        type Result = ();
        fn handle(&mut self, _: Again, ctx: &mut Ctx<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            ctx.me().tell(Again).unwrap();
        }
    }
    run(|system| async move {
        // Two for each thread, so that a greedy one would starve its neighbour.
        let counts: Vec<_> = (0..4).map(|_| Arc::new(AtomicU32::new(0))).collect();
        let loops: Vec<_> = counts.iter().cloned().map(|count| system.spawn(move || Loop(count.clone()))).collect();
        for greedy in &loops {
            greedy.tell(Again).unwrap();
        }
        while counts.iter().any(|count| count.load(Ordering::Relaxed) < 1000) {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        loops.iter().for_each(Ref::stop);
    });
}

#[test]
fn names_belong_to_the_node_and_are_free_again_after_the_end() {
    run(|system| async move {
        let other = System::new(NodeName::new("other").unwrap(), 1).unwrap();
        let name = ActorName::new("clerk").unwrap();
        let clerk = system.spawn_named(name.clone(), SpawnOptions::default(), Worker::default).unwrap();
        assert!(system.spawn_named(name.clone(), SpawnOptions::default(), Worker::default).is_err());
        assert!(other.lookup::<Worker>("clerk").is_none(), "another node in the same process");
        system.lookup::<Worker>("clerk").unwrap().tell(Push(3)).unwrap();
        assert_eq!(clerk.ask(List).await, Ok(vec![3]));
        clerk.stop();
        clerk.ended().await;
        assert!(system.lookup::<Worker>("clerk").is_none());
        system.spawn_named(name, SpawnOptions::default(), Worker::default).unwrap();
        other.stop(Duration::from_secs(1)).await;
    });
}

impl Remote for Worker {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Push>(1).message::<List>(2).message::<Boom>(3).message::<Never>(4).message::<WhoAsks>(5);
    }
}

/// The same actor type, from a program that knows one message more and one otherwise.
struct Newer;
impl Actor for Newer {
    type Context = Ctx<Self>;
}
impl Handler<Push> for Newer {
    type Result = u32;
    fn handle(&mut self, _: Push, _: &mut Ctx<Self>) -> u32 {
        0
    }
}
impl Handler<List> for Newer {
    type Result = MessageResult<List>;
    fn handle(&mut self, _: List, _: &mut Ctx<Self>) -> MessageResult<List> {
        MessageResult(vec![])
    }
}
impl Remote for Newer {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<List>(77).message_on::<Push>(MessageId { id: 2, version: 1 }, Lane::Data);
    }
}

fn me() -> Arc<Origin> {
    Arc::new(Origin { node: NodeName::new("here").unwrap(), incarnation: Incarnation(7) })
}

/// Leads to another system in this process: what the network does, without one.
struct Loopback(System);
impl std::fmt::Debug for Loopback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loopback")
    }
}

fn arrival<'a>(from: &'a Arc<Origin>, message: &Outgoing<'a>) -> Arrival<'a> {
    let Outgoing { lane, id, priority, trace, payload, tag, .. } = *message;
    Arrival { from, lane, id, priority, trace, payload, tag }
}

struct Items(Result<Answers, AskError>, ActorName);
impl PollItems for Items {
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<bytes::Bytes, AskError>>> {
        let to = self.1.clone();
        match &mut self.0 {
            Ok(answers) => answers
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|n| n.map(Into::into).map_err(|e| AskError::from_remote(e, &to)))),
            Err(error) => Poll::Ready(Some(Err(error.clone()))),
        }
    }
}

impl Route for Loopback {
    fn node(&self) -> &NodeName {
        self.0.node()
    }
    fn tell(&self, message: &Outgoing<'_>) -> Result<(), RouteError> {
        let (from, to) = (me(), message.to.as_str());
        let _ = self.0.receive_tell(to, &self.0.door(to), &arrival(&from, message));
        Ok(())
    }
    fn ready<'a>(&'a self, _: Lane, _: &'a ActorName) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
    fn ask(
        &self,
        message: &Outgoing<'_>,
        within: Duration,
        reply: oneshot::Sender<Result<bytes::Bytes, AskError>>,
    ) -> Result<u64, RouteError> {
        let (from, to) = (me(), message.to.clone());
        let answer = self.0.receive_ask(&self.0.door(to.as_str()), &arrival(&from, message), within);
        playhouse_rt::spawn(async move {
            let answer = match answer {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            let _ = reply.send(answer.map(Into::into).map_err(|e| AskError::from_remote(e, &to)));
        });
        Ok(0)
    }
    fn cancel(&self, _: u64) {}
    fn open(&self, message: &Outgoing<'_>, within: Duration) -> Result<RawItems, RouteError> {
        let (from, to) = (me(), message.to.clone());
        let answers = self.0.receive_open(&self.0.door(to.as_str()), &arrival(&from, message), within);
        Ok(Box::pin(Items(answers.map_err(|e| AskError::from_remote(e, &to)), to)))
    }
    fn watch(&self, to: &ActorName, _: Option<&ActorName>) -> Watching {
        match self.0.door(to.as_str()) {
            Ok(door) => door.ended(),
            Err(_) => Box::pin(std::future::ready(Exit::NoActor)),
        }
    }
    fn stop(&self, to: &ActorName, exit: Exit) {
        if let Ok(door) = self.0.door(to.as_str()) {
            door.stop(exit);
        }
    }
}

#[test]
fn the_same_call_reaches_an_actor_elsewhere_and_each_failure_has_its_name() {
    run(|system| async move {
        let there = System::new(NodeName::new("there").unwrap(), 1).unwrap();
        let options = SpawnOptions { mailbox: 2, ..SpawnOptions::default() };
        there.spawn_remote(ActorName::new("worker").unwrap(), options, Worker::default).unwrap();
        let route: Arc<dyn Route> = Arc::new(Loopback(there.clone()));
        let name = |name| ActorName::new(name).unwrap();
        let worker = system.remote::<Worker>(route.clone(), name("worker"));
        worker.tell(Push(1)).unwrap();
        assert_eq!(worker.ask(Push(2)).await, Ok(2));
        assert_eq!(worker.ask(List).await, Ok(vec![1, 2]));
        assert_eq!(worker.ask(WhoAsks).await, Ok(Some((NodeName::new("here").unwrap(), 7))));
        assert_eq!(there.lookup::<Worker>("worker").unwrap().ask(WhoAsks).await, Ok(None));
        assert_eq!(worker.ask(Boom).await, Err(AskError::Panicked("boom".into())));
        assert!(matches!(worker.ask(Quit).await, Err(AskError::NotInProtocol(_))));
        assert!(matches!(worker.tell(Quit), Err(TellError::Unsendable(Quit))));
        assert_eq!(worker.ask_within(Never, Duration::from_millis(20)).await, Err(AskError::Timeout));
        let nobody = system.remote::<Worker>(route.clone(), name("nobody"));
        assert_eq!(nobody.ask(List).await, Err(AskError::NoActor(name("nobody"))));
        let newer = system.remote::<Newer>(route.clone(), name("worker"));
        assert_eq!(newer.ask(List).await, Err(AskError::NotUnderstood(MessageId { id: 77, version: 1 })));
        assert!(matches!(newer.ask(Push(300)).await, Err(AskError::Undecodable(_))), "List takes no bytes, Push has two");
        nobody.tell(Push(1)).unwrap();
        assert_eq!(there.counters().dead_letters, 1);
        there.stop(Duration::from_secs(5)).await;
        assert!(matches!(worker.ask(List).await, Err(AskError::NoActor(_) | AskError::Gone(_))));
    });
}

#[test]
fn timers_and_futures_run_however_full_the_mailbox_is_and_a_wait_has_the_actor_for_itself() {
    #[derive(Default)]
    struct Busy {
        fired: bool,
        log: Vec<&'static str>,
    }
    impl Actor for Busy {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            ctx.run_later(Duration::from_millis(5), |act, _| act.fired = true);
        }
    }
    struct Again;
    impl Message for Again {
        type Result = ();
    }
    impl Handler<Again> for Busy {
        type Result = ();
        fn handle(&mut self, _: Again, ctx: &mut Ctx<Self>) {
            if !self.fired {
                ctx.me().tell(Again).unwrap();
            }
        }
    }
    struct Note(&'static str);
    impl Message for Note {
        type Result = Vec<&'static str>;
    }
    impl Handler<Note> for Busy {
        type Result = MessageResult<Note>;
        fn handle(&mut self, note: Note, _: &mut Ctx<Self>) -> MessageResult<Note> {
            self.log.push(note.0);
            MessageResult(self.log.clone())
        }
    }
    struct WaitAndNotify;
    impl Message for WaitAndNotify {
        type Result = ();
    }
    impl Handler<WaitAndNotify> for Busy {
        type Result = ();
        fn handle(&mut self, _: WaitAndNotify, ctx: &mut Ctx<Self>) {
            ctx.notify(Note("notified"));
            ctx.run_later(Duration::from_millis(1), |act, _| act.log.push("timer"));
            ctx.wait(
                playhouse_rt::sleep(Duration::from_millis(20))
                    .into_actor(self)
                    .map(|(), act: &mut Busy, _| act.log.push("waited")),
            );
        }
    }
    run(|system| async move {
        let busy = system.spawn(Busy::default);
        busy.tell(Again).unwrap();
        busy.tell(Again).unwrap();
        // The two loops end when the timer has fired; else this would never be handled.
        let ended = async {
            while busy.depth() > 0 {
                playhouse_rt::sleep(Duration::from_millis(1)).await;
            }
        };
        playhouse_rt::timeout(Duration::from_secs(10), ended).await.unwrap();
        busy.tell(WaitAndNotify).unwrap();
        let log = busy.ask(Note("later")).await.unwrap();
        assert_eq!(log.first(), Some(&"waited"), "{log:?}");
    });
}

#[test]
fn a_stop_right_after_the_start_is_not_lost() {
    run(|system| async move {
        for _ in 0..2000 {
            let worker = system.spawn(Worker::default);
            worker.stop();
            assert_eq!(playhouse_rt::timeout(Duration::from_secs(10), worker.ended()).await, Ok(Exit::Stopped));
        }
    });
}

#[test]
fn all_that_came_in_one_batch_is_handled_without_another_message() {
    run(|system| async move {
        let way: Arc<dyn Route> = Arc::new(Loopback(system.clone()));
        let name = |name| ActorName::new(name).unwrap();
        let workers =
            ["one", "two"].map(|worker| system.spawn_remote(name(worker), SpawnOptions::default(), Worker::default).unwrap());
        for worker in &workers {
            assert_eq!(worker.ask(List).await, Ok(vec![]));
        }
        let told = |to, count| {
            let to = system.remote::<Worker>(way.clone(), name(to));
            (0..count).for_each(|n| to.tell(Push(n)).unwrap());
        };
        {
            let _reading = system.reading();
            told("one", 100);
            told("two", 1);
            // A stop that drains finds what came before it.
            told("one", 1);
            workers[0].drain();
        }
        let over =
            playhouse_rt::timeout(Duration::from_secs(10), common::until(|| workers.iter().all(|worker| worker.depth() == 0)));
        over.await.unwrap();
        assert_eq!(workers[1].ask(List).await, Ok(vec![0]));
        assert_eq!(workers[0].ended().await, Exit::Stopped);
        assert_eq!(system.counters().lost, 0);
    });
}
