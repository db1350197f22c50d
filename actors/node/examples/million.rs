//! A million actors alive in one process: starts them, asks each, stops them, and says what it took.
//!
//! `cargo run --release -p playhouse --example million [COUNT]`
#![expect(clippy::print_stdout, reason = "a program that shows figures")]

use std::time::Instant;

use playhouse::prelude::*;

struct Counter(u64);

impl Actor for Counter {
    type Context = Ctx<Self>;
}

struct Add(u64);

impl Message for Add {
    type Result = u64;
}

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, add: Add, _: &mut Ctx<Self>) -> u64 {
        self.0 += add.0;
        self.0
    }
}

/// Bytes of memory that the process has now, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kib.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    rt::run(2, async move {
        let system = System::new(NodeName::new("million")?, 0)?;
        let before = resident();
        let began = Instant::now();
        let actors: Vec<_> = (0..count).map(|n| system.spawn(move || Counter(n))).collect();
        let mut sum = 0;
        for batch in actors.chunks(1000) {
            let asks: Vec<_> = batch.iter().map(|actor| actor.ask(Add(1))).collect();
            for ask in asks {
                sum += ask.await?;
            }
        }
        assert_eq!(sum, count * (count + 1) / 2, "each has answered");
        println!("{} actors alive, each asked once, after {:.1?}", system.counters().alive, began.elapsed());
        if let (Some(before), Some(now)) = (before, resident()) {
            println!("{} bytes of memory for each", (now - before) / count);
        }
        let shutdown = system.stop(Duration::from_secs(120)).await;
        println!("million: all stopped after {:.1?}; late: {}, lost: {}", began.elapsed(), shutdown.late.len(), shutdown.lost);
        Ok::<(), Box<dyn std::error::Error>>(())
    })?
}
