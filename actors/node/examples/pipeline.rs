//! Three stages under a supervisor. One of them panics now and then; it and all that stand before it are built anew, behind the same
//! references. What was acknowledged is in the ledger, whatever happened. (The panics that you see are part of the show.)
//!
//! Run it: `cargo run -p playhouse --example pipeline`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use playhouse::prelude::*;

/// Outlives all actors, as a disk would.
type Disk = Arc<Mutex<BTreeMap<u64, u64>>>;

struct Ledger(Disk);

#[actor]
impl Ledger {
    /// Twice the same is once: who got no answer may try again.
    #[message]
    fn store(&mut self, record: u64, square: u64) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).insert(record, square);
    }
}

struct Worker(Ref<Ledger>, u64);

#[actor]
impl Worker {
    /// Answers later, without the actor: who waits for a stage that starts anew must not hold up his own new start.
    #[message]
    fn work(&mut self, record: u64) -> Later<Result<(), AskError>> {
        self.1 += 1;
        assert!(self.1 < 12, "record {record} was too much");
        let ledger = self.0.clone();
        Later::new(async move { ledger.store(record, record * record).await })
    }
}

struct Intake(Ref<Worker>);

#[actor]
impl Intake {
    /// Answers when the record is in the ledger, not before. The asker's deadline goes down the whole line.
    #[message]
    fn take(&mut self, record: u64) -> Later<Result<(), AskError>> {
        let worker = self.0.clone();
        Later::new(async move { worker.work(record).await? })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rt::run(2, async {
        let system = System::new(NodeName::new("here")?, 2)?;
        let disk = Disk::default();
        let (of_ledger, of_worker, of_intake) = (disk.clone(), system.clone(), system.clone());
        // Each stage needs the one that stands above it here: so when one fails, those below it start anew as well.
        let stages = Supervision::new("pipeline")
            .strategy(Strategy::RestForOne)
            .child(ChildSpec::new("ledger"), move || Ok(Ledger(of_ledger.clone())))
            .child(ChildSpec::new("worker"), move || Ok(Worker(of_worker.lookup("pipeline/ledger").ok_or("no ledger")?, 0)))
            .child(ChildSpec::new("intake"), move || Ok(Intake(of_intake.lookup("pipeline/worker").ok_or("no worker")?)));
        let stages = system.supervise(stages).await?;
        println!("before\n{}", stages.report().await?);

        let intake = stages.child::<Intake>("intake").ok_or("it has started")?;
        let (mut acknowledged, mut again) = (Vec::new(), 0);
        for record in 1..=40 {
            // Without an acknowledgement it may be in the ledger or not: once more. The question waits for a stage that starts anew.
            while !matches!(intake.take(record).await, Ok(Ok(()))) {
                again += 1;
                if again > 20 {
                    return Err("the stages do not recover".into());
                }
            }
            acknowledged.push(record);
        }
        println!("after\n{}", stages.report().await?);
        system.stop(Duration::from_secs(1)).await;

        let disk = disk.lock().unwrap_or_else(|e| e.into_inner());
        let kept = acknowledged.iter().filter(|record| disk.get(record) == Some(&(*record * *record))).count();
        println!("{again} tries failed and were repeated");
        println!("pipeline: {kept} of {} acknowledged records are in the ledger", acknowledged.len());
        Ok(())
    })?
}
