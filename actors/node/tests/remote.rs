//! What actors promise each other across nodes.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use common::{actor_name, join, name, run, until};
use playhouse::prelude::*;
use playhouse::rt::sync::mpsc;
use playhouse::{Letter, rt};
use serde::{Deserialize, Serialize};

/// Does as it is told.
#[derive(Default)]
struct Player {
    got: Vec<u64>,
    friends: Vec<Ref<Player>>,
    downs: Option<mpsc::UnboundedSender<Down>>,
    begun: Arc<AtomicBool>,
    dropped: Arc<AtomicBool>,
}

impl Actor for Player {
    type Context = Ctx<Self>;
}

macro_rules! messages {
    ($($name:ident $(($($field:ty),+))? => $result:ty as $kind:ty, |$this:pat_param, $message:pat_param, $ctx:pat_param| $body:expr;)*) => {
        $(
            #[derive(Serialize, Deserialize)]
            struct $name $(($($field),+))?;
            impl Message for $name {
                type Result = $result;
            }
            impl Handler<$name> for Player {
                type Result = $kind;
                fn handle(&mut self, $message: $name, $ctx: &mut Ctx<Self>) -> $kind {
                    let $this = self;
                    $body
                }
            }
        )*
    };
}

messages! {
    Put(u64) => () as (), |me, Put(n), _| me.got.push(n);
    Got => Vec<u64> as MessageResult<Got>, |me, _, _| MessageResult(me.got.clone());
    Burst => () as (), |_, _, _| panic!("burst");
    Watch(Ref<Player>) => () as (), |me, Watch(other), ctx| {
        let downs = me.downs.clone().expect("a watcher has a place for what it hears");
        ctx.watch(&other, move |_, down, _| drop(downs.send(down)));
    };
    Link(Ref<Player>) => () as (), |_, Link(other), ctx| ctx.link(&other);
    Fail => () as (), |_, _, ctx| ctx.stop_because(Exit::Failed("on purpose".into()));
    Befriend(Ref<Player>) => () as (), |me, Befriend(other), _| me.friends.push(other);
    Gossip(u64) => usize as usize, |me, Gossip(n), _| me.friends.iter().filter(|friend| friend.tell(Put(n)).is_ok()).count();
    Myself => Ref<Player> as MessageResult<Myself>, |_, _, ctx| MessageResult(ctx.me());
    Child => Ref<Player> as MessageResult<Child>, |_, _, ctx| MessageResult(ctx.system().spawn(Player::default));
    Never => u64 as Later<u64>, |me, _, _| {
        me.begun.store(true, SeqCst);
        let dropped = Flag(me.dropped.clone());
        Later::new(async move {
            let _dropped = dropped;
            std::future::pending().await
        })
    };
}

struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

impl Remote for Player {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Put>(1).message::<Got>(2).message::<Burst>(3).message::<Watch>(4).message::<Link>(5);
        protocol.message::<Fail>(6).message::<Befriend>(7).message::<Gossip>(8).message::<Myself>(9).message::<Child>(10);
        protocol.message::<Never>(11);
    }
}

fn spawn(node: &Node, actor: &str) -> Ref<Player> {
    node.system().spawn_remote(actor_name(actor), SpawnOptions::default(), Player::default).unwrap()
}

fn spawn_with(node: &Node, actor: &str, options: SpawnOptions, player: impl FnMut() -> Player + Send + 'static) -> Ref<Player> {
    node.system().spawn_remote(actor_name(actor), options, player).unwrap()
}

fn far(node: &Node, other: &Node, actor: &str) -> Ref<Player> {
    node.actor(other.name(), actor).unwrap()
}

/// A watcher and what it hears.
fn watcher(node: &Node) -> (Ref<Player>, mpsc::UnboundedReceiver<Down>) {
    let (sender, downs) = mpsc::unbounded_channel();
    let player = node.system().spawn(move || Player { downs: Some(sender.clone()), ..Player::default() });
    (player, downs)
}

#[test]
fn each_watch_hears_of_the_end_once_and_why() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let (watcher, mut downs) = watcher(&a);
        let never = SpawnOptions { restart: Restart::NEVER, ..SpawnOptions::default() };
        for actor in ["stopped", "failed", "told"] {
            spawn(&b, actor);
        }
        spawn_with(&b, "burst", never, Player::default);
        for actor in ["stopped", "failed", "told", "burst", "nobody"] {
            watcher.ask(Watch(far(&a, &b, actor))).await.unwrap();
            if actor == "nobody" {
                assert_eq!(downs.recv().await.unwrap().exit, Exit::NoActor);
                continue;
            }
            // What is asked goes behind the watch, if on another lane: first it must be there.
            until(|| b.peers()[0].served == 1).await;
            let other = far(&a, &b, actor);
            match actor {
                "stopped" => b.system().lookup::<Player>(actor).unwrap().stop(),
                "failed" => other.tell(Fail).unwrap(),
                "burst" => other.tell(Burst).unwrap(),
                _ => other.stop(),
            }
            let down = downs.recv().await.unwrap();
            assert_eq!((down.name.as_str(), down.node), (actor, Some(name("b"))));
            match actor {
                "failed" => assert_eq!(down.exit, Exit::Failed("on purpose".into())),
                "burst" => assert!(matches!(down.exit, Exit::Panicked(ref text) if text.contains("burst")), "{:?}", down.exit),
                _ => assert_eq!(down.exit, Exit::Stopped),
            }
        }
        // One that ended on its own, and one whose node stops.
        spawn(&b, "last");
        watcher.ask(Watch(far(&a, &b, "last"))).await.unwrap();
        until(|| b.peers()[0].served == 1).await;
        b.stop(Duration::from_secs(5)).await;
        assert_eq!(downs.recv().await.unwrap().exit, Exit::NodeStopped);
        // No connection.
        let other = far(&a, &b, "last");
        assert!(matches!(other.ended().await, Exit::NodeLost(_)));
        watcher.ask(Got).await.unwrap();
        assert!(downs.try_recv().is_err(), "once for each watch");
    });
}

#[test]
fn a_lost_connection_ends_watches_and_both_ends_of_links() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let (watcher, mut downs) = watcher(&a);
        let (near, there, free) = (spawn(&a, "near"), spawn(&b, "there"), spawn(&b, "free"));
        watcher.ask(Watch(far(&a, &b, "there"))).await.unwrap();
        near.ask(Link(far(&a, &b, "there"))).await.unwrap();
        // A watch alone ends nobody; one that was given up is not counted any more.
        let mut ended = Box::pin(async { far(&a, &b, "free").ended().await });
        assert!(rt::timeout(Duration::ZERO, &mut ended).await.is_err());
        until(|| b.peers()[0].served == 3).await;
        drop(ended);
        until(|| b.peers()[0].served == 2).await;

        // A later life of `b` takes over its connection.
        let later = world.node("b").await;
        join(&later, &a).await;
        let down = downs.recv().await.unwrap();
        assert!(matches!(down.exit, Exit::NodeLost(_)), "{down}");
        let exit = near.ended().await;
        assert!(matches!(exit, Exit::Linked(ref text) if text.contains("there@b")), "{exit}");
        let exit = there.ended().await;
        assert!(matches!(exit, Exit::Linked(ref text) if text.starts_with("near@a")), "{exit}");
        assert_eq!(free.ask(Got).await, Ok(vec![]));
    });
}

#[test]
fn links_bring_down_the_other_one_in_both_directions() {
    run(|world| async move {
        let (a, b) = world.two().await;
        for (first, which) in [(true, "one"), (false, "two")] {
            let (near, there) = (spawn(&a, which), spawn(&b, which));
            near.ask(Link(far(&a, &b, which))).await.unwrap();
            until(|| b.peers()[0].served == 1).await;
            let (dies, follows) = if first { (&near, &there) } else { (&there, &near) };
            dies.tell(Fail).unwrap();
            let exit = follows.ended().await;
            assert!(matches!(exit, Exit::Linked(ref text) if text.contains("on purpose")), "{exit}");
            until(|| b.peers()[0].served == 0).await;
        }
        // An actor that is not to be stopped from elsewhere is not.
        let fixed = spawn_with(&b, "fixed", SpawnOptions { stoppable: false, ..SpawnOptions::default() }, Player::default);
        let other = far(&a, &b, "fixed");
        other.stop();
        other.tell(Put(1)).unwrap();
        assert_eq!(other.ask(Got).await, Ok(vec![1]));
        assert_eq!(fixed.ask(Got).await, Ok(vec![1]));
    });
}

#[test]
fn who_gives_up_is_heard_by_the_one_who_works() {
    run(|world| async move {
        let (a, b) = world.two().await;
        for how in 0..3 {
            let (begun, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let actor = format!("worker-{how}");
            let flags = (begun.clone(), dropped.clone());
            spawn_with(&b, &actor, SpawnOptions::default(), move || Player {
                begun: flags.0.clone(),
                dropped: flags.1.clone(),
                ..Player::default()
            });
            let asks = far(&a, &b, &actor);
            let mut ask = asks.ask_within(Never, Duration::from_secs(if how == 1 { 1 } else { 50 }));
            let begins = async { until(|| begun.load(SeqCst)).await };
            rt::select! {
                answer = &mut ask => panic!("{answer:?}"),
                () = begins => {}
            }
            assert!(!dropped.load(SeqCst));
            match how {
                0 => drop(ask),
                1 => assert_eq!(ask.await, Err(AskError::Timeout)),
                _ => {
                    // The connection of this life is taken over by a later one.
                    let later = world.node("a").await;
                    join(&later, &b).await;
                    assert!(matches!(ask.await, Err(AskError::Unknown(_))));
                }
            }
            until(|| dropped.load(SeqCst)).await;
            until(|| b.peers().iter().all(|peer| peer.served == 0)).await;
            assert!(a.peers().iter().all(|peer| peer.calls == 0));
        }
    });
}

#[test]
fn references_in_messages_work_from_where_they_arrive() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let c = world.node("c").await;
        join(&a, &c).await;
        join(&b, &c).await;
        let (_host, _other) = (spawn(&b, "host"), spawn(&c, "other"));
        let host = far(&a, &b, "host");

        // One without a name, of the sender's node; and one of a third node.
        let anonymous = a.system().spawn(Player::default);
        host.ask(Befriend(anonymous.clone())).await.unwrap();
        host.ask(Befriend(far(&a, &c, "other"))).await.unwrap();
        assert_eq!(host.ask(Gossip(7)).await, Ok(2));
        let other = far(&a, &c, "other");
        for friend in [&anonymous, &other] {
            loop {
                let got = friend.ask(Got).await.unwrap();
                if got == [7] {
                    break;
                }
                assert!(got.is_empty());
            }
        }

        // A reference to an actor of the reader's node is one of here.
        let child = host.ask(Child).await.unwrap();
        assert_eq!(child.remote_node(), Some(&name("b")));
        child.ask(Put(3)).await.unwrap();
        assert_eq!(child.ask(Got).await, Ok(vec![3]));
        let near = spawn(&a, "near");
        b.actor::<Player>(&name("a"), "near").unwrap().ask(Befriend(host.clone())).await.unwrap();
        let myself = b.actor::<Player>(&name("a"), "near").unwrap().ask(Myself).await.unwrap();
        assert_eq!(myself.remote_node(), Some(&name("a")));
        host.ask(Befriend(host.ask(Myself).await.unwrap())).await.unwrap();
        assert_eq!(host.ask(Gossip(9)).await, Ok(3));
        // What it tells itself needs no network.
        until(|| b.actors(100).iter().any(|actor| actor.name.as_str() == "host" && actor.handled >= 6)).await;
        assert_eq!(near.ask(Gossip(1)).await, Ok(1));
    });
}

#[test]
fn what_finds_no_room_on_another_node_is_a_dead_letter_by_the_actors_policy() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let mut letters = b.dead_letters();
        for (overflow, kept) in
            [(Overflow::Refuse, vec![0, 1]), (Overflow::DropNewest, vec![0, 1]), (Overflow::DropOldest, vec![8, 9])]
        {
            let actor = format!("{overflow:?}").to_lowercase();
            let gate = Arc::new(rt::sync::Semaphore::new(0));
            let options = SpawnOptions { mailbox: 2, overflow, ..SpawnOptions::default() };
            let of_actor = gate.clone();
            let busy = b.system().spawn_remote(actor_name(&actor), options, move || Busy(of_actor.clone(), vec![])).unwrap();
            let other = a.actor::<Busy>(b.name(), &actor).unwrap();
            // The first one keeps it busy, in its hands.
            other.tell(Load(100)).unwrap();
            until(|| {
                b.actors(100).iter().any(|status| status.name.as_str() == actor && status.handled + status.depth as u64 > 0)
            })
            .await;
            until(|| busy.depth() == 0).await;
            for n in 0..10 {
                other.tell(Load(n)).unwrap();
            }
            for _ in 0..8 {
                let letter = letters.next().await.unwrap();
                assert_eq!((letter.to.as_str(), letter.from), (actor.as_str(), Some(name("a"))));
                assert!(matches!(letter.message, Letter::Wire(..) | Letter::Type(_)));
            }
            gate.add_permits(11);
            until(|| busy.depth() == 0).await;
            let expected: Vec<u64> = [100].into_iter().chain(kept).collect();
            assert_eq!(busy.ask(Loads).await, Ok(expected), "{overflow:?}");
        }
    });
}

/// Handles nothing more until its gate lets it.
struct Busy(Arc<rt::sync::Semaphore>, Vec<u64>);

impl Actor for Busy {
    type Context = Ctx<Self>;
}

#[derive(Serialize, Deserialize)]
struct Load(u64);
impl Message for Load {
    type Result = ();
}
impl Handler<Load> for Busy {
    type Result = ();
    fn handle(&mut self, load: Load, ctx: &mut Ctx<Self>) {
        self.1.push(load.0);
        let gate = self.0.clone();
        ctx.wait(async move { gate.acquire().await.unwrap().forget() }.into_actor(self));
    }
}

#[derive(Serialize, Deserialize)]
struct Loads;
impl Message for Loads {
    type Result = Vec<u64>;
}
impl Handler<Loads> for Busy {
    type Result = MessageResult<Loads>;
    fn handle(&mut self, _: Loads, _: &mut Ctx<Self>) -> MessageResult<Loads> {
        MessageResult(self.1.clone())
    }
}

impl Remote for Busy {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Load>(1).message::<Loads>(2);
    }
}

/// An actor's program in its former and its present version.
struct Old;
struct New;
static ADDED: AtomicU64 = AtomicU64::new(0);

impl Actor for Old {
    type Context = Ctx<Self>;
}
impl Actor for New {
    type Context = Ctx<Self>;
}

#[derive(Serialize, Deserialize)]
struct Add(u32);
impl Message for Add {
    type Result = u64;
}
#[derive(Serialize, Deserialize)]
struct AddMany {
    many: Vec<u32>,
}
impl Message for AddMany {
    type Result = u64;
}

impl Handler<Add> for Old {
    type Result = u64;
    fn handle(&mut self, add: Add, _: &mut Ctx<Self>) -> u64 {
        ADDED.fetch_add(add.0.into(), SeqCst) + u64::from(add.0)
    }
}
impl Handler<Add> for New {
    type Result = u64;
    fn handle(&mut self, add: Add, _: &mut Ctx<Self>) -> u64 {
        u64::from(add.0)
    }
}
impl Handler<AddMany> for New {
    type Result = u64;
    fn handle(&mut self, add: AddMany, _: &mut Ctx<Self>) -> u64 {
        add.many.into_iter().map(u64::from).sum()
    }
}

impl Remote for Old {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Add>(MessageId { id: 1, version: 1 }, Lane::Data);
    }
}
impl Remote for New {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message_on::<Add>(MessageId { id: 1, version: 1 }, Lane::Data);
        protocol.message_on::<AddMany>(MessageId { id: 1, version: 2 }, Lane::Data);
    }
}

#[test]
fn two_versions_of_a_program_understand_each_other() {
    run(|world| async move {
        let (old, new) = world.two().await;
        old.system().spawn_remote(actor_name("adder"), SpawnOptions::default(), || Old).unwrap();
        new.system().spawn_remote(actor_name("adder"), SpawnOptions::default(), || New).unwrap();
        // Each side names the actor by its own program's type.
        let from_old = old.actor::<Old>(new.name(), "adder").unwrap();
        assert_eq!(from_old.ask(Add(3)).await, Ok(3));
        let from_new = new.actor::<New>(old.name(), "adder").unwrap();
        let newer = from_new.ask(AddMany { many: vec![1, 2] }).await;
        assert_eq!(newer, Err(AskError::NotUnderstood(MessageId { id: 1, version: 2 })));
        ADDED.store(0, SeqCst);
        for part in [1, 2] {
            from_new.ask(Add(part)).await.unwrap();
        }
        assert_eq!(ADDED.load(SeqCst), 3);
        let letters = old.counters().dead_letters;
        from_new.tell(AddMany { many: vec![9] }).unwrap();
        until(|| old.counters().dead_letters == letters + 1).await;
    });
}
