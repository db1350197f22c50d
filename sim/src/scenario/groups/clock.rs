//! Actors that set timers, cancel some of them, and are busy at times.

use std::time::Duration;

use playhouse::rt::{self, Random};
use playhouse_actors::prelude::*;

use super::book::enter;
use crate::scenario::WANTED;
use crate::scenario::trio::{Index, Phase, Stage, phase};

/// Sent to itself, later.
struct Alarm(Index);

impl Message for Alarm {
    type Result = ();
}

/// Sent to itself, again and again.
#[derive(Clone)]
struct Tick(Index);

impl Message for Tick {
    type Result = ();
}

struct Clock {
    life: Index,
    random: Random,
    timers: Vec<(SpawnHandle, Index)>,
    intervals: Vec<(SpawnHandle, Index)>,
}

impl Drop for Clock {
    fn drop(&mut self) {
        enter(|book| book.lives[self.life].over = true);
    }
}

impl Handler<Alarm> for Clock {
    type Result = ();
    fn handle(&mut self, alarm: Alarm, _: &mut Ctx<Self>) {
        enter(|book| book.fires(alarm.0));
    }
}

impl Handler<Tick> for Clock {
    type Result = ();
    fn handle(&mut self, tick: Tick, _: &mut Ctx<Self>) {
        enter(|book| book.ticks(tick.0));
    }
}

const INTERVALS: usize = 3;

impl Clock {
    fn new(at: Index, seed: u64) -> Clock {
        let life = enter(|book| book.life(at)).unwrap_or_default();
        Clock { life, random: Random::new(seed ^ life as u64, "clock"), timers: Vec::new(), intervals: Vec::new() }
    }

    fn act(&mut self, ctx: &mut Ctx<Self>) {
        match self.random.below(20) {
            0..7 => self.set(ctx),
            7..13 => self.cancel(ctx),
            13..15 if self.intervals.len() < INTERVALS => self.repeat(ctx),
            15 => self.cancel_interval(ctx),
            16 if self.random.chance(0.1) => panic!("{WANTED}"),
            17..20 => self.nap(ctx),
            _ => {}
        }
    }

    fn set(&mut self, ctx: &mut Ctx<Self>) {
        let after = Duration::from_micros(self.random.between(0, 300_000));
        let Some(timer) = enter(|book| book.sets(self.life, after)) else { return };
        let handle = if self.random.chance(0.5) {
            ctx.run_later(after, move |_, _| {
                enter(|book| book.fires(timer));
            })
        } else {
            ctx.notify_later(Alarm(timer), after)
        };
        self.timers.push((handle, timer));
    }

    fn cancel(&mut self, ctx: &mut Ctx<Self>) {
        if self.timers.is_empty() {
            return;
        }
        let (handle, timer) = self.timers.swap_remove(self.random.below(self.timers.len() as u64) as usize);
        let cancelled = ctx.cancel_future(handle);
        enter(|book| {
            let timer = &mut book.timers[timer];
            timer.cancelled = cancelled;
            if !cancelled && timer.fired == 0 && timer.due > rt::now() {
                timer.odd = Some("it was set, and could not be cancelled".into());
            }
        });
    }

    fn repeat(&mut self, ctx: &mut Ctx<Self>) {
        let every = Duration::from_micros(self.random.between(1_000, 60_000));
        let sent = self.random.chance(0.5);
        let Some(interval) = enter(|book| book.repeats(self.life, every, sent)) else { return };
        let handle = if !sent {
            ctx.run_interval(every, move |_, _| {
                enter(|book| book.ticks(interval));
            })
        } else {
            ctx.notify_interval(Tick(interval), every)
        };
        self.intervals.push((handle, interval));
    }

    fn cancel_interval(&mut self, ctx: &mut Ctx<Self>) {
        if let Some((handle, interval)) = self.intervals.pop() {
            let cancelled = ctx.cancel_future(handle);
            enter(|book| book.intervals[interval].cancelled = cancelled);
        }
    }

    /// Has the actor for itself, for longer than some intervals.
    fn nap(&mut self, ctx: &mut Ctx<Self>) {
        let (life, time) = (self.life, Duration::from_millis(self.random.between(1, 200)));
        ctx.exclusively(async move |_, _| {
            enter(|book| book.lives[life].exclusive = true);
            rt::sleep(time).await;
            enter(|book| book.lives[life].exclusive = false);
        });
    }

    fn act_later(&mut self, ctx: &mut Ctx<Self>) {
        let pause = Duration::from_millis(self.random.between(2, 30));
        ctx.run_later(pause, |clock, ctx| {
            match phase() {
                Phase::Load => clock.act(ctx),
                // One tick more shows that they live.
                phase if phase >= Phase::Settled => {
                    for (handle, _) in clock.intervals.drain(..) {
                        ctx.cancel_future(handle);
                    }
                }
                _ => {}
            }
            clock.act_later(ctx);
        });
    }
}

impl Actor for Clock {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.act_later(ctx);
    }
}

pub(super) fn begin(stage: &Stage) {
    rt::spawn(run(stage.clone()));
}

async fn run(stage: Stage) {
    let (at, seed) = (stage.at, stage.random("clock").next_u64());
    if stage.load().await {
        let options = SpawnOptions { restart: Restart { max: u32::MAX, ..Restart::default() }, ..SpawnOptions::default() };
        let _clocks = [0, 1].map(|_| stage.node.system().spawn_with(options, move || Clock::new(at, seed)));
        std::future::pending::<()>().await;
    }
}
