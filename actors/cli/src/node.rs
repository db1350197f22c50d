//! `playhouse node`: one node, until it is told to stop.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use playhouse::rt::{self, Host};
use playhouse::{Coordinate, Identity, Node, NodeConfig, NodeName, PlaneConfig, StartError, demo};

use crate::Trouble;
use crate::text::err;

/// Runs one node of a cluster until SIGTERM, SIGINT or SIGHUP.
///
/// It prints one line, `ready ADDRESS`, when others can connect to it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  playhouse node --identity certs/head --coordinator head --listen 127.0.0.1:4433
  playhouse node --identity certs/w1 --coordinator head --peer head=127.0.0.1:4433 \\
                 --capacity 4 --checkpoints /shared/checkpoints")]
pub(crate) struct Args {
    /// Folder with the node's cert.pem, key.pem and ca.pem; its name is in the certificate
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// Name of the node that coordinates; this one, if it is its own name
    #[arg(long, value_name = "NAME")]
    coordinator: NodeName,
    /// Where to listen; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A node to stay connected to; may be given more than once
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = peer)]
    peer: Vec<(NodeName, SocketAddr)>,
    /// How many workers this node offers to run
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    capacity: u32,
    /// How many workers the cluster wants (for the coordinator)
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// Folder for checkpoints, the same for all nodes that offer workers
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// Also stop when standard input ends, and then remove this folder
    #[arg(long, value_name = "DIR", hide = true)]
    until_stdin_ends: Option<PathBuf>,
}

fn peer(text: &str) -> Result<(NodeName, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("it must look like NAME=ADDRESS")?;
    Ok((name.parse().map_err(|e| format!("{e}"))?, address.parse().map_err(|e| format!("{address}: {e}"))?))
}

/// Reads an identity from a folder.
pub(crate) fn read_identity(folder: &Path) -> Result<Identity, Trouble> {
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).map_err(|error| Trouble::usage(format!("{}: {error}", path.display())))
    };
    let (cert, key, ca) = (read("cert.pem")?, read("key.pem")?, read("ca.pem")?);
    Identity::from_pem(&cert, &key, &ca).map_err(|error| Trouble::usage(format!("{}: {error}", folder.display())))
}

/// The wait before a node whose life was given up begins a later one.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

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
    let mut config = NodeConfig::new(read_identity(&args.identity)?, args.listen, args.coordinator);
    if config.coordinator.as_ref() == Some(config.identity.node()) {
        config.coordinate = Some(Coordinate { plane: PlaneConfig { workers: args.workers, ..PlaneConfig::default() } });
    }
    config.capacity = args.capacity;
    config.checkpoints = args.checkpoints;
    config.tasks = demo::tasks();
    let stdin_ended = stdin_ended(args.until_stdin_ends.is_some());
    let mut stdin_ended = std::pin::pin!(stdin_ended);
    let mut listen = config.listen;
    let mut first = true;
    // One for all lives, so that no signal falls between two of them.
    let mut interrupted = std::pin::pin!(rt::interrupted());
    loop {
        let node = Node::start(Host::os(), NodeConfig { listen, ..config.clone() }).await.map_err(not_started)?;
        for (peer, address) in &args.peer {
            rt::spawn(say_if_unreachable(node.clone(), peer.clone(), *address));
        }
        // A later life listens where others know this node to be.
        listen = node.address();
        if std::mem::take(&mut first) {
            // Whoever started this node may have gone away, or never cared.
            let _ = writeln!(std::io::stdout(), "ready {listen}");
        }
        let failed = rt::select! {
            signal = &mut interrupted => { signal.map_err(Trouble::new)?; None }
            () = &mut stdin_ended => None,
            why = node.failed() => Some(why),
        };
        let late = node.stop(STOP_WITHIN).await;
        match failed {
            None if late.is_empty() => return Ok(0),
            None => return Err(Trouble::new(format!("these actors did not stop in time: {late:?}"))),
            Some(why) if config.coordinate.is_some() => return Err(Trouble::new(why)),
            Some(why) => {
                err(&format!("playhouse: {why}; it starts again as a later life"));
                rt::select! {
                    signal = &mut interrupted => { signal.map_err(Trouble::new)?; return Ok(0) }
                    () = &mut stdin_ended => return Ok(0),
                    () = rt::sleep(AGAIN_AFTER) => {}
                }
            }
        }
    }
}

/// Whose fault it was that a node did not start.
fn not_started(error: StartError) -> Trouble {
    match error {
        StartError::Config(_) => Trouble::usage(error),
        error => Trouble::new(error),
    }
}

/// Connects to a peer, and says so when the first try fails. It is tried on in any case.
async fn say_if_unreachable(node: Node, peer: NodeName, address: SocketAddr) {
    if let Err(why) = node.dial(peer.clone(), address).await {
        err(&format!("playhouse: no connection to {peer} at {address} yet: {why}"));
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
