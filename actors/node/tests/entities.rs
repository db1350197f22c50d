//! Names, singletons and entities of a cluster, over real QUIC on loopback, in one process.
#![allow(missing_docs)]
#![cfg(not(madsim))]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use playhouse::prelude::*;
use playhouse::{ClaimError, Coordinate, MonitorConfig, MoveError, PlaneConfig};

const DAY: Duration = Duration::from_secs(86_400);

struct Cluster {
    authority: Authority,
    folder: PathBuf,
    head: Node,
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn identity(authority: &Authority, node: &str) -> Identity {
    authority.issue(&name(node), Host::os().wall_clock(), DAY).unwrap()
}

impl Cluster {
    async fn start(test: &str) -> Cluster {
        let folder = std::env::temp_dir().join(format!("playhouse-{test}-{}", std::process::id()));
        let authority = Authority::new("test", Host::os().wall_clock()).unwrap();
        let monitor = MonitorConfig { lost_after: Duration::from_millis(1_200), ..MonitorConfig::default() };
        let plane = PlaneConfig { monitor, ..PlaneConfig::default() };
        let coordinate = Coordinate { plane, ..Coordinate::new(folder.join("data")) };
        let config = NodeConfig::coordinator(identity(&authority, "head"), "127.0.0.1:0".parse().unwrap(), coordinate);
        let head = Node::start(Host::os(), config).await.unwrap();
        Cluster { authority, folder, head }
    }

    async fn node(&self, node: &str) -> Node {
        // Lives are numbered by milliseconds.
        rt::sleep(Duration::from_millis(2)).await;
        let head = vec![(name("head"), self.head.address())];
        let mut config = NodeConfig::new(identity(&self.authority, node), "127.0.0.1:0".parse().unwrap(), head);
        config.threads = 1;
        Node::start(Host::os(), config).await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    rt::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

#[test]
fn a_name_has_one_owner_and_the_next_has_a_higher_fence() {
    rt::run(
        2,
        within(async {
            let cluster = Cluster::start("names").await;
            let (a, b) = (cluster.node("a").await, cluster.node("b").await);
            let first = a.claim("billing").await.unwrap();
            let refused = b.claim("billing").await.unwrap_err();
            let owner = a.whereis("billing").await.unwrap().unwrap();
            assert_eq!((owner.node.as_str(), owner.fence), ("a", first.fence()));
            assert_eq!(refused, ClaimError::Owned(owner));
            assert!(matches!(b.claim("_mine").await, Err(ClaimError::Refused(_))));

            let fence = first.fence();
            drop(first);
            let second = loop {
                match b.claim("billing").await {
                    Ok(claim) => break claim,
                    Err(error) => assert!(matches!(error, ClaimError::Owned(_)), "{error}"),
                }
            };
            assert!(second.fence() > fence);

            // It outlives its first lease.
            rt::sleep(Duration::from_secs(2)).await;
            assert!(second.is_held());
            b.stop(Duration::ZERO).await;
            assert!(!second.is_held());
            second.lost().await;
            let third = a.claim("billing").await.unwrap();
            assert!(third.fence() > second.fence());

            // Without the coordinator, the owner stops by itself.
            cluster.head.stop(Duration::ZERO).await;
            third.lost().await;
            assert!(!third.is_held());
            a.stop(Duration::ZERO).await;
        }),
    )
    .unwrap();
}

/// What entities heard: the key, the number, the node.
type Heard = Arc<Mutex<Vec<(String, u32, String)>>>;

struct Ear {
    key: String,
    node: String,
    heard: Heard,
}

#[actor(remote)]
impl Ear {
    #[message(id = 1)]
    fn hear(&mut self, number: u32) -> String {
        self.heard.lock().unwrap().push((self.key.clone(), number, self.node.clone()));
        self.node.clone()
    }
}

fn ears(node: &Node, heard: &Heard) -> playhouse::Hosting {
    let (heard, of) = (heard.clone(), node.name().to_string());
    let idle = Some(Duration::from_millis(300));
    node.entities("ear", idle, move |key| Ear { key: key.into(), node: of.clone(), heard: heard.clone() }).unwrap()
}

#[test]
fn entities_move_without_losing_or_reordering_a_message() {
    rt::run(
        2,
        within(async {
            let cluster = Cluster::start("entities").await;
            let heard = Heard::default();
            let (a, b, client) = (cluster.node("a").await, cluster.node("b").await, cluster.node("client").await);
            let _ears = ears(&a, &heard);
            let keys: Vec<String> = (0..8).map(|key| format!("key-{key}")).collect();
            let entities: Vec<_> = keys.iter().map(|key| client.entity::<Ear>("ear", key).unwrap()).collect();
            let mut of_b = None;
            for number in 0..300 {
                match number {
                    60 => of_b = Some(ears(&b, &heard)),
                    200 => of_b.take().unwrap().leave().await,
                    _ => {}
                }
                for entity in &entities {
                    entity.send_hear(number).await.unwrap();
                }
                rt::sleep(Duration::from_millis(10)).await;
            }
            for entity in &entities {
                assert_eq!(entity.hear(300).await.unwrap(), "a");
            }
            {
                let heard = heard.lock().unwrap();
                for key in &keys {
                    let numbers: Vec<u32> = heard.iter().filter(|(of, ..)| of == key).map(|(_, number, _)| *number).collect();
                    assert_eq!(numbers, (0..=300).collect::<Vec<_>>(), "{key}");
                }
                assert!(heard.iter().any(|(_, _, node)| node == "b"), "none ever moved");
            }
            a.stop(Duration::from_secs(5)).await;
            b.stop(Duration::ZERO).await;
            client.stop(Duration::ZERO).await;
        }),
    )
    .unwrap();
}

#[test]
fn an_entity_moves_to_where_it_is_wanted_and_stays() {
    rt::run(
        2,
        within(async {
            let cluster = Cluster::start("moves").await;
            let heard = Heard::default();
            let (a, b, client) = (cluster.node("a").await, cluster.node("b").await, cluster.node("client").await);
            let (_of_a, of_b) = (ears(&a, &heard), ears(&b, &heard));
            let entity = client.entity::<Ear>("ear", "key").unwrap();
            entity.hear(0).await.unwrap();
            let mut number = 0;
            for to in ["a", "b", "a", "b"] {
                let (target, mover, there) = (name(to), client.clone(), Arc::new(AtomicBool::new(false)));
                let said = there.clone();
                let moved = rt::spawn(async move {
                    let moved = mover.move_entity("ear", "key", &target).await;
                    said.store(true, Ordering::SeqCst);
                    moved
                });
                // Told as fast as it answers, before, while and after it moves.
                while !there.load(Ordering::SeqCst) {
                    for _ in 0..3 {
                        number += 1;
                        entity.send_hear(number).await.unwrap();
                    }
                    number += 1;
                    entity.hear(number).await.unwrap();
                }
                moved.await.unwrap().unwrap();
                number += 1;
                assert_eq!(entity.hear(number).await.unwrap(), to);
            }
            let numbers: Vec<u32> = heard.lock().unwrap().iter().map(|(_, number, _)| *number).collect();
            assert_eq!(numbers, (0..=number).collect::<Vec<_>>());
            // Its node leaves: somebody else has it. And nobody can have it who hosts nothing.
            of_b.leave().await;
            assert_eq!(entity.hear(number + 1).await.unwrap(), "a");
            let error = client.move_entity("ear", "key", &name("b")).await.unwrap_err();
            assert_eq!(error, MoveError::NotHosted { node: name("b"), kind: "ear".into() });
            for node in [client, b, a] {
                node.stop(Duration::ZERO).await;
            }
        }),
    )
    .unwrap();
}

/// Counts how many of it live at once.
struct Leader {
    node: String,
    alive: Arc<Mutex<(u32, u32)>>,
}

impl Leader {
    fn new(node: String, alive: Arc<Mutex<(u32, u32)>>) -> Leader {
        {
            let mut alive = alive.lock().unwrap();
            alive.0 += 1;
            alive.1 = alive.1.max(alive.0);
        }
        Leader { node, alive }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.alive.lock().unwrap().0 -= 1;
    }
}

#[actor(remote)]
impl Leader {
    #[message(id = 1)]
    fn wherever(&self) -> String {
        self.node.clone()
    }
}

#[test]
fn a_singleton_runs_on_one_node_and_moves_when_that_one_goes() {
    rt::run(
        2,
        within(async {
            let cluster = Cluster::start("singleton").await;
            let (a, b) = (cluster.node("a").await, cluster.node("b").await);
            let alive = Arc::<Mutex<(u32, u32)>>::default();
            let offer = |node: &Node| {
                let (of, alive) = (node.name().to_string(), alive.clone());
                node.singleton("leader", move || Leader::new(of.clone(), alive.clone())).unwrap()
            };
            let of_a = offer(&a);
            let leader = b.the::<Leader>("leader").unwrap();
            assert_eq!(leader.wherever().within(Duration::from_secs(20)).await.unwrap(), "a");
            let _of_b = offer(&b);
            assert!(matches!(b.singleton("leader", || Leader::new(String::new(), Arc::default())), Err(ClaimError::Refused(_))));
            // It stays where it is while it can, and one that asks meanwhile waits for the next.
            assert_eq!(leader.wherever().await.unwrap(), "a");
            of_a.leave().await;
            assert_eq!(leader.wherever().within(Duration::from_secs(20)).await.unwrap(), "b");
            assert_eq!(*alive.lock().unwrap(), (1, 1), "now, and at most at once");
            b.stop(Duration::from_secs(5)).await;
            a.stop(Duration::ZERO).await;
        }),
    )
    .unwrap();
}
