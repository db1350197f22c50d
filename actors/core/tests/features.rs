//! Policies, priorities, async handlers, streams, watches, groups and shutdown, on the operating system and in the simulation.
#![allow(missing_docs)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::{run, until};
use playhouse_actors::Letter;
use playhouse_actors::prelude::*;
use playhouse_rt::sync::{Notify, oneshot};

/// Keeps what it was told; its gate holds it up.
#[derive(Default)]
struct Keeper {
    list: Vec<u32>,
    gate: Arc<Notify>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Actor for Keeper {
    type Context = Ctx<Self>;
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.seen.lock().unwrap().push("dropped".into());
    }
}

macro_rules! message {
    ($name:ident $(($field:ty))? => $result:ty, |$this:ident, $msg:ident, $ctx:ident| $body:expr, $kind:ty) => {
        #[derive(Clone)]
        struct $name $((pub $field))?;
        impl Message for $name {
            type Result = $result;
        }
        impl Handler<$name> for Keeper {
            type Result = $kind;
            #[allow(unused_variables)]
            fn handle(&mut self, $msg: $name, $ctx: &mut Ctx<Self>) -> $kind {
                let $this = self;
                $body
            }
        }
    };
}

message!(Put(u32) => u32, |this, m, ctx| { this.list.push(m.0); this.list.len() as u32 }, u32);
message!(List => Vec<u32>, |this, m, ctx| MessageResult(this.list.clone()), MessageResult<List>);
message!(Boom => (), |this, m, ctx| panic!("boom"), ());
message!(Fail => (), |this, m, ctx| ctx.fail("no disk"), ());
message!(Hold => (), |this, m, ctx| Exclusive::new(async |me: &mut Keeper, _: &mut Ctx<Keeper>| me.gate.clone().notified().await), Exclusive<Keeper, ()>);
message!(Slow(u32) => u32, |this, m, ctx| Exclusive::new(async move |me: &mut Keeper, ctx: &mut Ctx<Keeper>| {
    me.list.push(m.0);
    ctx.run_later(Duration::ZERO, |me, _| me.list.push(0));
    playhouse_rt::sleep(Duration::from_millis(2)).await;
    me.list.push(m.0 + 1);
    me.list.len() as u32
}), Exclusive<Keeper, u32>);
message!(SlowBoom => (), |this, m, ctx| Exclusive::new(async |me: &mut Keeper, _: &mut Ctx<Keeper>| {
    playhouse_rt::sleep(Duration::from_millis(1)).await;
    panic!("slow boom")
}), Exclusive<Keeper, ()>);
message!(Never => u32, |this, m, ctx| {
    let seen = Guard(this.seen.clone());
    Later::new(async move {
        let _seen = seen;
        std::future::pending().await
    })
}, Later<u32>);
message!(Numbers(u32) => Streaming<u32>, |this, m, ctx| {
    let seen = Guard(this.seen.clone());
    Streamed::new(async move |mut sink: Sink<u32>| {
        let seen = seen;
        for n in 0..m.0 {
            if sink.send(n).await.is_err() {
                return;
            }
            seen.0.lock().unwrap().push(n.to_string());
        }
    })
}, Streamed<u32>);
message!(Dud => Streaming<u32>, |this, m, ctx| Streamed::new(async |mut sink: Sink<u32>| {
    sink.send(1).await.unwrap();
    panic!("dud")
}), Streamed<u32>);

/// Notes that it was dropped.
struct Guard(Arc<Mutex<Vec<String>>>);
impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("cancelled".into());
    }
}

fn keeper(system: &System, options: SpawnOptions) -> (Ref<Keeper>, Arc<Notify>, Arc<Mutex<Vec<String>>>) {
    let (gate, seen) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let of_actor = (gate.clone(), seen.clone());
    let keeper = system.spawn_with(options, move || Keeper { list: vec![], gate: of_actor.0.clone(), seen: of_actor.1.clone() });
    (keeper, gate, seen)
}

fn bounded(mailbox: usize, overflow: Overflow) -> SpawnOptions {
    SpawnOptions { mailbox, overflow, ..SpawnOptions::default() }
}

/// Until it is held up, and nothing is in its hand.
async fn held(keeper: &Ref<Keeper>) -> playhouse_actors::Ask<()> {
    let mut hold = keeper.ask(Hold);
    assert!(playhouse_rt::timeout(Duration::from_millis(1), &mut hold).await.is_err());
    until(|| keeper.depth() == 0).await;
    hold
}

#[test]
fn a_full_mailbox_does_what_its_policy_says_and_every_message_is_accounted_for() {
    run(|system| async move {
        // (policy, told without an error, what is handled in the end)
        let table = [
            (Overflow::Wait, 4, vec![0, 1, 2, 3]),
            (Overflow::Refuse, 4, vec![0, 1, 2, 3]),
            (Overflow::DropOldest, 10, vec![6, 7, 8, 9]),
            (Overflow::DropNewest, 10, vec![0, 1, 2, 3]),
        ];
        for (overflow, told, handled) in table {
            let (keeper, gate, _) = keeper(&system, bounded(4, overflow));
            let mut letters = system.dead_letters();
            let hold = held(&keeper).await;
            let ok = (0..10).filter(|n| keeper.tell(Put(*n)).is_ok()).count();
            assert_eq!(keeper.depth(), 4, "{overflow:?}");
            let asked = keeper.ask(List);
            gate.notify_one();
            hold.await.unwrap();
            match overflow {
                Overflow::Wait | Overflow::Refuse | Overflow::DropNewest => {
                    assert_eq!(asked.await, Err(AskError::Full), "{overflow:?}")
                }
                Overflow::DropOldest => drop(asked.await.unwrap()),
            }
            until(|| keeper.depth() == 0).await;
            let list = keeper.ask(List).await.unwrap();
            let expected = if overflow == Overflow::DropOldest { handled[1..].to_vec() } else { handled };
            assert_eq!((ok, list), (told, expected), "{overflow:?}");
            let dead = 10 - ok;
            let expected = match overflow {
                Overflow::Wait | Overflow::Refuse => 0,
                Overflow::DropOldest | Overflow::DropNewest => 7 + dead,
            };
            for _ in 0..expected {
                let letter = letters.next().await.unwrap();
                assert!(matches!(letter.message, Letter::Type("Put" | "List")), "{letter}");
            }
        }
    });
}

#[test]
fn the_urgent_goes_first_and_order_holds_within_a_priority() {
    run(|system| async move {
        let (keeper, gate, _) = keeper(&system, SpawnOptions::default());
        let hold = held(&keeper).await;
        let (low, high) = (keeper.with_priority(Priority::Low), keeper.with_priority(Priority::High));
        for n in 0..3 {
            low.tell(Put(n)).unwrap();
            keeper.tell(Put(10 + n)).unwrap();
            high.tell(Put(20 + n)).unwrap();
        }
        gate.notify_one();
        hold.await.unwrap();
        until(|| keeper.depth() == 0).await;
        assert_eq!(keeper.ask(List).await.unwrap(), [20, 21, 22, 10, 11, 12, 0, 1, 2]);
    });
}

#[test]
fn an_async_handler_has_the_actor_for_itself() {
    run(|system| async move {
        let (keeper, _, _) = keeper(&system, SpawnOptions::default());
        let slow = keeper.ask(Slow(1));
        let put = keeper.ask(Put(5));
        assert_eq!(slow.await, Ok(2), "neither a message nor its own timer came between");
        assert_eq!(put.await.unwrap(), 3);
        until(|| true).await;
        while keeper.ask(List).await.unwrap() != [1, 2, 5, 0] {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        let (boom, after) = (keeper.ask(SlowBoom), keeper.ask(List));
        assert_eq!(boom.await, Err(AskError::Panicked("slow boom".into())));
        assert_eq!(after.await.unwrap(), [] as [u32; 0], "the state went with the future that had it");
        // A stop lets it finish.
        let slow = keeper.ask(Slow(7));
        keeper.stop();
        assert_eq!(keeper.ended().await, Exit::Stopped);
        assert!(matches!(slow.await, Ok(2) | Err(AskError::Gone(_))));
    });
}

#[test]
fn who_gives_up_is_heard_by_the_one_who_works_for_him() {
    run(|system| async move {
        let (keeper, _, seen) = keeper(&system, SpawnOptions::default());
        let mut never = keeper.ask(Never);
        assert!(playhouse_rt::timeout(Duration::from_millis(2), &mut never).await.is_err());
        assert!(seen.lock().unwrap().is_empty());
        drop(never);
        until(|| *seen.lock().unwrap() == ["cancelled"]).await;
        assert_eq!(keeper.ask(Put(1)).await, Ok(1), "and lives on");
    });
}

#[test]
fn the_deadline_travels_with_what_is_asked_on_behalf_of_the_asker() {
    struct Middle(Ref<Keeper>);
    impl Actor for Middle {
        type Context = Ctx<Self>;
    }
    struct Through;
    impl Message for Through {
        type Result = Result<u32, AskError>;
    }
    impl Handler<Through> for Middle {
        type Result = Later<Result<u32, AskError>>;
        fn handle(&mut self, _: Through, _: &mut Ctx<Self>) -> Self::Result {
            let keeper = self.0.clone();
            // An hour for itself, but its asker has less.
            Later::new(async move { keeper.ask_within(Never, Duration::from_secs(3600)).await })
        }
    }
    run(|system| async move {
        let (keeper, _, seen) = keeper(&system, SpawnOptions::default());
        let middle = system.spawn(move || Middle(keeper.clone()));
        let answer = middle.ask_within(Through, Duration::from_millis(30)).await;
        assert!(matches!(answer, Err(AskError::Timeout) | Ok(Err(AskError::Timeout))), "{answer:?}");
        // The one at the end was given up as well, an hour early.
        until(|| *seen.lock().unwrap() == ["cancelled"]).await;
    });
}

#[test]
fn streams_come_in_order_with_back_pressure_and_can_be_left_early() {
    run(|system| async move {
        let (keeper, _, seen) = keeper(&system, SpawnOptions::default());
        let all = keeper.ask(Numbers(100)).await.unwrap().collect().await.unwrap();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        seen.lock().unwrap().clear();
        let mut some = keeper.ask(Numbers(1_000_000)).await.unwrap();
        for n in 0..10 {
            assert_eq!(some.next().await.unwrap(), Some(n));
        }
        // Other messages are handled meanwhile, and the producer waits.
        assert_eq!(keeper.ask(Put(1)).await, Ok(1));
        assert!(seen.lock().unwrap().len() <= 10 + playhouse_actors::limits::STREAM_WINDOW + 1);
        drop(some);
        until(|| seen.lock().unwrap().last().is_some_and(|last| last == "cancelled")).await;
        let mut dud = keeper.ask(Dud).await.unwrap();
        assert_eq!(dud.next().await.unwrap(), Some(1));
        assert!(matches!(dud.next().await, Err(AskError::Gone(_))), "a broken stream is no ended one");
        assert_eq!(dud.next().await, Ok(None));
    });
}

/// Watches what it is told to and keeps what it hears.
struct Watcher(Arc<Mutex<Vec<Exit>>>);
impl Actor for Watcher {
    type Context = Ctx<Self>;
}
struct Watch(Ref<Keeper>);
impl Message for Watch {
    type Result = ();
}
impl Handler<Watch> for Watcher {
    type Result = ();
    fn handle(&mut self, watch: Watch, ctx: &mut Ctx<Self>) {
        ctx.watch(&watch.0, |me, down, _| me.0.lock().unwrap().push(down.exit));
    }
}
struct Tie(Ref<Keeper>);
impl Message for Tie {
    type Result = ();
}
impl Handler<Tie> for Watcher {
    type Result = ();
    fn handle(&mut self, tie: Tie, ctx: &mut Ctx<Self>) {
        ctx.link(&tie.0);
    }
}

fn watcher(system: &System) -> (Ref<Watcher>, Arc<Mutex<Vec<Exit>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let of_actor = heard.clone();
    (system.spawn(move || Watcher(of_actor.clone())), heard)
}

#[test]
fn a_watch_tells_the_end_exactly_once_and_not_a_restart() {
    run(|system| async move {
        let (keeper, _, _) = keeper(&system, SpawnOptions::default());
        let (watcher, heard) = watcher(&system);
        watcher.ask(Watch(keeper.clone())).await.unwrap();
        watcher.ask(Watch(keeper.clone())).await.unwrap();
        keeper.ask(Boom).await.unwrap_err();
        keeper.ask(Fail).await.unwrap();
        assert_eq!(keeper.ask(Put(1)).await, Ok(1), "built anew twice");
        assert!(heard.lock().unwrap().is_empty());
        keeper.stop();
        until(|| heard.lock().unwrap().len() == 2).await;
        // One that is dead already is told at once.
        watcher.ask(Watch(keeper)).await.unwrap();
        until(|| heard.lock().unwrap().len() == 3).await;
        assert!(heard.lock().unwrap().iter().all(|exit| *exit == Exit::Stopped));
    });
}

#[test]
fn linked_actors_fail_together_but_a_stop_is_nobody_elses_business() {
    let once = SpawnOptions { restart: Restart::NEVER, ..SpawnOptions::default() };
    run(move |system| async move {
        let (keeper, _, _) = self::keeper(&system, once);
        let (watcher, _) = self::watcher(&system);
        watcher.ask(Tie(keeper.clone())).await.unwrap();
        assert!(keeper.ask(Boom).await.is_err());
        let Exit::Linked(why) = watcher.ended().await else { panic!("it goes with the other") };
        assert!(why.contains("boom"), "{why}");
        // And the other way round.
        let (keeper, _, _) = self::keeper(&system, once);
        let (watcher, _) = self::watcher(&system);
        watcher.ask(Tie(keeper.clone())).await.unwrap();
        keeper.stop();
        keeper.ended().await;
        assert!(watcher.ask(Watch(keeper.clone())).await.is_ok(), "a stop does not spread");
        // Tied to one that has failed already.
        let (keeper, _, _) = self::keeper(&system, once);
        assert!(keeper.ask(Boom).await.is_err());
        keeper.ended().await;
        let _ = watcher.ask(Tie(keeper)).await;
        assert!(matches!(watcher.ended().await, Exit::Linked(_)));
    });
}

#[test]
fn work_that_blocks_comes_back_as_a_message() {
    struct Clerk(u32);
    impl Actor for Clerk {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            ctx.offload(|| 6 * 7, |me, result, _| me.0 += result.unwrap());
            ctx.offload(|| -> u32 { panic!("in the pool") }, |me, result, _| me.0 += 100 * u32::from(result.is_err()));
        }
    }
    struct Sum;
    impl Message for Sum {
        type Result = u32;
    }
    impl Handler<Sum> for Clerk {
        type Result = u32;
        fn handle(&mut self, _: Sum, _: &mut Ctx<Self>) -> u32 {
            self.0
        }
    }
    run(|system| async move {
        let clerk = system.spawn(|| Clerk(0));
        while clerk.ask(Sum).await.unwrap() != 142 {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn groups_and_topics_reach_who_is_there_and_forget_who_is_gone() {
    run(|system| async move {
        let (group, topic) = (Group::new(), Topic::new());
        let keepers: Vec<_> = (0..3).map(|_| keeper(&system, SpawnOptions::default()).0).collect();
        let mut memberships: Vec<_> = keepers.iter().map(|keeper| group.join(keeper).unwrap()).collect();
        for keeper in &keepers {
            drop(topic.subscribe(keeper).unwrap());
        }
        assert_eq!(group.broadcast(&Put(1)).told, 3);
        assert_eq!(topic.publish(&Put(2)).told, 3);
        memberships.remove(0).leave();
        keepers[1].stop();
        keepers[1].ended().await;
        assert_eq!(group.broadcast(&Put(3)).told, 1);
        assert_eq!(topic.publish(&Put(4)).told, 2);
        assert_eq!(keepers[0].ask(List).await.unwrap(), [1, 2, 4]);
        assert_eq!(keepers[2].ask(List).await.unwrap(), [1, 2, 3, 4]);
        assert_eq!(group.members(), [keepers[2].clone()]);
    });
}

#[test]
fn a_shutdown_handles_what_waits_and_says_what_was_lost() {
    run(|system| async move {
        let own = System::new(NodeName::new("own").unwrap(), 1).unwrap();
        let (older, _, _) = keeper(&own, SpawnOptions::default());
        let (younger, gate, seen) = keeper(&own, SpawnOptions::default());
        let hold = held(&younger).await;
        let put = younger.ask(Put(1));
        let slow = older.ask(Slow(1));
        let stopping = playhouse_rt::spawn({
            let own = own.clone();
            async move { own.stop(Duration::from_secs(10)).await }
        });
        // The younger one is drained first, and takes nothing new meanwhile.
        while younger.tell(Put(9)).is_ok() {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        gate.notify_one();
        hold.await.unwrap();
        let answered = put.await.unwrap();
        assert!(answered >= 1);
        slow.await.unwrap();
        let shutdown = stopping.await.unwrap();
        assert_eq!((shutdown.late, shutdown.lost), (vec![], 0));
        assert!(seen.lock().unwrap().contains(&"dropped".to_string()));
        assert_eq!(own.spawn(Keeper::default).ended().await, Exit::NodeStopped);
        // One that never comes to an end is cut off, and what waited for it is lost and told.
        let own = System::new(NodeName::new("own").unwrap(), 1).unwrap();
        let mut letters = own.dead_letters();
        let (stuck, _, _) = keeper(&own, SpawnOptions::default());
        let hold = held(&stuck).await;
        let put = stuck.ask(Put(1));
        let shutdown = own.stop(Duration::from_millis(5)).await;
        assert_eq!((shutdown.late, shutdown.lost), (vec![], 1));
        assert_eq!(shutdown.cut_off, [stuck.name().clone()]);
        assert!(hold.await.is_err() && put.await.is_err());
        assert_eq!(letters.next().await.unwrap().message, Letter::Type("Put"));
        drop(system);
    });
}

#[test]
fn those_who_wait_for_room_are_served_in_order_and_told_of_the_end() {
    run(|system| async move {
        let (keeper, gate, _) = keeper(&system, bounded(2, Overflow::Wait));
        let hold = held(&keeper).await;
        keeper.tell(Put(0)).unwrap();
        keeper.tell(Put(1)).unwrap();
        let waiting: Vec<_> = (2..20)
            .map(|n| {
                let (keeper, begun) = (keeper.clone(), oneshot::channel());
                let task = playhouse_rt::spawn(async move {
                    let told = keeper.tell_when_ready(Put(n));
                    let _ = begun.0.send(());
                    told.await.is_ok()
                });
                (task, begun.1)
            })
            .collect();
        let mut tasks = Vec::new();
        for (task, begun) in waiting {
            begun.await.unwrap();
            tasks.push(task);
        }
        gate.notify_one();
        hold.await.unwrap();
        for task in tasks {
            assert!(task.await.unwrap());
        }
        until(|| keeper.depth() == 0).await;
        let mut list = keeper.ask(List).await.unwrap();
        assert_eq!(list[..2], [0, 1]);
        list.sort_unstable();
        assert_eq!(list, (0..20).collect::<Vec<_>>(), "none lost, none twice");
        // Who waits for an actor that ends is told.
        let _hold = held(&keeper).await;
        keeper.tell(Put(0)).unwrap();
        keeper.tell(Put(1)).unwrap();
        let late = playhouse_rt::spawn({
            let keeper = keeper.clone();
            async move { keeper.tell_when_ready(Put(2)).await }
        });
        playhouse_rt::sleep(Duration::from_millis(1)).await;
        gate.notify_one();
        keeper.stop();
        keeper.ended().await;
        let told = late.await.unwrap();
        assert!(matches!(told, Ok(()) | Err(TellError::Gone(Put(2)))), "{told:?}");
    });
}

#[test]
fn a_start_has_its_waits_before_any_message() {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    struct Careful(u32);
    impl Actor for Careful {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            ctx.exclusively(async |me: &mut Careful, _: &mut Ctx<Careful>| {
                playhouse_rt::sleep(Duration::from_millis(1)).await;
                me.0 = 7;
                STARTED.fetch_add(1, Ordering::SeqCst);
            });
        }
    }
    struct Get;
    impl Message for Get {
        type Result = u32;
    }
    impl Handler<Get> for Careful {
        type Result = u32;
        fn handle(&mut self, _: Get, _: &mut Ctx<Self>) -> u32 {
            self.0
        }
    }
    run(|system| async move {
        assert_eq!(system.spawn(|| Careful(0)).ask(Get).await, Ok(7));
    });
}
