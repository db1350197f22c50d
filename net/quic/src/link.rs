//! The keeper of one connection: from the moment that it counts until the receiver knows that it is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use playhouse_rt::{Task, select, spawn, timeout};
use playhouse_wire::Lane;
use quinn::{Connection, SendStream};

use crate::endpoint::Shared;
use crate::hello::{self, SystemLane};
use crate::limits::{CLOSE_MAX, DRAIN_MAX, HELLO_TIMEOUT, LANES};
use crate::peer::{Link, Peer};
use crate::refusal::{GOODBYE, REPLACED, Refusal, why};
use crate::signal::Signal;
use crate::{datagram, lanes};

/// A connection that the table has admitted.
pub(crate) struct Admitted {
    pub(crate) connection: Connection,
    pub(crate) link: Arc<Link>,
    /// The connection that it replaces; its end comes first.
    pub(crate) old: Option<Arc<Link>>,
    /// Our system lane, if our hello is said: the dialler says it first, the other answers when it has admitted.
    pub(crate) said: Option<SendStream>,
    /// The peer's system lane behind its hello.
    pub(crate) heard: SystemLane,
}

/// Keeps an admitted connection until it is gone.
pub(crate) async fn keep(shared: Arc<Shared>, admitted: Admitted) {
    let Admitted { connection, link, old, said, heard } = admitted;
    // Also when a callback of the receiver panics, the table must not show a connection that nobody keeps.
    let _held = Held { shared: &shared, link: &link };
    if let Some(old) = old {
        old.end(REPLACED, "replaced by a newer connection to the same node");
        old.gone.wait().await;
    }
    let said = match said {
        Some(said) => said,
        None => match timeout(HELLO_TIMEOUT, hello::write(&connection, &shared.own)).await {
            Ok(Ok(said)) => said,
            Ok(Err(failure)) => return link.end(GOODBYE, &failure.to_string()),
            Err(_) => return link.refuse(&Refusal::Late),
        },
    };
    if link.has_ended() {
        return;
    }
    let peer = Peer(link.clone());
    tracing::info!(node = %shared.own.node, peer = %link.node, incarnation = %link.incarnation, "connection up");
    shared.counters.connections.fetch_add(1, Ordering::Relaxed);
    // Before the receiver is told: what it hears of, it must be able to find.
    link.up.store(true, Ordering::SeqCst);
    shared.receiver.up(&peer);
    shared.table.touch();

    let reason = work(&shared, &connection, &link, said, heard).await;

    tracing::info!(node = %shared.own.node, peer = %link.node, %reason, "connection down");
    shared.receiver.down(&peer, &reason);
}

/// Runs the lanes until the connection ends and nothing of it is left with the receiver. Gives the reason.
async fn work(shared: &Arc<Shared>, connection: &Connection, link: &Arc<Link>, said: SendStream, heard: SystemLane) -> String {
    let stop = Arc::new(Signal::default());
    let mut said = Some(said);
    let mut writers: Vec<Task<()>> = Vec::with_capacity(LANES);
    for lane in Lane::ALL {
        let stream = said.take_if(|_| lane == Lane::System);
        writers.push(spawn(lanes::write(link.clone(), connection.clone(), lane, stream)));
    }
    let mut readers =
        vec![reader(&stop, lanes::read(link.clone(), shared.receiver.clone(), Lane::System, heard.stream, heard.frames))];
    let datagrams = reader(&stop, datagram::read(link.clone(), shared.receiver.clone(), connection.clone()));
    loop {
        select! {
            // First, and the sign of the end as well: a lane that arrived just before the end is still handed out, then the error.
            stream = connection.accept_uni() => match stream {
                Ok(stream) if readers.len() < LANES => {
                    readers.push(reader(&stop, lanes::read_new(link.clone(), shared.receiver.clone(), stream)));
                }
                // QUIC allows so many at once; that many in all shows that one has ended and was opened again.
                Ok(_) => link.refuse(&Refusal::Again),
                Err(_) => break,
            },
            () = link.goodbye.wait() => {
                select! {
                    _ = connection.closed() => {}
                    _ = timeout(CLOSE_MAX, finished(&mut writers)) => {}
                }
                break;
            }
        }
    }
    let reason = connection.close_reason().as_ref().map_or_else(String::new, why);
    link.end(GOODBYE, &reason);
    // What had arrived may still be heard, but a receiver that is stuck does not hold up the news.
    readers.push(datagrams);
    let _ = timeout(DRAIN_MAX, finished(&mut readers)).await;
    stop.set();
    finished(&mut readers).await;
    finished(&mut writers).await;
    link.reason().to_string()
}

/// Runs the reader of a lane until it ends or is stopped.
fn reader(stop: &Arc<Signal>, read: impl Future<Output = ()> + Send + 'static) -> Task<()> {
    let stop = stop.clone();
    spawn(async move {
        select! {
            () = stop.wait() => {}
            () = read => {}
        }
    })
}

/// Waits until all have ended, however. May be dropped and asked again.
async fn finished(tasks: &mut Vec<Task<()>>) {
    while let Some(task) = tasks.last_mut() {
        let _ = task.await;
        tasks.pop();
    }
}

/// Takes the connection out of the table when its keeper ends.
struct Held<'a> {
    shared: &'a Shared,
    link: &'a Arc<Link>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.link.end(GOODBYE, "the keeper of the connection ended");
        self.link.release();
        self.shared.table.release(self.link);
        self.link.gone.set();
    }
}
