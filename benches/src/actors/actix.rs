//! actix as it comes: its own system, context and mailbox.

use ::actix::{Actor, Addr, Arbiter, Context, Handler, Message, System};

use super::peer::{Counter, Peer};
use super::{Lap, Metric};

pub(crate) struct Actix;

/// Another type than ours, because an actor has one kind of context.
pub(crate) struct Plain(Counter);

/// Messages of a batch: `do_send` takes no notice of the bound, but `send` waits while more than that are queued.
const MAILBOX: usize = 1024;

impl Actor for Plain {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(MAILBOX);
        self.0.has_started();
    }
}

struct Add(u64);

impl Message for Add {
    type Result = u64;
}

impl Handler<Add> for Plain {
    type Result = u64;

    fn handle(&mut self, add: Add, _: &mut Context<Self>) -> u64 {
        self.0.add(add.0)
    }
}

impl Peer for Actix {
    const NAME: &'static str = "actix";

    type Home = ();

    type Actor = Addr<Plain>;

    fn note(metric: Metric) -> &'static str {
        match metric {
            Metric::LocalTell => "0.13.5 do_send (ignores the bound), on its System's thread",
            Metric::LocalTellAcross => "0.13.5 do_send (ignores the bound), actor on an Arbiter",
            Metric::LocalAsk => "0.13.5 send, without a deadline",
            Metric::SpawnAsk => "0.13.5 ends when its last address is dropped",
            Metric::BytesPerActor => "0.13.5 panics take the thread with them",
        }
    }

    fn on_one_thread<F>(load: impl FnOnce(()) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        System::new().block_on(async { ::actix::spawn(load(())).await.expect("the load does not panic") })
    }

    fn on_two_threads<F>(load: impl FnOnce(Addr<Plain>) -> F + Send + 'static) -> Lap
    where
        F: Future<Output = Lap> + 'static,
    {
        let system = System::new();
        system.block_on(async {
            let arbiter = Arbiter::new();
            let actor = Plain::start_in_arbiter(&arbiter.handle(), |_| Plain(Counter::new(&Default::default())));
            let lap = ::actix::spawn(load(actor)).await.expect("the load does not panic");
            arbiter.stop();
            arbiter.join().expect("the arbiter's thread ends well");
            lap
        })
    }

    async fn spawn((): &(), counter: Counter) -> Addr<Plain> {
        Plain(counter).start()
    }

    fn tell(actor: &Addr<Plain>, amount: u64) {
        actor.do_send(Add(amount));
    }

    async fn ask(actor: &Addr<Plain>, amount: u64) -> u64 {
        actor.send(Add(amount)).await.expect("the actor answers")
    }

    async fn stop(actor: Addr<Plain>) {
        drop(actor);
    }
}
