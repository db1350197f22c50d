//! kameo with its default features.

use std::convert::Infallible;

use ::kameo::actor::{Actor, ActorRef, Spawn};
use ::kameo::mailbox;
use ::kameo::message::{Context, Message};

use super::peer::{Counter, Peer, on_two_runtimes, runtime};
use super::{Lap, Metric};

pub(crate) struct Kameo;

/// The same as everywhere here.
pub(crate) struct Sum(Counter);

struct Add(u64);

impl Actor for Sum {
    type Args = Counter;
    type Error = Infallible;

    async fn on_start(counter: Counter, _: ActorRef<Sum>) -> Result<Sum, Infallible> {
        counter.has_started();
        Ok(Sum(counter))
    }
}

impl Message<Add> for Sum {
    type Reply = u64;

    async fn handle(&mut self, add: Add, _: &mut Context<Sum, u64>) -> u64 {
        self.0.add(add.0)
    }
}

fn start(counter: Counter) -> ActorRef<Sum> {
    Sum::spawn_with_mailbox(counter, mailbox::unbounded())
}

impl Peer for Kameo {
    const NAME: &'static str = "kameo";

    type Home = ();

    type Actor = ActorRef<Sum>;

    fn note(metric: Metric) -> &'static str {
        match metric {
            Metric::LocalTell => "0.22.2 try_send, unbounded (its advice for high rates), tokio current_thread",
            Metric::LocalTellAcross => "0.22.2 try_send, unbounded, two current_thread runtimes",
            Metric::LocalAsk => "0.22.2 ask, unbounded, without a deadline",
            Metric::SpawnAsk => "0.22.2 unbounded; ends by stop_gracefully",
            Metric::BytesPerActor => "0.22.2 unbounded, panics caught",
        }
    }

    fn on_one_thread<F>(load: impl FnOnce(()) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        runtime().block_on(load(()))
    }

    fn on_two_threads<F>(load: impl FnOnce(ActorRef<Sum>) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        on_two_runtimes(async { start(Counter::new(&Default::default())) }, load)
    }

    async fn spawn((): &(), counter: Counter) -> ActorRef<Sum> {
        start(counter)
    }

    fn tell(actor: &ActorRef<Sum>, amount: u64) {
        // Cheaper than to await it, which allocates a future.
        actor.tell(Add(amount)).try_send().expect("the actor lives");
    }

    async fn ask(actor: &ActorRef<Sum>, amount: u64) -> u64 {
        // As above: awaiting the request itself would allocate a future.
        actor.ask(Add(amount)).send().await.expect("the actor answers")
    }

    async fn stop(actor: ActorRef<Sum>) {
        actor.stop_gracefully().await.expect("the actor lives");
    }
}
