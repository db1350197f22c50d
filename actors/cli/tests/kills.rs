//! Three coordinators and three worker nodes as processes, under load, of which one after the other is killed or stands still for a while.
//!
//! A few rounds in the gate; a hundred with `PLAYHOUSE_ROUNDS=100 cargo test --release -p playhouse-cli --test kills -- --nocapture`.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use playhouse::rt::{self, Host, Instant};
use playhouse::task_log::{self, Line, Told};
use playhouse::{Authority, Client, Identity, Job, JobId, JobOutcome, Node, NodeConfig, NodeName, demo};

/// How many rounds the gate plays: one of each kind.
const ROUNDS: usize = 4;

/// How long a process stands still: longer than the others wait for a leader, shorter than it takes to lose a connection for good.
const STILL: Duration = Duration::from_secs(3);

/// Something that takes longer than this is stuck.
const STUCK: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(86_400);

struct Process {
    name: String,
    args: Vec<String>,
    child: Child,
    address: SocketAddr,
}

struct Stage {
    folder: PathBuf,
    authority: Authority,
    processes: Vec<Process>,
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// Starts a node and waits until it says where it is.
fn spawn(args: &[String]) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse"));
    let mut child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{args:?}: {line:?}"));
    (child, address.parse().unwrap())
}

impl Stage {
    fn new() -> Stage {
        let folder = std::env::temp_dir().join(format!("playhouse-kills-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("input")).unwrap();
        for number in 0..24 {
            let mut file = fs::File::create(folder.join(format!("input/{number}.txt"))).unwrap();
            writeln!(file, "scene {number}: enter the actors, {}", "exit ".repeat(200)).unwrap();
        }
        let authority = Authority::new("kills", Host::os().wall_clock()).unwrap();
        let mut stage = Stage { folder, authority, processes: Vec::new() };
        for number in 1..=3 {
            let data = stage.path(&format!("data-{number}"));
            let first = if number == 1 { vec!["--found".to_string()] } else { stage.join() };
            stage.start(&format!("head-{number}"), [vec!["--data".into(), data], first].concat());
        }
        for number in 1..=3 {
            let offer = ["--capacity", "2", "--checkpoints"].map(String::from).to_vec();
            let checkpoints = vec![stage.path("checkpoints")];
            stage.start(&format!("worker-{number}"), [stage.join(), offer, checkpoints].concat());
        }
        stage
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// How a node says whom to join: all coordinators that there are.
    fn join(&self) -> Vec<String> {
        let heads = self.processes.iter().filter(|process| process.name.starts_with("head"));
        heads.flat_map(|head| ["--join".into(), head.address.to_string()]).collect()
    }

    fn identity(&self, node: &str) -> Identity {
        self.authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap()
    }

    fn start(&mut self, node: &str, extra: Vec<String>) {
        let folder = self.folder.join(node);
        self.identity(node).save(&folder).unwrap();
        let args = vec!["node".into(), "--identity".into(), folder.to_string_lossy().into_owned()];
        let args = [args, extra].concat();
        let (child, address) = spawn(&args);
        self.processes.push(Process { name: node.into(), args, child, address });
    }

    fn process(&mut self, node: &str) -> &mut Process {
        self.processes.iter_mut().find(|process| process.name == node).unwrap()
    }

    fn signal(&mut self, node: &str, signal: &str) {
        let id = self.process(node).child.id().to_string();
        assert!(Command::new("kill").args([format!("-{signal}"), id]).status().unwrap().success());
    }

    /// The process is gone, and comes back where it was, with what is on its disk.
    fn again(&mut self, node: &str) {
        let process = self.process(node);
        process.child.wait().unwrap();
        let mut args: Vec<String> = process.args.iter().filter(|arg| *arg != "--found").cloned().collect();
        args.extend(["--listen".into(), process.address.to_string()]);
        let (child, address) = spawn(&args);
        assert_eq!(address, process.address);
        process.child = child;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = Command::new("kill").args(["-CONT", &process.child.id().to_string()]).status();
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Submits one job after the other, and gives those that were acknowledged, with the time, until it is told to stop.
async fn load(client: Client, stop: Arc<AtomicBool>) -> Vec<(JobId, Instant)> {
    let mut acked = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let job = Job::new("default");
        let unit = job.value(&()).unwrap();
        let job = client.submit(job, unit).await.unwrap();
        acked.push((job.id(), rt::now()));
        rt::sleep(Duration::from_millis(100)).await;
    }
    acked
}

/// One round: while jobs are submitted and one is at work, something happens to a process. Gives how long nothing was acknowledged after it.
async fn round(stage: &mut Stage, client: &Client, number: usize) -> Option<Duration> {
    let manifest = demo::scan(Host::os().disk(), &stage.folder.join("input")).unwrap();
    let expected = demo::serial(Host::os().disk(), &manifest).0;
    let (job, found) = demo::job(&manifest, Duration::from_millis(40)).unwrap();
    let job = client.submit(job, found).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let loading = rt::spawn(load(client.clone(), stop.clone()));
    let mut seen = 0;
    while seen < 3 {
        seen = job.progress(seen).await.unwrap().done;
    }
    let status = client.status().await.unwrap();
    let leader = status.coordinator.name.to_string();
    let busy = status.workers.iter().find(|worker| worker.task.is_some()).map(|worker| worker.id.node.to_string());
    let victim = if number.is_multiple_of(2) { leader.clone() } else { busy.unwrap_or_else(|| "worker-1".into()) };
    let struck = rt::now();
    match number / 2 % 2 {
        0 => {
            stage.signal(&victim, "KILL");
            stage.again(&victim);
        }
        _ => {
            stage.signal(&victim, "STOP");
            rt::sleep(STILL).await;
            stage.signal(&victim, "CONT");
        }
    }
    let found = rt::timeout(STUCK, job.wait()).await.expect("the job is stuck").unwrap();
    assert_eq!(found.index, expected, "round {number}, {victim}");
    stop.store(true, Ordering::Relaxed);
    let acked = rt::timeout(STUCK, loading).await.expect("a submission is stuck").unwrap();
    for (job, _) in &acked {
        let known = client.job::<()>(*job).progress(0).await.unwrap_or_else(|error| panic!("round {number}, {victim}: {error}"));
        assert_eq!(known.state, Some(JobOutcome::Done), "round {number}, {victim}");
    }
    // What was on its way when it was struck may come a moment later.
    let next = acked.iter().map(|(_, at)| *at).find(|at| *at > struck + Duration::from_millis(20));
    (victim == leader).then(|| next.map(|at| at - struck)).flatten()
}

#[test]
fn nothing_acknowledged_is_lost_whoever_is_killed_or_stands_still() {
    let rounds = std::env::var("PLAYHOUSE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    rt::run(2, async {
        let mut stage = Stage::new();
        let heads = stage.processes.iter().filter(|process| process.name.starts_with("head"));
        let heads = heads.map(|head| (name(&head.name), head.address)).collect();
        let config = NodeConfig::new(stage.identity("client"), "127.0.0.1:0".parse().unwrap(), heads);
        let node = Node::start(Host::os(), config).await.unwrap();
        let client = node.client();
        client.workers_up(4).await.unwrap();
        let mut waits: Vec<Duration> = Vec::new();
        for number in 0..rounds {
            waits.extend(round(&mut stage, &client, number).await);
        }
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
        task_logs_agree(&mut stage);
    })
    .unwrap();
}

/// Whoever was killed how often: what the coordinators have written of tasks is whole, and the same.
fn task_logs_agree(stage: &mut Stage) {
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    for number in 1..=3 {
        stage.signal(&format!("head-{number}"), "KILL");
        stage.process(&format!("head-{number}")).child.wait().unwrap();
        let data = stage.folder.join(format!("data-{number}"));
        let mut seen = 0;
        let found = task_log::read(Host::os().disk(), &task_log::folder(&data), |line| match line {
            Line::Told(at, what) => {
                seen += 1;
                assert_eq!(told.entry(at).or_insert_with(|| what.clone()), &what, "head-{number}, record {at}");
            }
            line => panic!("head-{number}: {line:?}"),
        });
        // Killed while it wrote, it may end within a record.
        let cut = |error: &task_log::Broken| error.to_string().contains("the file ends within it");
        assert!(seen > 0 && found.as_ref().map_or_else(cut, |found| found.first == 1), "head-{number}: {found:?}");
    }
    stage.processes.retain(|process| !process.name.starts_with("head"));
    assert!(told.keys().copied().eq(1..=told.len() as u64), "there is a gap in {:?}", told.keys());
}
