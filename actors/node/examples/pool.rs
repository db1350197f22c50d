//! A pool of workers that takes work at a limited rate. All mailboxes are small: who sends faster than the pool works is refused
//! (`tell_`) or waits (`send_`), and nothing piles up anywhere. The work itself blocks, so it runs on threads made for that.
//!
//! Run it: `cargo run --release -p playhouse --example pool`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use playhouse::prelude::*;

const JOBS: u64 = 100;
const PACE: Duration = Duration::from_millis(4);

/// Hands out jobs, one per tick.
struct Pool {
    ticks: rt::Interval,
    workers: [Ref<Worker>; 3],
    given: usize,
}

#[actor]
impl Pool {
    /// Nothing else is handled meanwhile, so what waits is in the mailbox, and that is bounded.
    #[message]
    async fn job(&mut self, number: u64) {
        self.ticks.tick().await;
        let worker = &self.workers[self.given % self.workers.len()];
        self.given += 1;
        if worker.send_job(number).await.is_err() {
            println!("job {number} is lost: its worker is gone");
        }
    }
}

/// How many jobs it has done, and what came of them.
#[derive(Default)]
struct Worker(u64, u64);

#[actor]
impl Worker {
    #[message]
    async fn job(&mut self, ctx: &mut Ctx<Self>, number: u64) {
        let blocking = ctx.system().blocking().clone();
        if let Ok(steps) = blocking.run(move || collatz(number + 1)).await {
            *self = Worker(self.0 + 1, self.1 + steps);
        }
    }

    #[message]
    fn total(&self) -> (u64, u64) {
        (self.0, self.1)
    }
}

fn collatz(mut n: u64) -> u64 {
    let steps = std::iter::from_fn(|| (n > 1).then(|| n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 }));
    steps.count() as u64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rt::run(2, async {
        let system = System::new(NodeName::new("here")?, 2)?;
        let small = |mailbox| SpawnOptions { mailbox, ..SpawnOptions::default() };
        let workers = [(); 3].map(|()| system.spawn_with(small(2), Worker::default));
        let of_pool = workers.clone();
        let build = move || Pool { ticks: rt::interval(PACE), workers: of_pool.clone(), given: 0 };
        let began = rt::now();
        let pool = system.spawn_with(small(8), build);

        let mut refused = Vec::new();
        for number in 0..JOBS {
            if let Err(TellError::Full(message)) = pool.tell_job(number) {
                refused.push(message.number);
            }
        }
        println!("at once:  {} jobs were taken, {} refused", JOBS - refused.len() as u64, refused.len());
        for number in refused {
            pool.send_job(number).await?;
        }
        // What is in its mailbox is done first, and what it gave to the workers comes before the question to them.
        pool.drain();
        pool.ended().await;
        let (mut done, mut steps) = (0, 0);
        for worker in &workers {
            let total = worker.total().await?;
            (done, steps) = (done + total.0, steps + total.1);
        }
        // The first tick comes at once; each further job waited for one of its own.
        assert!(began.elapsed() >= PACE * (JOBS as u32 - 1), "the pool must not go faster than its pace");
        println!("in turn:  the rest, at the pool's pace: {:.0} jobs/s", done as f64 / began.elapsed().as_secs_f64());
        println!("pool: {done} of {JOBS} jobs were done, in {steps} steps");
        Ok(())
    })?
}
