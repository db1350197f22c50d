//! Nodes over real QUIC on loopback, in one process.
#![allow(missing_docs)]
#![cfg(not(madsim))]

use std::path::{Path, PathBuf};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Authority, Coordinate, Identity, MonitorConfig, Node, NodeConfig, NodeName, PlaneConfig, demo};

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

struct Cluster {
    authority: Authority,
    folder: PathBuf,
    coordinator: Node,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Cluster {
    async fn start(test: &str) -> Cluster {
        let folder = std::env::temp_dir().join(format!("playhouse-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
        let coordinate = Coordinate { plane: plane(), ..Coordinate::new(folder.join("data")) };
        let config = NodeConfig::coordinator(identity(&authority, "head"), "127.0.0.1:0".parse().unwrap(), coordinate);
        let coordinator = Node::start(Host::os(), config).await.unwrap();
        Cluster { authority, folder, coordinator }
    }

    async fn node(&self, node: &str, capacity: u32) -> Node {
        let head = vec![(name("head"), self.coordinator.address())];
        let mut config = NodeConfig::new(identity(&self.authority, node), "127.0.0.1:0".parse().unwrap(), head);
        config.capacity = capacity;
        config.tasks = demo::tasks();
        config.checkpoints = Some(self.folder.join("checkpoints"));
        config.threads = 1;
        Node::start(Host::os(), config).await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn identity(authority: &Authority, node: &str) -> Identity {
    authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap()
}

/// Beats fast enough for a test; the rules are the same.
fn plane() -> PlaneConfig {
    let monitor = MonitorConfig {
        beat_every: Duration::from_millis(100),
        suspect_after: Duration::from_millis(400),
        lost_after: Duration::from_millis(800),
    };
    PlaneConfig { monitor, workers: 4, ..PlaneConfig::default() }
}

#[test]
fn a_job_survives_the_loss_of_a_node() {
    rt::run(2, async {
        let cluster = Cluster::start("job").await;
        let (a, b, client) = (cluster.node("a", 4).await, cluster.node("b", 4).await, cluster.node("client", 0).await);
        let input = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = demo::scan(Host::os().disk(), input).unwrap();
        let (index, windows) = demo::serial(Host::os().disk(), &manifest);
        let (job, found) = demo::job(&manifest, Duration::from_millis(20)).unwrap();
        client.client().workers_up(4).await.unwrap();
        let job = client.client().submit(job, found).await.unwrap();
        job.progress(5).await.unwrap();
        // It says goodbye, but in the middle of its work. (The command's own tests kill one that cannot.)
        let gone = rt::spawn(async move { a.stop(Duration::ZERO).await });
        let found = rt::timeout(Duration::from_secs(60), job.wait()).await.unwrap().unwrap();
        gone.await.unwrap();
        assert!(job.progress(0).await.unwrap().retries > 0, "the node had tasks when it stopped");
        assert_eq!(found.index, index);
        assert_eq!(found.top, index.top(10));
        assert_eq!(job.windows().await.unwrap(), windows);
        // What the lost node ran is started elsewhere, and nothing of it is left there.
        let replaced = async {
            let mut ticks = rt::interval(Duration::from_millis(10));
            loop {
                let status = client.client().workers_up(4).await.unwrap();
                if status.counters.nodes_lost == 1 && status.workers.iter().all(|worker| worker.id.node == name("b")) {
                    return;
                }
                ticks.tick().await;
            }
        };
        rt::timeout(Duration::from_secs(30), replaced).await.unwrap();
        for node in [client, b, cluster.coordinator.clone()] {
            node.stop(Duration::from_secs(5)).await;
        }
    })
    .unwrap();
}
