//! Three processes of etcd, and a client of them.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::grpc::{Channel, bytes, fields};
use super::load::{Client, Put};
use super::{Members, free_port};

const PROGRAM: &str = "etcd";
const MEMBERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Etcd {
    folder: PathBuf,
    /// For clients, and for each other.
    ports: Vec<(u16, u16)>,
    processes: Vec<Child>,
}

impl Etcd {
    /// `None`: it is not on this machine.
    pub(super) fn start(folder: &Path) -> Result<Option<Etcd>, String> {
        let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if version.is_err() {
            return Ok(None);
        }
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let ports = (0..MEMBERS).map(|_| Ok((free_port()?, free_port()?))).collect::<Result<_, String>>()?;
        let mut etcd = Etcd { folder: folder.to_path_buf(), ports, processes: Vec::new() };
        for member in 0..MEMBERS {
            let process = etcd.process(member)?;
            etcd.processes.push(process);
        }
        Ok(Some(etcd))
    }

    fn process(&self, member: usize) -> Result<Child, String> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (client, peer) = self.ports[member];
        let all = self.ports.iter().enumerate().map(|(number, (_, peer))| format!("m{number}={}", url(*peer)));
        let log = File::options().create(true).append(true).open(self.folder.join(format!("m{member}.log")));
        let log = log.map_err(|error| error.to_string())?;
        Command::new(PROGRAM)
            .args(["--name", &format!("m{member}"), "--data-dir"])
            .arg(self.folder.join(format!("m{member}")))
            .args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)])
            .args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)])
            .args(["--initial-cluster", &all.collect::<Vec<_>>().join(","), "--logger", "zap", "--log-outputs", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("etcd cannot be started: {error}"))
    }
}

impl Members for Etcd {
    type Client = Calling;

    fn client(&self) -> Calling {
        let address = |(port, _): &(u16, u16)| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        Calling { addresses: self.ports.iter().map(address).collect(), channels: Vec::new() }
    }

    fn kill(&mut self, member: usize) -> Result<(), String> {
        let child = &mut self.processes[member];
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| error.to_string())
    }

    fn start(&mut self, member: usize) -> Result<(), String> {
        self.processes[member] = self.process(member)?;
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Clone)]
pub(super) struct Calling {
    addresses: Vec<SocketAddr>,
    channels: Vec<Channel>,
}

impl Client for Calling {
    async fn connect(mut self) -> Result<Calling, String> {
        let opened = async {
            let mut channels = Vec::new();
            while let Some(address) = self.addresses.get(channels.len()) {
                match Channel::open(*address).await {
                    Ok(channel) => channels.push(channel),
                    // It is about to come up; nothing tells when.
                    Err(_) => playhouse_rt::sleep(Duration::from_millis(20)).await,
                }
            }
            channels
        };
        self.channels = playhouse_rt::timeout(PATIENCE, opened).await.map_err(|_| "etcd does not come up")?;
        Ok(self)
    }

    async fn put(&self, member: usize, puts: Vec<Put>) -> Result<(), String> {
        let put = |(key, value): &Put| {
            let mut put = Vec::new();
            bytes(1, key, &mut put);
            bytes(2, value, &mut put);
            put
        };
        let channel = self.channels.get(member).ok_or("not connected")?;
        if let [alone] = &*puts {
            return channel.call("/etcdserverpb.KV/Put", &put(alone)).await.map(drop);
        }
        // A transaction may not put a key twice.
        let last: std::collections::BTreeMap<_, _> = puts.iter().map(|one| (&one.0, one)).collect();
        let mut transaction = Vec::new();
        for one in last.into_values() {
            let mut operation = Vec::new();
            bytes(2, &put(one), &mut operation);
            bytes(2, &operation, &mut transaction);
        }
        channel.call("/etcdserverpb.KV/Txn", &transaction).await.map(drop)
    }

    async fn leader(&self, _: usize) -> Option<usize> {
        // Each member says which number it has, and which one leads has, as it knows.
        let mut numbers = Vec::new();
        let mut leaders = Vec::new();
        for channel in &self.channels {
            let status = channel.call("/etcdserverpb.Maintenance/Status", &[]).await.ok()?;
            let all = fields(&status);
            let header = all.iter().find(|(field, ..)| *field == 1)?.2;
            numbers.push(fields(header).iter().find(|(field, ..)| *field == 2)?.1);
            leaders.push(all.iter().find(|(field, ..)| *field == 4)?.1);
        }
        let leader = *leaders.first()?;
        let agreed = leaders.iter().all(|one| *one == leader);
        numbers.iter().position(|number| agreed && *number == leader)
    }
}
