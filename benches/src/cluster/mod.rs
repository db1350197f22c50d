//! What three coordinators promise: commands on a majority's disks, and another leader soon. Ours beside etcd, each as three processes on
//! this machine and its disk.
//!
//! A member of ours is this program once more; etcd's is Debian's `etcd`, from `etcd-server`. Without it, ours is measured alone.

mod etcd;
mod grpc;
mod known;
mod load;
mod member;
mod ours;

pub(crate) use known::{COORDINATOR, coordinator_side};
pub(crate) use member::{MEMBER, member_side};

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::options::Plan;
use crate::report::{Better, Report, Row};
use crate::rounds::{Figures, take_turns};

use etcd::Etcd;
use load::{Client, Load};
use ours::Ours;

/// Many commands at once, from few clients.
const BATCHES: Load = Load { flights: 4, commands: 100, batches: 2_000, keys: 1 << 13 };
/// One command at a time, from many clients.
const SINGLES: Load = Load { flights: 64, commands: 1, batches: 20_000, keys: 1 << 13 };

/// What a new member has to catch up with: more than a million commands, each of another key.
const GROWN: Load = Load { flights: 4, commands: 100, batches: 10_486, keys: 1 << 20 };

/// How often a leader is killed in each round.
const KILLS: usize = 15;

/// What `durable_commands` is to reach: commands a second, and the median time of a batch in milliseconds.
const GOAL: (f64, f64) = (50_000.0, 5.0);
/// From the loss of a leader to the next acknowledgement, in milliseconds: 99 of a hundred.
const GOAL_FAILOVER: f64 = 1_000.0;

/// From the start of a new member's process until it has all that was acknowledged before, in milliseconds.
const GOAL_JOINED: f64 = 5_000.0;
/// What 10,000 workers may add to a coordinator, in MB; and what the heartbeats of 500 may take of a network, in KB a second.
const GOAL_MEMORY: f64 = 20.0;
const GOAL_BEATS: f64 = 15.0;

const OURS_NOTE: &str =
    "three processes, mutual TLS everywhere, openraft over QUIC, redb; a client in a fourth process asks the leader";
const JOIN_NOTE: &str = "a fourth process with an empty disk, from its start until it has applied all that was acknowledged before; 1,048,576 keys in 10,486 batches in a full run";
const ETCD_NOTE: &str = "etcd as Debian has it with its defaults (a leader is missed after 1 s), no TLS anywhere; a client in another process, gRPC to the leader, a batch is a Txn of Puts; an answer is missed after 0.2 s, too: a member that forwards to a lost leader does not say so";
const GOAL_NOTE: &str = "a constant";

/// Three processes that agree.
trait Members {
    type Client: Client;

    /// Speaks to all of them.
    fn client(&self) -> Self::Client;

    /// Ends this member's process as a loss of power would.
    fn kill(&mut self, member: usize) -> Result<(), String>;

    /// Starts it again, with what is on its disk.
    fn start(&mut self, member: usize) -> Result<(), String>;
}

/// What one contestant did in all its turns.
#[derive(Default)]
struct Seen {
    rates: Vec<f64>,
    middles: Vec<f64>,
    p99s: Vec<f64>,
    single_rates: Vec<f64>,
    single_middles: Vec<f64>,
    /// From a kill to the next acknowledgement.
    failovers: Vec<f64>,
}

pub(crate) fn run(plan: &Plan) -> Result<Report, String> {
    let folder = Folder::new()?;
    let kills = if plan.quick { 1 } else { KILLS };
    let mut ours = Ours::start(&folder.0.join("ours"))?;
    let mut etcd = Etcd::start(&folder.0.join("etcd"))?;
    if etcd.is_none() {
        eprintln!("etcd is not on this machine (Debian: etcd-server): ours is measured alone");
    }
    let names: &[&str] = if etcd.is_some() { &["ours", "etcd"] } else { &["ours"] };
    let mut seen = [Seen::default(), Seen::default()];
    take_turns(plan.rounds, names, |name| match (*name, &mut etcd) {
        ("etcd", Some(etcd)) => turn(etcd, plan, kills, &mut seen[1]),
        _ => turn(&mut ours, plan, kills, &mut seen[0]),
    })?;
    let _ = load::run(ours.client(), GROWN.sized(plan))?;
    let joined = millis(ours.join()?);
    drop((ours, etcd.take()));
    let (workers, beating, counted) = if plan.quick { (500, 100, 3) } else { (10_000, 500, 15) };
    let memory = known::memory(&folder.0.join("known"), workers)?;
    let beats = known::beats(&folder.0.join("beats"), beating, Duration::from_secs(counted))?;
    let [ours, theirs] = seen;
    let mut rows = Vec::new();
    let mut metric = |metric, unit, better, of: fn(&Seen) -> Figures, goal: Option<f64>| {
        let row = |peer, theirs, theirs_note| {
            let more = vec![("kills", json!(ours.failovers.len()))];
            Row { metric, unit, better, ours: of(&ours), peer, theirs, ours_note: OURS_NOTE, theirs_note, more }
        };
        rows.extend((names.len() > 1).then(|| row("etcd", of(&theirs), ETCD_NOTE)));
        rows.extend(goal.map(|goal| row("goal", Figures::constant(goal), GOAL_NOTE)));
    };
    metric("durable_commands", "commands/s", Better::Higher, |seen| seen.rates.clone().into(), Some(GOAL.0));
    metric("batch_of_100_p50", "ms", Better::Lower, |seen| seen.middles.clone().into(), Some(GOAL.1));
    metric("batch_of_100_p99", "ms", Better::Lower, |seen| seen.p99s.clone().into(), None);
    metric("single_commands", "commands/s", Better::Higher, |seen| seen.single_rates.clone().into(), None);
    metric("single_p50", "ms", Better::Lower, |seen| seen.single_middles.clone().into(), None);
    metric("failover_p50", "ms", Better::Lower, |seen| percentile(&seen.failovers, 50), None);
    metric("failover_p99", "ms", Better::Lower, |seen| percentile(&seen.failovers, 99), Some(GOAL_FAILOVER));
    metric("failover_max", "ms", Better::Lower, |seen| percentile(&seen.failovers, 100), None);
    let mut alone = |metric, unit, figure: f64, goal: f64, ours_note, more| {
        let (ours, theirs) = (Figures::constant(figure), Figures::constant(goal));
        let (peer, theirs_note, better) = ("goal", GOAL_NOTE, Better::Lower);
        rows.push(Row { metric, unit, better, ours, peer, theirs, ours_note, theirs_note, more });
    };
    let grown = GROWN.sized(plan);
    alone("join", "ms", joined, GOAL_JOINED, JOIN_NOTE, vec![("commands", json!(grown.batches * grown.commands))]);
    alone("memory_of_workers", "MB", memory, GOAL_MEMORY, known::MEMORY_NOTE, vec![("workers", json!(workers))]);
    alone("beats_on_the_wire", "KB/s", beats, GOAL_BEATS, known::BEATS_NOTE, vec![("workers", json!(beating))]);
    Ok(Report { bench: "cluster", plan: *plan, rows })
}

fn turn<M: Members>(members: &mut M, plan: &Plan, kills: usize, seen: &mut Seen) -> Result<f64, String> {
    let (batches, singles) = (BATCHES.sized(plan), SINGLES.sized(plan));
    let told = load::run(members.client(), batches)?;
    seen.rates.push(told.rate());
    seen.middles.push(millis(told.percentile(50)));
    seen.p99s.push(millis(told.percentile(99)));
    let told = load::run(members.client(), singles)?;
    seen.single_rates.push(told.rate());
    seen.single_middles.push(millis(told.percentile(50)));
    for _ in 0..kills {
        seen.failovers.push(millis(load::kill(members)?));
    }
    Ok(0.0)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Of all turns together.
fn percentile(figures: &[f64], percent: usize) -> Figures {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    Figures::constant(sorted.get(at).copied().unwrap_or(f64::NAN))
}

/// A free port of this machine. Somebody else may take it before it is used; then the member says so.
fn free_port() -> Result<u16, String> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(socket.local_addr().map_err(|error| error.to_string())?.port())
}

/// Removed in the end, with all that the members wrote.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, String> {
        // On the disk that the checkout is on: a folder for temporary files may be in memory.
        let folder = Path::new("target").join(format!("bench-cluster-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
