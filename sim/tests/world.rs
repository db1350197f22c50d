//! Each verb of a world does what it says, can be undone, is counted, and leaves its lines in the ledger.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_rt::sim::{self, DiskFault, ledger};
use playhouse_rt::sync::mpsc;
use playhouse_rt::{Datagrams, Disk, Host, select, sleep};
use playhouse_sim::plan::Climate;
use playhouse_sim::weather::{LINK_QUEUE_BYTES, LinkFault};
use playhouse_sim::world::World;

/// How often each kind of fault took effect.
type Counts = BTreeMap<&'static str, u64>;

const PORT: u16 = 700;
const ALWAYS: u32 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrival {
    from: SocketAddr,
    bytes: Vec<u8>,
    at: Duration,
}

/// A place that sends what it is told to, and writes down what arrives.
struct Post {
    name: &'static str,
    orders: mpsc::UnboundedSender<(SocketAddr, Vec<u8>)>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Post {
    fn start(world: &World, name: &'static str) -> Post {
        let (orders, mut inbox) = mpsc::unbounded_channel::<(SocketAddr, Vec<u8>)>();
        let arrivals: Arc<Mutex<Vec<Arrival>>> = Arc::default();
        let seen = arrivals.clone();
        let here = SocketAddr::new(world.ip(name), PORT);
        world.start(name, move |host: Host| async move {
            let socket = host.bind(here).unwrap();
            loop {
                select! {
                    Some((to, bytes)) = inbox.recv() => socket.try_send_to(&bytes, to, None).unwrap(),
                    (from, bytes) = receive(&socket) => seen.lock().unwrap().push(Arrival { from, bytes, at: sim::elapsed() }),
                }
            }
        });
        Post { name, orders, arrivals }
    }

    fn send(&self, world: &World, to: &Post, bytes: &[u8]) {
        self.orders.send((SocketAddr::new(world.ip(to.name), PORT), bytes.to_vec())).unwrap();
    }

    fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.arrivals.lock().unwrap())
    }
}

async fn receive(socket: &Datagrams) -> (SocketAddr, Vec<u8>) {
    let mut buffer = [0; 2000];
    let (length, from, _) = std::future::poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer)).await.unwrap();
    (from, buffer[..length].to_vec())
}

/// Whether one datagram gets through: from a to b, from b to a.
async fn through(world: &World, a: &Post, b: &Post) -> (bool, bool) {
    a.send(world, b, b"ping");
    b.send(world, a, b"pong");
    sleep(SECOND).await;
    (!b.take().is_empty(), !a.take().is_empty())
}

/// Runs `body` on a calm network with two posts; gives what was counted and the ledger's lines.
fn with_posts<F: Future<Output = ()>>(body: impl FnOnce(World, Post, Post) -> F) -> (Counts, Vec<String>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    ledger::open(move |line| seen.lock().unwrap().push(format!("{} {}", line.kind, line.detail)));
    let counts = sim::run(1, async {
        let world = World::with_climate(1, Climate::CALM);
        let (a, b) = (Post::start(&world, "a"), Post::start(&world, "b"));
        sleep(SECOND).await;
        body(world.clone(), a, b).await;
        world.faults()
    });
    ledger::close();
    let lines = lines.lock().unwrap().clone();
    (counts, lines)
}

#[track_caller]
fn told(lines: &[String], wanted: &[&str]) {
    for line in wanted {
        assert!(lines.iter().any(|known| known == line), "no `{line}` in {lines:#?}");
    }
}

#[test]
fn links_are_cut_in_both_directions_in_one_and_to_all() {
    let (counts, lines) = with_posts(async |world, a, b| {
        assert_eq!(through(&world, &a, &b).await, (true, true));
        // Twice, as overlapping faults of a plan would: it ends with the second end.
        world.cut("a", "b");
        world.cut("b", "a");
        world.mend("a", "b");
        assert_eq!(through(&world, &a, &b).await, (false, false));
        world.mend("a", "b");
        world.cut_one_way("a", "b");
        assert_eq!(through(&world, &a, &b).await, (false, true));
        world.mend_one_way("a", "b");
        assert_eq!(through(&world, &a, &b).await, (true, true));
        world.isolate("b");
        assert_eq!(through(&world, &a, &b).await, (false, false));
        let c = Post::start(&world, "c");
        sleep(SECOND).await;
        assert_eq!(through(&world, &c, &b).await, (false, false));
        assert_eq!(through(&world, &a, &c).await, (true, true));
        world.rejoin("b");
        assert_eq!(through(&world, &a, &b).await, (true, true));
        // What is under way does not arrive.
        a.send(&world, &b, b"late");
        sleep(Duration::from_micros(1)).await;
        world.isolate("a");
        sleep(SECOND).await;
        assert_eq!(b.take(), []);
        world.end_faults();
        assert_eq!(through(&world, &a, &b).await, (true, true));
    });
    assert_eq!((counts["cut"], counts["one-way-cut"], counts["isolation"]), (2, 1, 5), "{counts:?}");
    told(
        &lines,
        &["cut 10.0.0.1 and 10.0.0.2", "mend 10.0.0.1 and 10.0.0.2", "cut 10.0.0.1 to 10.0.0.2", "mend 10.0.0.1 to 10.0.0.2"],
    );
    told(&lines, &["cut 10.0.0.2 and all others", "mend 10.0.0.2 and all others", "mend all links"]);
}

/// What arrives at b of what a sends under `fault`, and after how many milliseconds; and nothing is left of the fault after its end.
fn under(fault: LinkFault, sent: &'static [&'static [u8]]) -> (Vec<(Vec<u8>, u64)>, Counts) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let seen = got.clone();
    let (counts, lines) = with_posts(async move |world, a, b| {
        world.begin_link("a", "b", fault);
        let began = sim::elapsed();
        sent.iter().for_each(|bytes| a.send(&world, &b, bytes));
        sleep(10 * SECOND).await;
        *seen.lock().unwrap() = b.take().into_iter().map(|one| (one.bytes, (one.at - began).as_millis() as u64)).collect();
        // The other direction is as ever.
        b.send(&world, &a, b"back");
        sleep(Duration::from_millis(5)).await;
        assert!(matches!(&a.take()[..], [back] if back.bytes == b"back"), "{fault:?}");
        world.end_link("a", "b", fault);
        a.send(&world, &b, b"mended");
        sleep(Duration::from_millis(5)).await;
        assert!(matches!(&b.take()[..], [mended] if mended.bytes == b"mended"), "{fault:?}");
    });
    told(
        &lines,
        &[&format!("fault link 10.0.0.1 to 10.0.0.2: {fault:?}"), &format!("mend link 10.0.0.1 to 10.0.0.2: {fault:?}")],
    );
    let got = got.lock().unwrap().clone();
    (got, counts)
}

#[test]
fn a_link_differs_in_one_direction_until_it_is_mended() {
    let (got, counts) = under(LinkFault::Latency(300_000), &[b"x"]);
    assert!(matches!(&got[..], [(_, 300..=302)]) && counts["latency"] == 1, "{got:?} {counts:?}");
    let (got, counts) = under(LinkFault::Jitter(500_000), &[b"1", b"2", b"3", b"4", b"5", b"6"]);
    assert!(got.len() == 6 && got.iter().any(|(_, ms)| *ms > 50) && counts["latency"] == 6, "{got:?}");
    assert!(counts["reordering"] > 0, "{counts:?}");
    let (got, counts) = under(LinkFault::Loss(ALWAYS), &[b"x"]);
    assert!(got.is_empty() && counts["loss"] == 1, "{got:?} {counts:?}");
    let (got, counts) = under(LinkFault::Duplication(ALWAYS), &[b"x"]);
    assert!(got.len() == 2 && counts["duplication"] == 1, "{got:?} {counts:?}");
    let (got, counts) = under(LinkFault::Straggle(ALWAYS), &[b"x"]);
    assert!(matches!(&got[..], [(_, 11..=12)]) && counts["straggle"] == 1, "{got:?} {counts:?}");
    let (got, counts) = under(LinkFault::Corruption(ALWAYS), &[&[0; 50]]);
    let ones = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
    assert!(matches!(&got[..], [(bytes, _)] if bytes.len() == 50 && ones(bytes) == 1), "{got:?}");
    assert_eq!(counts["corruption"], 1);
    let (got, counts) = under(LinkFault::Mtu(100), &[&[0; 100], &[0; 101]]);
    assert!(got.len() == 1 && counts["mtu"] == 1, "{got:?} {counts:?}");
}

#[test]
fn a_narrow_link_makes_datagrams_queue_and_loses_what_finds_no_room() {
    const DATAGRAM: u64 = 1_024;
    const ONE: &[u8] = &[7; DATAGRAM as usize];
    let (got, counts) = under(LinkFault::Bandwidth(DATAGRAM * 100), &[ONE; 200]);
    let fit = LINK_QUEUE_BYTES / DATAGRAM;
    assert_eq!((got.len() as u64, counts["tail-drop"], counts["bandwidth"]), (fit, 200 - fit, fit - 1), "{counts:?}");
    // One every ten milliseconds, a millisecond later.
    for (number, (_, ms)) in got.iter().enumerate() {
        assert!((number as u64 * 10 + 11).abs_diff(*ms) <= 1, "{number} after {ms} ms");
    }
}

#[test]
fn a_climate_is_written_as_whole_numbers_and_read_again() {
    let climate = Climate { loss_ppm: 12_000, mtu: 1_400, ..Climate::CALM };
    let text = serde_json::to_string(&climate).unwrap();
    assert!(text.contains(r#""loss_ppm":12000"#), "{text}");
    assert_eq!(serde_json::from_str::<Climate>(&text).unwrap(), climate);
    let fault = (LinkFault::Mtu(1_200), DiskFault::Full { room: 7 });
    assert_eq!(serde_json::from_str::<(LinkFault, DiskFault)>(&serde_json::to_string(&fault).unwrap()).unwrap(), fault);
}

#[test]
fn a_climate_changes_except_where_a_link_differs() {
    let (_, lines) = with_posts(async |world, a, b| {
        world.begin_link("a", "b", LinkFault::Loss(0));
        world.begin_link("a", "b", LinkFault::Latency(2_000));
        let calm = world.weather().climate();
        world.weather().change(Climate { loss_ppm: ALWAYS, latency_us: 500_000, ..calm });
        assert_eq!(through(&world, &a, &b).await, (true, false));
        // The last that was begun counts, and with its end the one before.
        world.begin_link("a", "b", LinkFault::Loss(ALWAYS));
        assert_eq!(through(&world, &a, &b).await, (false, false));
        world.end_link("a", "b", LinkFault::Loss(ALWAYS));
        assert_eq!(through(&world, &a, &b).await, (true, false));
        world.weather().change(calm);
        assert_eq!(through(&world, &a, &b).await, (true, true));
    });
    told(&lines, &[&format!("climate {}", Climate::CALM)]);
}

#[test]
fn a_place_is_seen_elsewhere_and_again_where_it_was() {
    let (counts, lines) = with_posts(async |world, a, b| {
        let home = world.ip("a");
        let outside = world.readdress("a");
        assert_ne!(outside, home);
        // What it sends comes from there, and what is sent to where it was finds nobody.
        assert_eq!(through(&world, &a, &b).await, (true, false));
        a.send(&world, &b, b"from where?");
        sleep(SECOND).await;
        let from = b.take()[0].from;
        assert_eq!(from, SocketAddr::new(outside, PORT));
        b.orders.send((from, b"there you are".to_vec())).unwrap();
        sleep(SECOND).await;
        assert_eq!(a.take()[0].bytes, b"there you are");
        // Faults find it wherever it is.
        world.cut("a", "b");
        b.orders.send((from, b"cut".to_vec())).unwrap();
        assert_eq!(through(&world, &a, &b).await, (false, false));
        world.mend("a", "b");
        assert_ne!(world.readdress("a"), outside);
        world.restore_address("a");
        assert_eq!(through(&world, &a, &b).await, (true, true));
    });
    assert_eq!((counts["readdress"], counts["astray"], counts["cut"]), (2, 1, 3), "{counts:?}");
    told(&lines, &["readdress 10.0.0.1 is seen at 10.1.0.1", "readdress 10.0.0.1 is seen at 10.0.0.1"]);
}

#[test]
fn a_paused_place_does_nothing_and_then_all_of_it_late() {
    let (counts, lines) = with_posts(async |world, a, b| {
        assert!(world.pause("b") && !world.pause("b") && !world.pause("nobody"));
        a.send(&world, &b, b"wait");
        b.send(&world, &a, b"not now");
        sleep(5 * SECOND).await;
        assert_eq!((a.take(), b.take()), (vec![], vec![]));
        let resumed = sim::elapsed();
        world.resume("b");
        sleep(SECOND).await;
        assert!(b.take()[0].at >= resumed && a.take()[0].at >= resumed);
        // Timers pass meanwhile, and fire late.
        let (fired, late) = playhouse_rt::sync::oneshot::channel();
        world.start("c", |_| async move {
            sleep(SECOND).await;
            fired.send(sim::elapsed()).unwrap();
        });
        sleep(SECOND / 2).await;
        world.pause("c");
        sleep(5 * SECOND).await;
        let resumed = sim::elapsed();
        world.resume("c");
        let late = late.await.unwrap();
        assert!(late >= resumed && late < resumed + SECOND / 100, "{late:?}");
        // The sockets' room is bounded.
        world.pause("b");
        for _ in 0..5_000 {
            a.send(&world, &b, b"full");
        }
        sleep(SECOND).await;
        assert!(world.crash("b").await, "a paused place can crash");
        assert!(!world.is_up("b"));
        let b = Post::start(&world, "b");
        sleep(SECOND).await;
        assert_eq!(through(&world, &a, &b).await, (true, true));
    });
    assert_eq!((counts["pause"], counts["crash"], counts["overflow"]), (3, 1, 5_000 - 4_096), "{counts:?}");
    told(&lines, &["pause b#2", "resume b#2"]);
}

#[test]
fn polls_of_a_place_come_late_in_each_of_its_lives_until_that_ends() {
    // How often a task of each place runs within a second that sleeps for a millisecond between.
    async fn turns(world: &World, of: &[Arc<AtomicU64>; 2]) -> [u64; 2] {
        let before = [0, 1].map(|at| of[at].load(Ordering::Relaxed));
        let slowed = world.faults().get("slow-polls").copied().unwrap_or_default();
        sleep(SECOND).await;
        assert_eq!(
            world.faults().get("slow-polls").copied().unwrap_or_default() > slowed,
            of[0].load(Ordering::Relaxed) - before[0] < 300
        );
        [0, 1].map(|at| of[at].load(Ordering::Relaxed) - before[at])
    }
    sim::run(7, async {
        let world = World::with_climate(7, Climate::CALM);
        let counts: [Arc<AtomicU64>; 2] = Default::default();
        let start = |at: usize| {
            let count = counts[at].clone();
            world.start(["a", "b"][at], move |_| async move {
                loop {
                    sleep(Duration::from_millis(1)).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        };
        (0..2).for_each(start);
        let [slow, slower] = [10, 20].map(Duration::from_millis);
        let quick = |[a, b]: [u64; 2]| a > 400 && b > 400;
        let late = |[a, b]: [u64; 2]| a < 300 && b > 400;
        assert!(quick(turns(&world, &counts).await));
        world.begin_slow_polls("a", slow);
        world.begin_slow_polls("a", slower);
        assert!(late(turns(&world, &counts).await));
        world.end_slow_polls("a", slower);
        assert!(world.crash("a").await);
        start(0);
        assert!(late(turns(&world, &counts).await), "a later life is as slow");
        world.end_slow_polls("a", slow);
        world.end_slow_polls("a", slow);
        assert!(quick(turns(&world, &counts).await));
        world.begin_slow_polls("a", slow);
        world.end_faults();
        assert!(quick(turns(&world, &counts).await));
    });
}

#[test]
fn clocks_jump_and_drift_and_time_does_not() {
    let (counts, lines) = with_posts(async |world, _, _| {
        let (send, mut hosts) = mpsc::unbounded_channel();
        let look = |world: &World| {
            let send = send.clone();
            world.start("c", |host| async move {
                send.send(host).unwrap();
                std::future::pending().await
            });
        };
        look(&world);
        let host = hosts.recv().await.unwrap();
        // By how much it is ahead, in milliseconds.
        let ahead = |host: &Host| host.wall_clock().as_millis() as i64 - sim::wall_clock().as_millis() as i64;
        assert_eq!(ahead(&host), 0);
        world.jump_clock("c", 5_000_000);
        assert_eq!(ahead(&host), 5_000);
        world.jump_clock("c", -8_000_000);
        assert_eq!(ahead(&host), -3_000);
        world.drift_clock("c", 1_000);
        let began = playhouse_rt::now();
        sleep(1_000 * SECOND).await;
        assert_eq!((playhouse_rt::now() - began).as_secs(), 1_000, "what measures is right");
        assert!((ahead(&host) + 2_000).abs() <= 1, "{}", ahead(&host));
        world.drift_clock("c", 0);
        sleep(1_000 * SECOND).await;
        assert!((ahead(&host) + 2_000).abs() <= 1, "{}", ahead(&host));
        // The clock is the place's, not the life's.
        world.crash("c").await;
        look(&world);
        let host = hosts.recv().await.unwrap();
        assert!((ahead(&host) + 2_000).abs() <= 1, "{}", ahead(&host));
        world.restore_clock("c");
        assert_eq!(ahead(&host), 0);
    });
    assert!(counts["wrong-clock"] >= 5, "{counts:?}");
    told(&lines, &["fault clock of c jumps by 5000000 us", "fault clock of c drifts by 1000 ppm", "mend clock of c"]);
}

#[test]
fn each_place_has_a_disk_of_its_own_beside_what_is_shared() {
    let (counts, lines) = with_posts(async |world, _, _| {
        world.share(Path::new("/shared"));
        let (own, shared) = (Path::new("/own/x"), Path::new("/shared/x"));
        let (send, mut hosts) = mpsc::unbounded_channel();
        let look = |name: &str| {
            let send = send.clone();
            world.start(name, |host| async move {
                send.send(host.disk().clone()).unwrap();
                std::future::pending().await
            });
        };
        look("c");
        let disk = hosts.recv().await.unwrap();
        disk.create_dir_all(Path::new("/own")).unwrap();
        for path in [own, shared] {
            disk.write(path, b"text").unwrap();
            disk.sync(path).unwrap();
            disk.sync_dir(path.parent().unwrap()).unwrap();
        }
        look("d");
        let other = hosts.recv().await.unwrap();
        assert!(other.read(own).is_err() && other.read(shared).unwrap() == b"text");

        // One place's faults are not another's, also where the disk is shared.
        let fault = DiskFault::ReadError { ppm: ALWAYS };
        world.begin_disk("c", Path::new("/shared"), fault);
        assert!(disk.read(shared).is_err() && disk.read(own).is_ok() && other.read(shared).is_ok());
        world.end_disk("c", Path::new("/shared"), fault);
        assert!(disk.read(shared).is_ok());
        world.begin_disk("c", Path::new("/"), fault);
        world.end_faults();

        let flip = world.rot("c", Path::new("/own")).unwrap();
        assert_ne!(disk.read(own).unwrap(), b"text");
        assert!(world.flip("c", &flip));
        let flip = world.rot("d", Path::new("/shared")).unwrap();
        assert_ne!(disk.read(shared).unwrap(), b"text");
        assert!(world.flip("d", &flip) && disk.read(shared).unwrap() == b"text");

        world.crash("c").await;
        look("c");
        assert_eq!(hosts.recv().await.unwrap().read(own).unwrap(), b"text");
        world.crash("c").await;
        world.lose_disk("c");
        look("c");
        let disk = hosts.recv().await.unwrap();
        assert!(disk.read(own).is_err() && disk.read(shared).unwrap() == b"text");
    });
    assert_eq!((counts["read-error"], counts["bit-rot"], counts["lost-disk"]), (1, 2, 1), "{counts:?}");
    told(&lines, &["fault c loses its disk", "fault disk of c under /shared: ReadError { ppm: 1000000 }"]);
}

/// A rough world in which everything befalls two places that talk, and write to their disks.
fn rough(seed: u64) -> (String, u64) {
    // On a thread of its own: std's hashers take their seed from the first simulation of a thread.
    let story = move || {
        ledger::open(|_| ());
        sim::run(seed, async move {
            let world = World::new(seed);
            let (a, b) = (Post::start(&world, "a"), Post::start(&world, "b"));
            let mut random = world.random("story");
            let faults = [LinkFault::Corruption(100_000), LinkFault::Bandwidth(50_000), LinkFault::Loss(300_000)];
            let sick = DiskFault::ReadError { ppm: 500_000 };
            for step in 0..40 {
                for number in 0..20u8 {
                    a.send(&world, &b, &[number; 500]);
                    b.send(&world, &a, &[number; 50]);
                }
                match step % 10 {
                    0 => world.isolate("b"),
                    1 => world.rejoin("b"),
                    2 => world.begin_link("a", "b", faults[random.below(3) as usize]),
                    3 => drop(world.pause("a")),
                    4 => world.resume("a"),
                    5 => drop(world.readdress("b")),
                    6 => world.begin_disk("b", Path::new("/"), sick),
                    7 => world.drift_clock("a", 1_000),
                    8 => world.cut_one_way("b", "a"),
                    _ => world.end_faults(),
                }
                let disk = Disk::simulated(&world.disk_of("b"), 1);
                disk.create_dir_all(Path::new("/d")).unwrap();
                disk.open(Path::new("/d/x")).unwrap().write_at(random.below(50_000), &[7; 9_000]).unwrap();
                sleep(Duration::from_millis(random.between(1, 100))).await;
            }
            world.disk_of("b").crash(1, &mut random);
            let left = Disk::simulated(&world.disk_of("b"), 1).read(Path::new("/d/x")).unwrap_or_default();
            playhouse_rt::ledger::record("left", || format!("{left:?} {:?}", world.faults()));
        });
        ledger::close()
    };
    std::thread::spawn(story).join().unwrap()
}

#[test]
fn whatever_befalls_a_world_the_same_seed_is_the_same_history() {
    for seed in 0..5 {
        assert_eq!(rough(seed), rough(seed));
    }
    assert_ne!(rough(1), rough(2));
}
