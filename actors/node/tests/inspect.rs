//! What a node says of itself, to its own program and to others.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use common::{actor_name, name, run, until};
use playhouse::prelude::*;
use playhouse::{Inspect, Inspection, Sort};
use playhouse_actors::supervise::ChildSpec;
use serde::{Deserialize, Serialize};

/// Answers when its gate opens.
struct Clerk(Arc<playhouse::rt::sync::Semaphore>);

impl Actor for Clerk {
    type Context = Ctx<Self>;
}

impl Remote for Clerk {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Work>(1).message::<Burst>(2);
    }
}

#[derive(Serialize, Deserialize)]
struct Work;

impl Message for Work {
    type Result = ();
}

impl Handler<Work> for Clerk {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: Work, _: &mut Ctx<Self>) -> Self::Result {
        let gate = self.0.clone();
        AtomicResponse::new(Box::pin(async move { drop(gate.acquire().await) }.into_actor(self)))
    }
}

#[derive(Serialize, Deserialize)]
struct Burst;

impl Message for Burst {
    type Result = ();
}

impl Handler<Burst> for Clerk {
    type Result = ();

    fn handle(&mut self, _: Burst, _: &mut Ctx<Self>) {
        panic!("burst");
    }
}

fn look(sort: Sort) -> Inspect {
    Inspect { actors: 3, sort, tree: true }
}

async fn ask(from: &Node, of: &Node, sort: Sort) -> Inspection {
    from.inspect(of.name(), look(sort), Duration::from_secs(30)).await.unwrap()
}

/// Has something done, and waits until that was counted: an answer comes before the turn that gave it is over. What is counted last is
/// the time, so a second turn shows the end of the first.
async fn count(node: &Node, clerk: &Ref<Clerk>) {
    let handled = || node.actors(100).iter().find(|actor| actor.name == *clerk.name()).unwrap().handled;
    for _ in 0..2 {
        let before = handled();
        clerk.ask(Work).await.unwrap();
        until(|| handled() > before).await;
    }
}

#[test]
fn another_node_sees_actors_peers_and_the_tree() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let gate = Arc::new(playhouse::rt::sync::Semaphore::new(0));
        let clerk = |gate: &Arc<playhouse::rt::sync::Semaphore>| {
            let gate = gate.clone();
            move || Clerk(gate.clone())
        };
        let options = SpawnOptions { mailbox: 8, ..SpawnOptions::default() };
        let busy = b.system().spawn_remote(actor_name("busy"), options, clerk(&gate)).unwrap();
        let frail = b.system().spawn_remote(actor_name("frail"), options, clerk(&gate)).unwrap();
        let below = clerk(&gate);
        let office = Supervision::new("office").child(ChildSpec::new("junior"), move || Ok(below()));
        let _office = b.system().supervise(office).await.unwrap();
        assert!(frail.ask(Burst).await.is_err());
        for _ in 0..4 {
            busy.tell(Work).unwrap();
        }
        // The first is being handled; three wait.
        until(|| b.actors(10).iter().any(|actor| actor.name.as_str() == "busy" && actor.depth == 3)).await;
        b.actor::<Clerk>(a.name(), "nobody").unwrap().tell(Work).unwrap();
        until(|| a.counters().dead_letters == 1).await;

        let seen = ask(&a, &b, Sort::Depth).await;
        let first = &seen.actors[0];
        let figures = (first.name.as_str(), first.kind.as_str(), first.depth, first.bound);
        assert_eq!(figures, ("busy", "Clerk", 3, 8));
        assert_eq!(seen.actors.len(), 3, "no more than asked for: {:?}", seen.actors);
        let metrics = &seen.metrics;
        assert_eq!((&metrics.node, metrics.incarnation, metrics.address), (b.name(), b.incarnation(), b.address()));
        assert_eq!((metrics.panics, metrics.restarts, metrics.dead_letters), (1, 1, 0));
        let clerks = metrics.kinds.iter().find(|kind| kind.kind == "Clerk").unwrap();
        assert_eq!((clerks.actors, clerks.depth, clerks.depth_max), (3, 3, 3), "{clerks:?}");
        let [peer] = &metrics.peers[..] else { panic!("{metrics:?}") };
        assert_eq!((&peer.node, peer.address), (a.name(), a.address()));
        assert!(peer.bytes_received > 0 && peer.bytes_sent > 0 && peer.rtt > Duration::ZERO, "{peer:?}");
        let tree = seen.tree.unwrap();
        assert_eq!(tree, b.tree().await.to_string());
        assert!(tree.starts_with("office: up, OneForOne\n") && tree.contains(" junior: up since "), "{tree}");
        assert!(tree.contains("\nunder no supervisor:\n") && tree.contains("  busy: Clerk, 3 of 8 messages wait\n"), "{tree}");
        assert!(!tree.contains("  office"), "what is supervised is not named again: {tree}");
        assert!(tree.contains("  frail: Clerk, 0 of 8 messages wait, 1 restart\n"), "{tree}");

        let restarted = ask(&a, &b, Sort::Restarts).await;
        assert_eq!(restarted.actors[0].name.as_str(), "frail");
        gate.add_permits(100);
    });
}

#[test]
fn watching_begins_with_a_question_and_ends_by_itself() {
    run(|world| async move {
        let (a, b) = world.two().await;
        let gate = Arc::new(playhouse::rt::sync::Semaphore::new(100));
        let options = SpawnOptions::default();
        let clerk = b.system().spawn_remote(actor_name("clerk"), options, move || Clerk(gate.clone())).unwrap();
        count(&b, &clerk).await;
        assert_eq!(b.metrics().handle.count(), 0, "nobody asks, so no times are taken");

        let first = ask(&a, &b, Sort::Rate).await;
        assert_eq!(first.actors[0].rate, None, "one look is none");
        a.actor::<Clerk>(b.name(), "nobody").unwrap().tell(Work).unwrap();
        until(|| b.counters().dead_letters == 1).await;
        // Until the looks are far enough apart; virtual in the simulation.
        let second = loop {
            count(&b, &clerk).await;
            let seen = ask(&a, &b, Sort::Rate).await;
            if seen.actors.iter().any(|actor| actor.rate.is_some()) {
                break seen;
            }
        };
        let clerks = second.actors.iter().find(|actor| actor.name.as_str() == "clerk").unwrap();
        assert!(clerks.rate.unwrap() > 0.0, "{clerks:?}");
        assert!(second.metrics.handle.since(&first.metrics.handle).count() > 0);
        let [letter] = &second.dead_letters[..] else { panic!("{:?}", second.dead_letters) };
        assert!(letter.contains(" to nobody from a: "), "{letter}");

        // Nobody asks any more: after a while, no more times are taken. That while passes in the simulation only.
        #[cfg(madsim)]
        loop {
            let before = b.metrics().handle.count();
            count(&b, &clerk).await;
            if b.metrics().handle.count() == before {
                break;
            }
            playhouse::rt::sleep(Duration::from_millis(100)).await;
        }
        b.keep_times(true);
        let before = b.metrics().handle.count();
        count(&b, &clerk).await;
        assert!(b.metrics().handle.count() > before);
        let handled = |metrics: playhouse::Metrics| metrics.kinds.iter().find(|kind| kind.kind == "Clerk").unwrap().handled;
        assert!(handled(b.metrics()) > 4);
    });
}

#[test]
fn a_node_that_is_dropped_is_not_kept_by_its_inspector() {
    run(|world| async move {
        let (host, address) = world.host();
        let node = Node::start(host, NodeConfig::actors(world.identity("c"), address)).await.unwrap();
        let inspector = node.inspect(&name("c"), look(Sort::Rate), Duration::from_secs(30)).await.unwrap();
        assert_eq!(inspector.actors[0].name.as_str(), "node/inspect");
        let system = node.system().clone();
        drop(node);
        until(|| system.counters().alive == 0).await;
    });
}
