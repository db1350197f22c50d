//! `playhouse node`: one node, until it is told to stop.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use playhouse::rt::{self, Host, Signal, Signals};
use playhouse::{
    Coordinate, Identity, MonitorConfig, Node, NodeConfig, NodeName, PlaneConfig, Profile, RenewError, StartError, Utc, demo,
};

use crate::Trouble;
use crate::ca::authorities;
use crate::serve::Served;
use crate::text::{err, sentence};

/// Runs one node of a cluster until SIGTERM or SIGINT. A node with workers lets their tasks end first.
///
/// It prints one line, `ready ADDRESS`, when others can connect to it. At SIGHUP it reads its identity again: connections stay, and
/// new ones use the new certificate.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  a cluster's first coordinator, once; afterwards without --found:
    playhouse node --identity certs/x --listen 10.0.0.1:4433 --data /var/lib/playhouse --found
  another coordinator; two more make the cluster survive the loss of any one:
    playhouse node --identity certs/y --listen 10.0.0.2:4433 --data /var/lib/playhouse --join 10.0.0.1:4433
  a node with workers:
    playhouse node --identity certs/w1 --listen 10.0.0.9:4433 --join 10.0.0.1:4433 --join 10.0.0.2:4433 \\
                   --capacity 4 --checkpoints /shared/checkpoints")]
pub(crate) struct Args {
    /// Folder with the node's cert.pem, key.pem and ca.pem; its name is in the certificate
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// Where a node of the cluster listens, any one: it says who the coordinators are. May be given more than once; one that answers is enough
    #[arg(long, value_name = "ADDRESS")]
    join: Vec<SocketAddr>,
    /// Be a coordinator, with its journal in this folder: its own, and kept from one start to the next
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Begin a cluster as its first coordinator
    #[arg(long, requires = "data", conflicts_with = "join")]
    found: bool,
    /// Where to listen; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many workers this node offers to run
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    capacity: u32,
    /// When it is told to stop, its tasks have so long to end, and it gets no new ones
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    drain: u64,
    /// How many workers the cluster wants (with --found)
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// Be patient, for coordinators that are far apart or stand still at times: they notice after seconds that the one that leads is gone.
    /// With --found, nodes beat every 3 seconds and are lost after 20, not after 1.6
    #[arg(long, requires = "data")]
    slow: bool,
    /// Folder for checkpoints, the same for all nodes that offer workers
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// Serve metrics for Prometheus there, at /metrics: without TLS and to everybody who can connect, so keep it to this machine
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Also stop when standard input ends, and then remove this folder
    #[arg(long, value_name = "DIR", hide = true)]
    until_stdin_ends: Option<PathBuf>,
}

pub(crate) fn peer(text: &str) -> Result<(NodeName, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("it must look like NAME=ADDRESS")?;
    Ok((name.parse().map_err(|e| format!("{e}"))?, address.parse().map_err(|e| format!("{address}: {e}"))?))
}

/// Reads an identity from a folder.
pub(crate) fn read_identity(folder: &Path) -> Result<Identity, Trouble> {
    let loaded = Identity::load(folder).map_err(Trouble::usage)?;
    for warning in loaded.warnings {
        err(&format!("playhouse: warning: {}", sentence(&warning.to_string())));
    }
    warn_of_expiry(&loaded.value);
    Ok(loaded.value)
}

/// Says when it is time for a new certificate. One that has expired is refused later, with a reason.
fn warn_of_expiry(identity: &Identity) {
    let (now, until) = (Host::os().wall_clock(), identity.valid_until());
    if identity.expires_soon(now) && now < until {
        err(&format!("playhouse: warning: the certificate of {} expires at {}; issue a new one", identity.node(), Utc(until)));
    }
}

/// The wait before a node whose life was given up begins a later one.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A start that takes longer than this is explained.
const SLOW_AFTER: Duration = Duration::from_secs(2);

/// How long a node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);

pub(crate) fn run(args: Args) -> Result<u8, Trouble> {
    let scratch = args.until_stdin_ends.clone();
    let result = rt::run(0, main(args)).map_err(Trouble::new)?;
    if let Some(scratch) = scratch {
        // The parent removes it as well; whoever is last succeeds.
        let _ = std::fs::remove_dir_all(scratch);
    }
    result
}

async fn main(args: Args) -> Result<u8, Trouble> {
    let mut config = NodeConfig::new(read_identity(&args.identity)?, args.listen, Vec::new());
    config.join = args.join;
    if let Some(data) = &args.data {
        let begun = journal_exists(data)?;
        if args.found && begun {
            let why = format!("{} holds the journal of a coordinator: start it without --found", data.display());
            return Err(Trouble::usage(why));
        }
        if !begun && !args.found && config.join.is_empty() {
            let why = "holds no journal: begin a cluster with --found, or say where one is with --join ADDRESS";
            return Err(Trouble::usage(format!("{} {why}", data.display())));
        }
        if args.found {
            config.coordinators = vec![(config.identity.node().clone(), args.listen)];
        }
        let (monitor, profile) =
            if args.slow { (MonitorConfig::SLOW, Profile::SLOW) } else { (MonitorConfig::FAST, Profile::FAST) };
        let plane = PlaneConfig { workers: args.workers, monitor, ..PlaneConfig::default() };
        config.coordinate = Some(Coordinate { plane, profile, ..Coordinate::new(data) });
    }
    config.capacity = args.capacity;
    config.checkpoints = args.checkpoints;
    config.tasks = demo::tasks();
    let stdin_ended = stdin_ended(args.until_stdin_ends.is_some());
    let mut stdin_ended = std::pin::pin!(stdin_ended);
    let mut listen = config.listen;
    let mut first = true;
    let served = Served::default();
    if let Some(address) = args.metrics {
        let address = served.listen(address).map_err(|error| Trouble::new(format!("no metrics at {address}: {error}")))?;
        err(&format!("playhouse: metrics at http://{address}/metrics"));
    }
    // Why its coordinator could not go on, in the life before.
    let mut trouble = None;
    // One for all lives, so that no signal falls between two of them.
    let mut signals = Signals::new().map_err(Trouble::new)?;
    loop {
        let start = Node::start(Host::os(), NodeConfig { listen, ..config.clone() });
        let node = rt::select! {
            started = say_if_slow(start, &config.join) => started.map_err(not_started)?,
            // Nobody answered yet, and nobody has to.
            signal = signals.next() => match signal.map_err(Trouble::new)? {
                Signal::Stop(_) => return Ok(0),
                Signal::Reload => continue,
            },
            () = &mut stdin_ended => return Ok(0),
        };
        if args.metrics.is_some() {
            node.keep_times(true);
            served.set(Some(node.clone()));
        }
        // A later life listens where others know this node to be.
        listen = node.address();
        if std::mem::take(&mut first) {
            // Whoever started this node may have gone away, or never cared.
            let _ = writeln!(std::io::stdout(), "ready {listen}");
        }
        if let Some(why) = node.forgot() {
            err(&format!("playhouse: warning: {}", sentence(&why)));
        }
        let failed = loop {
            rt::select! {
                signal = signals.next() => match signal.map_err(Trouble::new)? {
                    Signal::Stop(_) => {
                        rt::select! {
                            () = drain(&node, args.capacity, args.drain) => {}
                            stopped = until_stop(&mut signals) => stopped?,
                            () = &mut stdin_ended => {}
                        }
                        break None;
                    }
                    Signal::Reload => renew(&node, &args.identity, &mut config),
                },
                () = &mut stdin_ended => break None,
                why = node.failed() => break Some(why),
                why = node.outlived() => {
                    served.set(None);
                    node.stop(STOP_WITHIN).await;
                    // A later life of this one would drive the other one out, which would come back likewise.
                    return Err(Trouble::new(why));
                }
            }
        };
        served.set(None);
        let before = std::mem::replace(&mut trouble, node.coordinator().and_then(|own| own.waits));
        let late = node.stop(STOP_WITHIN).await.late;
        match failed {
            None if late.is_empty() => return Ok(0),
            None => return Err(Trouble::new(format!("these actors did not stop in time: {late:?}"))),
            // Its files are at fault, and did not mend themselves.
            Some(why) if trouble.is_some() && trouble == before => return Err(Trouble::new(why)),
            Some(why) => {
                err(&format!("playhouse: {why}; it starts again as a later life"));
                rt::select! {
                    signal = signals.next() => match signal.map_err(Trouble::new)? {
                        Signal::Stop(_) => return Ok(0),
                        Signal::Reload => renew(&node, &args.identity, &mut config),
                    },
                    () = &mut stdin_ended => return Ok(0),
                    () = rt::sleep(AGAIN_AFTER) => {}
                }
            }
        }
    }
}

/// Takes the identity in `folder`, also for later lives. If it cannot be used, everything stays as it is.
fn renew(node: &Node, folder: &Path, config: &mut NodeConfig) {
    let same = |identity: &Identity| (identity.node(), identity.cluster()) == (config.identity.node(), config.identity.cluster());
    let read = read_identity(folder).map_err(|trouble| trouble.line);
    let renewed = read.and_then(|identity| match node.renew(identity.clone()) {
        // Between two lives; the next one begins with it.
        Err(RenewError::Closed) if same(&identity) => Ok(identity),
        renewed => renewed.map(|()| identity).map_err(|error| error.to_string()),
    });
    match renewed {
        Ok(identity) => {
            let certificate = identity.certificate();
            let (serial, until) = (certificate.serial(), Utc(certificate.valid_until()));
            let trusts = authorities(identity.authorities().len());
            err(&format!("playhouse: the identity was read again: serial {serial}, valid until {until}, trusts {trusts}"));
            config.identity = identity;
        }
        Err(why) => err(&format!("playhouse: {}; the identity stays as it was", sentence(&why))),
    }
}

/// Lets what the node does come to its end.
async fn drain(node: &Node, capacity: u32, seconds: u64) {
    if capacity == 0 || seconds == 0 {
        return;
    }
    err(&format!("playhouse: its tasks have {seconds} s to end; another signal stops it at once"));
    if !node.drain(Duration::from_secs(seconds)).await {
        err("playhouse: not in order: no coordinator answered, or some of its tasks did not end in time and run again elsewhere");
    }
}

/// Waits for another signal to stop.
async fn until_stop(signals: &mut Signals) -> Result<(), Trouble> {
    while !matches!(signals.next().await.map_err(Trouble::new)?, Signal::Stop(_)) {}
    Ok(())
}

/// Says whom it waits for, when a start takes long.
pub(crate) async fn say_if_slow<T>(start: impl Future<Output = T>, seeds: &[SocketAddr]) -> T {
    let mut start = std::pin::pin!(start);
    rt::select! {
        started = &mut start => return started,
        () = rt::sleep(SLOW_AFTER) => {}
    }
    if !seeds.is_empty() {
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        err(&format!("playhouse: waiting for the cluster; it is asked for at {}", seeds.join(", ")));
    }
    start.await
}

/// Whether a coordinator has kept its journal there before.
fn journal_exists(data: &Path) -> Result<bool, Trouble> {
    Coordinate::new(data).is_begun(Host::os().disk()).map_err(|error| Trouble::usage(format!("{}: {error}", data.display())))
}

/// Whose fault it was that a node did not start.
fn not_started(error: StartError) -> Trouble {
    match error {
        StartError::Config(_) => Trouble::usage(error),
        error => Trouble::new(error),
    }
}

async fn stdin_ended(wanted: bool) {
    if !wanted {
        return std::future::pending().await;
    }
    let (tell, ended) = rt::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nothing is ever sent; it ends with the parent.
        let _ = std::io::stdin().lock().read(&mut [0]);
        let _ = tell.send(());
    });
    let _ = ended.await;
}
