//! One run in this process: its ledger, its verdict, what it cost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use playhouse_rt::sim::{self, ledger};
use serde_json::{Value, json};

use crate::scenario::{Outcome, WANTED};
use crate::verdict::Verdict;

/// What a run gave.
#[derive(Debug)]
pub struct Ended {
    /// How it ended, and which faults there were.
    pub outcome: Outcome,
    /// Where panics happened, caught or not, but for those that scenarios ask for.
    pub panics: Vec<String>,
    /// How much virtual time passed.
    pub virtual_time: Duration,
    /// How much real time passed.
    pub wall_time: Duration,
    /// The ledger's hash, in hexadecimal digits.
    pub hash: String,
    /// How many lines the ledger had...
    pub events: u64,
    /// ...of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// Runs `main` in a simulation whose chance comes from `dice`; each line of the ledger goes to `sink`.
///
/// At most one run at a time in a thread; the history is that of the seed only in a fresh thread of a fresh process.
pub fn rehearse<F>(dice: u64, main: impl FnOnce() -> F, mut sink: impl FnMut(&ledger::Line<'_>) + 'static) -> Ended
where
    F: Future<Output = Outcome>,
{
    let panics = remember_panics();
    let began = Instant::now();
    // As far as the ledger went: a run that ends with a panic cannot say it any more.
    let virtual_time = Rc::new(Cell::new(Duration::ZERO));
    let kinds: Rc<RefCell<BTreeMap<&str, u64>>> = Rc::default();
    let (counted, reached) = (kinds.clone(), virtual_time.clone());
    ledger::open(move |line| {
        reached.set(Duration::from_nanos(line.at));
        *counted.borrow_mut().entry(line.kind).or_default() += 1;
        sink(line);
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        sim::run(dice, async {
            let outcome = main().await;
            virtual_time.set(sim::elapsed());
            outcome
        })
    }));
    let (hash, events) = ledger::close();
    let outcome = result.unwrap_or_else(|panic| {
        let text = playhouse_rt::panic_text(&*panic);
        let verdict = if text.contains("all tasks will block forever") {
            Verdict::Stuck("nothing can happen any more".into())
        } else {
            let place = panics.borrow().last().cloned().unwrap_or_default();
            Verdict::Crashed(format!("{text} ({place})"))
        };
        Outcome { verdict, faults: BTreeMap::new() }
    });
    Ended {
        outcome,
        panics: panics.take(),
        virtual_time: virtual_time.get(),
        wall_time: began.elapsed(),
        hash,
        events,
        kinds: kinds.take(),
    }
}

impl Ended {
    /// As scripts read it.
    pub fn json(&self) -> Value {
        json!({
            "verdict": self.outcome.verdict.json(),
            "virtual_s": self.virtual_time.as_secs_f64(),
            "wall_s": self.wall_time.as_secs_f64(),
            "cpu_s": cpu_seconds(),
            "hash": self.hash,
            "events": self.events,
            "faults": self.outcome.faults,
            "kinds": self.kinds,
        })
    }
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
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PLACES.with(|places| places.borrow_mut().push(place));
    }));
    PLACES.with(Clone::clone)
}

/// Processor time of this process's threads so far.
fn cpu_seconds() -> f64 {
    // The first field of schedstat, in nanoseconds (the kernel's sched-stats.rst); 0 where there is no such file.
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(Result::ok);
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    let nanos: u64 = stats.filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok()).sum();
    nanos as f64 / 1e9
}
