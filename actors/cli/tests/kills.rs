//! Three coordinators and three worker nodes as processes, under load, of which one after the other is killed or stands still for a while.
//!
//! A few rounds in the gate; a hundred with `PLAYHOUSE_ROUNDS=100 cargo test --release -p playhouse-cli --test kills -- --nocapture`.
#![cfg(unix)]

mod stage;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use playhouse::Client;
use playhouse::rt;

use stage::{Place, Round, Stage};

/// How many rounds the gate plays: one of each kind.
const ROUNDS: usize = 4;

/// How long a process stands still: longer than the others wait for a leader, shorter than it takes to lose a connection for good.
const STILL: Duration = Duration::from_secs(3);

/// How long a task takes at least, so that something can happen meanwhile.
const PACE: Duration = Duration::from_millis(40);

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The process is gone, and comes back where it was, with what is on its disk.
fn again(stage: &mut Stage, node: &str) {
    let at = stage.processes.iter().position(|process| process.name == node).unwrap();
    let mut process = stage.processes.swap_remove(at);
    process.child.wait().unwrap();
    let (args, before) = (process.args.iter().filter(|arg| *arg != "--found").cloned().collect::<Vec<_>>(), process.place.listen);
    process.child = stage.spawn(node, &mut process.place, &args);
    assert_eq!(process.place.listen, before);
    stage.processes.push(process);
}

/// One round: something happens to a process. Gives how many jobs were acknowledged, and how long none was, if it was the leader's.
async fn round(stage: &mut Stage, client: &Client, number: usize) -> (u64, Option<Duration>) {
    let round = Round::begin(stage, client, PACE).await;
    let leads = number.is_multiple_of(2);
    let victim = if leads { round.leader.clone() } else { round.busy.clone().unwrap_or_else(|| "worker-1".into()) };
    let struck = rt::now();
    match number / 2 % 2 {
        0 => {
            stage.signal(&victim, "KILL");
            again(stage, &victim);
        }
        _ => {
            stage.signal(&victim, "STOP");
            rt::sleep(STILL).await;
            stage.signal(&victim, "CONT");
        }
    }
    let seen = round.end(client, struck, &format!("round {number}, {victim}")).await;
    (seen.acked, seen.next.filter(|_| leads))
}

#[test]
fn nothing_acknowledged_is_lost_whoever_is_killed_or_stands_still() {
    let rounds = std::env::var("PLAYHOUSE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    rt::run(2, async {
        let folder = std::env::temp_dir().join(format!("playhouse-kills-{}", std::process::id()));
        let mut stage = Stage::new("kills", folder, |_| Place { under: Vec::new(), listen: HERE });
        let (node, client) = stage.client(HERE).await;
        let (mut waits, mut jobs): (Vec<Duration>, u64) = Default::default();
        for number in 0..rounds {
            let (acked, wait) = round(&mut stage, &client, number).await;
            jobs += acked;
            waits.extend(wait);
        }
        assert_eq!(client.status().await.unwrap().counters.accepted, jobs, "what was tried again counts once");
        waits.sort();
        let at = |percent: usize| waits[(waits.len() * percent).div_ceil(100).saturating_sub(1)].as_millis();
        if !waits.is_empty() {
            println!(
                "leader struck -> next acknowledged: p50 {} ms, p99 {} ms, max {} ms of {}",
                at(50),
                at(99),
                at(100),
                waits.len()
            );
        }
        node.stop(Duration::from_secs(1)).await;
        stage.task_logs_agree();
    })
    .unwrap();
}
