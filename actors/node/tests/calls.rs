//! Calls, which a node alone acknowledges, over real QUIC on loopback.
#![allow(missing_docs)]
#![cfg(not(madsim))]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{
    Authority, Call, CallError, Client, Coordinate, Function, Identity, Node, NodeConfig, NodeName, TaskCx, TaskError, Tasks,
};

const SQUARE: Function<u64, u64> = Function::new("square");
const WAIT: Function<(), String> = Function::new("wait");
const PANICS: Function<(), ()> = Function::new("panics");
const ABSENT: Function<(), ()> = Function::new("absent");
const SAVES: Function<(), ()> = Function::new("saves");
const PARTS: Function<(), Vec<u64>> = Function::new("parts");

const DAY: Duration = Duration::from_secs(86_400);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// Opens for all who wait.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// How many began to wait.
    came: AtomicU32,
}

impl Gate {
    fn pass(&self) {
        self.came.fetch_add(1, Ordering::SeqCst);
        let open = self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap();
        drop(open);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

struct Cluster {
    authority: Authority,
    folder: PathBuf,
    head: Node,
    gate: Arc<Gate>,
}

impl Cluster {
    async fn start(test: &str) -> Cluster {
        let folder = std::env::temp_dir().join(format!("playhouse-calls-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
        let coordinate = Coordinate::new(folder.join("data"));
        let config = NodeConfig::coordinator(identity(&authority, "head"), "127.0.0.1:0".parse().unwrap(), coordinate);
        let head = Node::start(Host::os(), config).await.unwrap();
        Cluster { authority, folder, head, gate: Arc::default() }
    }

    async fn node(&self, node: &str, capacity: u32) -> Node {
        let head = vec![(name("head"), self.head.address())];
        let mut config = NodeConfig::new(identity(&self.authority, node), "127.0.0.1:0".parse().unwrap(), head);
        config.capacity = capacity;
        config.tasks = tasks(self.gate.clone());
        config.checkpoints = Some(self.folder.join("checkpoints"));
        config.threads = 1;
        Node::start(Host::os(), config).await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A thread that waits would outlive the test.
        self.gate.open();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn identity(authority: &Authority, node: &str) -> Identity {
    authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap()
}

fn tasks(gate: Arc<Gate>) -> Tasks {
    let wait = move |cx: &mut TaskCx, ()| {
        gate.pass();
        Ok(cx.node().to_string())
    };
    Tasks::new()
        .add(SQUARE, |_, n| n.checked_mul(n).ok_or_else(|| TaskError::new("too large to square")))
        .add(WAIT, wait)
        .add(PANICS, |_, ()| panic!("as it was told"))
        .add(SAVES, |cx, ()| cx.save(&1u64))
        .add_scatter(PARTS, |_, ()| Ok(vec![1, 2]))
}

/// Calls until somebody offers workers: those that have just started are not known at once.
async fn call<A: serde::Serialize, R: serde::de::DeserializeOwned>(
    client: &Client,
    function: Function<A, R>,
    argument: A,
) -> Result<Call<R>, CallError> {
    let mut ticks = rt::interval(Duration::from_millis(10));
    loop {
        match client.call(function, &argument).await {
            Err(CallError::Nobody) => ticks.tick().await,
            other => return other,
        };
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    rt::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

#[test]
fn what_a_call_gives_and_how_it_fails() {
    rt::run(2, async {
        let cluster = Cluster::start("gives").await;
        let (_a, client) = (cluster.node("a", 2).await, cluster.node("client", 0).await.client());
        let nine = soon(call(&client, SQUARE, 3)).await.unwrap();
        assert_eq!(nine.node(), &name("a"));
        assert_eq!(soon(nine.wait()).await, Ok(9));
        let failed = |error: CallError| match error {
            CallError::Failed(reason) => reason,
            other => panic!("{other}"),
        };
        let large = soon(call(&client, SQUARE, u64::MAX)).await.unwrap();
        assert_eq!(failed(soon(large.wait()).await.unwrap_err()), "too large to square");
        let absent = soon(call(&client, ABSENT, ())).await.unwrap();
        assert_eq!(failed(soon(absent.wait()).await.unwrap_err()), "a knows no function called absent");
        let panics = soon(call(&client, PANICS, ())).await.unwrap();
        assert!(failed(soon(panics.wait()).await.unwrap_err()).contains("as it was told"));
        let saves = soon(call(&client, SAVES, ())).await.unwrap();
        assert!(failed(soon(saves.wait()).await.unwrap_err()).contains("submit what is to be resumed as a job"));
        let parts = soon(call(&client, PARTS, ())).await.unwrap();
        assert!(failed(soon(parts.wait()).await.unwrap_err()).contains("submit it as a job"));
        // The plane has heard of none of them.
        assert_eq!(soon(client.status()).await.unwrap().counters.accepted, 0);
    })
    .unwrap();
}

#[test]
fn a_node_takes_as_many_calls_as_it_offers_workers_and_says_so_before_it_leaves() {
    rt::run(2, async {
        let cluster = Cluster::start("takes").await;
        let (a, client) = (cluster.node("a", 1).await, cluster.node("client", 0).await.client());
        let first = soon(call(&client, WAIT, ())).await.unwrap();
        let refused = soon(call(&client, WAIT, ())).await.unwrap_err();
        assert!(matches!(refused, CallError::NotTaken { nodes: 1, busy: 1, .. }), "{refused}");
        // Another node that comes takes it: after a refusal, it is asked anew who there is.
        let _b = cluster.node("b", 1).await;
        let second = soon(async {
            let mut ticks = rt::interval(Duration::from_millis(10));
            loop {
                match client.call(WAIT, &()).await {
                    Ok(call) => return call,
                    Err(CallError::NotTaken { .. }) => ticks.tick().await,
                    Err(other) => panic!("{other}"),
                };
            }
        });
        let second = second.await;
        assert_eq!(second.node(), &name("b"));
        // One that is drained ends its calls first.
        let leaves = rt::spawn(async move { a.drain(Duration::from_secs(60)).await });
        soon(async {
            let mut ticks = rt::interval(Duration::from_millis(10));
            while !client.status().await.unwrap().nodes[&name("a")].draining {
                ticks.tick().await;
            }
        })
        .await;
        let late = soon(client.call(WAIT, &())).await.map(drop).unwrap_err();
        assert!(matches!(late, CallError::NotTaken { busy: 1, .. }), "b is busy, and a leaves: {late}");
        cluster.gate.open();
        assert_eq!(soon(first.wait()).await.unwrap(), "a");
        assert_eq!(soon(second.wait()).await.unwrap(), "b");
        soon(leaves).await.unwrap();
        assert_eq!(cluster.gate.came.load(Ordering::SeqCst), 2, "what was refused has not run");
    })
    .unwrap();
}

#[test]
fn a_call_needs_no_coordinator_and_is_lost_with_its_node() {
    rt::run(2, async {
        let cluster = Cluster::start("lost").await;
        let (a, client) = (cluster.node("a", 2).await, cluster.node("client", 0).await.client());
        assert_eq!(soon(soon(call(&client, SQUARE, 5)).await.unwrap().wait()).await, Ok(25));
        // Nobody leads from here on, and what is known grows old.
        cluster.head.stop(Duration::ZERO).await;
        for n in 1..=3u64 {
            assert_eq!(soon(soon(client.call(SQUARE, &n)).await.unwrap().wait()).await, Ok(n * n));
        }
        let waits = soon(client.call(WAIT, &())).await.unwrap();
        let lost = rt::spawn(waits.wait());
        let stopped = rt::spawn(async move { a.stop(Duration::ZERO).await });
        let error = soon(lost).await.unwrap().unwrap_err();
        assert!(matches!(&error, CallError::Unknown { node, .. } if *node == name("a")), "{error}");
        cluster.gate.open();
        soon(stopped).await.unwrap();
        // Once the client has seen that the connection has ended, it is sure that nothing runs.
        loop {
            match soon(client.call(SQUARE, &2)).await.map(drop).unwrap_err() {
                CallError::NotTaken { nodes: 1, busy: 0, .. } => break,
                error => assert!(matches!(error, CallError::Unknown { .. }), "{error}"),
            }
        }
    })
    .unwrap();
}
