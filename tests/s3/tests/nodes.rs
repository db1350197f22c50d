//! Nodes whose checkpoints are in an S3: a state outlives its node, and the disk of its node.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use object_store::ObjectStore;
use playhouse::prelude::*;
use playhouse::{Authority, Coordinate, Persisted, Store};
use playhouse_rt::Blocking;
use playhouse_s3_tests::{Server, client_at};

const DAY: Duration = Duration::from_secs(86_400);

/// Never, within a test.
const NEVER: Duration = Duration::from_secs(3600);

/// Says to this very program where the S3 of its parent is.
const SERVER: &str = "PLAYHOUSE_S3_TESTS_SERVER";

struct Account {
    cents: u64,
    keep: Keep<Account>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Paid(u64);

#[actor(remote)]
impl Account {
    /// Keeps it as an event.
    #[message(id = 1)]
    async fn pay(&mut self, cents: u64) -> Result<u64, String> {
        self.keep.append(&Paid(cents)).await.map_err(|error| error.to_string())?;
        self.cents += cents;
        Ok(self.cents)
    }

    /// Keeps all of it.
    #[message(id = 2)]
    async fn save_now(&mut self) -> Result<(), String> {
        self.keep.save(self).await.map(drop).map_err(|error| error.to_string())
    }

    #[message(id = 3)]
    fn cents(&self) -> u64 {
        self.cents
    }
}

impl Persistent for Account {
    type State = u64;
    const VERSION: u16 = 1;

    fn save(&self) -> u64 {
        self.cents
    }

    fn load(&mut self, cents: u64) {
        self.cents = cents;
    }
}

impl Journaled for Account {
    type Event = Paid;

    fn apply(&mut self, Paid(cents): Paid) {
        self.cents += cents;
    }
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn run(test: impl Future<Output = ()>) {
    rt::run(2, async { rt::timeout(Duration::from_secs(120), test).await.expect("not for ever") }).unwrap();
}

/// A machine with a disk of its own: the only coordinator of a cluster, with its journal there, and checkpoints in the S3.
async fn machine(authority: &Authority, node: &str, disk: &Path, objects: Arc<dyn ObjectStore>) -> Node {
    let identity = authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap();
    let coordinate = Coordinate::new(disk.join("data"));
    let mut config = NodeConfig::coordinator(identity, "127.0.0.1:0".parse().unwrap(), coordinate);
    config.store = Some(Store::objects(objects, "cluster/one", Blocking::new(2)));
    config.threads = 1;
    Node::start(Host::os(), config).await.unwrap()
}

async fn account(node: &Node) -> Persisted<Account> {
    let account = |keep: &Keep<Account>| Account { cents: 0, keep: keep.clone() };
    node.persistent("account/7").every(NEVER).remote().journaled().start(account).await.unwrap()
}

/// The disks of some machines.
struct Disks(PathBuf);

impl Disks {
    fn new(test: &str) -> Disks {
        let folder = std::env::temp_dir().join(format!("playhouse-s3-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Disks(folder)
    }

    fn of(&self, machine: &str) -> PathBuf {
        self.0.join(machine)
    }

    fn lose(&self, machine: &str) {
        let disk = self.of(machine);
        assert!(disk.join("data").is_dir(), "it had one");
        std::fs::remove_dir_all(disk).unwrap();
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_state_outlives_the_disk_of_its_node() {
    run(async {
        let (server, disks) = (Server::start(), Disks::new("disk"));
        let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
        // All nodes of this process have one client: the connections that it keeps are not bound to the node that made them.
        let objects: Arc<dyn ObjectStore> = server.client();
        let identity = authority.issue(&name("customer"), Host::os().wall_clock(), DAY).unwrap();
        let mut config = NodeConfig::actors(identity, "127.0.0.1:0".parse().unwrap());
        config.threads = 1;
        let customer = Node::start(Host::os(), config).await.unwrap();

        let a = machine(&authority, "a", &disks.of("a"), objects.clone()).await;
        let first = account(&a).await;
        customer.dial(name("a"), a.address()).await.unwrap();
        let remote = customer.actor::<Account>(&name("a"), "account/7").unwrap();
        assert_eq!(remote.pay(500).await.unwrap().unwrap(), 500);
        remote.save_now().await.unwrap().unwrap();
        assert_eq!(remote.pay(250).await.unwrap().unwrap(), 750);
        assert_eq!(first.status().saved, 1);
        a.stop(Duration::from_secs(1)).await;
        disks.lose("a");

        let b = machine(&authority, "b", &disks.of("b"), objects.clone()).await;
        let second = account(&b).await;
        assert!(second.fence() > first.fence());
        customer.dial(name("b"), b.address()).await.unwrap();
        let remote = customer.actor::<Account>(&name("b"), "account/7").unwrap();
        assert_eq!(remote.cents().await.unwrap(), 750, "the checkpoint, and the event after it");

        // The S3 is gone for a while: who pays is told so, and the account lives.
        let mut server = server;
        server.stop();
        let error = remote.pay(1).await.unwrap().unwrap_err();
        assert!(error.contains("AmazonS3(checkpoints) did not answer"), "{error}");
        assert_eq!(remote.cents().await.unwrap(), 750);
        server.begin();
        assert_eq!(remote.pay(1).await.unwrap().unwrap(), 751);

        // Another one takes over while it lives, on a third disk and with a client of its own.
        let c = machine(&authority, "c", &disks.of("c"), server.client()).await;
        let third = account(&c).await;
        assert_eq!(third.cents().await.unwrap(), 751);
        assert!(remote.pay(1000).await.unwrap().unwrap_err().contains("another owner has taken over"));
        second.ended().await;
        assert_eq!(third.pay(1).await.unwrap().unwrap(), 752);
        for node in [b, c, customer] {
            node.stop(Duration::from_secs(1)).await;
        }
    });
}

/// Runs in a process of its own, which is killed: a machine that counts up, and says so when it is kept.
#[test]
fn a_machine_of_another_process() {
    let (Ok(server), Ok(disk)) = (std::env::var(SERVER), std::env::var("PLAYHOUSE_S3_TESTS_DISK")) else { return };
    run(async {
        let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
        let a = machine(&authority, "a", Path::new(&disk), client_at(server.parse().unwrap())).await;
        let account = account(&a).await;
        loop {
            let cents = account.pay(1).await.unwrap().unwrap();
            if cents.is_multiple_of(10) {
                account.save_now().await.unwrap().unwrap();
            }
            println!("kept {cents}");
        }
    });
}

/// SIGKILL, in the middle of whatever it does, and its disk with it.
#[test]
fn what_was_answered_outlives_a_killed_node_and_its_disk() {
    let (server, disks) = (Server::start(), Disks::new("killed"));
    let mut machine_a = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_machine_of_another_process", "--nocapture", "--test-threads", "1"])
        .env(SERVER, server.address().to_string())
        .env("PLAYHOUSE_S3_TESTS_DISK", disks.of("a"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(machine_a.stdout.take().unwrap()).lines();
    let mut kept = 0;
    let mut hear = |line: Option<std::io::Result<String>>| {
        let line = line?.ok()?;
        if let Some(cents) = line.strip_prefix("kept ") {
            kept = cents.parse().unwrap();
        }
        Some(kept)
    };
    while hear(lines.next()).expect("it runs until it is killed") < 25 {}
    machine_a.kill().unwrap();
    while hear(lines.next()).is_some() {}
    machine_a.wait().unwrap();
    disks.lose("a");

    run(async {
        let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
        let b = machine(&authority, "b", &disks.of("b"), server.client()).await;
        let account = account(&b).await;
        let cents = account.cents().await.unwrap();
        // One more may have been kept, whose answer died with the process.
        assert!(cents == kept || cents == kept + 1, "{cents} cents, and {kept} were said to be kept");
        assert_eq!(account.pay(1).await.unwrap().unwrap(), cents + 1);
        b.stop(Duration::from_secs(1)).await;
    });
}
