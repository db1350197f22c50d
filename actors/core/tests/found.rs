//! What the simulator found, as stories.
#![allow(missing_docs)]

use std::sync::{Arc, Mutex};

use playhouse_actors::prelude::*;

fn run<F: Future<Output = ()>>(body: impl Fn(System) -> F) {
    let system = || System::new(NodeName::new("here").unwrap(), 2).unwrap();
    #[cfg(not(madsim))]
    playhouse_rt::run(2, async { body(system()).await }).unwrap();
    #[cfg(madsim)]
    for seed in 0..20 {
        playhouse_rt::sim::run(seed, async { body(system()).await });
    }
}

/// Notes its end.
struct Part(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Part {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

impl Actor for Part {
    type Context = Ctx<Self>;
}

struct Name;
impl Message for Name {
    type Result = &'static str;
}
impl Handler<Name> for Part {
    type Result = MessageResult<Name>;
    fn handle(&mut self, _: Name, _: &mut Ctx<Self>) -> MessageResult<Name> {
        MessageResult(self.0)
    }
}

struct Bind(Ref<Part>);
impl Message for Bind {
    type Result = ();
}
impl Handler<Bind> for Part {
    type Result = ();
    fn handle(&mut self, bind: Bind, ctx: &mut Ctx<Self>) {
        ctx.link(&bind.0);
    }
}

struct GiveUp;
impl Message for GiveUp {
    type Result = ();
}
impl Handler<GiveUp> for Part {
    type Result = ();
    fn handle(&mut self, _: GiveUp, ctx: &mut Ctx<Self>) {
        ctx.fail("no disk");
    }
}

/// Never answered; with `true`, the actor stops itself.
struct Hang(bool);
impl Message for Hang {
    type Result = ();
}
impl Handler<Hang> for Part {
    type Result = Exclusive<Self, ()>;
    fn handle(&mut self, hang: Hang, ctx: &mut Ctx<Self>) -> Exclusive<Self, ()> {
        if hang.0 {
            ctx.stop();
        }
        Exclusive::new(async |_, _| std::future::pending().await)
    }
}

#[test]
fn a_permanent_child_that_others_stop_is_started_again() {
    run(|system| async move {
        let log = Arc::<Mutex<Vec<_>>>::default();
        let group = Supervision::new("group").backoff(Backoff::NONE).strategy(Strategy::OneForAll);
        let group = ["a", "b"].into_iter().fold(group, |group, name| {
            let log = log.clone();
            group.child(ChildSpec::new(name), move || Ok(Part(name, log.clone())))
        });
        let group = system.supervise(group).await.unwrap();
        let a = group.child::<Part>("a").unwrap();
        a.stop();
        assert_eq!(a.ended().await, Exit::Stopped);
        // Behind another mailbox: that reference has ended.
        loop {
            if let Some(a) = group.child::<Part>("a")
                && a.ask(Name).await == Ok("a")
            {
                break;
            }
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        group.stop();
        group.ended().await;
    });
}

#[test]
fn a_child_that_is_cut_off_is_gone_before_the_next_one_stops() {
    run(|system| async move {
        let log: Arc<Mutex<Vec<_>>> = Arc::default();
        let (of_a, of_b) = (log.clone(), log.clone());
        let late = ChildSpec { stop_within: Duration::from_millis(20), ..ChildSpec::new("b") };
        let group = Supervision::new("group")
            .child(ChildSpec::new("a"), move || Ok(Part("a", of_a.clone())))
            .child(late, move || Ok(Part("b", of_b.clone())));
        let group = system.supervise(group).await.unwrap();
        let hangs = group.child::<Part>("b").unwrap().ask(Hang(false));
        group.stop();
        group.ended().await;
        assert_eq!(*log.lock().unwrap(), ["b", "a"]);
        drop(hangs);
    });
}

#[test]
fn who_asked_hears_of_a_full_mailbox_only_if_his_own_question_was_dropped() {
    run(|system| async move {
        let log = Arc::<Mutex<Vec<_>>>::default();
        let options = SpawnOptions { mailbox: 1, overflow: Overflow::DropNewest, ..SpawnOptions::default() };
        let group = Supervision::new("group").child_with(ChildSpec::new("a"), options, move || Ok(Part("a", log.clone())));
        let group = system.supervise(group).await.unwrap();
        let a = group.child::<Part>("a").unwrap();
        let handled = a.ask(Hang(true));
        // Without a wait since then, this one finds no room.
        let dropped = a.ask(Name);
        if dropped.await == Err(AskError::Full) {
            assert!(matches!(handled.await, Err(AskError::Gone(_))), "it was handled, and not answered");
        }
        group.stop();
        group.ended().await;
    });
}

#[test]
fn a_transient_child_that_a_link_ended_is_started_again() {
    run(|system| async move {
        let log = Arc::<Mutex<Vec<_>>>::default();
        let (of_other, of_child) = (log.clone(), log.clone());
        let mortal = SpawnOptions { restart: Restart::NEVER, ..SpawnOptions::default() };
        let other = system.spawn_with(mortal, move || Part("other", of_other.clone()));
        let child = ChildSpec { lifetime: Lifetime::Transient, ..ChildSpec::new("a") };
        let group = Supervision::new("group").child(child, move || Ok(Part("a", of_child.clone())));
        let group = system.supervise(group).await.unwrap();
        let a = group.child::<Part>("a").unwrap();
        a.ask(Bind(other.clone())).await.unwrap();
        other.tell(GiveUp).unwrap();
        assert!(matches!(a.ended().await, Exit::Linked(_)));
        loop {
            if let Some(a) = group.child::<Part>("a")
                && a.ask(Name).await == Ok("a")
            {
                break;
            }
            playhouse_rt::sleep(Duration::from_millis(1)).await;
        }
        group.stop();
        group.ended().await;
    });
}
