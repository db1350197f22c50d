//! The answering side: handshakes, a bounded number at once.

use std::sync::Arc;

use playhouse_rt::{Instant, now, select, sleep_until, spawn, timeout};
use quinn::{Connection, Incoming};

use crate::endpoint::Shared;
use crate::hello::{self, SystemLane};
use crate::limits::{HANDSHAKES_MAX, HANDSHAKES_RETRY, HELLO_TIMEOUT, SETTLE_MAX};
use crate::link::{self, Admitted};
use crate::peer::{Dialler, Link};
use crate::refusal::{Failure, Refusal, RefusalKind};
use crate::tls;

/// Answers whoever dials, until the endpoint closes.
pub(crate) async fn answer_all(shared: Arc<Shared>, endpoint: quinn::Endpoint) {
    loop {
        let incoming = select! {
            () = shared.closing.wait() => return,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        if shared.dial_only {
            shared.counters.refused(RefusalKind::DialOnly);
            incoming.refuse();
            continue;
        }
        let Ok(place) = shared.handshakes.clone().try_acquire_owned() else {
            shared.counters.refused(RefusalKind::Busy);
            incoming.refuse();
            continue;
        };
        let under_way = HANDSHAKES_MAX - shared.handshakes.available_permits();
        if under_way > HANDSHAKES_RETRY && !incoming.remote_address_validated() {
            // Only a validated newcomer cannot be asked to come again, and this one is not.
            let _ = incoming.retry();
            continue;
        }
        let shared = shared.clone();
        spawn(async move {
            let deadline = now() + HELLO_TIMEOUT;
            let answered = answer(&shared, incoming, deadline).await;
            drop(place);
            match answered {
                Ok(admitted) => link::keep(shared, admitted).await,
                Err(failure) => tracing::debug!(node = %shared.own.node, %failure, "handshake failed"),
            }
        });
    }
}

async fn answer(shared: &Arc<Shared>, incoming: Incoming, deadline: Instant) -> Result<Admitted, Failure> {
    let connecting = incoming.accept()?;
    let connection = within(deadline, async { Ok(connecting.await?) }).await.inspect_err(|failure| shared.count(failure))?;
    let greeted = async {
        let (heard, link) = greet(shared, &connection, deadline).await?;
        let old = shared.admit(&link)?;
        Ok((heard, link, old))
    };
    let (heard, link, old) = greeted.await.inspect_err(|failure| reject(shared, &connection, failure))?;
    Ok(Admitted { connection, link, old, said: None, heard })
}

/// Hears the peer's hello and waits for our own dial, if that is the one to be preferred.
async fn greet(shared: &Shared, connection: &Connection, deadline: Instant) -> Result<(SystemLane, Arc<Link>), Failure> {
    let node = tls::peer_node(shared, connection)?;
    let (heard, hello) = within(deadline, hello::read(connection)).await?;
    let hello = hello::check(&shared.own, &node, &hello)?;
    if shared.own.node < node {
        let settled = shared.table.until(|state| (!state.is_dialling(&node) || state.current(&node).is_some()).then_some(()));
        // When our dial takes too long, this connection is the better one.
        let _ = timeout(SETTLE_MAX, settled).await;
    }
    let link = Link::new(connection, (node, hello.incarnation), Dialler::Them, shared.counters.clone());
    Ok((heard, Arc::new(link)))
}

/// Tells the peer why it is refused, once that is counted. Closing a connection that is lost does nothing.
pub(crate) fn reject(shared: &Shared, connection: &Connection, failure: &Failure) {
    shared.count(failure);
    if let Failure::Refused(refusal) = failure {
        connection.close(refusal.code(), crate::refusal::cut(&refusal.to_string()).as_bytes());
    }
}

/// Waits for a step of the handshake until `deadline`.
pub(crate) async fn within<T>(deadline: Instant, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    select! {
        done = step => done,
        () = sleep_until(deadline) => Err(Refusal::Late.into()),
    }
}
