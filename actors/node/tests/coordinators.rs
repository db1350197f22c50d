//! Coordinators that come, go and come back, over real QUIC and on real disks, in one process.
#![allow(missing_docs)]
#![cfg(not(madsim))]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use playhouse::prelude::*;
use playhouse::{Coordinate, JobOutcome, NodeName, StartError};

const DAY: Duration = Duration::from_secs(86_400);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

struct Stage {
    authority: Authority,
    folder: PathBuf,
}

impl Stage {
    fn new(test: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("playhouse-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Stage { authority: Authority::new("test", Host::os().wall_clock()).unwrap(), folder }
    }

    fn identity(&self, node: &str) -> playhouse::Identity {
        self.authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap()
    }

    fn config(&self, node: &str, listen: SocketAddr) -> NodeConfig {
        let identity = self.identity(node);
        NodeConfig { threads: 1, ..NodeConfig::coordinator(identity, listen, Coordinate::new(self.folder.join(node))) }
    }

    /// One that begins a cluster, or is back.
    async fn alone(&self, node: &str, listen: SocketAddr) -> Node {
        Node::start(Host::os(), self.config(node, listen)).await.unwrap()
    }

    async fn joins(&self, node: &str, seed: &Node) -> Result<Node, StartError> {
        let config = self.config(node, anywhere());
        Node::start(Host::os(), NodeConfig { coordinators: vec![], join: vec![seed.address()], ..config }).await
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

async fn submit(client: &Client) -> playhouse::JobId {
    let job = Job::new("default");
    let unit = job.value(&()).unwrap();
    client.submit(job, unit).await.unwrap().id()
}

#[test]
fn coordinators_join_come_back_and_are_dismissed_and_jobs_are_known_throughout() {
    let stage = Stage::new("coordinators");
    rt::run(2, async {
        let x = stage.alone("x", anywhere()).await;
        let first = submit(&x.client()).await;
        let y = stage.joins("y", &x).await.unwrap();
        // Any node says who the coordinators are.
        let z = stage.joins("z", &y).await.unwrap();
        assert_eq!(z.client().status().await.unwrap().coordinator.voters.len(), 3);
        let second = submit(&z.client()).await;

        // The one that began all this goes; another one leads.
        let at = x.address();
        x.stop(Duration::from_secs(1)).await;
        drop(x);
        let third = submit(&y.client()).await;
        // It comes back with its journal alone, and knows the others at once: whoever asks it is told.
        let x = stage.alone("x", at).await;
        assert_eq!(x.client().coordinators(), [name("x"), name("y"), name("z")]);
        for job in [first, second, third] {
            assert_eq!(x.client().job::<()>(job).progress(0).await.unwrap().state, Some(JobOutcome::Done));
        }

        y.client().dismiss(&name("z")).await.unwrap();
        assert_eq!(x.client().status().await.unwrap().coordinator.voters, ["y", "x"]);
        for node in [x, y, z] {
            node.stop(Duration::from_secs(1)).await;
        }
    })
    .unwrap();
}

#[test]
fn a_client_needs_the_address_of_any_node() {
    let stage = Stage::new("client");
    rt::run(2, async {
        let x = stage.alone("x", anywhere()).await;
        let first = submit(&x.client()).await;
        // The first one listens and is no node; the others are asked.
        let nobody = std::net::UdpSocket::bind(anywhere()).unwrap();
        let seeds = [nobody.local_addr().unwrap(), x.address()];
        let client = Client::connect(Host::os(), stage.identity("me"), seeds).await.unwrap();
        assert_eq!(client.job::<()>(first).progress(0).await.unwrap().state, Some(JobOutcome::Done));
        let clone = client.clone();
        drop(client);
        let second = submit(&clone).await;
        assert!(second > first);
        clone.close().await;
        // Said, not found out.
        while x.peers().iter().any(|peer| peer.node == name("me")) {
            rt::sleep(Duration::from_millis(1)).await;
        }
        let elsewhere = Authority::new("other", Host::os().wall_clock()).unwrap();
        let stranger = elsewhere.issue(&name("me"), Host::os().wall_clock(), Duration::from_secs(60)).unwrap();
        let refused = Client::connect(Host::os(), stranger, [x.address()]).await.err().unwrap().to_string();
        assert!(refused.contains(&x.address().to_string()) && refused.contains("certificate"), "{refused}");
        x.stop(Duration::from_secs(1)).await;
    })
    .unwrap();
}

#[test]
fn a_journal_has_one_coordinator_and_a_new_one_needs_somebody_to_join() {
    let stage = Stage::new("one-journal");
    rt::run(2, async {
        let x = stage.alone("x", anywhere()).await;
        let error = Node::start(Host::os(), stage.config("x", anywhere())).await.unwrap_err().to_string();
        assert!(error.contains("journal.redb is in use"), "{error}");
        // What did not start holds nothing: its address is free again, and the first one is as it was.
        submit(&x.client()).await;
        let config = NodeConfig { coordinators: vec![], ..stage.config("y", anywhere()) };
        let error = Node::start(Host::os(), config).await.unwrap_err().to_string();
        assert!(error.contains("begins a cluster") && error.contains("joins one"), "{error}");
        x.stop(Duration::from_secs(1)).await;
    })
    .unwrap();
}

/// While it waited for what they wait for, it would lead and hear nobody: all nodes would be lost.
#[test]
fn a_coordinator_that_stops_keeps_nobody_waiting() {
    let stage = Stage::new("stops");
    rt::run(2, async {
        let x = stage.alone("x", anywhere()).await;
        let identity = stage.authority.issue(&name("c"), Host::os().wall_clock(), DAY).unwrap();
        let config = NodeConfig { threads: 1, ..NodeConfig::new(identity, anywhere(), vec![(name("x"), x.address())]) };
        let c = Node::start(Host::os(), config).await.unwrap();
        let mut job = Job::new("default");
        let unit = job.value(&()).unwrap();
        // Nobody offers workers.
        let never = job.call(Function::<(), ()>::new("never"), unit);
        let job = c.client().submit(job, never).await.unwrap();
        let mut waits = std::pin::pin!(job.progress(0));
        let client = c.client();
        // What was asked later is answered: so the coordinator knows who waits.
        rt::select! {
            progress = &mut waits => panic!("{progress:?}"),
            status = client.status() => drop(status.unwrap()),
        }
        let shutdown = x.stop(Duration::from_secs(2)).await;
        assert_eq!(shutdown.cut_off, [], "it waited for a job that does not end");
        c.stop(Duration::from_secs(1)).await;
    })
    .unwrap();
}
