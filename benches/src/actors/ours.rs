//! Playhouse.

use playhouse_actors::prelude::*;
use playhouse_rt::Locals;
use playhouse_rt::sync::oneshot;

use super::peer::{Counter, Peer};
use super::{Lap, Metric};

pub(crate) struct Ours;

impl Actor for Counter {
    type Context = Ctx<Self>;

    fn started(&mut self, _: &mut Ctx<Self>) {
        self.has_started();
    }
}

struct Add(u64);

impl Message for Add {
    type Result = u64;
}

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, add: Add, _: &mut Ctx<Self>) -> u64 {
        self.add(add.0)
    }
}

/// Lives on a system's thread and starts there what it is sent.
struct Host;

impl Actor for Host {
    type Context = Ctx<Self>;
}

struct Start(Box<dyn FnOnce() + Send>);

impl Message for Start {
    type Result = ();
}

impl Handler<Start> for Host {
    type Result = ();

    fn handle(&mut self, start: Start, _: &mut Ctx<Self>) {
        (start.0)();
    }
}

/// Runs `load` with a system of one thread, and stops that system.
fn with_system<F: Future<Output = Lap>>(load: impl FnOnce(System) -> F) -> Lap {
    let all = async {
        let name = NodeName::new("bench").expect("letters make a name");
        let system = System::new(name, 1).expect("the operating system gives a thread");
        let lap = load(system.clone()).await;
        assert_eq!(system.stop(Duration::from_secs(30)).await.late, [], "all actors end");
        lap
    };
    playhouse_rt::run(1, all).expect("the operating system gives threads")
}

/// The factory is for restarts, which do not happen here.
fn once(counter: Counter) -> impl FnMut() -> Counter + Send {
    let mut counter = Some(counter);
    move || counter.take().expect("nothing panics here")
}

impl Peer for Ours {
    const NAME: &'static str = "ours";

    type Home = System;

    type Actor = Ref<Counter>;

    fn note(metric: Metric) -> &'static str {
        match metric {
            Metric::LocalTell => "bounded mailbox (1024), System with 1 thread, load in a future of that thread",
            Metric::LocalTellAcross => "bounded mailbox (1024), actor and load on threads of their own",
            Metric::LocalAsk => "bounded mailbox (1024), every ask with a deadline of 5 s",
            Metric::SpawnAsk => "ends by Ref::stop",
            Metric::BytesPerActor => "bounded mailbox (1024), panics caught, in the node's directory",
        }
    }

    fn on_one_thread<F>(load: impl FnOnce(System) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        with_system(|system| async move {
            let (give, take) = oneshot::channel();
            let host = system.spawn(|| Host);
            // Beside the host on its thread, not inside it: the load's wake-ups must not pass through an actor.
            let start = move || {
                playhouse_rt::spawn_local(async move { give.send(load(system).await) });
            };
            host.tell(Start(Box::new(start))).expect("the host lives");
            take.await.expect("the load does not panic")
        })
    }

    fn on_two_threads<F>(load: impl FnOnce(Ref<Counter>) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        with_system(|system| async move {
            let (give, take) = oneshot::channel();
            let actor = Ours::spawn(&system, Counter::new(&Default::default())).await;
            let other = Locals::new(1).expect("the operating system gives a thread");
            other.spawn(0, move || async move {
                let _ = give.send(load(actor).await);
            });
            take.await.expect("the load does not panic")
        })
    }

    async fn spawn(system: &System, counter: Counter) -> Ref<Counter> {
        system.spawn(once(counter))
    }

    fn tell(actor: &Ref<Counter>, amount: u64) {
        actor.tell(Add(amount)).expect("a batch fits into the mailbox");
    }

    async fn ask(actor: &Ref<Counter>, amount: u64) -> u64 {
        actor.ask(Add(amount)).await.expect("the actor answers")
    }

    async fn stop(actor: Ref<Counter>) {
        actor.stop();
    }
}
