//! The other process: how it is started, and what it does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use playhouse_net::{Authority, Identity};
use playhouse_rt::Host;
use serde::{Deserialize, Serialize};

use super::{FAR, NEAR, Wire, ours, quinn};

/// The hidden sub-command.
pub(crate) const FAR_SIDE: &str = "remote-far-side";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The first line that the far side reads.
#[derive(Serialize, Deserialize)]
struct Orders {
    cert: String,
    key: String,
    ca: String,
}

/// The first line that it writes: where each contestant listens.
type Addresses = BTreeMap<String, SocketAddr>;

/// The far side, as the near side holds it.
pub(super) struct Far {
    child: Child,
    /// The child ends when this is dropped.
    stdin: Option<ChildStdin>,
    addresses: Addresses,
    identity: Identity,
}

impl Far {
    /// Makes a cluster's certificates and starts the child with its own.
    pub(super) fn start(contestants: &[&str]) -> Result<Far, String> {
        let now = Host::os().wall_clock();
        let authority = Authority::new("bench", now).map_err(|e| e.to_string())?;
        let issue = |name: &str| {
            let name = name.parse().map_err(|e| format!("{name}: {e}"))?;
            authority.issue(&name, now, DAY).map_err(|e| e.to_string())
        };
        let (identity, theirs) = (issue(NEAR)?, issue(FAR)?.to_pem());
        let orders = Orders { cert: theirs.cert, key: theirs.key, ca: theirs.ca };
        let orders = serde_json::to_string(&orders).map_err(|e| e.to_string())?;

        let fault = |e: std::io::Error| format!("the far side cannot be started: {e}");
        let program = std::env::current_exe().map_err(fault)?;
        let mut child =
            Command::new(program).arg(FAR_SIDE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fault)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut far = Far { child, stdin, addresses: Addresses::new(), identity };
        if let Some(stdin) = &mut far.stdin {
            writeln!(stdin, "{orders}").map_err(fault)?;
        }
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line).map_err(fault)?;
        }
        far.addresses = serde_json::from_str(&line).map_err(|e| format!("the far side said {line:?}: {e}"))?;
        match contestants.iter().find(|name| !far.addresses.contains_key(**name)) {
            Some(missing) => Err(format!("the far side does not serve {missing}")),
            None => Ok(far),
        }
    }

    /// What `contestant` needs for its next turn.
    pub(super) fn wire(&self, contestant: &str) -> Result<Wire, String> {
        let address = *self.addresses.get(contestant).ok_or_else(|| format!("the far side does not serve {contestant}"))?;
        Ok(Wire { identity: self.identity.clone(), address })
    }

    /// Ends the child and waits for it.
    pub(super) fn end(mut self) -> Result<(), String> {
        drop(self.stdin.take());
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the far side ended badly: {status}")),
            Err(error) => Err(format!("the far side is lost: {error}")),
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // After an error only; `end` has waited already, and then this gives the same again.
        let _ = self.child.wait();
    }
}

/// What the child does: serves all contestants until its standard input ends.
pub(crate) fn far_side() -> Result<(), String> {
    let mut stdin = std::io::stdin().lock();
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(|e| e.to_string())?;
    let orders: Orders = serde_json::from_str(&line).map_err(|e| format!("no orders: {e}"))?;
    let identity = Identity::from_pem(&orders.cert, &orders.key, &orders.ca).map_err(|e| e.to_string())?;

    let ours = ours::serve(&identity)?;
    let quinn = quinn::serve(&identity)?;
    let addresses: Addresses = [("ours".to_string(), ours.address()), ("quinn".to_string(), quinn.address())].into();
    println!("{}", serde_json::to_string(&addresses).map_err(|e| e.to_string())?);

    let mut rest = Vec::new();
    stdin.read_to_end(&mut rest).map_err(|e| e.to_string())?;
    Ok(())
}
