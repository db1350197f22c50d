//! Messages between two processes on this machine, over mutual TLS: ours beside raw quinn with the same certificates.
//!
//! The far side is this program once more, as a child that ends when its standard input does.

mod beats;
mod far;
mod ours;
mod quinn;

pub(crate) use far::{FAR_SIDE, far_side};

use std::net::SocketAddr;
use std::time::Duration;

use crate::options::Plan;
use crate::report::{Better, Report, Row};
use crate::rounds::{Figures, take_turns};
use playhouse_net::Identity;

/// Bytes of what is sent.
const RECORD: usize = 64;

/// The near node's name, and the far one's; their certificates prove them.
const NEAR: &str = "near";
const FAR: &str = "far";

/// What a contestant needs to speak to the far side.
pub(crate) struct Wire {
    pub(crate) identity: Identity,
    pub(crate) address: SocketAddr,
}

/// A way to speak to another process.
#[derive(Clone, Copy)]
struct Contestant {
    name: &'static str,
    /// Sends so many records one way, and makes sure that all arrived. How long that took.
    tell: fn(Wire, usize) -> Result<Duration, String>,
    /// Asks so often, one at a time. How long each took.
    ask: fn(Wire, usize) -> Result<Vec<Duration>, String>,
    tell_note: &'static str,
    ask_note: &'static str,
}

const CONTESTANTS: [Contestant; 2] = [
    Contestant { name: "ours", tell: ours::tell, ask: ours::ask, tell_note: ours::TELL_NOTE, ask_note: ours::ASK_NOTE },
    Contestant { name: "quinn", tell: quinn::tell, ask: quinn::ask, tell_note: quinn::TELL_NOTE, ask_note: quinn::ASK_NOTE },
];

/// Runs both metrics.
pub(crate) fn run(plan: &Plan) -> Result<Report, String> {
    let far = far::Far::start(&CONTESTANTS.map(|contestant| contestant.name))?;
    let wire = |contestant: &Contestant| far.wire(contestant.name);

    let records = plan.size(1_000_000);
    let tells = take_turns(plan.rounds, &CONTESTANTS, |contestant| {
        let time = (contestant.tell)(wire(contestant)?, records).map_err(|e| format!("{}: {e}", contestant.name))?;
        Ok(records as f64 / time.as_secs_f64())
    })?;
    let questions = plan.size(10_000);
    let asks = take_turns(plan.rounds, &CONTESTANTS, |contestant| {
        let times = (contestant.ask)(wire(contestant)?, questions).map_err(|e| format!("{}: {e}", contestant.name))?;
        Ok(middle(times).as_secs_f64() * 1e6)
    })?;
    let beats = plan.size(400);
    let mut p99 = [Vec::new(), Vec::new()];
    let mut flow = Vec::new();
    let p50 = take_turns(plan.rounds, &[true, false], |beside| {
        let measured = beats::measure(far.wire(CONTESTANTS[0].name)?, beats, *beside).map_err(|e| format!("beats: {e}"))?;
        p99[usize::from(!beside)].push(measured.p99);
        if *beside {
            flow.push(measured.bulk);
        }
        Ok(measured.p50)
    })?;
    far.end()?;

    let row = |metric, unit, better, figures: &[Figures], notes: fn(&Contestant) -> &'static str| Row {
        metric,
        unit,
        better,
        ours: figures[0].clone(),
        peer: CONTESTANTS[1].name,
        theirs: figures[1].clone(),
        ours_note: notes(&CONTESTANTS[0]),
        theirs_note: notes(&CONTESTANTS[1]),
        more: Vec::new(),
    };
    let flow = Figures::from(flow).median();
    let beat = |metric, figures: [Figures; 2]| {
        let [ours, theirs] = figures;
        let more = vec![("bulk_mb_per_s", serde_json::json!(flow.round()))];
        let (unit, better, ours_note, theirs_note) = ("us", Better::Lower, beats::BESIDE_NOTE, beats::IDLE_NOTE);
        Row { metric, unit, better, ours, peer: "idle", theirs, ours_note, theirs_note, more }
    };
    let rows = vec![
        row("remote_tell", "records/s", Better::Higher, &tells, |contestant| contestant.tell_note),
        row("remote_ask", "us", Better::Lower, &asks, |contestant| contestant.ask_note),
        beat("beat_beside_bulk_p50", [p50[0].clone(), p50[1].clone()]),
        beat("beat_beside_bulk_p99", p99.map(Figures::from)),
    ];
    Ok(Report { bench: "remote", plan: *plan, rows })
}

/// The median.
fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
