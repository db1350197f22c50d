//! What `#[actor]` writes: called here and from elsewhere, on the operating system and in the simulation.
//!
//! Run by `actors/node`, where the names that the macro writes are.
#![deny(missing_docs, unreachable_pub, unused, clippy::all)]

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use playhouse::prelude::*;
use playhouse::rt;
use playhouse_actors::{Answers, Arrival, Origin, Outgoing, PollItems, RawItems, Route, RouteError, Watching};
use playhouse_wire::Incarnation;

fn run<F: Future<Output = ()>>(body: impl Fn(System) -> F) {
    let system = || System::new(NodeName::new("here").unwrap(), 2).unwrap();
    #[cfg(not(madsim))]
    rt::run(2, async { body(system()).await }).unwrap();
    #[cfg(madsim)]
    for seed in 0..5 {
        rt::sim::run(seed, async { body(system()).await });
    }
}

mod counters {
    use playhouse::prelude::*;

    /// Counts.
    #[derive(Default)]
    pub(crate) struct Counter {
        pub(crate) n: u64,
    }

    /// Too much.
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Over(pub(crate) u64);

    #[playhouse::actor(remote)]
    impl Counter {
        const MOST: u64 = 100;

        /// Adds, and gives the sum.
        #[message(id = 1)]
        pub(crate) fn add(&mut self, by: u64) -> u64 {
            self.n = self.helper(by);
            self.n
        }

        #[message(id = 2)]
        pub(crate) fn get(&self) -> u64 {
            self.n
        }

        #[message(id = 3, version = 7, lane = Control)]
        pub(crate) fn take(&mut self, mut by: u64, _why: Option<String>) -> Result<u64, Over> {
            by = by.min(Self::MOST);
            self.n = self.n.checked_sub(by).ok_or(Over(by))?;
            Ok(self.n)
        }

        #[message(id = 4)]
        pub(crate) fn who(&self, ctx: &mut Ctx<Self>, r#as: String) -> (String, Option<String>) {
            (r#as, ctx.from().map(|from| from.node.to_string()))
        }

        #[message(id = 5)]
        pub(crate) async fn later(me: &Ref<Self>, millis: u64) -> u64 {
            playhouse::rt::sleep(Duration::from_millis(millis)).await;
            me.add(1).await.unwrap_or(Self::MOST)
        }

        #[message(id = 6)]
        pub(crate) async fn pure(a: u64, b: u64) -> u64 {
            a * b
        }

        /// Nothing else is handled meanwhile.
        #[message(id = 8)]
        pub(crate) async fn add_slowly(&mut self, ctx: &mut Ctx<Self>, by: u64, millis: u64) -> (u64, bool) {
            let before = self.n;
            playhouse::rt::sleep(Duration::from_millis(millis)).await;
            self.n += by;
            (self.n, self.n == before + by && ctx.me().name() == ctx.me().name())
        }

        #[message(id = 9)]
        pub(crate) fn count_to(&self, to: u64) -> Streamed<u64> {
            let from = self.n;
            Streamed::new(async move |mut sink: Sink<u64>| {
                for n in from..to {
                    if sink.send(n).await.is_err() {
                        return;
                    }
                }
            })
        }

        #[cfg(any())]
        #[message(id = 7)]
        pub(crate) fn never(&mut self, of: NoSuchType) {}

        fn helper(&self, by: u64) -> u64 {
            (self.n + by).min(Self::MOST)
        }
    }
}
use counters::{Counter, CounterAdd, CounterGet, CounterRef, Over};

#[test]
fn a_reference_has_the_methods_of_its_actor() {
    run(|system| async move {
        let counter = system.spawn(Counter::default);
        assert_eq!(counter.add(5).await, Ok(5));
        counter.tell_add(2).unwrap();
        assert_eq!(counter.get().await, Ok(7));
        assert_eq!(counter.take(8, None).await, Ok(Err(Over(8))));
        assert_eq!(counter.take(3, Some("rent".into())).await, Ok(Ok(4)));
        assert_eq!(counter.who("me".into()).await, Ok(("me".to_string(), None)));
        assert_eq!(counter.ask_within(CounterAdd { by: 1 }, Duration::from_secs(1)).await, Ok(5));
        assert_eq!(counter.add(1000).await, Ok(100), "a method without an attribute is as it was");
        counter.stop();
        counter.ended().await;
        let Err(TellError::Gone(CounterAdd { by })) = counter.tell_add(9) else { panic!("it is gone") };
        assert_eq!(by, 9, "the message comes back");
    });
}

#[test]
fn an_ask_is_sent_before_it_is_waited_for_and_async_methods_let_others_in() {
    run(|system| async move {
        let counter = system.spawn(Counter::default);
        let (later, add) = (counter.later(20), counter.add(5));
        assert_eq!(add.await, Ok(5));
        assert_eq!(later.await, Ok(6), "the other came between");
        assert_eq!(counter.pure(6, 7).await, Ok(42));
    });
}

#[test]
fn an_async_method_with_self_has_the_actor_for_itself() {
    run(|system| async move {
        let counter = system.spawn(Counter::default);
        let (slow, add) = (counter.add_slowly(1, 20), counter.add(5));
        assert_eq!(slow.await, Ok((1, true)));
        assert_eq!(add.await, Ok(6), "it came after");
    });
}

/// Passes when it may.
struct Gate(u32);

#[actor]
impl Gate {
    #[message]
    async fn pass(&mut self, begun: rt::sync::oneshot::Sender<()>, go: rt::sync::oneshot::Receiver<()>) -> u32 {
        begun.send(()).unwrap();
        let _ = go.await;
        self.0 += 1;
        self.0
    }

    #[message]
    fn passed(&self) -> u32 {
        self.0
    }
}

#[test]
fn what_has_begun_runs_to_its_end_and_what_has_not_is_dropped_with_its_ask() {
    run(|system| async move {
        let gate = system.spawn(|| Gate(0));
        let (begun, has_begun) = rt::sync::oneshot::channel();
        let (go, may_go) = rt::sync::oneshot::channel();
        let at_work = gate.pass(begun, may_go);
        has_begun.await.unwrap();
        let (begun, has_begun) = rt::sync::oneshot::channel();
        let in_mailbox = gate.pass(begun, rt::sync::oneshot::channel().1);
        let passed = gate.passed();
        drop((at_work, in_mailbox));
        go.send(()).unwrap();
        assert_eq!(passed.await, Ok(1), "after the first, and without the second");
        assert!(has_begun.await.is_err());
    });
}

#[test]
fn a_deadline_of_its_own_and_a_send_that_waits_for_room() {
    run(|system| async move {
        let small = SpawnOptions { mailbox: 1, ..SpawnOptions::default() };
        let counter = system.spawn_with(small, Counter::default);
        let late = counter.later(60_000).within(Duration::from_millis(5));
        assert_eq!(late.await, Err(AskError::Timeout));
        let slow = counter.add_slowly(1, 5);
        let sent = async {
            for _ in 0..20 {
                counter.send_add(1).await.unwrap();
            }
        };
        // The future may go to another thread.
        fn can_travel<T: Send>(of: T) -> T {
            of
        }
        can_travel(sent).await;
        assert_eq!(slow.await, Ok((1, true)));
        while counter.depth() > 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(counter.get().await, Ok(21));
        counter.stop();
        counter.ended().await;
        let Err(TellError::Gone(CounterAdd { by })) = counter.send_add(9).await else { panic!("it is gone") };
        assert_eq!(by, 9);
    });
}

#[test]
fn a_method_answers_with_a_stream() {
    run(|system| async move {
        let counter = system.spawn(|| Counter { n: 97 });
        assert_eq!(counter.count_to(100).await.unwrap().collect().await, Ok(vec![97, 98, 99]));
        let mut endless = counter.count_to(u64::MAX).await.unwrap();
        assert_eq!(endless.next().await, Ok(Some(97)));
        drop(endless);
        // The producer has ended, so nothing keeps the actor when its last reference goes.
        let ears = system.spawn(|| Ears);
        let (say, heard) = rt::sync::oneshot::channel();
        ears.hear(counter, say).await.unwrap();
        assert_eq!(rt::timeout(Duration::from_secs(5), heard).await.unwrap(), Ok(Exit::Unreferenced));
    });
}

/// Hears of the end of another, without a reference that would keep it.
struct Ears;

#[actor]
impl Ears {
    #[message]
    fn hear(&self, ctx: &mut Ctx<Self>, of: Ref<Counter>, say: rt::sync::oneshot::Sender<Exit>) {
        ctx.watch(&of, |_, down, _| say.send(down.exit).unwrap());
    }
}

#[test]
fn urgent_messages_are_handled_first() {
    type Log = Arc<Mutex<Vec<&'static str>>>;
    struct Desk(Log);

    #[actor]
    impl Desk {
        #[message]
        async fn hold(&mut self, until: rt::sync::oneshot::Receiver<()>) {
            let _ = until.await;
        }
        #[message]
        fn file(&self) {
            self.0.lock().unwrap().push("file");
        }
        #[message(priority = Low)]
        fn dust(&self) {
            self.0.lock().unwrap().push("dust");
        }
        #[message(priority = High, clone)]
        fn alarm(&self) {
            self.0.lock().unwrap().push("alarm");
        }
    }
    run(|system| async move {
        let log = Log::default();
        let of_actor = log.clone();
        let desk = system.spawn(move || Desk(of_actor.clone()));
        let (go, until) = rt::sync::oneshot::channel();
        let held = desk.hold(until);
        // By hand it is as urgent as any other.
        let all = (desk.dust(), desk.ask(DeskAlarm.clone()), desk.file(), desk.alarm());
        desk.send_alarm().await.unwrap();
        desk.tell_alarm().unwrap();
        go.send(()).unwrap();
        held.await.unwrap();
        all.0.await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["alarm", "alarm", "alarm", "alarm", "file", "dust"]);
    });
}

#[test]
fn a_start_may_fail_and_may_take_its_time() {
    #[derive(Clone, Default)]
    struct Tries(Arc<Mutex<u32>>);
    struct Shop {
        tries: Tries,
        open: bool,
    }

    #[actor]
    impl Shop {
        #[started]
        async fn open(&mut self, ctx: &mut Ctx<Self>) -> Result<(), String> {
            rt::sleep(Duration::from_millis(1)).await;
            let tries = {
                let mut tries = self.tries.0.lock().unwrap();
                *tries += 1;
                *tries
            };
            if tries < 3 {
                return Err(format!("{} has no key, try {tries}", ctx.me().name()));
            }
            self.open = true;
            Ok(())
        }
        #[message]
        fn is_open(&self) -> bool {
            self.open
        }
    }

    struct Closed;
    #[actor]
    impl Closed {
        #[started]
        fn open(&mut self) -> Result<(), &'static str> {
            Err("no key")
        }
        #[message]
        fn is_open(&self) {}
    }
    run(|system| async move {
        let tries = Tries::default();
        let of_actor = tries.clone();
        let shop = system.spawn(move || Shop { tries: of_actor.clone(), open: false });
        assert_eq!(shop.is_open().await, Ok(true), "the question waited for a start that succeeded");
        assert_eq!(*tries.0.lock().unwrap(), 3);

        let never = SpawnOptions { restart: Restart::NEVER, ..SpawnOptions::default() };
        let closed = system.spawn_with(never, || Closed);
        assert_eq!(closed.ended().await, Exit::Failed("no key".into()));
        assert!(matches!(closed.is_open().await, Err(AskError::Gone(_))));
    });
}

fn me() -> Arc<Origin> {
    Arc::new(Origin { node: NodeName::new("here").unwrap(), incarnation: Incarnation(7) })
}

/// Leads to another system in this process.
#[derive(Debug)]
struct Loopback(System);
impl Route for Loopback {
    fn node(&self) -> &NodeName {
        self.0.node()
    }
    fn tell(&self, message: &Outgoing<'_>) -> Result<(), RouteError> {
        let to = message.to.as_str();
        self.0.receive_tell(to, &self.0.door(to), &arrival(message, &me())).unwrap();
        Ok(())
    }
    fn ready<'a>(&'a self, _: Lane, _: &'a ActorName) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
    fn ask(
        &self,
        message: &Outgoing<'_>,
        within: Duration,
        reply: rt::sync::oneshot::Sender<Result<bytes::Bytes, AskError>>,
    ) -> Result<u64, RouteError> {
        let answer = self.0.receive_ask(&self.0.door(message.to.as_str()), &arrival(message, &me()), within).unwrap();
        rt::spawn(async move { reply.send(answer.await.map(Into::into).map_err(|_| AskError::Timeout)).unwrap() });
        Ok(0)
    }
    fn cancel(&self, _: u64) {}
    fn open(&self, message: &Outgoing<'_>, within: Duration) -> Result<RawItems, RouteError> {
        let answers = self.0.receive_open(&self.0.door(message.to.as_str()), &arrival(message, &me()), within).unwrap();
        Ok(Box::pin(Items(answers)))
    }
    fn watch(&self, _: &ActorName, _: Option<&ActorName>) -> Watching {
        Box::pin(std::future::pending())
    }
    fn stop(&self, _: &ActorName, _: Exit) {}
}

struct Items(Answers);
impl PollItems for Items {
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<bytes::Bytes, AskError>>> {
        let item = std::task::ready!(self.0.as_mut().poll_next(cx));
        Poll::Ready(item.map(|item| item.map(Into::into).map_err(|error| AskError::Unknown(error.to_string()))))
    }
}

fn arrival<'a>(message: &Outgoing<'a>, from: &'a Arc<Origin>) -> Arrival<'a> {
    let Outgoing { lane, id, priority, trace, payload, tag, .. } = *message;
    Arrival { from, lane, id, priority, trace, payload, tag }
}

#[test]
fn the_same_calls_reach_an_actor_elsewhere() {
    run(|system| async move {
        let there = System::new(NodeName::new("there").unwrap(), 1).unwrap();
        let name = ActorName::new("counter").unwrap();
        there.spawn_remote(name.clone(), SpawnOptions::default(), Counter::default).unwrap();
        let counter = system.remote::<Counter>(Arc::new(Loopback(there.clone())), name);
        counter.tell_add(5).unwrap();
        assert_eq!(counter.add(2).await, Ok(7));
        assert_eq!(counter.take(8, Some("rent".into())).await, Ok(Err(Over(8))));
        assert_eq!(counter.who("x".into()).await, Ok(("x".to_string(), Some("here".to_string()))));
        assert_eq!(counter.later(1).await, Ok(8));
        assert_eq!(counter.ask(CounterGet).await, Ok(8));
        assert_eq!(counter.count_to(11).await.unwrap().collect().await, Ok(vec![8, 9, 10]));
        assert_eq!(counter.add_slowly(2, 1).await, Ok((10, true)));
        counter.send_add(1).await.unwrap();
        assert_eq!(counter.get().await, Ok(11));
    });
}

#[test]
fn each_message_has_its_number_its_version_and_its_lane() {
    run(|system| async move {
        let name = ActorName::new("counter").unwrap();
        system.spawn_remote(name, SpawnOptions::default(), || Counter { n: 3 }).unwrap();
        let payload = playhouse_wire::encode(&(1u64, None::<String>)).unwrap();
        let ask = |id, version, lane| {
            let id = MessageId { id, version };
            let answer = system.receive_ask(
                &system.door("counter"),
                &Arrival {
                    from: &me(),
                    lane,
                    id,
                    priority: Priority::Normal,
                    trace: None,
                    payload: &payload,
                    tag: Default::default(),
                },
                Duration::from_secs(1),
            );
            async { answer?.await }
        };
        let answer = ask(3, 7, Lane::Control).await.unwrap();
        assert_eq!(playhouse_wire::decode::<Result<u64, Over>>(&answer).unwrap(), Ok(2));
        for (id, version, lane) in [(3, 1, Lane::Control), (3, 7, Lane::Data), (7, 1, Lane::Data), (9, 1, Lane::Bulk)] {
            assert!(ask(id, version, lane).await.is_err(), "{id} {version} {lane:?}");
        }
        // A stream is on the bulk lane unless its author says otherwise.
        for (lane, opens) in [(Lane::Bulk, true), (Lane::Data, false)] {
            let (id, payload) = (MessageId { id: 9, version: 1 }, &playhouse_wire::encode(&4u64).unwrap());
            let arrival =
                Arrival { from: &me(), lane, id, priority: Priority::Normal, trace: None, payload, tag: Default::default() };
            assert_eq!(system.receive_open(&system.door("counter"), &arrival, Duration::from_secs(1)).is_ok(), opens);
        }
    });
}

#[test]
fn the_steps_of_a_life_are_called() {
    type Log = Arc<Mutex<Vec<&'static str>>>;
    struct Player(Log, bool);

    // In a function's body, too, nothing is looked for in other places.
    #[actor]
    impl Player {
        #[started]
        fn enter(&mut self, ctx: &mut Ctx<Self>) {
            self.note("started");
            ctx.run_later(Duration::from_millis(1), |player, _| player.note("timer"));
        }
        #[stopping]
        fn stopping(&mut self) -> Running {
            self.note("stopping");
            self.1 = !self.1;
            if self.1 { Running::Continue } else { Running::Stop }
        }
        #[stopped]
        fn leave(&mut self) {
            self.note("stopped");
        }
        #[message]
        fn quit(&mut self, ctx: &mut Ctx<Self>) {
            ctx.stop();
        }
        fn note(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }
    run(|system| async move {
        let log = Log::default();
        let of_actor = log.clone();
        let player = system.spawn(move || Player(of_actor.clone(), false));
        rt::sleep(Duration::from_millis(30)).await;
        player.quit().await.unwrap();
        player.tell_quit().unwrap();
        player.ended().await;
        assert_eq!(*log.lock().unwrap(), ["started", "timer", "stopping", "stopping", "stopped"]);
    });
}

/// Answers that come later, in each of their forms, with types that are named through `Self`.
struct Slow<T>(Vec<T>);

/// Something with a type inside.
trait Unit {
    type Of;
}
impl Unit for Slow<u8> {
    type Of = u8;
}

#[actor(no_actor_impl, reference = SlowCalls)]
impl Slow<u8> {
    #[message(name = Push)]
    fn push(&mut self, item: <Self as Unit>::Of) -> usize {
        self.0.push(item);
        self.0.len()
    }

    #[message]
    fn later(&mut self, text: &'static str) -> Later<usize> {
        Later::new(async move { text.len() })
    }

    #[message]
    fn between(&mut self) -> ResponseActFuture<Self, usize> {
        Box::pin(rt::sleep(Duration::from_millis(20)).into_actor(self).map(|(), slow, _| slow.0.len()))
    }

    #[message]
    fn alone(&mut self) -> AtomicResponse<Self, Vec<<Self as Unit>::Of>> {
        AtomicResponse::new(Box::pin(rt::sleep(Duration::from_millis(20)).into_actor(self).map(|(), slow, _| slow.0.clone())))
    }
}

/// A second block, with the actor's own impl and messages of its own.
#[actor(reference = SlowInside)]
impl Slow<u8> {
    #[message]
    fn clear(&mut self) {
        self.0.clear();
    }
}

#[test]
fn what_comes_later_lets_in_whom_its_type_says() {
    run(|system| async move {
        let slow = system.spawn(|| Slow(Vec::new()));
        assert_eq!(slow.later("abc").await, Ok(3));
        let (between, push) = (slow.between(), slow.push(1));
        assert_eq!(push.await, Ok(1));
        assert_eq!(between.await, Ok(1), "the push came between");
        let (alone, push) = (slow.alone(), slow.ask(Push { item: 2 }));
        assert_eq!(push.await, Ok(2));
        assert_eq!(alone.await, Ok(vec![1]), "the push came after");
        slow.tell_clear().unwrap();
        assert_eq!(slow.push(3).await, Ok(1));
    });
}
