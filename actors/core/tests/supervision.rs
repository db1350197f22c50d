//! What a supervisor promises, with real actors, on the operating system and in the simulation.
#![allow(missing_docs)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::run;
use playhouse_actors::TreeError;
use playhouse_actors::prelude::*;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Part {
    name: &'static str,
    log: Log,
    count: u32,
}

impl Actor for Part {
    type Context = Ctx<Self>;
    fn started(&mut self, _: &mut Ctx<Self>) {
        self.log.add(format!("+{}", self.name));
    }
    fn stopped(&mut self, _: &mut Ctx<Self>) {
        self.log.add(format!("-{}", self.name));
    }
}

macro_rules! message {
    ($name:ident => $result:ty, |$this:ident, $ctx:ident| $body:expr, $kind:ty) => {
        struct $name;
        impl Message for $name {
            type Result = $result;
        }
        impl Handler<$name> for Part {
            type Result = $kind;
            #[allow(unused_variables)]
            fn handle(&mut self, _: $name, $ctx: &mut Ctx<Self>) -> $kind {
                let $this = self;
                $body
            }
        }
    };
}

message!(Count => u32, |this, ctx| { this.count += 1; this.count }, u32);
message!(Boom => (), |this, ctx| panic!("boom"), ());
message!(GiveUp => (), |this, ctx| ctx.fail("no disk"), ());
message!(Leave => (), |this, ctx| ctx.stop(), ());
message!(Hang => (), |this, ctx| Exclusive::new(async |_: &mut Part, _: &mut Ctx<Part>| std::future::pending().await), Exclusive<Part, ()>);

fn part(name: &'static str, log: &Log) -> impl FnMut() -> Result<Part, playhouse_actors::BuildError> + Send + 'static {
    let log = log.clone();
    move || Ok(Part { name, log: log.clone(), count: 0 })
}

fn three(strategy: Strategy, log: &Log) -> Supervision {
    let build = Supervision::new("shop").strategy(strategy).backoff(Backoff::NONE);
    build
        .child(ChildSpec::new("a"), part("a", log))
        .child(ChildSpec::new("b"), part("b", log))
        .child(ChildSpec::new("c"), part("c", log))
}

/// Asks until it is answered: the child may be restarting.
async fn count(part: &Ref<Part>) -> u32 {
    loop {
        match part.ask(Count).await {
            Ok(count) => return count,
            Err(AskError::Panicked(_) | AskError::Restarted(_)) => playhouse_rt::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn each_strategy_restarts_whom_it_should_behind_the_same_references() {
    run(|system| async move {
        // (strategy, counts of a, b and c after b panicked, what happened)
        let table = [
            (Strategy::OneForOne, [2, 1, 2], vec!["+b"]),
            (Strategy::OneForAll, [1, 1, 1], vec!["-c", "-a", "+a", "+b", "+c"]),
            (Strategy::RestForOne, [2, 1, 1], vec!["-c", "+b", "+c"]),
        ];
        for (strategy, counts, happened) in table {
            let log = Log::default();
            let shop = system.supervise(three(strategy, &log)).await.unwrap();
            assert_eq!(log.take(), ["+a", "+b", "+c"], "in order");
            let parts = ["a", "b", "c"].map(|name| shop.child::<Part>(name).unwrap());
            for part in &parts {
                assert_eq!(count(part).await, 1);
            }
            assert_eq!(parts[1].ask(Boom).await, Err(AskError::Panicked("boom".into())));
            // Until the restart of the last one that is concerned is over.
            while shop.report().await.unwrap().children.iter().map(|child| child.restarts).sum::<u64>()
                < happened.len() as u64 / 2
            {
                playhouse_rt::sleep(Duration::from_millis(1)).await;
            }
            let mut after = [0; 3];
            for (at, part) in parts.iter().enumerate() {
                after[at] = count(part).await;
            }
            assert_eq!((after, log.take()), (counts, happened.iter().map(|s| (*s).to_string()).collect()), "{strategy:?}");
            shop.stop();
            assert_eq!(shop.ended().await, Exit::Stopped);
            assert_eq!(log.take(), ["-c", "-b", "-a"], "in reverse");
            assert!(matches!(parts[0].tell(Count), Err(TellError::Gone(_))));
        }
    });
}

#[test]
fn messages_wait_for_the_restart_and_errors_count_as_panics_do() {
    run(|system| async move {
        let log = Log::default();
        let shop = system.supervise(three(Strategy::OneForOne, &log)).await.unwrap();
        let a = shop.child::<Part>("a").unwrap();
        let (gave_up, after) = (a.ask(GiveUp), a.ask(Count));
        gave_up.await.unwrap();
        assert_eq!(after.await, Ok(1), "it was in the mailbox, and is handled by the next life");
        let report = shop.report().await.unwrap();
        assert_eq!(report.children[0].restarts, 1);
        let text = report.to_string();
        assert!(text.contains("shop") && text.contains("no disk"), "{text}");
    });
}

#[test]
fn lifetimes_decide_who_returns() {
    run(|system| async move {
        let log = Log::default();
        let child = |name: &str, lifetime| ChildSpec { lifetime, ..ChildSpec::new(name) };
        let shop = Supervision::new("shop")
            .backoff(Backoff::NONE)
            .child(child("permanent", Lifetime::Permanent), part("permanent", &log))
            .child(child("transient", Lifetime::Transient), part("transient", &log))
            .child(child("temporary", Lifetime::Temporary), part("temporary", &log));
        let shop = system.supervise(shop).await.unwrap();
        let [permanent, transient, temporary] =
            ["permanent", "transient", "temporary"].map(|name| shop.child::<Part>(name).unwrap());
        permanent.ask(Leave).await.unwrap();
        assert_eq!(count(&permanent).await, 1);
        assert!(transient.ask(Boom).await.is_err());
        assert_eq!(count(&transient).await, 1);
        transient.ask(Leave).await.unwrap();
        assert_eq!(transient.ended().await, Exit::Stopped);
        assert!(temporary.ask(Boom).await.is_err());
        assert_eq!(temporary.ended().await, Exit::Panicked("boom".into()));
        assert!(shop.child::<Part>("temporary").is_none());
    });
}

#[test]
fn too_many_failures_end_the_supervisor_and_escalate() {
    run(|system| async move {
        let log = Log::default();
        let inner_log = log.clone();
        let top = Supervision::new("top").backoff(Backoff::NONE).child(ChildSpec::new("base"), part("base", &log)).supervisor(
            ChildSpec::new("inner"),
            move || {
                Supervision::new("inner")
                    .backoff(Backoff::NONE)
                    .intensity(Intensity { max: 1, within: Duration::from_secs(60) })
                    .child(ChildSpec::new("leaf"), part("leaf", &inner_log))
            },
        );
        let top = system.supervise(top).await.unwrap();
        assert_eq!(log.take(), ["+base", "+leaf"]);
        let leaf = system.lookup::<Part>("top/inner/leaf").unwrap();
        assert!(leaf.ask(Boom).await.is_err());
        assert_eq!(count(&leaf).await, 1);
        assert!(leaf.ask(Boom).await.is_err());
        // The inner one gave up and was started anew; its leaf is another actor.
        assert_eq!(leaf.ended().await, Exit::Panicked("boom".into()));
        loop {
            let report = top.report().await.unwrap();
            let inner = &report.children[1];
            if inner.restarts == 1 && system.lookup::<Part>("top/inner/leaf").is_some() {
                break;
            }
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(count(&system.lookup::<Part>("top/inner/leaf").unwrap()).await, 1);
        assert_eq!(system.supervisors().len(), 1, "the inner one is under the top");
        let text = top.report().await.unwrap().to_string();
        assert!(text.contains("leaf"), "{text}");
    });
}

#[test]
fn a_start_that_keeps_failing_fails_the_supervisor_and_stops_what_had_started() {
    run(|system| async move {
        let log = Log::default();
        let tries = Arc::new(AtomicU32::new(0));
        let counted = tries.clone();
        let shop = Supervision::new("shop").backoff(Backoff::NONE).child(ChildSpec::new("a"), part("a", &log)).child(
            ChildSpec::new("b"),
            move || -> Result<Part, _> {
                counted.fetch_add(1, Ordering::SeqCst);
                Err("no such disk".into())
            },
        );
        let Err(TreeError::Start(why)) = system.supervise(shop).await else { panic!("it cannot start") };
        assert!(why.contains("no such disk"), "{why}");
        assert_eq!(tries.load(Ordering::SeqCst), 6, "the first try and five restarts");
        assert_eq!(log.take(), ["+a", "-a"]);
        // Its name is free again.
        let shop = system.supervise(Supervision::new("shop").child(ChildSpec::new("a"), part("a", &log))).await.unwrap();
        let taken = system.supervise(Supervision::new("shop")).await;
        assert_eq!(taken.unwrap_err(), TreeError::Taken("shop".into()));
        drop(shop);
    });
}

#[test]
fn a_child_that_does_not_stop_in_time_is_cut_off() {
    run(|system| async move {
        let log = Log::default();
        let slow = ChildSpec { stop_within: Duration::from_millis(20), ..ChildSpec::new("slow") };
        let shop = Supervision::new("shop").child(ChildSpec::new("a"), part("a", &log)).child(slow, part("slow", &log));
        let shop = system.supervise(shop).await.unwrap();
        let slow = shop.child::<Part>("slow").unwrap();
        let hangs = slow.ask(Hang);
        shop.stop();
        assert_eq!(shop.ended().await, Exit::Stopped);
        assert_eq!(slow.ended().await, Exit::Stopped);
        assert!(matches!(hangs.await, Err(AskError::Gone(_))));
        assert_eq!(log.take(), ["+a", "+slow", "-a"], "who is cut off has no last word");
    });
}

#[test]
fn children_come_and_go_at_run_time() {
    run(|system| async move {
        let log = Log::default();
        let shop = system.supervise(three(Strategy::OneForOne, &log)).await.unwrap();
        shop.add(ChildSpec::new("d"), SpawnOptions::default(), part("d", &log)).await.unwrap();
        let d = shop.child::<Part>("d").unwrap();
        assert_eq!(count(&d).await, 1);
        shop.restart("d").await.unwrap();
        while log.0.lock().unwrap().iter().filter(|line| *line == "+d").count() < 2 {
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(count(&d).await, 1, "another life, the same reference");
        let again = shop.add(ChildSpec::new("d"), SpawnOptions::default(), part("d", &log)).await;
        assert_eq!(again, Err(TreeError::Taken("shop/d".into())));
        shop.remove("d").await.unwrap();
        assert_eq!(d.ended().await, Exit::Stopped);
        assert!(matches!(shop.remove("d").await, Err(TreeError::Ignored(_))));
        assert!(matches!(
            shop.add(ChildSpec::new("not a name"), SpawnOptions::default(), part("x", &log)).await,
            Err(TreeError::Name(_))
        ));
        system.stop(Duration::from_secs(5)).await;
        assert_eq!(log.take(), ["+a", "+b", "+c", "+d", "-d", "+d", "-d", "-c", "-b", "-a"]);
        assert!(matches!(shop.report().await, Err(TreeError::Gone(_))));
    });
}

struct Lean(Ref<Part>);
impl Message for Lean {
    type Result = u32;
}
impl Handler<Lean> for Part {
    type Result = Exclusive<Part, u32>;
    fn handle(&mut self, lean: Lean, _: &mut Ctx<Self>) -> Self::Result {
        Exclusive::new(async move |_: &mut Part, _: &mut Ctx<Part>| {
            // Fails it, and waits for its next life, which comes only when the one that waits here has been restarted too.
            let _ = lean.0.ask_within(Boom, Duration::from_secs(3600)).await;
            lean.0.ask_within(Count, Duration::from_secs(3600)).await.unwrap_or(0)
        })
    }
}

#[test]
fn a_group_restart_does_not_wait_for_one_that_waits_for_another_of_the_group() {
    run(|system| async move {
        let log = Log::default();
        let patient = |name: &str| ChildSpec { stop_within: Duration::MAX, ..ChildSpec::new(name) };
        let shop = Supervision::new("shop").strategy(Strategy::OneForAll).backoff(Backoff::NONE);
        let shop = shop.child(patient("a"), part("a", &log)).child(patient("b"), part("b", &log));
        let shop = system.supervise(shop).await.unwrap();
        let (a, b) = (shop.child::<Part>("a").unwrap(), shop.child::<Part>("b").unwrap());
        let answer = b.ask_within(Lean(a.clone()), Duration::from_secs(3600)).await;
        assert!(matches!(answer, Err(AskError::Restarted(_))), "{answer:?}");
        assert_eq!((count(&a).await, count(&b).await), (1, 1), "both behind the same references");
    });
}
