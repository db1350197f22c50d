//! A cluster of processes of the `playhouse` program, for tests that do it harm: where it is, what it does meanwhile, and what must hold after.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use playhouse::rt::{self, Host, Instant, Task};
use playhouse::task_log::{self, Line, Told};
use playhouse::{Authority, Client, Identity, Job, JobHandle, JobId, JobOutcome, Node, NodeConfig, NodeName, demo};

/// Something that takes longer than this is stuck.
pub const STUCK: Duration = Duration::from_secs(60);

/// How often it is looked whether the cluster is as it is to be.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

const DAY: Duration = Duration::from_secs(86_400);

/// How many coordinators there are, `head-1` and so on.
pub const HEADS: usize = 3;

/// How many nodes with workers there are, `worker-1` and so on.
pub const WORKERS: usize = 3;

/// Where a process is.
pub struct Place {
    /// The command that it runs under, with its arguments; empty for none.
    pub under: Vec<String>,
    pub listen: SocketAddr,
}

pub struct Process {
    pub name: String,
    pub place: Place,
    pub args: Vec<String>,
    pub child: Child,
}

pub struct Stage {
    pub folder: PathBuf,
    pub processes: Vec<Process>,
    authority: Authority,
}

pub fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

impl Stage {
    /// Starts all, each where it is to be, with its files in this folder.
    pub fn new(cluster: &str, folder: PathBuf, mut place: impl FnMut(&str) -> Place) -> Stage {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("input")).unwrap();
        for number in 0..24 {
            let mut file = fs::File::create(folder.join(format!("input/{number}.txt"))).unwrap();
            writeln!(file, "scene {number}: enter the actors, {}", "exit ".repeat(200)).unwrap();
        }
        let authority = Authority::new(cluster, Host::os().wall_clock()).unwrap();
        let mut stage = Stage { folder, processes: Vec::new(), authority };
        for number in 1..=HEADS {
            let (node, data) = (format!("head-{number}"), stage.path(&format!("data-{number}")));
            let first = if number == 1 { vec!["--found".to_string()] } else { stage.join() };
            stage.start(&node, place(&node), [vec!["--data".into(), data], first].concat());
        }
        for number in 1..=WORKERS {
            let node = format!("worker-{number}");
            let offer = ["--capacity", "2", "--checkpoints"].map(String::from).to_vec();
            let checkpoints = vec![stage.path("checkpoints")];
            stage.start(&node, place(&node), [stage.join(), offer, checkpoints].concat());
        }
        stage
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The coordinators, and where they listen.
    pub fn heads(&self) -> Vec<(NodeName, SocketAddr)> {
        let heads = self.processes.iter().filter(|process| process.name.starts_with("head"));
        heads.map(|head| (name(&head.name), head.place.listen)).collect()
    }

    /// How a node says whom to join: all coordinators that there are.
    fn join(&self) -> Vec<String> {
        self.heads().into_iter().flat_map(|(_, address)| ["--join".into(), address.to_string()]).collect()
    }

    /// Writes the files by which a node, or a client, says who it is; anew, if it was there before.
    pub fn identity(&self, node: &str) -> PathBuf {
        let folder = self.folder.join(node);
        let _ = fs::remove_dir_all(&folder);
        self.authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap().save(&folder).unwrap();
        folder
    }

    fn start(&mut self, node: &str, mut place: Place, extra: Vec<String>) {
        let identity = self.identity(node).to_string_lossy().into_owned();
        let args = [vec!["node".into(), "--identity".into(), identity], extra].concat();
        let child = self.spawn(node, &mut place, &args);
        self.processes.push(Process { name: node.into(), place, args, child });
    }

    /// Starts a process and waits until it says where it is. What it says else goes to a file.
    pub fn spawn(&self, node: &str, place: &mut Place, args: &[String]) -> Child {
        let words = fs::File::options().create(true).append(true).open(self.words(node)).unwrap();
        let program = [env!("CARGO_BIN_EXE_playhouse").to_string()];
        let mut command = place.under.iter().chain(&program);
        let mut command = vec![command.next().unwrap().clone()].into_iter().chain(command.cloned());
        let mut child = Command::new(command.next().unwrap())
            .args(command)
            .args(args)
            .args(["--listen".to_string(), place.listen.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{args:?}: {line:?}"));
        place.listen = address.parse().unwrap();
        child
    }

    /// The file of what a process has said.
    pub fn words(&self, node: &str) -> PathBuf {
        self.folder.join(format!("{node}.log"))
    }

    pub fn process(&mut self, node: &str) -> &mut Process {
        self.processes.iter_mut().find(|process| process.name == node).unwrap()
    }

    pub fn signal(&mut self, node: &str, signal: &str) {
        let id = self.process(node).child.id().to_string();
        assert!(Command::new("kill").args([format!("-{signal}"), id]).status().unwrap().success());
    }

    /// A node of this process, for its client, when the cluster has its workers.
    pub async fn client(&self, listen: SocketAddr) -> (Node, Client) {
        let identity = Identity::load(self.identity("client")).unwrap().value;
        let node = Node::start(Host::os(), NodeConfig::new(identity, listen, self.heads())).await.unwrap();
        let client = node.client();
        client.workers_up(4).await.unwrap();
        (node, client)
    }

    /// Whatever was done to whom: what the coordinators have written of tasks is whole, and the same.
    pub fn task_logs_agree(&mut self) {
        let mut told: BTreeMap<u64, Told> = BTreeMap::new();
        for number in 1..=HEADS {
            self.signal(&format!("head-{number}"), "KILL");
            self.process(&format!("head-{number}")).child.wait().unwrap();
            let data = self.folder.join(format!("data-{number}"));
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
        self.processes.retain(|process| !process.name.starts_with("head"));
        assert!(told.keys().copied().eq(1..=told.len() as u64), "there is a gap in {:?}", told.keys());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = Command::new("kill").args(["-CONT", &process.child.id().to_string()]).status();
            let _ = process.child.kill();
            let _ = process.child.wait();
            if std::thread::panicking() {
                let words = fs::read_to_string(self.folder.join(format!("{}.log", process.name)));
                eprintln!("{}, {:?}, said:\n{}", process.name, process.args, words.unwrap_or_default());
            }
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

/// Jobs are submitted and one is at work: a good moment for harm.
pub struct Round {
    /// The coordinator that leads.
    pub leader: String,
    /// A node with a worker that runs a task; `None` when the job has ended already.
    pub busy: Option<String>,
    /// The one at work.
    pub job: JobHandle<demo::Found>,
    expected: (demo::Index, Vec<playhouse::WindowResult>),
    stop: Arc<AtomicBool>,
    loading: Task<Vec<(JobId, Instant)>>,
}

/// What was seen of a round.
pub struct Seen {
    /// How long nothing was acknowledged after the harm.
    pub next: Option<Duration>,
    /// How many jobs were acknowledged.
    pub acked: u64,
}

impl Round {
    /// Each task of the job at work takes at least `pace`.
    pub async fn begin(stage: &Stage, client: &Client, pace: Duration) -> Round {
        let manifest = demo::scan(Host::os().disk(), &stage.folder.join("input")).unwrap();
        let expected = demo::serial(Host::os().disk(), &manifest);
        let (job, found) = demo::job(&manifest, pace).unwrap();
        let job = client.submit(job, found).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let loading = rt::spawn(load(client.clone(), stop.clone()));
        let mut seen = 0;
        while seen < 3 {
            seen = job.progress(seen).await.unwrap().done;
        }
        let mut ticks = rt::interval(LOOK_EVERY);
        // Tasks that began together end together: for a moment no worker may have one.
        let (leader, busy) = loop {
            let status = client.status().await.unwrap();
            let busy = status.workers.iter().find(|worker| worker.task.is_some()).map(|worker| worker.id.node.to_string());
            if busy.is_some() || job.progress(0).await.unwrap().state.is_some() {
                break (status.coordinator.name.to_string(), busy);
            }
            ticks.tick().await;
        };
        Round { leader, busy, job, expected, stop, loading }
    }

    /// Whatever was done then, and is described so: the job's result is right, and all that was acknowledged is done.
    pub async fn end(self, client: &Client, struck: Instant, what: &str) -> Seen {
        let found = rt::timeout(STUCK, self.job.wait()).await.expect("the job is stuck").unwrap();
        assert_eq!(found.index, self.expected.0, "{what}");
        assert_eq!(self.job.windows().await.unwrap(), self.expected.1, "{what}");
        self.stop.store(true, Ordering::Relaxed);
        let acked = rt::timeout(STUCK, self.loading).await.expect("a submission is stuck").unwrap();
        for (job, _) in &acked {
            let known = client.job::<()>(*job).progress(0).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(known.state, Some(JobOutcome::Done), "{what}");
        }
        // What was on its way when it was struck may come a moment later.
        let next = acked.iter().map(|(_, at)| *at).find(|at| *at > struck + Duration::from_millis(20)).map(|at| at - struck);
        Seen { next, acked: acked.len() as u64 + 1 }
    }
}
