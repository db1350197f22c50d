//! Who has nothing to do answers at once: an actor is woken by what comes, and does not look for it now and then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use playhouse::{Node, rt};
use playhouse_actors::AskError;
use playhouse_actors::prelude::*;

use crate::verdict::Verdict;

pub(super) const PROMISE: &str = "an idle actor of the same node answers within a millisecond";

const WITHIN: Duration = Duration::from_millis(1);

/// How often one is asked on each node, in all.
const ASKS: u32 = 20;

/// Added to the time between two asks, so that they keep no other rhythm's time.
const OFF_BEAT: Duration = Duration::from_millis(13);

/// Idle actors of a node.
const IDLERS: usize = 16;

/// The longest wait for an answer so far, and who waited; or what came instead.
#[derive(Clone, Default)]
pub(super) struct Slowest(Arc<Mutex<Option<(Duration, String)>>>);

impl Slowest {
    fn heard(&self, after: Duration, what: String) {
        let mut slowest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slowest.as_ref().is_none_or(|(before, _)| *before < after) {
            *slowest = Some((after, what));
        }
    }
}

struct Question;

impl Message for Question {
    type Result = ();
}

struct Idler;

impl Actor for Idler {
    type Context = Ctx<Self>;
}

impl Handler<Question> for Idler {
    type Result = ();

    fn handle(&mut self, _: Question, _: &mut Ctx<Self>) {}
}

/// Asks idle actors of this node now and then, one after the other, over so much time.
pub(super) fn begin(node: &Node, over: Duration, slowest: Slowest) {
    let idlers: Vec<Ref<Idler>> = (0..IDLERS).map(|_| node.system().spawn(|| Idler)).collect();
    let place = node.name().clone();
    drop(rt::spawn(async move {
        let mut ticks = rt::interval(over / ASKS + OFF_BEAT);
        for idler in idlers.iter().cycle() {
            ticks.tick().await;
            let began = rt::now();
            let answer: Result<(), AskError> = idler.ask(Question).await;
            let after = rt::now() - began;
            match answer {
                Ok(()) => slowest.heard(after, format!("{place} answered after {after:?}")),
                Err(error) => slowest.heard(Duration::MAX, format!("{place}: {error}")),
            }
        }
    }));
}

pub(super) fn judge(slowest: &Slowest) -> Result<(), Verdict> {
    let slowest = slowest.0.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((after, what)) = &*slowest else { return Err(Verdict::Stuck("nobody was asked".into())) };
    Verdict::check(PROMISE, *after <= WITHIN, || what.clone())
}
