//! One run in this process, under a watchdog.

use std::io::{BufWriter, Write};
use std::time::Duration;

use playhouse_rt::sim::{self, ledger};
use playhouse_sim::plan::Plan;
use playhouse_sim::rehearse::{How, Sink, whose};
use playhouse_sim::scenario::{self, Scenario};
use playhouse_sim::talk;
use playhouse_sim::verdict::Verdict;
use serde_json::{Value, json};

/// A task that has been running for so long, by the clock on the wall, never yields.
const POLL_MAX: Duration = Duration::from_secs(10);

/// What is run.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) scenario: &'static Scenario,
    /// What drew the plan; for what people read.
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) bug: Option<&'static str>,
    pub(crate) pct: Option<u32>,
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

/// Runs it; each line of the ledger goes to `sink`. Gives what the parent reads.
pub(crate) fn run(order: Order, sink: Option<Sink>) -> (Verdict, Value) {
    watch(&order);
    let how = How { dice: order.plan.dice, pct: order.pct, unrecorded: order.unrecorded, ..How::default() };
    let bug = order.bug.and_then(scenario::find_bug);
    let trap = order.trap;
    let before = async move {
        if let Some(trap) = trap {
            walk_into(trap).await;
        }
    };
    let ended = scenario::run_after(before, order.scenario, order.plan, bug, &how, sink);
    let mut report = ended.json();
    report["scenario"] = order.scenario.name.into();
    report["seed"] = order.seed.into();
    (ended.outcome.verdict, report)
}

/// Ends the process when a task never yields, and says which.
fn watch(order: &Order) {
    let (scenario, seed, to_people) = (order.scenario.name, order.seed, order.to_people);
    let tell = move |spinning: sim::Spinning| {
        let verdict = Verdict::Stuck(spinning.to_string());
        let mut told = verdict.json();
        told["place"] = spinning.place.as_str().into();
        let report = json!({
            "scenario": scenario,
            "seed": seed,
            "verdict": told,
            "spinning": { "node": spinning.node, "task": spinning.task, "place": spinning.place, "wall_s": spinning.wall.as_secs_f64() },
        });
        let text = if to_people { format!("{scenario} seed {seed}: stuck: {spinning}") } else { report.to_string() };
        // The line before may be half-written.
        let _ = writeln!(std::io::stdout(), "\n{text}");
        std::process::exit(verdict.exit_code().into());
    };
    sim::watch(POLL_MAX, tell).expect("the operating system gives a thread");
}

/// Writes the ledger to standard output, before the report: each line with whose it is.
pub(crate) fn to_stdout() -> Sink {
    let mut out = BufWriter::new(std::io::stdout());
    Box::new(move |line: &ledger::Line<'_>| {
        // A parent that has gone away needs no lines.
        let _ = writeln!(out, "{line}{}{}", talk::OF, whose(line));
    })
}
