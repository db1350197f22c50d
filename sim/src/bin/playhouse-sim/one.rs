//! One run in this process.

use std::cell::RefCell;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use playhouse_rt::sim::{self, Schedule, Waiting, ledger};
use playhouse_sim::scenario::{BUGS, Bugs, Outcome, Scenario, WANTED};
use playhouse_sim::verdict::Verdict;
use serde_json::{Value, json};

/// A task that has been running for so long, by the clock on the wall, never yields.
const POLL_MAX: Duration = Duration::from_secs(10);

/// So many who wait are listed: actors, then others; those who wait for longest come first.
const WAITING_MAX: usize = 40;

/// About how many polls a run has: where priorities fall is drawn among so many.
const STEPS: u64 = 4000;

/// How a run is ordered and noted down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Tasks have priorities: the depth of probabilistic concurrency testing.
    pub(crate) pct: Option<u32>,
    /// Without a ledger, to measure what the ledger costs.
    pub(crate) unrecorded: bool,
    /// What the watchdog says is for people, not for a parent.
    pub(crate) to_people: bool,
    /// What is put beside the scenario, to see whether this program finds it.
    pub(crate) trap: Option<Trap>,
}

/// What no run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Trap {
    /// It does something that does not come from the seed.
    Unsteady,
    /// A task never yields.
    Spin,
    /// Nothing can happen any more.
    Deadlock,
}

/// Walks into a trap, on a node of its own.
async fn walk_into(trap: Trap) {
    let _life = sim::Life::start("trap#1", async move {
        let walker = playhouse_rt::spawn(async move {
            playhouse_rt::ledger::name_task(|| "the walker".into());
            match trap {
                Trap::Unsteady => drop(playhouse_rt::Random::new(std::process::id().into(), "process").below(2)),
                Trap::Spin => loop {
                    std::hint::spin_loop();
                },
                Trap::Deadlock => {
                    playhouse_rt::ledger::waits(|| "what never comes".into());
                    std::future::pending().await
                }
            }
        });
        let _ = walker.await;
    });
    match trap {
        Trap::Deadlock => std::future::pending().await,
        Trap::Unsteady | Trap::Spin => playhouse_rt::sleep(Duration::from_millis(1)).await,
    }
}

/// Who reads the ledger's lines.
pub(crate) type Sink = Box<dyn FnMut(&ledger::Line<'_>)>;

/// Runs `scenario` with `seed`; each line of the ledger goes to `sink`. Gives what the parent reads.
pub(crate) fn run(scenario: &Scenario, seed: u64, bug: Option<&str>, how: How, sink: Option<Sink>) -> (Verdict, Value) {
    let mut bugs = Bugs::default();
    if let Some(bug) = BUGS.iter().find(|known| Some(known.name) == bug) {
        (bug.plant)(&mut bugs);
    }
    let panics = remember_panics();
    let began = Instant::now();
    let virtual_time = Rc::new(RefCell::new(std::time::Duration::ZERO));
    let waiting: Rc<RefCell<Vec<Waiting>>> = Rc::default();
    watch(scenario.name, seed, how);
    match sink {
        _ if how.unrecorded => {}
        Some(sink) => ledger::open(sink),
        None => ledger::open_unread(),
    }
    sim::schedule(how.pct.map_or(Schedule::Random, |depth| Schedule::Pct { depth, steps: STEPS }));
    let result = catch_unwind(AssertUnwindSafe(|| {
        sim::run(seed, async {
            if let Some(trap) = how.trap {
                walk_into(trap).await;
            }
            let outcome = (scenario.run)(seed, bugs).await;
            *virtual_time.borrow_mut() = sim::elapsed();
            if hangs(&outcome.verdict) {
                *waiting.borrow_mut() = sim::waiting();
            }
            outcome
        })
    }));
    let kinds = ledger::kinds();
    let (hash, events) = ledger::close();
    let outcome = result.unwrap_or_else(|panic| {
        let text = playhouse_rt::panic_text(&*panic);
        let verdict = if text.contains(DEADLOCK) {
            AT_DEADLOCK.with_borrow_mut(|rows| waiting.borrow_mut().append(rows));
            Verdict::Stuck("nothing can happen any more".into())
        } else {
            let place = panics.borrow().last().cloned().unwrap_or_default();
            Verdict::Crashed(format!("{text} ({place})"))
        };
        Outcome { verdict, faults: Default::default() }
    });
    // A panic that no scenario asked for is a bug of ours, also when an actor's supervision caught it.
    let verdict = match (outcome.verdict, panics.borrow().first()) {
        (Verdict::Held, Some(place)) => Verdict::Crashed(format!("an actor panicked at {place}")),
        (verdict, _) => verdict,
    };
    let report = json!({
        "scenario": scenario.name,
        "seed": seed,
        "verdict": verdict.json(),
        "virtual_s": virtual_time.borrow().as_secs_f64(),
        "wall_s": began.elapsed().as_secs_f64(),
        "cpu_s": cpu_seconds(),
        "hash": hash,
        "events": events,
        "faults": outcome.faults,
        "kinds": kinds,
        "waiting": waiting_json(&mut waiting.borrow_mut()),
    });
    (verdict, report)
}

/// What madsim panics with when no task can run and no timer is left.
const DEADLOCK: &str = "all tasks will block forever";

thread_local! {
    /// Who waited when it panicked so: afterwards the tasks are gone.
    static AT_DEADLOCK: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// Whether somebody waits for what does not come: then the report says who.
fn hangs(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Stuck(_) => true,
        Verdict::Broken { promise, .. } => ["heal", "up again"].iter().any(|word| promise.contains(word)),
        Verdict::Held | Verdict::Crashed(_) => false,
    }
}

fn waiting_json(rows: &mut [Waiting]) -> Value {
    // Actors first: of what serves them, much waits from beginning to end.
    rows.sort_by_key(|row| row.name.is_none());
    let rows = rows.iter().take(WAITING_MAX).map(|row| {
        let Waiting { node, task, place, name, since, on } = row;
        let since_s = since.as_secs_f64();
        json!({ "node": node, "task": task, "name": name, "place": place, "since_s": since_s, "on": on, "text": row.to_string() })
    });
    rows.collect()
}

/// Ends the process when a task never yields, and says which.
fn watch(scenario: &'static str, seed: u64, how: How) {
    let tell = move |spinning: sim::Spinning| {
        let verdict = Verdict::Stuck(spinning.to_string());
        let report = json!({
            "scenario": scenario,
            "seed": seed,
            "verdict": verdict.json(),
            "spinning": { "node": spinning.node, "task": spinning.task, "place": spinning.place, "wall_s": spinning.wall.as_secs_f64() },
        });
        let text = if how.to_people { format!("{scenario} seed {seed}: stuck: {spinning}") } else { report.to_string() };
        // The line before may be half-written.
        let _ = writeln!(std::io::stdout(), "\n{text}");
        std::process::exit(verdict.exit_code().into());
    };
    sim::watch(POLL_MAX, tell).expect("the operating system gives a thread");
}

/// Panics of actors are caught and part of many histories; remember where they were instead of printing them.
fn remember_panics() -> Rc<RefCell<Vec<String>>> {
    thread_local! {
        static PLACES: Rc<RefCell<Vec<String>>> = Rc::default();
    }
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() == Some(WANTED) {
            return;
        }
        if info.payload_as_str().is_some_and(|text| text.contains(DEADLOCK)) {
            AT_DEADLOCK.set(sim::waiting());
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PLACES.with(|places| places.borrow_mut().push(place));
    }));
    PLACES.with(Clone::clone)
}

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15 of /proc/self/stat, in ticks of 10 ms (proc(5)); 0 where there is no such file.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Between a line and who it is of.
pub(crate) const OF: char = '\t';

/// Writes the ledger to standard output, before the report: each line with whose it is.
pub(crate) fn to_stdout() -> Sink {
    let mut out = BufWriter::new(std::io::stdout());
    Box::new(move |line: &ledger::Line<'_>| {
        let of = match (line.task, line.name) {
            (0, _) => "no task of the product".to_string(),
            (task, "") => format!("task {task} of node {}, started at {}", line.node, line.place),
            (task, name) => format!("task {task} of node {}, {name}, started at {}", line.node, line.place),
        };
        // A parent that has gone away needs no lines.
        let _ = writeln!(out, "{line}{OF}{of}");
    })
}
