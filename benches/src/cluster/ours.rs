//! Three members of ours, and a client of them.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use playhouse::prelude::*;
use playhouse_net::{Authority, Identity};
use playhouse_rt::Host;

use super::load::{Client, Put};
use super::member::{Applied, DOOR, Door, MEMBER, Orders, Part, Puts, WhoLeads};
use super::{Members, free_port};

const NAMES: [&str; 3] = ["x", "y", "z"];
/// Comes later.
const NEW: &str = "new";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(20);
const JOINED_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Ours {
    authority: Authority,
    folder: PathBuf,
    members: Vec<(String, u16)>,
    /// Each ends when its standard input does.
    processes: Vec<(Child, Option<ChildStdin>)>,
}

impl Ours {
    pub(super) fn start(folder: &Path) -> Result<Ours, String> {
        let authority = Authority::new("bench", Host::os().wall_clock()).map_err(|error| error.to_string())?;
        let members = NAMES.map(|name| Ok((name.to_string(), free_port()?))).into_iter().collect::<Result<_, String>>()?;
        let mut ours = Ours { authority, folder: folder.to_path_buf(), members, processes: Vec::new() };
        for (member, name) in NAMES.iter().enumerate() {
            let part = if member == 0 { Part::Founds } else { Part::IsIn };
            let process = ours.process(name, ours.members[member].1, part)?;
            ours.processes.push(process);
        }
        Ok(ours)
    }

    /// How long a new member takes until it has all that was acknowledged before.
    pub(super) fn join(&mut self) -> Result<Duration, String> {
        let client = self.client();
        let all = async {
            let client = client.connect().await?;
            let mut applied = 0;
            for name in NAMES {
                applied = applied.max(client.applied(name).await?);
            }
            let (began, port) = (Instant::now(), free_port()?);
            let process = self.process(NEW, port, Part::Enters)?;
            self.processes.push(process);
            let node = client.node.as_ref().ok_or("not connected")?;
            let name = NodeName::new(NEW).map_err(|error| error.to_string())?;
            node.dial(name, (Ipv4Addr::LOCALHOST, port).into()).await?;
            // Nothing tells when it is there.
            while client.applied(NEW).await? < applied {
                playhouse_rt::sleep(Duration::from_millis(5)).await;
            }
            Ok::<_, String>(began.elapsed())
        };
        let joined = async { playhouse_rt::timeout(JOINED_WITHIN, all).await };
        let joined = playhouse_rt::run(0, joined).map_err(|error| error.to_string())?;
        joined.map_err(|_| format!("a new member did not catch up within {JOINED_WITHIN:?}"))?
    }

    fn identity(&self, name: &str) -> Result<Identity, String> {
        let name = NodeName::new(name).map_err(|error| error.to_string())?;
        self.authority.issue(&name, Host::os().wall_clock(), DAY).map_err(|error| error.to_string())
    }

    fn process(&self, name: &str, port: u16, part: Part) -> Result<(Child, Option<ChildStdin>), String> {
        let pem = self.identity(name)?.to_pem();
        let (folder, members) = (self.folder.join(name), self.members.clone());
        let orders = Orders { cert: pem.cert, key: pem.key, ca: pem.ca, folder, port, members, part };
        let orders = serde_json::to_string(&orders).map_err(|error| error.to_string())?;
        let fault = |error: std::io::Error| format!("a member cannot be started: {error}");
        let program = std::env::current_exe().map_err(fault)?;
        let mut child = Command::new(program).arg(MEMBER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fault)?;
        let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let Some(stdin) = &mut stdin {
            writeln!(stdin, "{orders}").map_err(fault)?;
        }
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line).map_err(fault)?;
        }
        if line.trim() == "ready" { Ok((child, stdin)) } else { Err(format!("a member said {line:?} instead of being ready")) }
    }
}

impl Members for Ours {
    type Client = Asking;

    fn client(&self) -> Asking {
        let members = self.members.iter().map(|(_, port)| SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).collect();
        Asking { identity: self.identity("client"), members, node: None }
    }

    fn kill(&mut self, member: usize) -> Result<(), String> {
        let (child, _) = &mut self.processes[member];
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| error.to_string())
    }

    fn start(&mut self, member: usize) -> Result<(), String> {
        self.processes[member] = self.process(NAMES[member], self.members[member].1, Part::IsIn)?;
        Ok(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        for (child, stdin) in &mut self.processes {
            drop(stdin.take());
            let _ = child.wait();
        }
    }
}

/// A client's node.
#[derive(Clone)]
pub(super) struct Asking {
    identity: Result<Identity, String>,
    members: Vec<SocketAddr>,
    node: Option<Node>,
}

impl Asking {
    fn door(&self, name: &str) -> Option<Ref<Door>> {
        self.node.as_ref()?.actor(&NodeName::new(name).ok()?, DOOR)
    }

    /// How many commands this member has applied.
    async fn applied(&self, name: &str) -> Result<u64, String> {
        let door = self.door(name).ok_or("not connected")?;
        door.ask_within(Applied, PATIENCE).await.map_err(|error| error.to_string())
    }
}

impl Client for Asking {
    async fn connect(mut self) -> Result<Asking, String> {
        let config = NodeConfig::actors(self.identity.clone()?, (Ipv4Addr::LOCALHOST, 0).into());
        let node = Node::start(Host::os(), config).await.map_err(|error| error.to_string())?;
        for (name, address) in NAMES.iter().zip(&self.members) {
            let name = NodeName::new(name).map_err(|error| error.to_string())?;
            let dialled = playhouse_rt::timeout(PATIENCE, node.dial(name, *address)).await;
            dialled.map_err(|error| error.to_string())??;
        }
        self.node = Some(node);
        Ok(self)
    }

    async fn put(&self, member: usize, puts: Vec<Put>) -> Result<(), String> {
        let door = self.door(NAMES[member]).ok_or("not connected")?;
        door.ask_within(Puts(puts), PATIENCE).await.map_err(|error| error.to_string())?
    }

    async fn leader(&self, member: usize) -> Option<usize> {
        let leader = self.door(NAMES[member])?.ask_within(WhoLeads, PATIENCE).await.ok()??;
        NAMES.iter().position(|name| *name == leader)
    }
}
