//! An actor that has work done on the bounded pool.

use std::time::Duration;

use playhouse::rt;
use playhouse_actors::prelude::*;

use super::book::enter;
use crate::scenario::WANTED;
use crate::scenario::trio::{Index, Stage};

enum Job {
    /// So much work, of which every so manieth piece panics.
    Work(u64),
    Panic,
}

impl Message for Job {
    type Result = ();
}

struct Office(Index);

impl Drop for Office {
    fn drop(&mut self) {
        enter(|book| book.lives[self.0].over = true);
    }
}

impl Actor for Office {
    type Context = Ctx<Self>;
}

impl Handler<Job> for Office {
    type Result = ();

    fn handle(&mut self, job: Job, ctx: &mut Ctx<Self>) {
        let Job::Work(pieces) = job else { panic!("{WANTED}") };
        for piece in 0..pieces {
            let Some(work) = enter(|book| book.work(self.0)) else { return };
            let panics = work % 23 == 22;
            ctx.offload(
                move || {
                    assert!(!panics, "{WANTED}");
                    piece
                },
                move |_, result, _| {
                    let right = if panics { result.is_err() } else { result == Ok(piece) };
                    // A wrong one counts as a second one: neither is what was promised.
                    let times = if right { 1 } else { 2 };
                    for _ in 0..times {
                        enter(|book| book.comes_back(work));
                    }
                },
            );
        }
    }
}

pub(super) fn begin(stage: &Stage) {
    rt::spawn(work(stage.clone()));
}

async fn work(stage: Stage) {
    let at = stage.at;
    let mut random = stage.random("office");
    if !stage.load().await {
        return;
    }
    let office = move || Office(enter(|book| book.life(at)).unwrap_or_default());
    let offices = [stage.node.system().spawn(office), stage.node.system().spawn(office)];
    while stage.is_loaded() {
        let job = if random.chance(0.03) { Job::Panic } else { Job::Work(random.between(1, 30)) };
        let _ = offices[random.below(2) as usize].tell(job);
        rt::sleep(Duration::from_millis(random.between(10, 120))).await;
    }
    std::future::pending::<()>().await;
}
