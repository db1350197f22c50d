//! A supervisor whose children come and go while they work.

use std::time::Duration;

use playhouse::rt;
use playhouse_actors::prelude::*;

use super::book::{LastEnd, enter};
use crate::scenario::WANTED;
use crate::scenario::trio::{Index, Stage};

#[derive(Clone, Copy)]
enum Deed {
    Nothing,
    Panic,
    Fail,
    Leave,
}

impl Message for Deed {
    type Result = ();
}

struct Hand {
    number: Index,
    why: Option<LastEnd>,
}

impl Hand {
    fn new(number: Index) -> Hand {
        enter(|book| book.born(number));
        Hand { number, why: None }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        enter(|book| book.dies(self.number, self.why));
    }
}

impl Actor for Hand {
    type Context = Ctx<Self>;

    fn started(&mut self, _: &mut Ctx<Self>) {
        enter(|book| book.children[self.number].started += 1);
    }
}

impl Handler<Deed> for Hand {
    type Result = ();

    fn handle(&mut self, deed: Deed, ctx: &mut Ctx<Self>) {
        if !matches!(deed, Deed::Nothing) {
            self.why = Some(if matches!(deed, Deed::Leave) { LastEnd::Left } else { LastEnd::Failed });
        }
        match deed {
            Deed::Nothing => {}
            Deed::Panic => panic!("{WANTED}"),
            Deed::Fail => ctx.fail("as it was told"),
            Deed::Leave => ctx.stop(),
        }
    }
}

/// It is never to give up: that is rehearsed elsewhere.
const INTENSITY: Intensity = Intensity { max: u32::MAX, within: Duration::from_secs(1) };

pub(super) async fn begin(stage: &Stage) {
    let backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50), ..Backoff::default() };
    let crew = Supervision::new("crew").intensity(INTENSITY).backoff(backoff);
    let crew = stage.node.system().supervise(crew).await.unwrap_or_else(|error| panic!("{error}"));
    rt::spawn(lead(stage.clone(), crew));
}

async fn lead(stage: Stage, crew: SupervisorRef) {
    let mut random = stage.random("crew");
    let mut hands: Vec<Index> = Vec::new();
    if !stage.load().await {
        return;
    }
    while stage.is_loaded() {
        let hand = (!hands.is_empty()).then(|| hands[random.below(hands.len() as u64) as usize]);
        match (random.below(10), hand) {
            (0..3, _) | (_, None) => {
                let lifetime = [Lifetime::Permanent, Lifetime::Transient, Lifetime::Temporary][random.below(3) as usize];
                let Some(number) = enter(|book| book.child(stage.at, lifetime)) else { return };
                let spec = ChildSpec { lifetime, ..ChildSpec::new(format!("hand-{number}")) };
                let added = crew.add(spec, SpawnOptions::default(), move || Ok(Hand::new(number))).await;
                enter(|book| book.children[number].added = added.is_ok());
                hands.push(number);
            }
            (3, Some(hand)) => {
                hands.retain(|other| *other != hand);
                enter(|book| book.children[hand].removing = true);
                // A temporary one may have gone already.
                let removed = crew.remove(&format!("hand-{hand}")).await;
                if removed.is_ok() {
                    enter(|book| book.children[hand].removed = Some(book.children[hand].born));
                }
            }
            (4, Some(hand)) => {
                enter(|book| book.children[hand].restarts += 1);
                let restarted = crew.restart(&format!("hand-{hand}")).await;
                rt::ledger::record("asked", || format!("restart of hand-{hand}: {restarted:?}"));
            }
            (deed, Some(hand)) => {
                if let Some(hand) = crew.child::<Hand>(&format!("hand-{hand}")) {
                    let deed = match deed {
                        5 => Deed::Panic,
                        6 => Deed::Fail,
                        7 => Deed::Leave,
                        _ => Deed::Nothing,
                    };
                    let _ = hand.tell(deed);
                }
            }
        }
        rt::sleep(Duration::from_millis(random.between(1, 30))).await;
    }
}
