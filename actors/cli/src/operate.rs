//! `playhouse status`, `drain` and `dismiss`: what an operator asks of a running cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Client, ClusterStatus, CoordinatorStatus, NodeName};
use serde_json::json;

use crate::Trouble;
use crate::node::{read_identity, say_if_slow};
use crate::text::{Paint, number, out, sentence};

/// How to reach the cluster.
#[derive(Debug, clap::Args)]
struct Reach {
    /// Folder with the identity to join with: one that no running node has
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// Where a node of the cluster listens, any one; may be given more than once
    #[arg(long, value_name = "ADDRESS", required = true)]
    join: Vec<SocketAddr>,
}

/// Shows who leads, the coordinators, the nodes and their workers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse status --identity certs/ops --join 127.0.0.1:4433
  playhouse status --identity certs/ops --join 127.0.0.1:4433 --json | jq .leader

The JSON object has leader term coordinators nodes workers counters.

Exit codes: 0 shown, 1 the cluster does not answer, 2 wrong arguments.")]
pub(crate) struct Status {
    #[command(flatten)]
    reach: Reach,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Lets a node with workers leave: it gets no new tasks, and what it does comes to its end.
///
/// The node goes on running, without work; stop it when `playhouse status` shows none of its workers busy. A node that is told to stop does
/// the same by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  playhouse drain --identity certs/ops --join 127.0.0.1:4433 w1")]
pub(crate) struct Drain {
    #[command(flatten)]
    reach: Reach,
    /// The node
    node: NodeName,
}

/// Takes a coordinator out of those who agree, whether or not it runs.
///
/// It is not to come back with the journal that it has: remove its folder before a coordinator of that name joins again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  playhouse dismiss --identity certs/ops --join 127.0.0.1:4433 y")]
pub(crate) struct Dismiss {
    #[command(flatten)]
    reach: Reach,
    /// The coordinator
    coordinator: NodeName,
}

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn status(args: Status) -> Result<u8, Trouble> {
    with_client(args.reach, async |client| {
        let known = match client.status().await {
            Ok(known) => known,
            Err(error) => {
                for name in client.coordinators() {
                    let says = match client.coordinator(&name).await {
                        Ok(own) => without_leader(&own),
                        Err(error) => sentence(&error.to_string()),
                    };
                    out(&format!("{:<24} {says}", name.as_str()));
                }
                return Err(Trouble::new(error));
            }
        };
        let mut behind = Vec::new();
        for name in &known.coordinator.voters {
            let name: NodeName = name.parse().map_err(Trouble::new)?;
            let own = client.coordinator(&name).await;
            behind.push((name, own.map_err(|error| error.to_string())));
        }
        out(&if args.json { as_json(&known, &behind).to_string() } else { as_text(&known, &behind) });
        Ok(())
    })
}

pub(crate) fn drain(args: Drain) -> Result<u8, Trouble> {
    with_client(args.reach, async |client| {
        client.drain(&args.node).await.map_err(Trouble::new)?;
        out(&format!("{} gets no new work", args.node));
        Ok(())
    })
}

pub(crate) fn dismiss(args: Dismiss) -> Result<u8, Trouble> {
    with_client(args.reach, async |client| {
        client.dismiss(&args.coordinator).await.map_err(Trouble::new)?;
        let voters = client.status().await.map_err(Trouble::new)?.coordinator.voters;
        out(&format!("{} is no coordinator any more; these are: {}", args.coordinator, voters.join(", ")));
        Ok(())
    })
}

/// Joins the cluster, does `work`, and leaves.
fn with_client(reach: Reach, work: impl AsyncFnOnce(Client) -> Result<(), Trouble>) -> Result<u8, Trouble> {
    let identity = read_identity(&reach.identity)?;
    let main = async {
        let connect = Client::connect(Host::os(), identity, reach.join.clone());
        let client = rt::select! {
            client = say_if_slow(connect, &reach.join) => client.map_err(Trouble::new)?,
            signal = rt::interrupted() => return Err(Trouble::signalled(signal.map_err(Trouble::new)?)),
        };
        let result = rt::select! {
            result = work(client.clone().with_patience(PATIENCE)) => result,
            signal = rt::interrupted() => Err(Trouble::signalled(signal.map_err(Trouble::new)?)),
        };
        client.close().await;
        result.map(|()| 0)
    };
    rt::run(1, main).map_err(Trouble::new)?
}

/// How a coordinator stands that nobody leads.
fn without_leader(own: &CoordinatorStatus) -> String {
    if let Some(why) = &own.waits {
        return sentence(why);
    }
    let leader = own.leader.as_ref().map_or("nobody".to_string(), ToString::to_string);
    let (term, applied, voters) = (own.term, number(own.applied), own.voters.join(", "));
    if own.leads {
        return format!("{applied} applied, led in term {term} and hears no majority now; these vote: {voters}");
    }
    format!("{applied} applied, follows {leader} in term {term}; these vote: {voters}")
}

/// What each coordinator says of itself, or why it says nothing.
type Behind = [(NodeName, Result<CoordinatorStatus, String>)];

fn as_text(known: &ClusterStatus, behind: &Behind) -> String {
    let paint = Paint::stdout();
    let leader = &known.coordinator;
    let change = if leader.is_changing { "; who is a coordinator is about to change" } else { "" };
    let mut lines = vec![format!("{}{change}", paint.bold(&format!("{} leads in term {}", leader.name, leader.term)))];
    lines.push(format!("{:<24} {}", "COORDINATOR", "COMMANDS"));
    for (name, behind) in behind {
        let state = match behind {
            _ if *name == leader.name => format!("{} applied", number(leader.applied)),
            Ok(CoordinatorStatus { waits: Some(why), .. }) => paint.verdict(false, &sentence(why)),
            Ok(own) if own.applied >= leader.applied => "up to date".into(),
            Ok(own) => format!("{} behind", number(leader.applied - own.applied)),
            Err(why) => paint.verdict(false, &sentence(why)),
        };
        lines.push(format!("{:<24} {state}", name.as_str()));
    }
    lines.push(format!("{:<24} {:<10} {:>8} {:>6} {:>6}", "NODE", "STATE", "CAPACITY", "UP", "BUSY"));
    for (name, node) in &known.nodes {
        let workers = || known.workers.iter().filter(|worker| worker.id.node == *name);
        let (up, busy) = (workers().filter(|worker| worker.up).count(), workers().filter(|worker| worker.task.is_some()).count());
        let state = format!("{:?}", node.state).to_lowercase();
        let state = if node.draining && state != "lost" { "draining".into() } else { state };
        lines.push(format!("{:<24} {state:<10} {:>8} {up:>6} {busy:>6}", name.as_str(), node.capacity));
    }
    let counters = &known.counters;
    lines.push(format!(
        "{} jobs accepted, {} results, {} attempts again, {} lives of nodes lost",
        number(counters.accepted),
        number(counters.completed),
        number(counters.retried),
        number(counters.nodes_lost)
    ));
    lines.join("\n")
}

fn as_json(known: &ClusterStatus, behind: &Behind) -> serde_json::Value {
    let coordinators: Vec<_> = behind
        .iter()
        .map(|(name, own)| {
            let leads = *name == known.coordinator.name;
            match own {
                Ok(own) => {
                    let behind = known.coordinator.applied.saturating_sub(own.applied);
                    json!({ "name": name.as_str(), "leads": leads, "behind": behind, "waits": own.waits })
                }
                Err(error) => json!({ "name": name.as_str(), "leads": leads, "error": error }),
            }
        })
        .collect();
    json!({
        "leader": known.coordinator.name.as_str(),
        "term": known.coordinator.term,
        "applied": known.coordinator.applied,
        "is_changing": known.coordinator.is_changing,
        "coordinators": coordinators,
        "nodes": known.nodes,
        "workers": known.workers,
        "counters": known.counters,
    })
}
