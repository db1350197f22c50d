//! Corners where something was once wrong: each test failed before it was mended. On the operating system and in the simulation, except
//! where only threads show it.
#![allow(missing_docs)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use common::{run, until};
use playhouse_actors::prelude::*;
use playhouse_actors::{Group, TreeError};

macro_rules! message {
    ($name:ident => $result:ty) => {
        struct $name;
        impl Message for $name {
            type Result = $result;
        }
    };
}

message!(Quick => u32);
message!(Never => u32);
message!(Go => bool);
message!(Inc => ());
message!(Crash => ());
message!(Ping => ());

struct Slow;
impl Actor for Slow {
    type Context = Ctx<Self>;
}
impl Handler<Quick> for Slow {
    type Result = Later<u32>;
    fn handle(&mut self, _: Quick, _: &mut Ctx<Self>) -> Later<u32> {
        Later::new(async {
            playhouse_rt::sleep(Duration::from_millis(3)).await;
            1
        })
    }
}
impl Handler<Never> for Slow {
    type Result = Later<u32>;
    fn handle(&mut self, _: Never, _: &mut Ctx<Self>) -> Later<u32> {
        Later::new(std::future::pending())
    }
}

#[test]
fn an_ask_that_is_awaited_late_still_has_its_deadline() {
    struct Asker(Ref<Slow>);
    impl Actor for Asker {
        type Context = Ctx<Self>;
    }
    impl Handler<Go> for Asker {
        type Result = Exclusive<Self, bool>;
        fn handle(&mut self, _: Go, _: &mut Ctx<Self>) -> Self::Result {
            Exclusive::new(async |me: &mut Asker, _: &mut Ctx<Asker>| {
                // Leaves a timer with the thread, which has fired by the time that the next ask is awaited.
                assert_eq!(me.0.ask_within(Quick, Duration::from_millis(30)).await, Ok(1));
                let ask = me.0.ask_within(Never, Duration::from_millis(60));
                playhouse_rt::sleep(Duration::from_millis(40)).await;
                ask.await == Err(AskError::Timeout)
            })
        }
    }
    run(|system| async move {
        let slow = system.spawn(|| Slow);
        let asker = system.spawn(move || Asker(slow.clone()));
        let asked = playhouse_rt::timeout(Duration::from_secs(20), asker.ask_within(Go, Duration::from_secs(3600))).await;
        assert_eq!(asked, Ok(Ok(true)));
    });
}

struct Count(Arc<AtomicU32>);
impl Actor for Count {
    type Context = Ctx<Self>;
}
impl Handler<Inc> for Count {
    type Result = ();
    fn handle(&mut self, _: Inc, _: &mut Ctx<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
impl Handler<Crash> for Count {
    type Result = ();
    fn handle(&mut self, _: Crash, _: &mut Ctx<Self>) {
        panic!("crash")
    }
}

fn counting() -> (Arc<AtomicU32>, impl FnMut() -> Count + Send + 'static) {
    let count = Arc::new(AtomicU32::new(0));
    let of_actor = count.clone();
    (count, move || Count(of_actor.clone()))
}

#[test]
fn what_was_told_before_the_last_reference_went_is_handled() {
    run(|system| async move {
        let count = Arc::new(AtomicU32::new(0));
        let mut told = 0;
        for round in 0..if cfg!(madsim) { 200 } else { 30_000 } {
            let of_actor = count.clone();
            let actor = system.spawn(move || Count(of_actor.clone()));
            for _ in 0..round % 400 {
                std::hint::spin_loop();
            }
            actor.tell(Inc).unwrap();
            told += 1;
        }
        until(|| system.counters().alive == 0).await;
        assert_eq!((count.load(SeqCst), system.counters().lost), (told, 0));
    });
}

#[test]
fn a_drain_is_no_loss_before_the_first_turn_or_in_a_back_off() {
    run(|system| async move {
        for _ in 0..100 {
            let (count, factory) = counting();
            let actor = system.spawn(factory);
            actor.tell(Inc).unwrap();
            actor.drain();
            actor.ended().await;
            assert_eq!(count.load(SeqCst), 1);
        }
        let wait = Duration::from_millis(20);
        let options = SpawnOptions {
            restart: Restart { backoff: wait, max_backoff: wait, ..Restart::default() },
            ..SpawnOptions::default()
        };
        let (count, factory) = counting();
        let actor = system.spawn_with(options, factory);
        // The second failure is the first one with a wait behind it.
        actor.tell(Crash).unwrap();
        assert!(actor.ask(Crash).await.is_err());
        actor.tell(Inc).unwrap();
        actor.drain();
        assert_eq!(actor.ended().await, Exit::Stopped);
        assert_eq!(count.load(SeqCst), 1);
    });
}

#[test]
fn a_panic_in_the_making_of_a_child_is_a_failed_start() {
    run(|system| async move {
        let top = Supervision::new("top").backoff(Backoff::NONE).supervisor(ChildSpec::new("below"), || panic!("no plan"));
        let Err(TreeError::Start(why)) = system.supervise(top).await else { panic!("it cannot start") };
        assert!(why.contains("no plan"), "{why}");
        assert!(system.supervisors().is_empty());
    });
}

#[test]
fn a_hook_and_a_drop_that_both_panic_cost_the_actor_alone() {
    struct Starts;
    impl Actor for Starts {
        type Context = Ctx<Self>;
        fn started(&mut self, _: &mut Ctx<Self>) {
            panic!("started")
        }
    }
    impl Drop for Starts {
        fn drop(&mut self) {
            panic!("dropped")
        }
    }
    struct Stops;
    impl Actor for Stops {
        type Context = Ctx<Self>;
        fn stopped(&mut self, _: &mut Ctx<Self>) {
            panic!("stopped")
        }
    }
    impl Drop for Stops {
        fn drop(&mut self) {
            panic!("dropped")
        }
    }
    impl Handler<Inc> for Stops {
        type Result = ();
        fn handle(&mut self, _: Inc, _: &mut Ctx<Self>) {}
    }
    run(|system| async move {
        let once = SpawnOptions { restart: Restart::NEVER, ..SpawnOptions::default() };
        assert_eq!(system.spawn_with(once, || Starts).ended().await, Exit::Panicked("started".into()));
        let stops = system.spawn(|| Stops);
        stops.ask(Inc).await.unwrap();
        stops.stop();
        assert_eq!(stops.ended().await, Exit::Stopped);
    });
}

#[test]
fn the_side_door_stays_open_for_those_who_have_it() {
    struct Side(Option<actix::Addr<Side>>, Arc<AtomicU32>);
    impl Actor for Side {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            self.0 = Some(ctx.address());
        }
    }
    impl Handler<Ping> for Side {
        type Result = ();
        fn handle(&mut self, _: Ping, ctx: &mut Ctx<Self>) {
            let _another = ctx.address();
            self.1.fetch_add(1, SeqCst);
        }
    }
    impl Handler<Inc> for Side {
        type Result = ();
        fn handle(&mut self, _: Inc, _: &mut Ctx<Self>) {
            self.0.as_ref().unwrap().try_send(Ping).unwrap();
        }
    }
    run(|system| async move {
        let pings = Arc::new(AtomicU32::new(0));
        let of_actor = pings.clone();
        let side = system.spawn(move || Side(None, of_actor.clone()));
        for n in 1..=3 {
            side.ask(Inc).await.unwrap();
            until(|| pings.load(SeqCst) == n).await;
        }
    });
}

#[test]
fn nothing_urgent_is_dropped_for_something_less_urgent() {
    struct Put(u32);
    impl Message for Put {
        type Result = ();
    }
    struct List(Arc<Mutex<Vec<u32>>>, Arc<playhouse_rt::sync::Notify>);
    impl Actor for List {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            ctx.exclusively(async |me: &mut List, _: &mut Ctx<List>| me.1.clone().notified().await);
        }
    }
    impl Handler<Put> for List {
        type Result = ();
        fn handle(&mut self, put: Put, _: &mut Ctx<Self>) {
            self.0.lock().unwrap().push(put.0);
        }
    }
    run(|system| async move {
        let (list, gate) = (Arc::new(Mutex::new(vec![])), Arc::new(playhouse_rt::sync::Notify::new()));
        let of_actor = (list.clone(), gate.clone());
        let options = SpawnOptions { mailbox: 2, overflow: Overflow::DropOldest, ..SpawnOptions::default() };
        let actor = system.spawn_with(options, move || List(of_actor.0.clone(), of_actor.1.clone()));
        let (high, low) = (actor.with_priority(Priority::High), actor.with_priority(Priority::Low));
        high.tell(Put(1)).unwrap();
        high.tell(Put(2)).unwrap();
        low.tell(Put(3)).unwrap();
        gate.notify_one();
        actor.drain();
        actor.ended().await;
        assert_eq!(*list.lock().unwrap(), [1, 2]);
    });
}

struct Grenade;
impl Message for Grenade {
    type Result = ();
}
impl Drop for Grenade {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("grenade")
        }
    }
}
impl Handler<Grenade> for Slow {
    type Result = ();
    fn handle(&mut self, grenade: Grenade, _: &mut Ctx<Self>) {
        std::mem::forget(grenade);
    }
}
impl Handler<Inc> for Slow {
    type Result = ();
    fn handle(&mut self, _: Inc, _: &mut Ctx<Self>) {}
}
impl Handler<Go> for Slow {
    type Result = Exclusive<Slow, bool>;
    fn handle(&mut self, _: Go, _: &mut Ctx<Self>) -> Self::Result {
        Exclusive::new(async |_: &mut Slow, _: &mut Ctx<Slow>| {
            playhouse_rt::sleep(Duration::from_millis(20)).await;
            true
        })
    }
}

#[test]
fn who_sends_is_not_to_blame_for_what_is_dropped_for_it() {
    run(|system| async move {
        let options = SpawnOptions { mailbox: 1, overflow: Overflow::DropOldest, ..SpawnOptions::default() };
        let slow = system.spawn_with(options, || Slow);
        let go = slow.ask(Go);
        until(|| slow.depth() == 0).await;
        slow.tell(Grenade).ok();
        assert!(catch_unwind(AssertUnwindSafe(|| slow.tell(Inc).is_ok())).is_ok());
        assert_eq!(go.await, Ok(true));
    });
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Twin;
impl Message for Twin {
    type Result = ();
}
#[derive(serde::Serialize, serde::Deserialize)]
struct OtherTwin;
impl Message for OtherTwin {
    type Result = ();
}
struct Muddled;
impl Actor for Muddled {
    type Context = Ctx<Self>;
}
impl Handler<Twin> for Muddled {
    type Result = ();
    fn handle(&mut self, _: Twin, _: &mut Ctx<Self>) {}
}
impl Handler<OtherTwin> for Muddled {
    type Result = ();
    fn handle(&mut self, _: OtherTwin, _: &mut Ctx<Self>) {}
}
impl Remote for Muddled {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Twin>(1).message::<OtherTwin>(1);
    }
}

#[test]
fn a_protocol_that_panics_leaves_nothing_behind() {
    run(|system| async move {
        let name = || ActorName::new("muddled").unwrap();
        let spawn = || system.spawn_remote(name(), SpawnOptions::default(), || Muddled).map(drop);
        assert!(catch_unwind(AssertUnwindSafe(spawn)).is_err());
        assert_eq!(system.counters().alive, 0);
        let (_, factory) = counting();
        system.spawn_named(name(), SpawnOptions::default(), factory).expect("the name is free");
    });
}

#[test]
fn a_chain_of_links_names_its_first() {
    struct Linked(Option<Ref<Linked>>);
    impl Actor for Linked {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            if let Some(other) = self.0.take() {
                ctx.link(&other);
            }
        }
    }
    impl Handler<Crash> for Linked {
        type Result = ();
        fn handle(&mut self, _: Crash, ctx: &mut Ctx<Self>) {
            ctx.stop_because(Exit::Failed("no disk".into()));
        }
    }
    impl Handler<Inc> for Linked {
        type Result = ();
        fn handle(&mut self, _: Inc, _: &mut Ctx<Self>) {}
    }
    run(|system| async move {
        let first = system.spawn(|| Linked(None));
        let mut all = vec![first.clone()];
        for _ in 0..200 {
            let other = all.last().unwrap().clone();
            all.push(system.spawn(move || Linked(Some(other.clone()))));
        }
        for linked in &all {
            linked.ask(Inc).await.unwrap();
        }
        first.tell(Crash).unwrap();
        let Exit::Linked(why) = all.last().unwrap().ended().await else { panic!("it goes with the others") };
        assert!(why.contains("no disk") && why.len() < 300, "{why}");
    });
}

#[test]
fn a_stop_takes_little_longer_than_it_may_however_many_are_left() {
    struct Waits;
    impl Actor for Waits {
        type Context = Ctx<Self>;
        fn started(&mut self, ctx: &mut Ctx<Self>) {
            ctx.exclusively(async |_: &mut Waits, _: &mut Ctx<Waits>| std::future::pending().await);
        }
    }
    run(|system| async move {
        let own = System::new(NodeName::new("own").unwrap(), 1).unwrap();
        let all: Vec<_> = (0..200).map(|_| own.spawn(|| Waits)).collect();
        let began = playhouse_rt::now();
        assert_eq!(own.stop(Duration::from_millis(10)).await.late, []);
        // Not 200 times the grace.
        assert!(playhouse_rt::now() - began < playhouse_actors::limits::ABORT_GRACE * 100);
        drop((all, system));
    });
}

#[test]
fn who_leaves_a_group_leaves_nothing_of_it_behind() {
    run(|system| async move {
        let group = Group::new();
        let (_, factory) = counting();
        let member = system.spawn(factory);
        for _ in 0..1000 {
            group.join(&member).unwrap().leave();
        }
        assert!(group.members().is_empty());
        drop(group.join(&member).unwrap());
        member.stop();
        member.ended().await;
        assert!(group.members().is_empty());
    });
}
