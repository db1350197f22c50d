//! What a simulation makes of claims.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use playhouse_rt::sim::claims::{self, Claims};
use playhouse_rt::sim::{self, Life};
use playhouse_rt::{always, buggify, eventually, reachable, sometimes};

const SECOND: Duration = Duration::from_secs(1);

fn run<F: Future<Output = ()>>(seed: u64, main: F) -> Claims {
    claims::open();
    sim::run(seed, main);
    claims::close()
}

#[test]
fn the_first_breach_counts_and_says_where_it_was() {
    let claims = run(1, async {
        always!(true, "holds");
        let life = Life::start("a#1", async {
            playhouse_rt::sleep(SECOND).await;
            // Caught, as the supervision of actors does: what was claimed stays broken.
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let depth = 3;
                always!(depth <= 2, "bounded", "{depth} for 2");
            }));
            assert!(caught.is_ok());
        });
        playhouse_rt::sleep(2 * SECOND).await;
        always!(false, "later");
        life.kill().await;
    });
    let breach = claims.breach.unwrap();
    assert_eq!((breach.promise, breach.detail.as_str(), breach.node.as_str()), ("bounded", "3 for 2", "a#1"));
    assert!(breach.at >= SECOND && breach.at < 2 * SECOND, "{:?}", breach.at);
    assert!(breach.place.contains("claims.rs:"), "{}", breach.place);
}

#[test]
fn a_breach_is_a_line_of_the_ledger() {
    let (seen, lines) = std::sync::mpsc::channel();
    sim::ledger::open(move |line| drop(seen.send(format!("{} {}", line.kind, line.detail))));
    run(1, async {
        always!(false, "first");
        always!(false, "second");
        reachable!("here");
        reachable!("here");
    });
    sim::ledger::close();
    // The task itself is there, too.
    let lines: Vec<String> = lines.try_iter().filter(|line| !line.starts_with("begin ") && !line.starts_with("poll ")).collect();
    assert!(
        matches!(&lines[..], [breach, here] if breach.starts_with("breach first: (at ") && here == "reached here"),
        "{lines:?}"
    );
}

#[test]
fn without_a_register_a_breach_fails_the_test_that_runs_it() {
    let panic = catch_unwind(|| sim::run(1, async { always!(1 > 2, "order") })).unwrap_err();
    assert!(playhouse_rt::panic_text(&*panic).starts_with("broken: order: (at "));
    let panic = catch_unwind(|| always!(1 > 2, "order")).unwrap_err();
    assert!(playhouse_rt::panic_text(&*panic).starts_with("broken outside a simulation: order"));
    // Nothing of it is left for the next one.
    sim::run(1, async { always!(true, "order") });
    let _ = catch_unwind(|| {
        sim::run(1, async {
            always!(false, "order");
            panic!("something else");
        })
    });
    sim::run(1, async {});
}

#[test]
fn what_was_passed_is_known_and_what_was_true_is_counted() {
    let claims = run(1, async {
        for n in 0..5 {
            sometimes!(n > 2, "large");
            sometimes!(n > 9, "huge");
        }
        reachable!("end");
    });
    assert_eq!(claims.sometimes.into_iter().collect::<Vec<_>>(), [("end", 1), ("huge", 0), ("large", 2)]);
    assert_eq!(claims.breach, None);
}

#[test]
fn a_promise_is_kept_in_time_or_broken() {
    let kept = run(1, async {
        let promise = eventually!("it comes", SECOND);
        playhouse_rt::sleep(SECOND / 2).await;
        promise.kept();
        eventually!("it does not matter", SECOND).void();
        playhouse_rt::sleep(5 * SECOND).await;
    });
    assert_eq!(kept.breach, None);

    let late = run(1, async {
        let other = eventually!("the other", 3 * SECOND);
        let promise = eventually!("it comes", SECOND, "number {}", 7);
        playhouse_rt::sleep(2 * SECOND).await;
        promise.kept();
        other.kept();
    });
    let open_at_end = |within| {
        run(1, async move {
            let life = Life::start("b#1", async move { drop(eventually!("it comes", within)) });
            playhouse_rt::sleep(2 * SECOND).await;
            drop(life);
        })
    };
    for (within, detail) in [(SECOND, "not kept in time"), (9 * SECOND, "still open at the end of the run")] {
        let breach = open_at_end(within).breach.unwrap();
        assert_eq!((breach.detail.as_str(), breach.node.as_str()), (detail, "b#1"), "who promised it, not who found it");
    }
    let breach = late.breach.unwrap();
    assert_eq!((breach.promise, breach.detail.as_str()), ("it comes", "number 7 not kept in time"));
    assert!(breach.at >= SECOND && breach.at < SECOND + SECOND / 10, "its moment is when it was due: {:?}", breach.at);

    // Forgotten is not kept; and the end of the run ends all waiting.
    let dropped = run(1, async {
        drop(eventually!("it comes", SECOND));
        playhouse_rt::sleep(2 * SECOND).await;
        always!(false, "what comes later is not the first");
    });
    assert_eq!(dropped.breach.unwrap().promise, "it comes");
    let open = run(1, async { drop(eventually!("it comes", SECOND)) });
    assert_eq!(open.breach.unwrap().detail, "still open at the end of the run");
}

#[test]
fn a_dead_node_owes_nothing() {
    let claims = run(1, async {
        let life = Life::start("a#1", async {
            let _promise = eventually!("it comes", SECOND);
            std::future::pending::<()>().await;
        });
        playhouse_rt::sleep(SECOND / 2).await;
        life.kill().await;
        playhouse_rt::sleep(5 * SECOND).await;
    });
    assert_eq!(claims.breach, None);
}

#[test]
fn sites_fire_as_the_seed_says_and_only_when_they_are_wanted() {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let fired = |seed, wanted: bool| {
        run(seed, async move {
            if wanted {
                sim::buggify_on(seed);
            }
            for name in NAMES {
                for _ in 0..200 {
                    let _ = buggify!(name, 0.1);
                }
            }
        })
        .buggify
    };
    assert!(fired(1, false).is_empty());
    assert_eq!(fired(1, true), fired(1, true));
    let (mut on, mut total) = (0, 0);
    let mut sets = BTreeSet::new();
    for seed in 0..100 {
        let fired = fired(seed, true);
        on += fired.len() as u64;
        total += fired.values().sum::<u64>();
        sets.insert(fired.into_keys().collect::<Vec<_>>());
    }
    // A quarter of the 800 sites are on, and each of those fires about 20 times.
    assert!((140..260).contains(&on), "{on}");
    assert!((15..25).contains(&(total / on)), "{}", total / on);
    assert!(sets.len() > 30, "runs differ in what is on: {}", sets.len());
}

/// More draws at one site shift nothing at another.
#[test]
fn sites_do_not_share_their_dice() {
    let pattern = |others: u32| {
        let mut fires = Vec::new();
        let noted = &mut fires;
        run(3, async move {
            sim::buggify_on(3);
            for _ in 0..64 {
                for _ in 0..others {
                    let _ = buggify!("other", 0.5);
                }
                for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
                    noted.push(buggify!(name, 0.5));
                }
            }
        });
        fires
    };
    let alone = pattern(0);
    assert!(alone.contains(&true));
    assert_eq!(alone, pattern(7));
}
