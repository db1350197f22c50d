//! The demo's job, with worker nodes that lose their power at drawn moments and come back at others, or are cut off for a while. Or
//! (`amnesia`) with a coordinator that loses its power, and with it all that it knew: the client learns that its job is forgotten and submits
//! another one.

mod oracles;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use playhouse::rt::sync::oneshot;
use playhouse::rt::{self, Disk, Host, Random};
use playhouse::{
    ClientError, ClusterStatus, Coordinate, JobStatus, Node, NodeConfig, NodeName, PlaneConfig, Planted, WindowResult, demo,
};

use self::oracles::{accepted, heals, once, result, windows};
use super::frame::Papers;
use super::{Bugs, Outcome};
use crate::director::{self, Cue, Director};
use crate::plan::{Draw, Fault, Offer, Plan, offers};
use crate::verdict::Verdict;
use crate::world::World;

/// What must hold.
pub(super) const PROMISES: &[&str] = &[result::PROMISE, once::PROMISE, windows::PROMISE, accepted::PROMISE, heals::PROMISE];

/// Within so much virtual time the job must be done, whatever befell it.
pub(super) const DONE_WITHIN: Duration = Duration::from_secs(60);

pub(super) const WORKERS: u32 = 4;
const INPUT: &str = "/input";
const CHECKPOINTS: &str = "/checkpoints";
/// The coordinator's journal.
const DATA: &str = "/data";
pub(super) const PORT: u16 = 4433;

/// The worker nodes.
pub(super) const NODES: [&str; 2] = ["a", "b"];

/// All whose clocks and pauses the cluster outlives.
const ALL: [&str; 3] = ["head", "a", "b"];

/// A clock that is wrong by more than this could keep a node out for longer than the cluster may take to heal: lives are numbered by clocks.
const FURTHEST_CLOCK_MS: u64 = 5_000;

/// A node that cannot start, its disk being sick, is started again after so long.
const START_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// So often, before its owner would look at it.
const STARTS_MAX: u32 = 50;

/// When the faults begin, after the submission.
const TROUBLED_MS: u64 = 500;

/// What befalls the cluster. The worker nodes may lose their power, reach nobody for a while, or not be heard by the coordinator: what
/// they say arrives late, or when they are counted as lost already. They may also be slow, moved, or wrong about the time, and their disks fail
/// under the checkpoints. With `amnesia` the coordinator loses its power, too.
pub(super) fn draw(seed: u64, amnesia: bool) -> Plan {
    let mut draw = Draw::new(seed);
    draw.dial("files", 8, (150, 300));
    draw.dial("words", 4, (60, 120));
    if amnesia {
        let mut random = draw.random("amnesia");
        let (at_ms, down_ms) = (random.between(1, 300), Some(random.between(2, 1_500)));
        draw.fault(at_ms, Fault::Crash { node: "head".into(), down_ms, lose_disk: true });
    }
    let node = |random: &mut Random| NODES[random.below(2) as usize].to_string();
    let crash = |random: &mut Random| {
        let (node, down_ms) = (node(random), Some(random.between(2, 5_000)));
        Fault::Crash { node, down_ms, lose_disk: random.chance(0.2) }
    };
    let cut = |one_way: bool| {
        move |random: &mut Random| {
            let (node, ms) = (node(random), random.between(200, 6_000));
            let (from, to) = if one_way && random.chance(0.5) { ("head".into(), node) } else { (node, "head".into()) };
            Fault::Cut { from, to, one_way, ms }
        }
    };
    let isolate = |random: &mut Random| Fault::Isolate { node: node(random), ms: random.between(200, 6_000) };
    let often = if amnesia { 30 } else { 85 };
    draw.swarm(
        TROUBLED_MS,
        &[
            Offer::new(often, 2, crash),
            Offer::new(50, 2, cut(false)),
            Offer::new(25, 2, cut(true)),
            Offer::new(15, 2, isolate),
            offers::pauses(25, 2, &ALL, 3_000),
            offers::links(30, 3, &ALL, 3_000),
            offers::moves(20, 2, &NODES),
            offers::clocks(30, 2, &ALL, FURTHEST_CLOCK_MS, 3_000),
            offers::slow_disks(20, 2, &NODES, CHECKPOINTS, 20_000),
            offers::write_errors(25, 2, &NODES, CHECKPOINTS),
            offers::read_errors(50, 4, &NODES, CHECKPOINTS),
            offers::full_disks(30, 2, &NODES, CHECKPOINTS),
            offers::slow_polls(20, 2, &ALL, 4_000, 1_500),
            offers::swizzles(20, 1, &NODES, 6_000),
        ],
    );
    draw.finish()
}

/// What the client saw.
struct Seen {
    /// Which of the two jobs it is about.
    job_number: usize,
    found: demo::Found,
    windows: Vec<WindowResult>,
    job: JobStatus,
    cluster: ClusterStatus,
}

pub(super) async fn run(plan: Plan, bugs: Bugs) -> Outcome {
    let world = World::of(&plan);
    let verdict = match rehearse(&world, &plan, bugs).await {
        Ok(()) => Verdict::Held,
        Err(verdict) => verdict,
    };
    Outcome::of(verdict, &world)
}

async fn rehearse(world: &World, plan: &Plan, bugs: Bugs) -> Result<(), Verdict> {
    let planted = bugs.plane;
    world.share(Path::new(INPUT));
    world.share(Path::new(CHECKPOINTS));
    write_input(world, plan);
    let disk = Disk::simulated(world.storage(), u64::MAX);
    let manifest = demo::scan(&disk, Path::new(INPUT)).map_err(|error| Verdict::Crashed(error.to_string()))?;
    // Two jobs that differ in everything: the second is submitted when the first is forgotten.
    let mut other = manifest.clone();
    other.files.retain(|file| !file.path.ends_with(".rs"));
    let expected = [&manifest, &other].map(|manifest| demo::serial(&disk, manifest));

    let papers = Papers::new()?;
    let head = SocketAddr::new(world.ip("head"), PORT);
    let config = head_config(&papers, head, planted)?;
    world.start("head", move |host| live(host, config, bugs.actors));
    for name in NODES {
        // Of one that does not take part, too: so the others keep their addresses.
        let config = worker_config(&papers, name, world, head)?;
        if !plan.has(name) {
            continue;
        }
        world.start(name, move |host| live(host, config, bugs.actors));
    }
    let (submitted, on_submit) = oneshot::channel();
    let (answer, on_answer) = oneshot::channel();
    let config = client_config(&papers, world, head)?;
    world.start("client", move |host| async move {
        let seen = client(host, config, [manifest, other], submitted).await;
        told(seen.as_ref().err().map(ToString::to_string));
        let _ = answer.send(seen);
        // Its connection stays until the world ends.
        std::future::pending().await
    });

    let _ = rt::timeout(DONE_WITHIN, on_submit).await;
    let mut director = Director::new(plan);
    while let Some(cue) = director.next(world).await {
        match cue {
            Cue::Crash { node, lose_disk } => director::fell(world, &node, lose_disk).await,
            Cue::Back(node) if node == "head" && !world.is_up("head") => {
                let config = head_config(&papers, head, planted)?;
                world.start("head", move |host| live(host, config, bugs.actors));
            }
            Cue::Back(node) if !world.is_up(&node) => {
                let config = worker_config(&papers, &node, world, head)?;
                world.start(&node, move |host| live(host, config, bugs.actors));
            }
            _ => {}
        }
    }

    let seen = rt::timeout(DONE_WITHIN, on_answer).await;
    let seen = seen.map_err(|_| Verdict::Stuck(format!("the job was not done within {DONE_WITHIN:?} of virtual time")))?;
    let seen = seen.map_err(|_| Verdict::Crashed("the client is gone".into()))?;
    let seen = seen.map_err(|error| accepted::broken(&error))?;
    let (index, windows) = &expected[seen.job_number];
    result::check(&seen, index)?;
    once::check(&seen, windows)?;
    windows::check(&seen, windows)?;
    let nodes = NODES.iter().filter(|name| plan.has(name)).count();
    heal(world, &papers, head, nodes).await
}

/// What a client says to the judge stands in the ledger: what led to it can be followed back from there.
pub(super) fn told(what: Option<String>) {
    rt::ledger::record("seen", || what.unwrap_or_else(|| "the result".into()));
}

/// After the last fault everything must come back: all nodes alive, all workers up.
async fn heal(world: &World, papers: &Papers, head: SocketAddr, nodes: usize) -> Result<(), Verdict> {
    let (answer, on_answer) = oneshot::channel();
    let mut config = client_config(papers, world, head)?;
    config.identity = papers.of("observer")?;
    config.listen = SocketAddr::new(world.ip("observer"), PORT);
    world.start("observer", move |host| async move {
        let node = match Node::start(host, config).await {
            Ok(node) => node,
            Err(error) => return drop(answer.send(error.to_string())),
        };
        let mut ticks = rt::interval(Duration::from_millis(250));
        let mut last = String::new();
        let healed = async {
            loop {
                ticks.tick().await;
                match node.client().status().await {
                    Ok(status) if heals::is_healed(&status, nodes) => return,
                    Ok(status) => last = format!("{:?} {:?}", status.nodes, status.workers),
                    Err(error) => last = error.to_string(),
                }
            }
        };
        let healed = rt::timeout(heals::HEALED_WITHIN, healed).await;
        let open = if healed.is_ok() { String::new() } else { last };
        told(Some(open.clone()));
        let _ = answer.send(open);
    });
    let open = on_answer.await.map_err(|_| Verdict::Crashed("the observer is gone".into()))?;
    heals::check(&open)
}

async fn client(
    host: Host,
    config: NodeConfig,
    manifests: [demo::Manifest; 2],
    submitted: oneshot::Sender<()>,
) -> Result<Seen, ClientError> {
    let failed = |error: &dyn std::fmt::Display| ClientError::Failed(error.to_string());
    let node = Node::start(host, config).await.map_err(|error| failed(&error))?;
    let client = node.client();
    client.workers_up(WORKERS as usize).await?;
    let mut submitted = Some(submitted);
    let mut last = None;
    for (job_number, manifest) in manifests.iter().enumerate() {
        let (job, found) = demo::job(manifest, Duration::ZERO).map_err(|error| failed(&error))?;
        let job = client.submit(job, found).await?;
        if let Some(submitted) = submitted.take() {
            let _ = submitted.send(());
        }
        let seen = async {
            let (found, windows) = (job.wait().await?, job.windows().await?);
            Ok(Seen { job_number, found, windows, job: job.progress(0).await?, cluster: client.status().await? })
        };
        match seen.await {
            Ok(seen) => return Ok(seen),
            // The coordinator began anew, and says so.
            Err(error @ ClientError::Forgotten(_)) => {
                rt::reachable!("forgotten");
                rt::ledger::record("forgotten", || error.to_string());
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.expect("one of two jobs is forgotten, or there is an answer"))
}

/// A node's process: it starts the node, and starts it anew when the cluster has given it up.
pub(super) async fn live(host: Host, config: NodeConfig, planted: playhouse_actors::Planted) {
    loop {
        let node = start(&host, &config).await;
        node.system().plant(planted);
        let why = node.failed().await;
        rt::reachable!("failed");
        rt::ledger::record("failed", || why.clone());
        assert!(config.coordinate.is_none(), "{why}");
        node.stop(Duration::from_secs(3)).await;
    }
}

/// Starts a node, again and again while its disk is sick.
pub(super) async fn start(host: &Host, config: &NodeConfig) -> Node {
    let mut tries = 1;
    loop {
        match Node::start(host.clone(), config.clone()).await {
            Ok(node) => return node,
            Err(error) if tries == STARTS_MAX => panic!("a node does not start: {error}"),
            Err(error) => rt::ledger::record("not-started", || error.to_string()),
        }
        tries += 1;
        rt::sleep(START_AGAIN_AFTER).await;
    }
}

fn base(papers: &Papers, name: &str, listen: SocketAddr, head: SocketAddr) -> Result<NodeConfig, Verdict> {
    Ok(NodeConfig::new(papers.of(name)?, listen, vec![(head_name(), head)]))
}

fn head_name() -> NodeName {
    NodeName::new("head").expect("a name")
}

pub(super) fn head_config(papers: &Papers, listen: SocketAddr, planted: Planted) -> Result<NodeConfig, Verdict> {
    let plane = PlaneConfig { workers: WORKERS, planted, ..PlaneConfig::default() };
    let coordinate = Coordinate { plane, ..Coordinate::new(DATA) };
    Ok(NodeConfig::coordinator(papers.of("head")?, listen, coordinate))
}

pub(super) fn worker_config(papers: &Papers, name: &str, world: &World, head: SocketAddr) -> Result<NodeConfig, Verdict> {
    let mut config = base(papers, name, SocketAddr::new(world.ip(name), PORT), head)?;
    config.capacity = WORKERS;
    config.tasks = demo::tasks();
    config.checkpoints = Some(PathBuf::from(CHECKPOINTS));
    Ok(config)
}

pub(super) fn client_config(papers: &Papers, world: &World, head: SocketAddr) -> Result<NodeConfig, Verdict> {
    base(papers, "client", SocketAddr::new(world.ip("client"), PORT), head)
}

/// Files of drawn words, some of them odd.
fn write_input(world: &World, plan: &Plan) {
    const WORDS: [&str; 12] =
        ["stage", "Actor", "cue", "prompt", "curtain", "Ärger", "42", "scene-two", "exit", "läuft", "東京", "the"];
    const EXTENSIONS: [&str; 4] = ["rs", "md", "txt", "toml"];
    for n in 0..plan.dial("files") {
        // A stream for each, so that fewer files leave the others as they are.
        let mut random = world.random(&format!("input {n}"));
        let mut text = String::new();
        for _ in 0..random.between(0, plan.dial("words")) {
            text.push_str(WORDS[random.below(WORDS.len() as u64) as usize]);
            text.push_str(["\n", " ", ", ", "\t"][random.below(4) as usize]);
        }
        let path = format!("{INPUT}/{:02}/file-{n}.{}", n % 7, EXTENSIONS[random.below(4) as usize]);
        world.storage().put(Path::new(&path), text.as_bytes());
        if random.chance(0.02) {
            world.storage().forbid(Path::new(&path));
        }
    }
    world.storage().put(&Path::new(INPUT).join("image.png"), b"\x89PNG\0\0");
}
