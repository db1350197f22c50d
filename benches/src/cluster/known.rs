//! What workers cost the coordinator that knows them: its memory, and what their heartbeats take of the network.
//!
//! The coordinator is this program once more; the nodes that offer workers all run here.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use playhouse::prelude::*;
use playhouse::{Coordinate, MonitorConfig, PlaneConfig, Profile};
use playhouse_net::Authority;
use serde::{Deserialize, Serialize};

/// The hidden sub-command.
pub(crate) const COORDINATOR: &str = "cluster-coordinator";

pub(super) const MEMORY_NOTE: &str =
    "resident memory of a coordinator's process with 10,000 workers, real actors on ten nodes, above the same without a node";
pub(super) const BEATS_NOTE: &str = "all datagrams to and from a coordinator with their UDP and IP headers: 500 idle workers on 25 nodes, the slow profile (beats of 3 s)";

const NAME: &str = "head";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Workers of a node.
const PER_NODE: usize = 1_000;
const PER_NODE_SLOW: usize = 20;

/// How long the coordinator is left alone before it is looked at.
const CALM: Duration = Duration::from_secs(2);

/// Of IPv4 and UDP, in bytes.
const HEADERS: u64 = 28;

/// The line that the coordinator reads when it starts.
#[derive(Serialize, Deserialize)]
struct Orders {
    cert: String,
    key: String,
    ca: String,
    folder: PathBuf,
    workers: u32,
    slow: bool,
}

/// What it says of itself, whenever it is sent a line.
#[derive(Serialize, Deserialize)]
struct State {
    address: SocketAddr,
    resident_kib: u64,
    wire_bytes: u64,
}

/// The memory that so many workers take, in MB.
pub(super) fn memory(folder: &Path, workers: usize) -> Result<f64, String> {
    let (mut head, authority) = Head::start(folder, workers, false)?;
    let all = async {
        playhouse_rt::sleep(CALM).await;
        let before = head.state()?;
        let _nodes = nodes(&authority, before.address, (workers, PER_NODE), folder).await?;
        playhouse_rt::sleep(CALM).await;
        Ok((head.state()?.resident_kib.saturating_sub(before.resident_kib)) as f64 * 1.024 / 1_000.0)
    };
    playhouse_rt::run(0, all).map_err(|error| error.to_string())?
}

/// What the beats of so many workers take, in KB a second, counted for so long.
pub(super) fn beats(folder: &Path, workers: usize, counted: Duration) -> Result<f64, String> {
    let (mut head, authority) = Head::start(folder, workers, true)?;
    let all = async {
        let address = head.state()?.address;
        let _nodes = nodes(&authority, address, (workers, PER_NODE_SLOW), folder).await?;
        playhouse_rt::sleep(CALM).await;
        let before = head.state()?.wire_bytes;
        playhouse_rt::sleep(counted).await;
        Ok((head.state()?.wire_bytes - before) as f64 / counted.as_secs_f64() / 1_000.0)
    };
    playhouse_rt::run(0, all).map_err(|error| error.to_string())?
}

/// Nodes whose workers are all up.
async fn nodes(
    authority: &Authority,
    head: SocketAddr,
    (workers, each): (usize, usize),
    folder: &Path,
) -> Result<Vec<Node>, String> {
    let name = |name: &str| NodeName::new(name).map_err(|error| error.to_string());
    let mut nodes = Vec::new();
    for number in 0..workers.div_ceil(each) {
        let identity = authority.issue(&name(&format!("n{number}"))?, Host::os().wall_clock(), DAY);
        let identity = identity.map_err(|error| error.to_string())?;
        let mut config = NodeConfig::new(identity, (Ipv4Addr::LOCALHOST, 0).into(), vec![(name(NAME)?, head)]);
        config.capacity = each as u32;
        config.threads = 1;
        config.checkpoints = Some(folder.join("checkpoints"));
        nodes.push(Node::start(Host::os(), config).await.map_err(|error| error.to_string())?);
    }
    let client = nodes.first().ok_or("no nodes")?.client();
    // Rarely, for an answer names all of them.
    while client.status().await.map_err(|error| error.to_string())?.workers.iter().filter(|worker| worker.up).count() < workers {
        playhouse_rt::sleep(CALM / 10).await;
    }
    Ok(nodes)
}

fn monitor(slow: bool) -> MonitorConfig {
    if slow { MonitorConfig::SLOW } else { MonitorConfig::FAST }
}

/// The coordinator's process, which ends when its standard input does.
struct Head {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Head {
    fn start(folder: &Path, workers: usize, slow: bool) -> Result<(Head, Authority), String> {
        let now = Host::os().wall_clock();
        let authority = Authority::new("bench", now).map_err(|error| error.to_string())?;
        let name = NodeName::new(NAME).map_err(|error| error.to_string())?;
        let pem = authority.issue(&name, now, DAY).map_err(|error| error.to_string())?.to_pem();
        let folder = folder.to_path_buf();
        let orders = Orders { cert: pem.cert, key: pem.key, ca: pem.ca, folder, workers: workers as u32, slow };
        let fault = |error: std::io::Error| format!("a coordinator cannot be started: {error}");
        let program = std::env::current_exe().map_err(fault)?;
        let mut child =
            Command::new(program).arg(COORDINATOR).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fault)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().ok_or("it has no output")?);
        let mut head = Head { child, stdin, stdout: BufReader::new(stdout) };
        head.say(&serde_json::to_string(&orders).map_err(|error| error.to_string())?)?;
        Ok((head, authority))
    }

    fn say(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.stdin.as_mut().ok_or("it has ended")?;
        writeln!(stdin, "{line}").map_err(|error| error.to_string())
    }

    fn state(&mut self) -> Result<State, String> {
        self.say("")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("the coordinator said {line:?}: {error}"))
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// What the process does: coordinates, and says how it is, until its standard input ends.
pub(crate) fn coordinator_side() -> Result<(), String> {
    let mut stdin = std::io::stdin().lock().lines();
    let mut next = || stdin.next().transpose().map_err(|error| error.to_string());
    let orders: Orders = serde_json::from_str(&next()?.unwrap_or_default()).map_err(|error| format!("no orders: {error}"))?;
    let identity = Identity::from_pem(&orders.cert, &orders.key, &orders.ca).map_err(|error| error.to_string())?;
    let plane = PlaneConfig { workers: orders.workers, monitor: monitor(orders.slow), ..PlaneConfig::default() };
    let profile = if orders.slow { Profile::SLOW } else { Profile::FAST };
    let coordinate = Coordinate { plane, profile, ..Coordinate::new(orders.folder) };
    let config = NodeConfig::coordinator(identity, (Ipv4Addr::LOCALHOST, 0).into(), coordinate);
    let all = async {
        let node = Node::start(Host::os(), config).await.map_err(|error| error.to_string())?;
        // The thread waits for its next line; the node has others.
        while next()?.is_some() {
            let traffic = node.traffic();
            let datagrams = traffic.datagrams_sent + traffic.datagrams_received;
            let wire_bytes = traffic.bytes_sent + traffic.bytes_received + HEADERS * datagrams;
            let state = State { address: node.address(), resident_kib: resident_kib()?, wire_bytes };
            println!("{}", serde_json::to_string(&state).map_err(|error| error.to_string())?);
        }
        Ok(())
    };
    playhouse_rt::run(2, all).map_err(|error| error.to_string())?
}

/// Of this process.
fn resident_kib() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc/self/status: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmRSS is {line:?}"))
}
