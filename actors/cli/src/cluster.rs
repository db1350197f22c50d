//! A throw-away cluster: nodes as processes on loopback, with certificates of their own, gone with this process.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Authority, Identity, NodeName};

use crate::Trouble;
use crate::text::err;

/// How long certificates are valid: longer than any demo.
const VALID: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a node may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How long a node may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A throw-away cluster. Dropping it ends its processes and removes its files.
pub(crate) struct Cluster {
    folder: PathBuf,
    authority: Authority,
    nodes: Vec<Process>,
    /// The coordinators, and where they listen.
    coordinators: Vec<(NodeName, SocketAddr)>,
    /// Nodes whose processes ended, as their readers see it.
    ended: rt::sync::mpsc::Sender<NodeName>,
    endings: rt::sync::mpsc::Receiver<NodeName>,
}

/// How large a cluster is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) coordinators: u32,
    /// Nodes that offer workers.
    pub(crate) nodes: u32,
    /// Workers on all of them together.
    pub(crate) workers: u32,
}

struct Process {
    name: NodeName,
    child: Child,
    /// The node runs until this ends, be it that this process closes it or that it dies.
    stdin: Option<ChildStdin>,
}

impl Cluster {
    /// Starts a cluster: its first coordinator, the others, which join it, and the nodes that offer workers.
    pub(crate) async fn start(size: Size) -> Result<Cluster, Trouble> {
        let host = Host::os();
        let folder = std::env::temp_dir().join(format!(
            "playhouse-{}-{:08x}",
            std::process::id(),
            host.random("folder").next_u64() as u32
        ));
        let at_fault = |error: &dyn std::fmt::Display| Trouble::new(format!("{}: {error}", folder.display()));
        private_folder(&folder).map_err(|error| at_fault(&error))?;
        let authority = Authority::new("demo", host.wall_clock()).map_err(|error| at_fault(&error))?;
        let (ended, endings) = rt::sync::mpsc::channel((size.coordinators + size.nodes) as usize);
        let mut cluster = Cluster { folder, authority, nodes: Vec::new(), coordinators: Vec::new(), ended, endings };
        let workers = size.workers.to_string();
        let mut join: Vec<OsString> = Vec::new();
        for number in 1..=size.coordinators {
            let name = format!("coordinator-{number}");
            let data = cluster.folder.join(format!("data-{number}"));
            let mut extra: Vec<OsString> = vec!["--data".into(), data.into(), "--workers".into(), workers.clone().into()];
            if join.is_empty() {
                extra.push("--found".into());
            }
            extra.extend(join.iter().cloned());
            let address = cluster.process(&name, &extra).await?;
            cluster.coordinators.push((NodeName::new(&name).map_err(Trouble::new)?, address));
            join.extend(["--join".into(), address.to_string().into()]);
        }
        let checkpoints = cluster.folder.join("checkpoints");
        let offer = ["--capacity".into(), workers.into(), "--checkpoints".into(), checkpoints.into()];
        for number in 1..=size.nodes {
            let extra: Vec<OsString> = join.iter().chain(&offer).cloned().collect();
            cluster.process(&format!("worker-{number}"), &extra).await?;
        }
        Ok(cluster)
    }

    /// A new certificate of this cluster.
    pub(crate) fn identity(&self, name: &str) -> Result<Identity, Trouble> {
        let name = NodeName::new(name).map_err(Trouble::new)?;
        self.authority.issue(&name, Host::os().wall_clock(), VALID).map_err(Trouble::new)
    }

    /// The coordinators, and where they listen.
    pub(crate) fn coordinators(&self) -> Vec<(NodeName, SocketAddr)> {
        self.coordinators.clone()
    }

    /// How many processes there are.
    pub(crate) fn size(&self) -> usize {
        self.nodes.len()
    }

    async fn process(&mut self, name: &str, extra: &[OsString]) -> Result<SocketAddr, Trouble> {
        let identity = self.identity(name)?;
        let folder = self.folder.join(name);
        let pem = identity.to_pem();
        let write = || -> io::Result<()> {
            private_folder(&folder)?;
            private_file(&folder.join("cert.pem"), &pem.cert)?;
            private_file(&folder.join("key.pem"), &pem.key)?;
            private_file(&folder.join("ca.pem"), &pem.ca)
        };
        write().map_err(|error| Trouble::new(format!("{}: {error}", folder.display())))?;
        let program = std::env::current_exe().map_err(Trouble::new)?;
        let mut child = Command::new(program)
            .arg("node")
            .arg("--identity")
            .arg(&folder)
            .args(extra)
            .arg("--until-stdin-ends")
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Trouble::new(format!("{name} did not start: {error}")))?;
        let stdout = child.stdout.take().expect("it is piped");
        let stdin = child.stdin.take();
        self.nodes.push(Process { name: identity.node().clone(), child, stdin });
        let (tell, line) = rt::sync::oneshot::channel();
        let (ended, ending) = (self.ended.clone(), identity.node().clone());
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let _ = tell.send(stdout.read_line(&mut line).map(|_| line));
            // Its end is the process's end; what it says until then is nobody's business.
            let _ = io::copy(&mut stdout, &mut io::sink());
            // Nobody asks any more when the cluster is being stopped.
            let _ = ended.try_send(ending);
        });
        let line = rt::timeout(READY_WITHIN, line).await;
        let line = line.map_err(|_| Trouble::new(format!("{name} was not ready within {} s", READY_WITHIN.as_secs())))?;
        let line = line.map_err(Trouble::new)?.map_err(Trouble::new)?;
        let address = line.strip_prefix("ready ").and_then(|address| address.trim().parse().ok());
        address.ok_or_else(|| Trouble::new(format!("{name} did not get ready (its own words are above)")))
    }

    /// Whether most of the coordinators run, and a node with workers.
    fn goes_on(&self) -> bool {
        let is_coordinator = |process: &&Process| self.coordinators.iter().any(|(name, _)| *name == process.name);
        let up = self.nodes.iter().filter(is_coordinator).count();
        2 * up > self.coordinators.len() && self.nodes.len() > up
    }

    /// Waits until the cluster cannot go on: too many of its processes ended without being killed here. Says of others that they ended. Gives
    /// the last one, and how.
    pub(crate) async fn lost(&mut self) -> String {
        loop {
            let Some(name) = self.endings.recv().await else { return std::future::pending().await };
            let Some(at) = self.nodes.iter().position(|process| process.name == name) else { continue };
            let mut process = self.nodes.remove(at);
            let how = process.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            let what = format!("the process of {name} ended ({how})");
            if !self.goes_on() {
                return what;
            }
            err(&format!("playhouse: {what}; the cluster goes on without it"));
        }
    }

    /// Kills a node with SIGKILL: it can neither say goodbye nor write anything.
    pub(crate) fn kill(&mut self, name: &NodeName) -> io::Result<()> {
        let Some(at) = self.nodes.iter().position(|process| process.name == *name) else { return Ok(()) };
        let mut process = self.nodes.remove(at);
        process.child.kill()?;
        process.child.wait().map(drop)
    }

    /// Asks all nodes to stop, waits for them, and removes the files. Names those that had to be killed.
    pub(crate) async fn stop(mut self) -> Vec<NodeName> {
        self.nodes.iter_mut().for_each(|process| drop(process.stdin.take()));
        let mut killed = Vec::new();
        // Each stays in the list until it has ended: if this is dropped half-way, the rest are killed.
        while let Some(process) = self.nodes.last_mut() {
            let deadline = rt::now() + STOP_WITHIN;
            let mut ticks = rt::interval(Duration::from_millis(5));
            // std can wait for a child for ever or not at all; so look, for a bounded time.
            while matches!(process.child.try_wait(), Ok(None)) {
                if rt::now() > deadline {
                    let _ = process.child.kill();
                    let _ = process.child.wait();
                    killed.push(process.name.clone());
                    break;
                }
                ticks.tick().await;
            }
            self.nodes.pop();
        }
        killed
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.nodes {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder that only this user may enter.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A new file that only this user may read: it may hold a key.
fn private_file(path: &Path, content: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(content.as_bytes())
}
