//! `playhouse top`: the nodes, actors and rates of a running cluster.

mod screen;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use playhouse::rt::{self, Host, Signals};
use playhouse::{AskError, Inspect, Inspection, Metrics, Node, NodeConfig, NodeName, Sort};

use crate::Trouble;
use crate::node::{peer, read_identity};
use crate::text::out;
use screen::{Key, Screen};
use table::View;

/// Shows the nodes, actors and rates of a running cluster.
///
/// Joins the cluster with an identity of its own, dials the nodes that it is told, finds those that are connected to them, and asks each
/// once a second. It changes nothing there; while it asks, nodes take the time that messages wait and are handled. Keys: q quits,
/// s sorts by something else, t shows the trees of supervisors. Without a terminal it prints once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  playhouse ca issue --ca certs/ca --node ops --out certs/ops
  playhouse top --identity certs/ops --peer head=127.0.0.1:4433
  playhouse top --identity certs/ops --peer head=127.0.0.1:4433 --once --json | tail -n 1 | jq '.nodes[] | select(.error)'

The JSON object has `nodes` and `actors`; durations are in seconds.

Exit codes: 0 all nodes answered (or q was pressed), 1 one did not or something failed, 2 wrong arguments, 128+N ended by signal N.")]
pub(crate) struct Args {
    /// Folder with the identity to join with: one that no running node has
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// A node to ask; may be given more than once
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = peer, required = true)]
    peer: Vec<(NodeName, SocketAddr)>,
    /// Ask only the nodes given with --peer
    #[arg(long)]
    only: bool,
    /// What the first actors have most of
    #[arg(long, value_enum, default_value_t = By::Rate)]
    sort: By,
    /// Actors to name, with --once
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=256))]
    actors: u32,
    /// Show the trees of supervisors
    #[arg(long)]
    tree: bool,
    /// Print once, without colours or keys. Takes a second: rates need two looks
    #[arg(long)]
    once: bool,
    /// As --once, and print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Messages that wait
    Depth,
    /// Messages handled in a second
    Rate,
    /// The share of the time that it runs
    Busy,
    /// How often it was built anew
    Restarts,
    /// Messages handled since its start
    Handled,
}

impl By {
    fn sort(self) -> Sort {
        match self {
            By::Depth => Sort::Depth,
            By::Rate => Sort::Rate,
            By::Busy => Sort::Busy,
            By::Restarts => Sort::Restarts,
            By::Handled => Sort::Handled,
        }
    }

    fn name(self) -> &'static str {
        match self {
            By::Depth => "depth",
            By::Rate => "rate",
            By::Busy => "busy",
            By::Restarts => "restarts",
            By::Handled => "handled",
        }
    }

    fn next(self) -> By {
        match self {
            By::Depth => By::Rate,
            By::Rate => By::Busy,
            By::Busy => By::Restarts,
            By::Restarts => By::Handled,
            By::Handled => By::Depth,
        }
    }
}

/// The wait between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// How long a node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);

/// How long the first dials may take before the first look.
const DIAL_WITHIN: Duration = Duration::from_secs(3);

/// The same, for nodes that were found, with --once.
const REACH_WITHIN: Duration = Duration::from_millis(500);

/// Nodes that are asked; those found beyond them are not.
const NODES_MAX: usize = 64;

/// How long it may take to leave the cluster.
const STOP_WITHIN: Duration = Duration::from_secs(1);

pub(crate) fn run(args: Args) -> Result<u8, Trouble> {
    rt::run(2, main(args)).map_err(Trouble::new)?
}

async fn main(args: Args) -> Result<u8, Trouble> {
    let identity = read_identity(&args.identity)?;
    if let Some((name, _)) = args.peer.iter().find(|(name, _)| name == identity.node()) {
        return Err(Trouble::usage(format!("{name} cannot ask itself: give `top` an identity that no running node has")));
    }
    let mut config = NodeConfig::actors(identity, from(&args.peer));
    config.dial_only = true;
    config.threads = 1;
    let node = Node::start(Host::os(), config).await.map_err(Trouble::new)?;
    let mut signals = Signals::new().map_err(Trouble::new)?;
    let once = args.once || args.json || !std::io::stdout().is_terminal();
    let mut looker = Looker { node: node.clone(), nodes: BTreeMap::new(), passed: BTreeSet::new(), only: args.only };
    let result = rt::select! {
        signal = stopped(&mut signals) => if once { Err(signal) } else { Ok(0) },
        result = look(&args, &mut looker, once) => result,
    };
    node.stop(STOP_WITHIN).await;
    result
}

/// Where to dial from: the same kind of address as the first node's, and nothing but this machine if that is where it is.
fn from(peers: &[(NodeName, SocketAddr)]) -> SocketAddr {
    match peers.first().map(|(_, address)| address) {
        Some(address) if peers.iter().all(|(_, address)| address.ip().is_loopback()) => (address.ip(), 0).into(),
        Some(SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    }
}

async fn stopped(signals: &mut Signals) -> Trouble {
    loop {
        match signals.next().await {
            Ok(rt::Signal::Stop(signal)) => return Trouble::signalled(signal),
            Ok(rt::Signal::Reload) => {}
            Err(error) => return Trouble::new(error),
        }
    }
}

async fn look(args: &Args, looker: &mut Looker, once: bool) -> Result<u8, Trouble> {
    looker.begin(&args.peer).await;
    let mut what = Inspect { actors: args.actors.max(1), sort: args.sort.sort(), tree: args.tree };
    if once {
        looker.round(what).await;
        looker.reach().await;
        looker.round(what).await;
        rt::sleep(EVERY).await;
        looker.round(what).await;
        let view = View { nodes: looker.shown(), by: args.sort.name(), sort: what.sort, tree: args.tree };
        out(&view.lines(usize::MAX, None, args.actors as usize).into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n"));
        if args.json {
            out(&view.json(args.actors as usize).to_string());
        }
        return Ok(u8::from(view.nodes.iter().any(|(_, seen)| seen.error.is_some())));
    }
    let mut by = args.sort;
    what.actors = 256;
    let mut screen = Screen::open().map_err(|error| Trouble::new(format!("the terminal cannot be used: {error}")))?;
    let mut ticks = rt::interval(EVERY);
    loop {
        rt::select! {
            key = screen.key() => match key {
                Key::Quit => return Ok(0),
                Key::Sort => by = by.next(),
                Key::Tree => what.tree = !what.tree,
            },
            _ = ticks.tick() => {}
        }
        what.sort = by.sort();
        looker.round(what).await;
        screen.draw(&View { nodes: looker.shown(), by: by.name(), sort: what.sort, tree: what.tree });
    }
}

/// What is known of one node.
#[derive(Default)]
struct Seen {
    address: Option<SocketAddr>,
    /// The user named it.
    given: bool,
    latest: Option<Inspection>,
    /// What it had counted one look before.
    former: Option<Metrics>,
    /// Why it did not answer this time.
    error: Option<String>,
}

struct Looker {
    node: Node,
    nodes: BTreeMap<NodeName, Seen>,
    /// Nodes that others are connected to and that could not be dialled: other lookers, mostly.
    passed: BTreeSet<NodeName>,
    only: bool,
}

impl Looker {
    async fn begin(&mut self, peers: &[(NodeName, SocketAddr)]) {
        let mut dials = Vec::new();
        for (peer, address) in peers {
            self.nodes.insert(peer.clone(), Seen { address: Some(*address), given: true, ..Seen::default() });
            let (node, peer, address) = (self.node.clone(), peer.clone(), *address);
            dials.push(rt::spawn(async move { rt::timeout(DIAL_WITHIN, node.dial(peer, address)).await }));
        }
        for dial in dials {
            // Why one failed is said when it is asked.
            let _ = dial.await;
        }
    }

    /// Waits a little for those that were just found.
    async fn reach(&self) {
        let found = self.nodes.iter().filter(|(_, seen)| !seen.given && seen.latest.is_none());
        let dials: Vec<_> = found
            .filter_map(|(name, seen)| Some((self.node.clone(), name.clone(), seen.address?)))
            .map(|(node, name, address)| rt::spawn(async move { rt::timeout(REACH_WITHIN, node.dial(name, address)).await }))
            .collect();
        for dial in dials {
            // One that was not reached is not shown.
            let _ = dial.await;
        }
    }

    /// Asks all, at the same time.
    async fn round(&mut self, what: Inspect) {
        let mut asks = Vec::new();
        for name in self.nodes.keys() {
            let (node, name) = (self.node.clone(), name.clone());
            asks.push((name.clone(), rt::spawn(async move { node.inspect(&name, what, ANSWER_WITHIN).await })));
        }
        for (name, ask) in asks {
            let answer =
                ask.await.map_err(|lost| lost.to_string()).and_then(|answer| answer.map_err(|error| self.why(&name, error)));
            let Some(seen) = self.nodes.get_mut(&name) else { continue };
            match answer {
                Ok(inspection) => {
                    let incarnation = inspection.metrics.incarnation;
                    let former = seen.latest.replace(inspection).map(|former| former.metrics);
                    seen.former = former.filter(|former| former.incarnation == incarnation);
                    seen.error = None;
                }
                Err(error) => seen.error = Some(error),
            }
        }
        if !self.only {
            self.discover().await;
        }
    }

    fn why(&self, name: &NodeName, error: AskError) -> String {
        match error {
            AskError::Unreachable(why) => self.node.last_error(name).unwrap_or(why),
            AskError::Timeout => format!("no answer within {} ms", ANSWER_WITHIN.as_millis()),
            error => error.to_string(),
        }
    }

    /// Those that the nodes are connected to are asked as well.
    async fn discover(&mut self) {
        let never =
            |(name, seen): &(&NodeName, &Seen)| !seen.given && seen.latest.is_none() && self.node.last_error(name).is_some();
        let deaf: Vec<NodeName> = self.nodes.iter().filter(never).map(|(name, _)| name.clone()).collect();
        for name in deaf {
            self.node.forget(&name);
            self.nodes.remove(&name);
            self.passed.insert(name);
        }
        let peers = self.nodes.values().filter(|seen| seen.error.is_none()).filter_map(|seen| seen.latest.as_ref());
        let found: BTreeMap<NodeName, SocketAddr> = peers
            .flat_map(|latest| latest.metrics.peers.iter().map(|peer| (peer.node.clone(), peer.address)))
            .filter(|(name, _)| name != self.node.name() && !self.nodes.contains_key(name) && !self.passed.contains(name))
            .collect();
        for (name, address) in found {
            if self.nodes.len() + self.passed.len() >= NODES_MAX {
                return;
            }
            self.node.connect(name.clone(), address);
            self.nodes.insert(name, Seen { address: Some(address), ..Seen::default() });
        }
    }

    /// Those found, but not yet reached, are not shown.
    fn shown(&self) -> Vec<(&NodeName, &Seen)> {
        self.nodes.iter().filter(|(_, seen)| seen.given || seen.latest.is_some()).collect()
    }
}
