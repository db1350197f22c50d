//! The dialling side: keeps a connection to a node for as long as somebody wants it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use playhouse_rt::{Instant, Random, now, select, sleep, sleep_until, spawn};
use playhouse_wire::NodeName;
use quinn::{ClientConfig, Connection, ConnectionError};

use crate::accept::{reject, within};
use crate::endpoint::Shared;
use crate::limits::{HELLO_TIMEOUT, STABLE_AFTER};
use crate::link::{self, Admitted};
use crate::peer::{Dialler, Link};
use crate::refusal::{Failure, Refusal};
use crate::signal::lock;
use crate::table::Dial;
use crate::{hello, tls};

/// Dials `node` whenever there is no connection to it, until the wish is taken back or the endpoint closes.
pub(crate) async fn keep(shared: Arc<Shared>, node: NodeName, dial: Arc<Dial>) {
    select! {
        () = shared.closing.wait() => {}
        () = dial.stop.wait() => {}
        () = dial_again_and_again(&shared, &node, &dial) => {}
    }
}

async fn dial_again_and_again(shared: &Arc<Shared>, node: &NodeName, dial: &Dial) {
    let mut random = shared.host.random(&format!("net/backoff/{node}"));
    let mut failures = 0;
    loop {
        // The other side may have dialled first; then there is nothing to do until that connection is gone.
        if shared.table.look(|state| state.current(node).is_none()) {
            match attempt(shared, node, dial).await {
                Ok(admitted) => drop(spawn(link::keep(shared.clone(), admitted))),
                Err(failure) => {
                    let error = failure.to_string();
                    tracing::debug!(node = %shared.own.node, peer = %node, %error, "dial failed");
                    shared.table.failed(node, error, matches!(failure, Failure::Outlived(_)));
                }
            }
        }
        let began = now();
        shared.table.until(|state| state.current(node).is_none().then_some(())).await;
        failures = if now().duration_since(began) >= STABLE_AFTER { 0 } else { failures + 1 };
        let pause = backoff(shared.backoff, failures, &mut random);
        select! {
            () = shared.table.until(|state| state.current(node).is_some().then_some(())) => {}
            () = dial.moved.notified() => {}
            () = sleep(pause) => {}
        }
    }
}

async fn attempt(shared: &Arc<Shared>, node: &NodeName, dial: &Dial) -> Result<Admitted, Failure> {
    let deadline = now() + HELLO_TIMEOUT;
    let _dialling = Dialling::new(shared, node);
    let address = *lock(&dial.address);
    let connection = reach(shared, address, shared.credentials.client(), node.as_str(), deadline).await?;
    let greeted = async {
        let proved = tls::peer_node(shared, &connection)?;
        if playhouse_rt::buggify!("slow-hello", 0.3) {
            // Long enough for the other node's dial to come between.
            sleep(Duration::from_millis(100)).await;
        }
        let said = within(deadline, hello::write(&connection, &shared.own)).await?;
        let (heard, hello) = within(deadline, hello::read(&connection)).await?;
        let hello = hello::check(&shared.own, &proved, &hello)?;
        if proved != *node {
            // rustls has compared the names; this holds even for a certificate with a wildcard.
            return Err(Refusal::Name { said: node.clone(), proved }.into());
        }
        let link = Arc::new(Link::new(&connection, (proved, hello.incarnation), Dialler::Us, shared.counters.clone()));
        let old = shared.admit(&link)?;
        Ok((link, old, said, heard))
    };
    let (link, old, said, heard) = greeted.await.inspect_err(|failure| reject(shared, &connection, failure))?;
    Ok(Admitted { connection, link, old, said: Some(said), heard })
}

/// A connection to whoever is at `address`. Silence is told in the same words, whoever loses patience first: quinn does after the
/// idle timeout, which is often just as long.
async fn reach(
    shared: &Arc<Shared>,
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
    deadline: Instant,
) -> Result<Connection, Failure> {
    let Some(endpoint) = lock(&shared.quinn).clone() else { return Err(Failure::Lost("the endpoint is closed".into())) };
    let began = now();
    let connecting =
        endpoint.connect_with(config, address, name).map_err(|e| Failure::Lost(format!("cannot dial {address}: {e}")))?;
    let connected = select! {
        connected = connecting => connected,
        () = sleep_until(deadline) => Err(ConnectionError::TimedOut),
    };
    match connected {
        Ok(connection) => Ok(connection),
        Err(ConnectionError::TimedOut) => {
            Err(Failure::Lost(format!("{address} does not answer within {:.1?}", now().duration_since(began))))
        }
        Err(error) => {
            let failure = Failure::from(error);
            shared.count(&failure);
            Err(failure)
        }
    }
}

/// Learns which node of the cluster listens there. The connection ends at once.
pub(crate) async fn name_at(shared: &Arc<Shared>, address: SocketAddr) -> Result<NodeName, Failure> {
    // rustls wants some name; the certificate says which node it is.
    let connection = reach(shared, address, shared.credentials.asking(), "anybody", now() + HELLO_TIMEOUT).await?;
    let name = tls::peer_node(shared, &connection).inspect_err(|refusal| shared.count(&refusal.clone().into()))?;
    connection.close(0u32.into(), b"only asked for a name");
    Ok(name)
}

/// The wait after so many failures in a row: doubles each time up to the largest; a random half of it is taken off, so that nodes
/// which lost each other at once do not dial at once.
fn backoff((min, max): (Duration, Duration), failures: u32, random: &mut Random) -> Duration {
    let whole = min.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(max);
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos - random.below(nanos / 2 + 1))
}

/// Says in the table that an attempt is under way, for as long as it lives.
struct Dialling<'a>(&'a Shared, &'a NodeName);

impl<'a> Dialling<'a> {
    fn new(shared: &'a Shared, node: &'a NodeName) -> Dialling<'a> {
        shared.table.dialling(node, true);
        Dialling(shared, node)
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.0.table.dialling(self.1, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let mut random = Random::new(1, "test");
        for failures in 0..100u32 {
            let whole = BACKOFF_MIN.saturating_mul(1 << (failures.clamp(1, 20) - 1)).min(BACKOFF_MAX);
            let wait = backoff((BACKOFF_MIN, BACKOFF_MAX), failures, &mut random);
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
        }
    }
}
