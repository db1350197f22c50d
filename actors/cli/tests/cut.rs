//! Three coordinators and three worker nodes as processes, each in a network namespace of its own, under load, whose links are cut: both ways,
//! so that nobody is told of it, or one way only.
//!
//! The test makes its namespaces without being root, where the machine allows that to users; else it says so and passes. It runs itself again
//! in there, as the first process of a process namespace: whatever becomes of it, nothing that it made outlives it.
//! `PLAYHOUSE_ROUNDS=10 cargo test -p playhouse-cli --test cut -- --nocapture` plays all cuts ten times.
#![cfg(target_os = "linux")]

mod stage;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Client, ClientError, ClusterStatus, Identity, Incarnation, Job};

use stage::{HEADS, LOOK_EVERY, Place, Round, STUCK, Stage, WORKERS, name};

const TEST: &str = "nothing_acknowledged_is_lost_whichever_link_is_cut";

/// What this process is: nothing special, or one of those below.
const ROLE: &str = "PLAYHOUSE_CUT_ROLE";

/// It is within the namespaces, and plays the rounds.
const PLAYER: &str = "player";

/// It is beside a coordinator that is alone, and asks it for something.
const ASKER: &str = "asker";

/// Where the files of the stage are.
const FOLDER: &str = "PLAYHOUSE_CUT_FOLDER";

/// The network namespace of the one that began.
const OUTSIDE: &str = "PLAYHOUSE_CUT_OUTSIDE";

/// Whom one asks that is beside it, and where it listens.
const ASKED: &str = "PLAYHOUSE_CUT_ASKED";

/// Namespaces of a user, a network, processes and mounts, which end with the first process in them.
const UNSHARE: &[&str] =
    &["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/// What the test needs to be allowed.
const PROBE: &str = "set -e
    ip link add name middle type bridge
    ip link add name port type veth peer name net
    ip link set port master middle
    tc qdisc add dev port root blackhole
    nsenter --net=/proc/$$/ns/net unshare --net true";

/// Where tools stand that not every user looks for.
const MORE_TOOLS: &str = ":/usr/sbin:/sbin";

/// The player's address, on the bridge. The nodes' come before it.
const MIDDLE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

const PORT: u16 = 4433;

/// How long a task takes at least.
const PACE: Duration = Duration::from_millis(40);

/// The same, when its node is to be lost on the way: longer than it takes to cut a link.
const LONG_PACE: Duration = Duration::from_millis(400);

/// How long a client asks one that cannot answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs a tool to its end.
fn tool(command: &[&str]) {
    let ended = Command::new(command[0]).args(&command[1..]).output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// A network namespace that is there until its standard input ends.
struct Space {
    holder: Child,
    _open: ChildStdin,
}

impl Space {
    fn new() -> Space {
        // The line comes when the namespace is there.
        let script = "ip link set lo up && echo there && exec cat";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "there\n");
        let _open = holder.stdin.take().unwrap();
        Space { holder, _open }
    }

    /// What runs a command within it.
    fn enter(&self) -> Vec<String> {
        vec!["nsenter".into(), format!("--net=/proc/{}/ns/net", self.holder.id())]
    }

    fn tool(&self, command: &[&str]) {
        let enter = self.enter();
        tool(&enter.iter().map(String::as_str).chain(command.iter().copied()).collect::<Vec<_>>());
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A bridge, and on each of its ports, which have the names of the nodes, a namespace of that node.
struct Net(Vec<(String, Space)>);

impl Net {
    fn new() -> Net {
        tool(&["ip", "link", "set", "lo", "up"]);
        tool(&["ip", "link", "add", "name", "middle", "type", "bridge"]);
        tool(&["ip", "addr", "add", &format!("{MIDDLE}/24"), "dev", "middle"]);
        tool(&["ip", "link", "set", "middle", "up"]);
        let heads = (1..=HEADS).map(|number| format!("head-{number}"));
        let nodes = heads.chain((1..=WORKERS).map(|number| format!("worker-{number}")));
        Net(nodes.enumerate().map(|(at, node)| Net::port(node, at)).collect())
    }

    fn port(node: String, at: usize) -> (String, Space) {
        let space = Space::new();
        let holder = space.holder.id().to_string();
        tool(&["ip", "link", "add", "name", &node, "type", "veth", "peer", "name", "net", "netns", &holder]);
        tool(&["ip", "link", "set", &node, "master", "middle", "up"]);
        space.tool(&["ip", "addr", "add", &format!("{}/24", Net::address(at)), "dev", "net"]);
        space.tool(&["ip", "link", "set", "net", "up"]);
        (node, space)
    }

    fn address(at: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, at as u8 + 1)
    }

    fn at(&self, node: &str) -> usize {
        self.0.iter().position(|(name, _)| name == node).unwrap()
    }

    fn space(&self, node: &str) -> &Space {
        &self.0[self.at(node)].1
    }

    fn place(&self, node: &str) -> Place {
        Place { under: self.space(node).enter(), listen: (Net::address(self.at(node)), PORT).into() }
    }

    /// Does, or undoes, this to the link of a node.
    fn link(&self, node: &str, cut: Cut, begins: bool) {
        let verb = if begins { "add" } else { "del" };
        match cut {
            Cut::BothWays => tool(&["ip", "link", "set", node, if begins { "down" } else { "up" }]),
            Cut::CannotHear => tool(&["tc", "qdisc", verb, "dev", node, "root", "blackhole"]),
            Cut::CannotSpeak => self.space(node).tool(&["tc", "qdisc", verb, "dev", "net", "root", "blackhole"]),
        }
    }
}

/// What becomes of a link. Nobody is told: what is sent is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    BothWays,
    /// What is sent to the node.
    CannotHear,
    /// What the node sends.
    CannotSpeak,
}

/// Waits until the cluster is like this.
async fn until(client: &Client, what: &str, mut is: impl AsyncFnMut(&ClusterStatus) -> bool) -> ClusterStatus {
    let mut ticks = rt::interval(LOOK_EVERY);
    let found = rt::timeout(STUCK, async {
        loop {
            let status = client.status().await.unwrap();
            if is(&status).await {
                return status;
            }
            ticks.tick().await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: not within {STUCK:?}"))
}

/// Whether every coordinator says that it follows the one that leads, and knows what that one knew.
async fn all_follow(client: &Client, status: &ClusterStatus) -> bool {
    let leader = &status.coordinator;
    for number in 1..=HEADS {
        let Ok(own) = client.coordinator(&name(&format!("head-{number}"))).await else { return false };
        let led = own.leader.as_ref() == Some(&leader.name) && own.term == leader.term;
        if !led || own.waits.is_some() || own.applied < leader.applied || own.voters.len() != HEADS {
            return false;
        }
    }
    true
}

/// A round of a coordinator that leads. Gives how many jobs were acknowledged.
async fn cut_the_leader(stage: &Stage, net: &Net, client: &Client, cut: Cut) -> u64 {
    let round = Round::begin(stage, client, PACE).await;
    let leader = round.leader.clone();
    let before = client.status().await.unwrap().coordinator.term;
    net.link(&leader, cut, true);
    let struck = rt::now();
    let asker = ask_alone(stage, net, &leader);
    let after = until(client, "another one leads", async |status| status.coordinator.name.as_str() != leader).await;
    let (other, took) = (&after.coordinator, struck.elapsed());
    assert!(other.term > before, "{other:?}");
    let seen = round.end(client, struck, &format!("{leader}, {cut:?}")).await;
    let refused = refused(asker);
    let next = seen.next.expect("something is acknowledged after it").as_millis();
    println!(
        "leader {leader} cut, {cut:?} -> another one is known to lead: {} ms, next acknowledged: {next} ms",
        took.as_millis()
    );
    println!("  it says, asked beside it alone: {refused}");
    net.link(&leader, cut, false);
    let healed = rt::now();
    let whole = until(client, "the link is whole, all follow", async |status| all_follow(client, status).await).await;
    println!("  healed -> all follow {}: {} ms", whole.coordinator.name, healed.elapsed().as_millis());
    seen.acked
}

/// A client asks this coordinator, from its own namespace, to take a job.
fn ask_alone(stage: &Stage, net: &Net, head: &str) -> Child {
    let place = net.place(head);
    let identity = stage.identity("asker");
    Command::new(&place.under[0])
        .args(&place.under[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(ROLE, ASKER)
        .env(FOLDER, identity)
        .env(ASKED, place.listen.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it was answered: that is an error.
fn refused(asker: Child) -> String {
    let ended = asker.wait_with_output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&ended.stdout).into_owned(), String::from_utf8_lossy(&ended.stderr).into_owned());
    let refused = said.lines().find_map(|line| line.split_once("refused: ")).map(|(_, refused)| refused.to_string());
    refused.filter(|_| ended.status.success()).unwrap_or_else(|| panic!("{said}{why}"))
}

/// Asks a coordinator that is alone to take a job: it cannot, and says so.
async fn ask() {
    let asked = std::env::var(ASKED).unwrap().parse::<SocketAddr>().unwrap();
    let identity = Identity::load(Path::new(&std::env::var_os(FOLDER).unwrap())).unwrap().value;
    let client = Client::connect(Host::os(), identity, [asked]).await.unwrap().with_patience(PATIENCE);
    let job = Job::new("default");
    let unit = job.value(&()).unwrap();
    let error = client.submit(job, unit).await.expect_err("a minority acknowledges nothing");
    assert!(matches!(error, ClientError::Coordinator { .. }), "{error}");
    println!("refused: {error}");
    client.close().await;
}

/// Whether this node is judged so, in a life that the caller names.
fn is_judged(status: &ClusterStatus, node: &str, state: &str, life: impl Fn(Incarnation) -> bool) -> bool {
    let node = &status.nodes[&name(node)];
    format!("{:?}", node.state) == state && life(node.incarnation)
}

/// A round of a node with a worker that runs a task. Gives how many jobs were acknowledged.
async fn cut_a_worker(stage: &mut Stage, net: &Net, client: &Client, cut: Cut) -> u64 {
    let round = Round::begin(stage, client, LONG_PACE).await;
    let (worker, job) = (round.busy.clone().expect("a worker runs a task"), round.job.clone());
    let life = client.status().await.unwrap().nodes[&name(&worker)].incarnation;
    net.link(&worker, cut, true);
    let struck = rt::now();
    until(client, "it is lost", async |status| is_judged(status, &worker, "Lost", |its| its == life)).await;
    let took = struck.elapsed().as_millis();
    let seen = round.end(client, struck, &format!("{worker}, {cut:?}")).await;
    let retried = job.progress(0).await.unwrap().retries;
    assert!(retried > 0, "what {worker} did was done elsewhere");
    println!("worker {worker} cut, {cut:?} -> lost: {took} ms; tasks of the job that ran again: {retried}");
    let process = stage.process(&worker).child.id();
    net.link(&worker, cut, false);
    let healed = rt::now();
    until(client, "it comes back", async |status| is_judged(status, &worker, "Alive", |its| its > life)).await;
    println!("  healed -> a later life of it: {} ms", healed.elapsed().as_millis());
    let child = &mut stage.process(&worker).child;
    assert!(child.id() == process && child.try_wait().unwrap().is_none(), "it is the same process");
    let words = fs::read_to_string(stage.words(&worker)).unwrap();
    println!("  it has said: {}", words.lines().last().unwrap_or_default());
    assert!(words.contains("the cluster counts it as lost"), "{words}");
    seen.acked
}

/// Plays all rounds, within the namespaces.
async fn play() {
    let here = fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(here, PathBuf::from(std::env::var_os(OUTSIDE).unwrap()), "nothing is to be heard outside");
    let rounds = std::env::var("PLAYHOUSE_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"));
    // Dropped after the stage: processes go before their namespaces.
    let net = Net::new();
    let mut stage = Stage::new("cuts", std::env::var_os(FOLDER).unwrap().into(), |node| net.place(node));
    let (node, client) = stage.client((MIDDLE, 0).into()).await;
    let mut jobs = 0;
    for _ in 0..rounds {
        jobs += cut_the_leader(&stage, &net, &client, Cut::BothWays).await;
        jobs += cut_the_leader(&stage, &net, &client, Cut::CannotHear).await;
        jobs += cut_the_leader(&stage, &net, &client, Cut::CannotSpeak).await;
        jobs += cut_a_worker(&mut stage, &net, &client, Cut::BothWays).await;
        jobs += cut_a_worker(&mut stage, &net, &client, Cut::CannotHear).await;
    }
    let accepted = client.status().await.unwrap().counters.accepted;
    // What a leader that can speak was asked, and never answered, the next one may have found in its log: one for each of its acts, at most.
    let unknown = 3 * rounds as u64;
    assert!(
        (jobs..=jobs + unknown).contains(&accepted),
        "{accepted} accepted, {jobs} acknowledged: what was tried again counts once"
    );
    node.stop(Duration::from_secs(1)).await;
    stage.task_logs_agree();
}

/// Waits until the one that began this process is gone, however it ended.
async fn nobody_cares() {
    let (tell, ended) = rt::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nothing is ever sent.
        let _ = std::io::stdin().lock().read(&mut [0]);
        let _ = tell.send(());
    });
    let _ = ended.await;
}

/// A command within new namespaces.
fn unshared() -> Command {
    let mut command = Command::new(UNSHARE[0]);
    let path = std::env::var("PATH").unwrap_or_default() + MORE_TOOLS;
    command.args(&UNSHARE[1..]).env("PATH", path);
    command
}

/// Why this machine does not allow the test.
fn forbidden() -> Option<String> {
    match unshared().args(["sh", "-c", PROBE]).stdin(Stdio::null()).output() {
        Ok(ended) if ended.status.success() => None,
        Ok(ended) => Some(String::from_utf8_lossy(&ended.stderr).trim().to_string()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

/// The folder of a stage, and its end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs this test within namespaces.
fn begin() {
    if let Some(why) = forbidden() {
        eprintln!("skipped: this machine lets this user make no networks: {why}");
        return;
    }
    let folder = Folder(std::env::temp_dir().join(format!("playhouse-cut-{}", std::process::id())));
    let mut player = unshared()
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(ROLE, PLAYER)
        .env(FOLDER, &folder.0)
        .env(OUTSIDE, fs::read_link("/proc/self/ns/net").unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends when this does.
    let _open = player.stdin.take().unwrap();
    for line in BufReader::new(player.stdout.take().unwrap()).lines().map_while(Result::ok) {
        println!("{line}");
    }
    assert!(player.wait().unwrap().success(), "its own words are above");
}

#[test]
fn nothing_acknowledged_is_lost_whichever_link_is_cut() {
    match std::env::var(ROLE).as_deref() {
        Ok(PLAYER) => rt::run(2, async {
            rt::select! { () = play() => {}, () = nobody_cares() => {} }
        })
        .unwrap(),
        Ok(ASKER) => rt::run(1, ask()).unwrap(),
        _ => begin(),
    }
}
