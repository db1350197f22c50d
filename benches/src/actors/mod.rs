//! Actors within one process: ours beside other libraries, all under the same load.

mod actix;
mod kameo;
mod load;
mod ours;
mod peer;
mod ractor;

use std::time::Duration;

use serde_json::json;

use crate::allocations;
use crate::options::Plan;
use crate::report::{Better, Report, Row};
use crate::rounds::take_turns;
use peer::Peer;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// One-way messages to an actor on the sender's thread, in batches that end with an ask.
    LocalTell,
    /// Questions one at a time to an actor on the asker's thread.
    LocalAsk,
    /// The whole life of an actor on its starter's thread: start, one question, stop.
    SpawnAsk,
    /// Memory that an idle actor holds.
    BytesPerActor,
    /// As [`Metric::LocalTell`], from another thread.
    LocalTellAcross,
}

impl Metric {
    const ALL: [Metric; 5] =
        [Metric::LocalTell, Metric::LocalAsk, Metric::SpawnAsk, Metric::BytesPerActor, Metric::LocalTellAcross];

    fn name(self) -> &'static str {
        match self {
            Metric::LocalTell => "local_tell",
            Metric::LocalAsk => "local_ask",
            Metric::SpawnAsk => "spawn_ask",
            Metric::BytesPerActor => "bytes_per_actor",
            Metric::LocalTellAcross => "local_tell_across",
        }
    }

    fn unit(self) -> &'static str {
        if self == Metric::BytesPerActor { "bytes" } else { "ns" }
    }

    /// Operations of one lap.
    fn size(self, plan: &Plan) -> usize {
        match self {
            Metric::LocalTell | Metric::LocalTellAcross => plan.size(1_600_000),
            Metric::LocalAsk => plan.size(200_000),
            Metric::SpawnAsk => plan.size(20_000),
            Metric::BytesPerActor => plan.size(20_000),
        }
    }
}

/// What one contestant did in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lap {
    pub(crate) operations: usize,
    pub(crate) time: Duration,
    /// These two only while [`allocations::count`] runs.
    pub(crate) allocations: u64,
    pub(crate) live: i64,
}

impl Lap {
    fn per_operation(&self, figure: f64) -> f64 {
        figure / self.operations as f64
    }

    fn figure(&self, metric: Metric) -> f64 {
        match metric {
            Metric::BytesPerActor => self.per_operation(self.live as f64),
            _ => self.per_operation(self.time.as_nanos() as f64),
        }
    }
}

/// A library with actors, ours or a peer's.
struct Contestant {
    name: &'static str,
    note: fn(Metric) -> &'static str,
    lap: fn(Metric, usize) -> Lap,
}

fn contestant<P: Peer>() -> Contestant {
    Contestant { name: P::NAME, note: P::note, lap: load::lap::<P> }
}

/// Runs all metrics.
pub(crate) fn run(plan: &Plan) -> Result<Report, String> {
    // Ours first. A further peer is a file beside these and a line here.
    let contestants =
        [contestant::<ours::Ours>(), contestant::<actix::Actix>(), contestant::<ractor::Ractor>(), contestant::<kameo::Kameo>()];
    let mut rows = Vec::new();
    for metric in Metric::ALL {
        let size = metric.size(plan);
        let figures = take_turns(plan.rounds, &contestants, |contestant| {
            Ok(match metric {
                Metric::BytesPerActor => allocations::count(|| (contestant.lap)(metric, size)),
                _ => (contestant.lap)(metric, size),
            }
            .figure(metric))
        })?;
        // Counted apart, because counting takes time.
        let counted: Vec<f64> = contestants
            .iter()
            .map(|contestant| {
                let lap = allocations::count(|| (contestant.lap)(metric, size.div_ceil(10)));
                (lap.per_operation(lap.allocations as f64) * 100.0).round() / 100.0
            })
            .collect();
        for at in 1..contestants.len() {
            rows.push(Row {
                metric: metric.name(),
                unit: metric.unit(),
                better: Better::Lower,
                ours: figures[0].clone(),
                peer: contestants[at].name,
                theirs: figures[at].clone(),
                ours_note: (contestants[0].note)(metric),
                theirs_note: (contestants[at].note)(metric),
                more: vec![("ours_allocations", json!(counted[0])), ("theirs_allocations", json!(counted[at]))],
            });
        }
    }
    Ok(Report { bench: "actors", plan: *plan, rows })
}
