//! What the simulation promises: it repeats itself, its network does what it is told, its disk loses what was not made durable.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use playhouse_rt::sim::{self, Deliveries, Delivery, Flight, Life, Links, Network, Storage, ledger};
use playhouse_rt::{Blocking, Datagrams, Disk, Host, Locals, Random};

#[test]
fn entropy_is_closed() {
    assert!(sim::entropy_is_closed());
}

/// Each datagram takes the next fate from a list; afterwards a millisecond.
struct Fates {
    list: Vec<Vec<u64>>,
    cut: Arc<Mutex<bool>>,
}

impl Links for Fates {
    fn send(&mut self, _: &Flight) -> Deliveries {
        let fate = if self.list.is_empty() { vec![1] } else { self.list.remove(0) };
        let copy = |millis| Delivery { after: Duration::from_millis(millis), corrupt: None };
        fate.into_iter().map(copy).fold(Deliveries::lost(), Deliveries::and)
    }
    fn arrives(&mut self, _: &Flight) -> bool {
        !*self.cut.lock().unwrap()
    }
}

fn host(network: &Network, ip: &str) -> Host {
    Host::simulated(network, ip.parse().unwrap(), Disk::simulated(&Storage::default(), 1), 1)
}

async fn receive(socket: &Datagrams) -> u8 {
    let mut buffer = [0; 8];
    std::future::poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer)).await.unwrap();
    buffer[0]
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken_as_told() {
    sim::run(1, async {
        let list = vec![vec![9], vec![], vec![3, 20], vec![5]];
        let network = Network::new(Box::new(Fates { list, cut: Arc::default() }));
        let (a, b) = (host(&network, "10.0.0.1"), host(&network, "10.0.0.2"));
        let a = a.bind("10.0.0.1:1".parse().unwrap()).unwrap();
        let b = b.bind("0.0.0.0:2".parse().unwrap()).unwrap();
        for number in 0..4 {
            a.try_send_to(&[number], b.local_addr().unwrap(), None).unwrap();
        }
        let mut got = Vec::new();
        for _ in 0..4 {
            got.push(receive(&b).await);
        }
        assert_eq!(got, [2, 3, 0, 2]);
        let stats = network.stats();
        assert_eq!((stats.sent, stats.delivered, stats.lost, stats.duplicated, stats.reordered), (4, 4, 1, 1, 2));
    });
}

#[test]
fn a_cut_holds_back_what_is_under_way_and_a_dead_host_sends_nothing() {
    sim::run(1, async {
        let cut = Arc::new(Mutex::new(false));
        let network = Network::new(Box::new(Fates { list: vec![vec![5]], cut: cut.clone() }));
        let (host_a, host_b) = (host(&network, "10.0.0.1"), host(&network, "10.0.0.2"));
        let a = host_a.bind("10.0.0.1:1".parse().unwrap()).unwrap();
        let b = host_b.bind("10.0.0.2:2".parse().unwrap()).unwrap();
        let to = b.local_addr().unwrap();
        a.try_send_to(&[1], to, None).unwrap();
        *cut.lock().unwrap() = true;
        playhouse_rt::sleep(Duration::from_millis(10)).await;
        *cut.lock().unwrap() = false;
        a.try_send_to(&[2], to, None).unwrap();
        assert_eq!(receive(&b).await, 2);
        assert_eq!(network.stats().dropped, 1);

        assert_eq!(host_b.bind(to).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        network.detach(ip);
        assert!(a.try_send_to(&[3], to, None).is_err(), "an earlier life sends nothing");
        assert!(host_a.bind("10.0.0.1:1".parse().unwrap()).is_err());
        let again = host(&network, "10.0.0.1").bind("10.0.0.1:1".parse().unwrap()).unwrap();
        drop(a);
        again.try_send_to(&[4], to, None).unwrap();
        assert_eq!(receive(&b).await, 4);
    });
}

#[test]
fn a_killed_life_runs_no_more_and_a_timer_leaves_one_line() {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let seen = lines.clone();
    ledger::open(move |line| seen.borrow_mut().push(format!("{} {}", line.node, line.kind)));
    sim::run(3, async {
        let count = Arc::new(Mutex::new(0));
        let counted = count.clone();
        let life = Life::start("a#1", async move {
            loop {
                playhouse_rt::sleep(Duration::from_secs(1)).await;
                *counted.lock().unwrap() += 1;
            }
        });
        playhouse_rt::sleep(Duration::from_millis(3500)).await;
        life.kill().await;
        assert_eq!(Arc::strong_count(&count), 1, "its futures are dropped");
        playhouse_rt::sleep(Duration::from_secs(10)).await;
        assert_eq!(*count.lock().unwrap(), 3);
    });
    ledger::close();
    assert_eq!(lines.borrow().iter().filter(|line| *line == "a#1 timer").count(), 3);
}

#[test]
fn the_ledger_of_a_seed_is_the_same_twice_and_other_seeds_differ() {
    let history = |seed| std::thread::spawn(move || history(seed)).join().unwrap();
    assert_eq!(history(5), history(5));
    assert_ne!(history(5), history(6));
}

#[test]
fn lines_about_one_message_have_one_number_also_on_another_node() {
    use playhouse_rt::ledger::{Tag, enter};
    let lines = Rc::new(RefCell::new(Vec::new()));
    let seen = lines.clone();
    ledger::open(move |line| {
        if ["tell", "message"].contains(&line.kind) {
            seen.borrow_mut().push(format!("{}|{} {}", line.actor, line.kind, line.detail));
        }
    });
    let way = |to: &'static str| move || to.to_string();
    sim::run(3, async {
        {
            let _outer = enter("one");
            for to in ["a", "b", "a"] {
                Tag::sent("tell", || format!("to {to}")).leaves(way(to));
            }
            let _inner = enter("two");
            Tag::arrived(way("b")).record("message", String::new);
        }
        Tag::arrived(way("a")).record("message", String::new);
        Tag::arrived(way("a")).record("message", String::new);
        Tag::arrived(way("a")).record("message", || "of which nothing is known".into());
    });
    ledger::close();
    let expected = [
        "one|tell #1 to a",
        "one|tell #2 to b",
        "one|tell #3 to a",
        "two|message #2 ",
        "|message #1 ",
        "|message #3 ",
        "|message of which nothing is known",
    ];
    assert_eq!(*lines.borrow(), expected);
}

#[test]
fn a_capture_has_what_was_sent_and_changes_nothing() {
    use playhouse_rt::sim::capture::{self, Captured};
    use std::cell::Cell;
    let send = || {
        ledger::open(|_| {});
        sim::run(3, async {
            let network = Network::new(Box::new(Fates { list: vec![vec![], vec![2, 3]], cut: Arc::default() }));
            let bind = |ip: &str| host(&network, ip).bind("0.0.0.0:1".parse().unwrap()).unwrap();
            let (a, b) = (bind("10.0.0.1"), bind("10.0.0.2"));
            a.try_send_to(&[7], b.local_addr().unwrap(), None).unwrap();
            a.try_send_to(&[8, 9], b.local_addr().unwrap(), Some(2)).unwrap();
            playhouse_rt::secrets::tell("label", &[1], &[2]);
        });
        ledger::close()
    };
    let alone = send();
    let (seen, secrets) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
    let (sink, count) = (seen.clone(), secrets.clone());
    assert!(!playhouse_rt::secrets::wanted());
    capture::open(move |captured| match captured {
        Captured::Datagram { number, bytes, copies, ecn, .. } => {
            sink.borrow_mut().push((*number, bytes.to_vec(), copies.len(), *ecn));
        }
        Captured::Secret { .. } => count.set(count.get() + 1),
    });
    assert!(playhouse_rt::secrets::wanted());
    assert_eq!(send(), alone);
    capture::close();
    assert_eq!(*seen.borrow(), [(0, vec![7], 0, None), (1, vec![8, 9], 2, Some(2))]);
    assert_eq!(secrets.get(), 1);
}

fn history(seed: u64) -> (String, u64) {
    ledger::open(|_| {});
    sim::run(seed, async {
        let tasks: Vec<_> = (0..20u64)
            .map(|n| playhouse_rt::spawn(async move { playhouse_rt::sleep(Duration::from_millis(n % 3)).await }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let key = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1);
        playhouse_rt::ledger::record("hash", || key.to_string());
    });
    ledger::close()
}

#[test]
fn a_power_loss_takes_only_what_was_not_made_durable() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..60 {
        sim::run(seed, async {
            let storage = Storage::default();
            let disk = Disk::simulated(&storage, 1);
            let folder = Path::new("/d");
            let (safe, temp, moved) = (folder.join("safe"), folder.join("temp"), folder.join("moved"));
            disk.create_dir_all(folder).unwrap();
            disk.write(&safe, b"safe").unwrap();
            disk.sync(&safe).unwrap();
            disk.sync_dir(folder).unwrap();
            disk.write(&temp, b"synced").unwrap();
            disk.sync(&temp).unwrap();
            disk.rename(&temp, &moved).unwrap();
            disk.write(&safe, b"newer").unwrap();
            storage.crash(1, &mut Random::new(seed, "crash"));
            let now = disk.read(&safe).unwrap();
            assert!(now == b"safe" || b"newer".starts_with(&now), "lost, torn or kept: {now:?}");
            outcomes.insert(format!("{:?} moved {}", String::from_utf8(now), disk.read(&moved).is_ok()));
            // Whatever the crash left is durable now.
            let before = disk.read(&safe).unwrap();
            storage.crash(1, &mut Random::new(seed, "again"));
            assert_eq!(disk.read(&safe).unwrap(), before);
        });
    }
    assert!(outcomes.len() >= 6, "all fates occur: {outcomes:?}");
}

#[test]
fn work_that_pauses_takes_so_much_longer() {
    sim::run(1, async {
        let pool = Blocking::new(1);
        let took = async |pause| {
            let began = playhouse_rt::now();
            pool.run(move || playhouse_rt::pause(pause)).await.unwrap();
            playhouse_rt::now() - began
        };
        let (long, none) = (took(Duration::from_secs(5)).await, took(Duration::ZERO).await);
        assert!(long >= Duration::from_secs(5) && long < Duration::from_secs(6), "{long:?}");
        assert!(none < Duration::from_secs(1), "{none:?}");
    });
}

#[test]
fn futures_are_counted_by_the_thread_that_they_were_given_to() {
    sim::run(1, async {
        let locals = Locals::new(2).unwrap();
        for index in [0, 1, 2, 4] {
            locals.spawn(index, || async {});
        }
        assert_eq!(sim::given_to_threads(), [[3, 1]]);
    });
}
