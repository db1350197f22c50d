//! The task log of real coordinators: the same at each of them, whoever leads and whoever is away for a while, and whole.
#![allow(missing_docs)]
#![cfg(not(madsim))]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use playhouse::prelude::*;
use playhouse::task_log::{self, Found, Line, Told, What};
use playhouse::{Coordinate, JobId, NodeName, PlaneConfig, Profile};

const DAY: Duration = Duration::from_secs(86_400);

const DOUBLE: Function<u64, u64> = Function::new("double");
const FAIL: Function<u64, u64> = Function::new("fail");

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

struct Stage {
    authority: Authority,
    folder: PathBuf,
    profile: Profile,
}

impl Stage {
    fn new(test: &str, profile: Profile) -> Stage {
        let folder = std::env::temp_dir().join(format!("playhouse-log-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Stage { authority: Authority::new("test", Host::os().wall_clock()).unwrap(), folder, profile }
    }

    async fn start(&self, node: &str, listen: SocketAddr, join: &[&Node]) -> Node {
        let identity = self.authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap();
        let plane = PlaneConfig { workers: 2, ..PlaneConfig::default() };
        let coordinate = Coordinate { plane, profile: self.profile, ..Coordinate::new(self.folder.join(node)) };
        let config = NodeConfig { threads: 1, ..NodeConfig::coordinator(identity, listen, coordinate) };
        let join: Vec<SocketAddr> = join.iter().map(|node| node.address()).collect();
        let coordinators = if join.is_empty() { config.coordinators.clone() } else { vec![] };
        Node::start(Host::os(), NodeConfig { coordinators, join, ..config }).await.unwrap()
    }

    async fn worker(&self, heads: &[&Node]) -> Node {
        let identity = self.authority.issue(&name("w"), Host::os().wall_clock(), DAY).unwrap();
        let listed = heads.iter().map(|head| (head.name().clone(), head.address())).collect();
        let mut config = NodeConfig::new(identity, anywhere(), listed);
        (config.capacity, config.threads) = (2, 1);
        config.checkpoints = Some(self.folder.join("checkpoints"));
        let fails = |_: &mut TaskCx, _: u64| Err::<u64, _>(TaskError::new("as it was told"));
        config.tasks = Tasks::new().add(DOUBLE, |_, number| Ok(2 * number)).add(FAIL, fails);
        Node::start(Host::os(), config).await.unwrap()
    }

    fn log(&self, node: &str) -> (Found, BTreeMap<u64, Told>) {
        let mut told = BTreeMap::new();
        let found = task_log::read(Host::os().disk(), &task_log::folder(&self.folder.join(node)), |line| {
            if let Line::Told(number, what) = line {
                told.insert(number, what);
            }
        });
        (found.unwrap(), told)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn doubles(client: &Client, count: u64) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for number in 0..count {
        let mut job = Job::new("default");
        let number = job.value(&number).unwrap();
        let doubled = job.call(DOUBLE, number);
        let job = client.submit(job, doubled).await.unwrap();
        job.wait().await.unwrap();
        jobs.push(job.id());
    }
    jobs
}

/// What is told of a job, in order.
fn story(log: &BTreeMap<u64, Told>, job: JobId) -> Vec<&'static str> {
    log.values().filter(|told| told.what.job() == Some(job)).map(|told| told.what.kind()).collect()
}

async fn stop(nodes: impl IntoIterator<Item = Node>) {
    for node in nodes {
        node.stop(Duration::from_secs(1)).await;
    }
}

fn play(story: impl Future<Output = ()>) {
    rt::run(2, async { rt::timeout(Duration::from_secs(90), story).await.expect("it comes to its end") }).unwrap();
}

#[test]
fn all_coordinators_write_the_same_whoever_leads() {
    let stage = Stage::new("same", Profile::FAST);
    play(async {
        let x = stage.start("x", anywhere(), &[]).await;
        let y = stage.start("y", anywhere(), &[&x]).await;
        let z = stage.start("z", anywhere(), &[&x]).await;
        let w = stage.worker(&[&x, &y, &z]).await;
        let client = w.client();
        client.workers_up(2).await.unwrap();
        let mut jobs = doubles(&client, 3).await;
        let mut job = Job::new("default");
        let number = job.value(&7).unwrap();
        let fails = job.call(FAIL, number);
        let failed = client.submit(job, fails).await.unwrap();
        failed.wait().await.unwrap_err();
        // The one that leads goes; another one does, and then the first is back.
        let at = x.address();
        stop([x]).await;
        jobs.extend(doubles(&client, 3).await);
        let x = stage.start("x", at, &[&y, &z]).await;
        jobs.extend(doubles(&client, 2).await);
        stop([w, y, z, x]).await;

        let logs = ["x", "y", "z"].map(|node| stage.log(node));
        let longest = logs.iter().map(|(_, told)| told).max_by_key(|told| told.len()).unwrap();
        assert!(matches!(longest[&1].what, What::Began { .. }), "{:?}", longest[&1]);
        for (found, told) in &logs {
            assert_eq!((found.first, found.gaps.len()), (1, 0), "{found:?}");
            assert!(told.iter().all(|(number, what)| longest[number] == *what), "they differ");
        }
        // Those that ended with the same record end with the same chain.
        let ends: BTreeMap<u64, _> = logs.iter().map(|(found, _)| (found.last, found.link)).collect();
        assert!(logs.iter().all(|(found, _)| ends[&found.last] == found.link), "{ends:?}");
        for job in jobs {
            assert_eq!(story(longest, job), ["submitted", "dispatched", "done", "ended"], "{longest:#?}");
        }
        let said = story(longest, failed.id());
        assert_eq!((said[..3].to_vec(), *said.last().unwrap()), (vec!["submitted", "dispatched", "failed"], "ended"));
        let reasons = longest
            .values()
            .filter(|told| matches!(&told.what, What::Failed { reason, .. } if reason.contains("as it was told")));
        assert!(reasons.count() > 1, "each failed attempt is there");
    });
}

/// Snapshots after every few commands: one that comes late, or comes back, is given the state without the way to it.
#[test]
fn a_coordinator_that_was_behind_says_so_and_goes_on_in_the_same_chain() {
    let stage = Stage::new("behind", Profile { snapshot_every: 20, ..Profile::FAST });
    play(async {
        let x = stage.start("x", anywhere(), &[]).await;
        let w = stage.worker(&[&x]).await;
        let client = w.client();
        client.workers_up(2).await.unwrap();
        doubles(&client, 30).await;
        let y = stage.start("y", anywhere(), &[&x]).await;
        doubles(&client, 5).await;
        stop([w, y]).await;
        // Restarts change nothing: what is there is not written again, and nothing is lost.
        let at = x.address();
        stop([x]).await;
        let before = stage.log("x").0;
        let x = stage.start("x", at, &[]).await;
        stop([x]).await;
        let (found, told) = stage.log("x");
        assert_eq!((found.last, found.link, found.gaps.len()), (before.last, before.link, 0));
        let (late, told_late) = stage.log("y");
        assert_eq!(late.gaps.len(), 1, "{late:?}");
        assert_eq!(late.gaps[0].0, 1);
        assert!(!told_late.is_empty() && told_late.iter().all(|(number, what)| told[number] == *what));
    });
}
