//! One run in this process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use playhouse_rt::sim::{self, claims, ledger};
use playhouse_sim::scenario::{BUGS, Bugs, Outcome, Scenario, WANTED};
use playhouse_sim::verdict::Verdict;
use serde_json::{Value, json};

/// Runs `scenario` with `seed`; each line of the ledger goes to `sink`. Gives what the parent reads.
pub(crate) fn run(
    scenario: &Scenario,
    seed: u64,
    bug: Option<&str>,
    mut sink: impl FnMut(&ledger::Line<'_>) + 'static,
) -> (Verdict, Value) {
    let mut bugs = Bugs::default();
    if let Some(bug) = BUGS.iter().find(|known| Some(known.name) == bug) {
        (bug.plant)(&mut bugs);
    }
    let panics = remember_panics();
    let began = Instant::now();
    let virtual_time = Rc::new(RefCell::new(std::time::Duration::ZERO));
    let kinds: Rc<RefCell<BTreeMap<&str, u64>>> = Rc::default();
    let counted = kinds.clone();
    ledger::open(move |line| {
        *counted.borrow_mut().entry(line.kind).or_default() += 1;
        sink(line);
    });
    claims::open();
    let result = catch_unwind(AssertUnwindSafe(|| {
        sim::run(seed, async {
            let outcome = (scenario.run)(seed, bugs).await;
            *virtual_time.borrow_mut() = sim::elapsed();
            outcome
        })
    }));
    let claims = claims::close();
    let (hash, events) = ledger::close();
    let outcome = result.unwrap_or_else(|panic| {
        let text = playhouse_rt::panic_text(&*panic);
        let verdict = if text.contains("all tasks will block forever") {
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
    // A claim within the product that did not hold says more than what came of it.
    let verdict = claims.breach.map_or(verdict, |breach| Verdict::Broken { promise: breach.promise, seen: breach.to_string() });
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
        "kinds": *kinds.borrow(),
        "sometimes": claims.sometimes,
        "buggify": claims.buggify,
    });
    (verdict, report)
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

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15 of /proc/self/stat, in ticks of 10 ms (proc(5)); 0 where there is no such file.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Writes the ledger to standard output, before the report.
pub(crate) fn to_stdout() -> impl FnMut(&ledger::Line<'_>) {
    let mut out = BufWriter::new(std::io::stdout());
    // A parent that has gone away needs no lines.
    move |line: &ledger::Line<'_>| drop(writeln!(out, "{line}"))
}
