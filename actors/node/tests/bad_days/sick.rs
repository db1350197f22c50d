//! Disks and clocks that fail while a node runs, which only a simulation can have them do.

use std::path::Path;

use playhouse::prelude::*;
use playhouse::rt::Random;
use playhouse::rt::sim::DiskFault;

use crate::stage::{Stage, names, play, within};

/// A client is served until this coordinator says why it can go on no more: not every write needs more room.
async fn until_it_fails(stage: &mut Stage, victim: &str) -> String {
    let head = stage.head(victim).clone();
    let mut failed = std::pin::pin!(head.failed());
    within(async {
        loop {
            rt::select! {
                why = &mut failed => return why,
                () = stage.serves() => {}
            }
        }
    })
    .await
}

/// The disk of one coordinator has this fault, until it is mended. It says so, and comes back with all that it had.
async fn a_sick_disk(fault: DiskFault, leads: bool) {
    let mut stage = Stage::set("sick").await;
    for _ in 0..3 {
        stage.serves().await;
    }
    let victim = if leads { stage.leader().await } else { stage.follower().await };
    // The journal, or the task log beside it, whichever is written first.
    let folder = format!("/data/{victim}/");
    stage.places().of(&victim).faults.begin(Path::new("/data"), fault);
    let said = until_it_fails(&mut stage, &victim).await;
    names(&said, &[&folder, "cannot be used", "Free space or repair the disk"]);
    assert_eq!(stage.head(&victim).coordinator().unwrap().waits.map(|why| said.contains(&why)), Some(true));
    stage.serves().await;
    stage.stops(&victim).await;
    if matches!(fault, DiskFault::WriteError { .. }) {
        let error = stage.joins(&victim).await.unwrap_err().to_string();
        names(&error, &[folder.trim_end_matches('/'), "repair the disk"]);
    }
    stage.places().of(&victim).faults.end_all();
    let back = stage.joins(&victim).await.unwrap();
    stage.has_caught_up(&back).await;
    assert_eq!(back.forgot(), None);
    stage.heads.push(back);
    stage.serves().await;
    stage.ends().await;
}

#[test]
fn a_full_disk() {
    play(async |seed| a_sick_disk(DiskFault::Full { room: 0 }, seed % 2 == 0).await);
}

#[test]
fn a_disk_that_takes_no_writes() {
    play(async |seed| a_sick_disk(DiskFault::WriteError { ppm: 1_000_000 }, seed % 2 == 0).await);
}

#[test]
fn a_torn_page() {
    play(async |seed| {
        let mut stage = Stage::set("torn").await;
        let mut random = Random::new(seed, "torn");
        for round in 0..4 {
            let victim = if round % 2 == 0 { stage.follower().await } else { stage.leader().await };
            let (storage, life) = {
                let place = stage.places().of(&victim);
                (place.storage.clone(), place.life)
            };
            // In the middle of its writes: of the pages that were not made durable, each is there, is not, or is torn.
            storage.cut_after(life, random.below(12));
            let said = until_it_fails(&mut stage, &victim).await;
            names(&said, &[&format!("/data/{victim}/")]);
            stage.stops(&victim).await;
            storage.crash(life, &mut random);
            let back = stage.joins(&victim).await.unwrap();
            stage.has_caught_up(&back).await;
            assert_eq!(back.forgot(), None, "what it had acknowledged was durable");
            stage.heads.push(back);
            stage.lost_nothing().await;
        }
        stage.ends().await;
    });
}

#[test]
fn a_clock_that_jumps_by_an_hour() {
    const HOUR: i64 = 3_600_000_000;
    play(async |seed| {
        let mut stage = Stage::set("clock").await;
        let worker = stage.works("w").await.unwrap();
        within(stage.client().workers_up(2)).await.unwrap();
        // While they run, nobody minds: durations are not measured by it.
        let leader = stage.leader().await;
        for jump in [HOUR, -2 * HOUR, HOUR] {
            for node in [&*leader, "w"] {
                stage.places().of(node).clock.jump(jump);
            }
            for _ in 0..10 {
                stage.serves().await;
            }
            let status = within(stage.client().status()).await.unwrap();
            assert_eq!((status.coordinator.name.as_str(), status.counters.nodes_lost), (&*leader, 0), "seed {seed}");
        }
        // A node that begins a life an hour before its last one is refused, and told why; the others are served on.
        worker.stop(Duration::from_secs(1)).await;
        stage.places().of("w").clock.jump(-HOUR);
        let worker = stage.works("w").await.unwrap();
        let said = within(worker.failed()).await;
        names(&said, &["this life of w", "clock of their host went back"]);
        stage.serves().await;
        worker.stop(Duration::from_secs(1)).await;
        stage.places().of("w").clock.restore();
        let worker = stage.works("w").await.unwrap();
        within(stage.client().workers_up(2)).await.unwrap();
        // A coordinator is taken: its votes and its log count, not its clock.
        let victim = stage.follower().await;
        stage.stops(&victim).await;
        stage.places().of(&victim).clock.jump(-HOUR);
        let back = stage.joins(&victim).await.unwrap();
        stage.has_caught_up(&back).await;
        stage.heads.push(back);
        worker.stop(Duration::from_secs(1)).await;
        stage.ends().await;
    });
}
