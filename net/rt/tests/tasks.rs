//! The simulation's hold on tasks: who ran and who drew is in the ledger, who waits can be asked, and the order of tasks can be chosen.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use playhouse_rt::sim::{self, Deliveries, Flight, Life, Links, Network, Schedule, Storage, ledger};
use playhouse_rt::sync::Notify;
use playhouse_rt::{Disk, Host, Locals, Place, Random, sleep, spawn, spawn_local};

/// Gives way to others that could run.
async fn step() {
    let mut gone = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut gone, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A run on a thread of its own, since a thread's first simulation seeds std's hashers: what `show` makes of the lines, if it is given; how many
/// of each kind there were; and the hash.
fn record<F: Future<Output = ()>>(
    show: Option<fn(&ledger::Line<'_>) -> String>,
    main: impl FnOnce() -> F + Send + 'static,
) -> (Vec<String>, BTreeMap<&'static str, u64>, String) {
    let run = move || {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let seen = lines.clone();
        match show {
            Some(show) => ledger::open(move |line| seen.borrow_mut().push(show(line))),
            None => ledger::open_unread(),
        }
        sim::run(1, main());
        let kinds = ledger::kinds();
        (lines.take(), kinds, ledger::close().0)
    };
    std::thread::spawn(run).join().unwrap()
}

#[test]
fn every_start_poll_and_draw_is_a_line_of_its_task() {
    let show: fn(&ledger::Line<'_>) -> String = |line| {
        let drawn = line.detail.split(' ').next().unwrap_or_default();
        let detail = if line.kind == "draw" { drawn } else { line.detail };
        format!("{} {} [{}] {} {} {detail}", line.node, line.task, line.name, line.place, line.kind)
    };
    let first = line!() + 2;
    let (lines, _, _) = record(Some(show), || async {
        let life = Life::start("a#1", async {
            spawn(async {
                let _ = Random::new(1, "a dice").next_u64();
            })
            .await
            .unwrap();
            playhouse_rt::ledger::name_task(|| "main of a".into());
            playhouse_rt::ledger::record("end", String::new);
        });
        sleep(Duration::from_millis(1)).await;
        life.kill().await;
    });
    let file = "net/rt/tests/tasks.rs";
    let has = |wanted: &str| assert!(lines.iter().any(|line| line == wanted), "{wanted:?} in {lines:#?}");
    has(&format!("a#1 2 [] {file}:{first} poll "));
    has(&format!("a#1 2 [] {file}:{first} begin task 3 at {file}:{}", first + 1));
    has(&format!("a#1 3 [] {file}:{} draw a", first + 1));
    has(&format!("a#1 2 [main of a] {file}:{first} end "));
}

#[test]
fn places_go_through_what_starts_on_behalf_of_others() {
    #[track_caller]
    fn start(locals: &Locals) {
        let place = Place::here();
        locals.spawn_from(place, 0, || async { playhouse_rt::ledger::record("here", String::new) });
    }
    let line = line!() + 3;
    let show: fn(&ledger::Line<'_>) -> String = |line| format!("{} {}", line.kind, line.place);
    let (lines, _, _) = record(Some(show), || async {
        start(&Locals::new(1).unwrap());
        sleep(Duration::from_millis(1)).await;
    });
    assert!(lines.contains(&format!("here net/rt/tests/tasks.rs:{line}")), "{lines:?}");
}

#[test]
fn a_poll_or_a_draw_more_is_another_hash() {
    let history = |polls: u32, draws: u32| {
        let main = move || async move {
            for _ in 0..polls {
                step().await;
            }
            let mut dice = Random::new(1, "dice");
            for _ in 0..draws {
                let _ = dice.next_u64();
            }
        };
        record(None, main).2
    };
    let same = history(3, 3);
    assert_eq!(same, history(3, 3));
    assert_ne!(same, history(4, 3));
    assert_ne!(same, history(3, 4));
}

#[test]
fn an_unread_ledger_has_the_same_hash_and_counts_kinds() {
    async fn main() {
        playhouse_rt::ledger::record("note", || "text".into());
        step().await;
        Random::new(1, "dice").next_u64();
    }
    let (lines, kinds, hash) = record(None, main);
    assert_eq!((lines.len(), kinds["poll"], kinds["draw"], kinds["note"]), (0, 2, 1, 1));
    let (lines, same_kinds, same) = record(Some(|line| line.to_string()), main);
    assert_eq!((lines.len() as u64, same_kinds, same), (kinds.values().sum(), kinds, hash));
}

struct Perfect;

impl Links for Perfect {
    fn send(&mut self, _: &Flight) -> Deliveries {
        Deliveries::one(Duration::from_millis(1))
    }
    fn arrives(&mut self, _: &Flight) -> bool {
        true
    }
}

#[test]
fn who_waits_says_on_what_and_since_when() {
    sim::run(1, async {
        let network = Network::new(Box::new(Perfect));
        let host = Host::simulated(&network, "10.0.0.1".parse().unwrap(), Disk::simulated(&Storage::default(), 1), 1);
        let socket = host.bind("10.0.0.1:7".parse().unwrap()).unwrap();
        let life = Life::start("a#1", async move {
            playhouse_rt::ledger::name_task(|| "the reader".into());
            std::future::poll_fn(|cx| socket.poll_recv_from(cx, &mut [0; 8])).await.unwrap();
        });
        sleep(Duration::from_secs(2)).await;
        spawn(sleep(Duration::from_secs(5)));
        let line = line!() - 1;
        spawn_local(async {
            let mut asked = false;
            std::future::poll_fn(|_| {
                if !std::mem::replace(&mut asked, true) {
                    playhouse_rt::ledger::waits(|| "a cue".into());
                }
                Poll::<()>::Pending
            })
            .await;
        });
        let notify = Arc::new(Notify::new());
        let waits = notify.clone();
        spawn(async move { waits.notified().await });
        sleep(Duration::from_secs(1)).await;
        let rows = sim::waiting();
        let brief: Vec<_> = rows.iter().map(|row| (row.node.as_str(), row.since.as_secs(), row.on.as_str())).collect();
        assert_eq!(brief[0], ("a#1", 0, "a datagram at 10.0.0.1:7"));
        assert_eq!(rows[0].name.as_deref(), Some("the reader"));
        let mut rest = brief[1..].to_vec();
        rest.sort();
        assert_eq!(rest, [("-", 2, "a cue"), ("-", 2, "a timer that fires in 4.000 s"), ("-", 2, "a wake-up by another task")]);
        assert!(rows.iter().any(|row| row.place == format!("net/rt/tests/tasks.rs:{line}")), "{rows:?}");
        notify.notify_one();
        life.kill().await;
        assert_eq!(sim::waiting().len(), 2, "who has ended waits no more");
    });
}

#[test]
fn polls_of_a_slow_node_come_late_and_others_do_not() {
    let took = |slow: bool| {
        sim::run(1, async {
            let times = Arc::new(Mutex::new([Duration::ZERO; 2]));
            let steps = |at: usize| {
                let times = times.clone();
                async move {
                    for _ in 0..100 {
                        step().await;
                    }
                    times.lock().unwrap()[at] = sim::elapsed();
                }
            };
            let lives = [Life::start("a#1", steps(0)), Life::start("b#1", steps(1))];
            assert!(!sim::slow_polls("c#1", Duration::from_millis(20)));
            if slow {
                assert!(sim::slow_polls("a#1", Duration::from_millis(20)));
            }
            sleep(Duration::from_secs(10)).await;
            let slowed = sim::slowed_polls();
            assert!(sim::slow_polls("a#1", Duration::ZERO));
            for life in lives {
                life.kill().await;
            }
            let times = *times.lock().unwrap();
            (times, slowed)
        })
    };
    let ([a, b], slowed) = took(false);
    assert!(a < Duration::from_millis(1) && b < Duration::from_millis(1) && slowed == 0, "{a:?} {b:?}");
    let ([a, b], slowed) = took(true);
    assert_eq!(slowed, 101, "each poll of its task");
    assert!(a > Duration::from_millis(500) && b < Duration::from_millis(1), "{a:?} {b:?}");
}

/// Whether the order is found that breaks it: `watcher` takes all its steps between two neighbouring ones of `writer`.
fn is_found(seed: u64, schedule: Schedule) -> bool {
    const STEPS: u32 = 20;
    sim::schedule(schedule);
    sim::run(seed, async {
        let (wrote, found) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (writes, reads, finds) = (wrote.clone(), wrote, found.clone());
        let writer = spawn(async move {
            for _ in 0..STEPS {
                step().await;
                writes.fetch_add(1, Ordering::Relaxed);
            }
        });
        let watcher = spawn(async move {
            let before = reads.load(Ordering::Relaxed);
            for _ in 0..STEPS {
                step().await;
            }
            let after = reads.load(Ordering::Relaxed);
            finds.store(u32::from(before > 0 && before < STEPS && before == after), Ordering::Relaxed);
        });
        writer.await.unwrap();
        watcher.await.unwrap();
        // As many polls as there are, at some 75 virtual nanoseconds: no timer was waited for.
        assert!(sim::elapsed() < Duration::from_micros(50), "{:?}", sim::elapsed());
        found.load(Ordering::Relaxed) == 1
    })
}

#[test]
fn priorities_find_an_order_that_chance_does_not() {
    let count = |schedule| (0..100).filter(|seed| is_found(*seed, schedule)).count();
    let (chance, flat, deep) =
        (count(Schedule::Random), count(Schedule::Pct { depth: 1, steps: 45 }), count(Schedule::Pct { depth: 2, steps: 45 }));
    assert_eq!((chance, flat), (0, 0), "one needs a priority that falls");
    assert!(deep >= 10, "{deep} of 100 seeds");
}

#[test]
fn a_schedule_by_priorities_repeats_itself_and_outlives_kills() {
    let history = |seed| {
        std::thread::spawn(move || {
            sim::schedule(Schedule::Pct { depth: 3, steps: 400 });
            ledger::open_unread();
            sim::run(seed, async {
                let done = Arc::new(AtomicU32::new(0));
                let lives: Vec<_> = (0..6)
                    .map(|n| {
                        let done = done.clone();
                        Life::start(&format!("n{n}#1"), async move {
                            // Some never end: the highest of all must not keep the others from running.
                            while n % 3 == 0 || done.fetch_add(1, Ordering::Relaxed) < 200 {
                                step().await;
                                if n == 3 {
                                    sleep(Duration::from_micros(10)).await;
                                }
                            }
                        })
                    })
                    .collect();
                sleep(Duration::from_millis(5)).await;
                for life in lives {
                    life.kill().await;
                }
                assert!(done.load(Ordering::Relaxed) >= 200);
                assert_eq!(sim::waiting(), []);
            });
            ledger::close()
        })
        .join()
        .unwrap()
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}
