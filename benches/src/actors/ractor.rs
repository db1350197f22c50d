//! ractor with its default features.

use ::ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use super::peer::{Counter, Peer, on_two_runtimes, runtime};
use super::{Lap, Metric};

pub(crate) struct Ractor;

/// The actor itself; its state is a [`Counter`].
struct Sum;

/// ractor's actors take one type of message.
pub(crate) enum Add {
    Tell(u64),
    Ask(u64, RpcReplyPort<u64>),
}

impl Actor for Sum {
    type Msg = Add;
    type State = Counter;
    type Arguments = Counter;

    async fn pre_start(&self, _: ActorRef<Add>, counter: Counter) -> Result<Counter, ActorProcessingErr> {
        counter.has_started();
        Ok(counter)
    }

    async fn handle(&self, _: ActorRef<Add>, message: Add, counter: &mut Counter) -> Result<(), ActorProcessingErr> {
        match message {
            Add::Tell(amount) => {
                counter.add(amount);
            }
            Add::Ask(amount, reply) => reply.send(counter.add(amount))?,
        }
        Ok(())
    }
}

async fn start(counter: Counter) -> ActorRef<Add> {
    Actor::spawn(None, Sum, counter).await.expect("the actor starts").0
}

impl Peer for Ractor {
    const NAME: &'static str = "ractor";

    type Home = ();

    type Actor = ActorRef<Add>;

    fn note(metric: Metric) -> &'static str {
        match metric {
            Metric::LocalTell => "0.16.5 cast, unbounded (it has no other mailbox), tokio current_thread",
            Metric::LocalTellAcross => "0.16.5 cast, unbounded, two current_thread runtimes",
            Metric::LocalAsk => "0.16.5 call, without a deadline",
            Metric::SpawnAsk => "0.16.5 waits for pre_start; ends by ActorRef::stop",
            Metric::BytesPerActor => "0.16.5 panics caught",
        }
    }

    fn on_one_thread<F>(load: impl FnOnce(()) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        runtime().block_on(load(()))
    }

    fn on_two_threads<F>(load: impl FnOnce(ActorRef<Add>) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        on_two_runtimes(start(Counter::new(&Default::default())), load)
    }

    async fn spawn((): &(), counter: Counter) -> ActorRef<Add> {
        start(counter).await
    }

    fn tell(actor: &ActorRef<Add>, amount: u64) {
        actor.cast(Add::Tell(amount)).expect("the actor lives");
    }

    async fn ask(actor: &ActorRef<Add>, amount: u64) -> u64 {
        call!(actor, Add::Ask, amount).expect("the actor answers")
    }

    async fn stop(actor: ActorRef<Add>) {
        actor.stop(None);
    }
}
