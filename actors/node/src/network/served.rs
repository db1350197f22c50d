//! What another node asked of the actors here, watches here or reads from here.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use playhouse_actors::{Arrival, Exit, System};
use playhouse_net::SendError;
use playhouse_rt::sync::{Notify, oneshot};
use playhouse_wire::limits::{STREAM_BYTES, STREAM_ITEMS, TELL_WEIGHT};
use playhouse_wire::packet::error_text;
use playhouse_wire::{ActorName, CallId, Lane, Packet, RemoteError};

use super::conn::Conn;
use super::{BadPeer, Opened, Refused, lock, short};
use crate::limits::{INBOUND_ASK_BYTES, INBOUND_ASKS, INBOUND_STREAMS, INBOUND_WATCHES};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ask,
    Stream,
    Watch,
}

const MOST: [usize; 3] = [INBOUND_ASKS, INBOUND_STREAMS, INBOUND_WATCHES];

/// The open calls of one connection.
#[derive(Default)]
pub(crate) struct Served {
    state: Mutex<State>,
    /// One ended.
    eased: Notify,
}

#[derive(Default)]
struct State {
    open: BTreeMap<CallId, Entry>,
    counts: [usize; 3],
    /// Of their requests.
    bytes: usize,
    over: bool,
}

impl State {
    fn open(&mut self, call: CallId, kind: Kind, bytes: usize, room: Option<Arc<Room>>) -> Result<Cancelled, Refused> {
        if self.over {
            return Err(Refused::Over);
        }
        if self.counts[kind as usize] >= MOST[kind as usize] || (bytes > 0 && self.bytes >= INBOUND_ASK_BYTES) {
            return Err(Refused::Full);
        }
        if self.open.contains_key(&call) {
            return Err(Refused::Twice);
        }
        let (cancel, cancelled) = oneshot::channel();
        self.open.insert(call, Entry { cancel: Some(cancel), room });
        self.counts[kind as usize] += 1;
        self.bytes += bytes;
        Ok(cancelled)
    }

    fn close(&mut self, call: CallId, kind: Kind, bytes: usize) {
        self.open.remove(&call);
        self.counts[kind as usize] -= 1;
        self.bytes -= bytes;
    }
}

struct Entry {
    /// Says that it is cancelled; dropped, that the connection ended.
    cancel: Option<oneshot::Sender<()>>,
    room: Option<Arc<Room>>,
}

/// The place of one call among those that may be open; free again when dropped.
struct Place {
    conn: Arc<Conn>,
    call: CallId,
    kind: Kind,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.conn.served.lock().close(self.call, self.kind, self.bytes);
        self.conn.served.eased.notify_waiters();
    }
}

/// Ready when the call is cancelled (true) or the connection has ended.
type Cancelled = oneshot::Receiver<()>;

impl Served {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// Waits until no call is open.
    pub(crate) async fn settled(&self) {
        loop {
            let mut eased = std::pin::pin!(self.eased.notified());
            eased.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            eased.await;
        }
    }

    pub(crate) fn cancel(&self, call: CallId) {
        let cancel = self.lock().open.get_mut(&call).and_then(|entry| entry.cancel.take());
        if let Some(cancel) = cancel {
            let _ = cancel.send(());
        }
    }

    pub(crate) fn more(&self, call: CallId, items: u32, bytes: u64) -> Result<(), BadPeer> {
        let room = self.lock().open.get(&call).and_then(|entry| entry.room.clone());
        // The stream may have ended meanwhile.
        room.map_or(Ok(()), |room| room.grant(items, bytes))
    }

    /// The connection ended.
    pub(crate) fn end(&self) {
        let cancels: Vec<_> = {
            let mut state = self.lock();
            state.over = true;
            state.open.values_mut().map(|entry| entry.cancel.take()).collect()
        };
        drop(cancels);
    }
}

/// Opens a call whose request has so many bytes, or refuses it.
fn admit(
    conn: &Arc<Conn>,
    call: CallId,
    (kind, bytes): (Kind, usize),
    room: Option<Arc<Room>>,
    full: impl FnOnce(),
) -> Result<Option<(Place, Cancelled)>, BadPeer> {
    let opened = conn.served.lock().open(call, kind, bytes, room);
    match opened {
        Ok(cancelled) => Ok(Some((Place { conn: conn.clone(), call, kind, bytes }, cancelled))),
        Err(Refused::Over) => Ok(None),
        Err(Refused::Twice) => Err(BadPeer("two open calls had one number")),
        Err(Refused::Full) => {
            full();
            Ok(None)
        }
    }
}

fn fail(conn: &Conn, lane: Lane, call: CallId, error: RemoteError) {
    conn.post(lane, &Packet::Failed { call, error });
}

fn request(arrival: &Arrival<'_>) -> usize {
    arrival.payload.len() + TELL_WEIGHT
}

/// Polls what encodes an answer. If that panics, who asked hears it: a reader would wait for ever.
fn guarded<T>(poll: impl FnOnce() -> Poll<T>, lost: impl FnOnce(RemoteError) -> T) -> Poll<T> {
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| {
        let text = format!("a panic when it was encoded: {}", playhouse_rt::panic_text(&*panic));
        Poll::Ready(lost(RemoteError::Unsendable(error_text(text))))
    })
}

pub(crate) fn ask(
    conn: &Arc<Conn>,
    system: &System,
    door: &Opened,
    call: CallId,
    arrival: &Arrival<'_>,
    within: Duration,
) -> Result<(), BadPeer> {
    let lane = arrival.lane;
    let full = || fail(conn, lane, call, RemoteError::Full);
    let Some((place, cancelled)) = admit(conn, call, (Kind::Ask, request(arrival)), None, full)? else { return Ok(()) };
    let mut answer = match system.receive_ask(door, arrival, within) {
        Ok(answer) => answer,
        Err(error) => {
            fail(conn, lane, call, error);
            return Ok(());
        }
    };
    let conn = conn.clone();
    playhouse_rt::spawn(async move {
        let answering = async {
            let packet = match std::future::poll_fn(|cx| guarded(|| answer.as_mut().poll(cx), Err)).await {
                Ok(payload) => Packet::Reply { call, payload: &payload }.encode(),
                Err(error) => Packet::Failed { call, error }.encode(),
            };
            send_or_say(&conn, lane, call, packet).await;
        };
        // Dropped, the answer is given up: the actor learns it.
        playhouse_rt::select! {
            () = answering => {}
            _ = cancelled => {}
        }
        // Until here: an answer that its asker does not read counts as open.
        drop(place);
    });
    Ok(())
}

/// Sends a message that may be too long for its lane; false when it was, or the connection has ended.
async fn send_or_say(conn: &Conn, lane: Lane, call: CallId, packet: Vec<u8>) -> bool {
    match conn.peer.send(lane, packet.into()).await {
        Ok(()) => true,
        Err(SendError::TooLong(packet)) => {
            let error = RemoteError::Unsendable(format!("{} bytes are too long for its lane", packet.len()));
            drop(conn.peer.send(lane, Packet::Failed { call, error }.encode().into()).await);
            false
        }
        Err(_) => false,
    }
}

pub(crate) fn watch(conn: &Arc<Conn>, door: Opened, call: CallId, to: &str, link: Option<&str>) -> Result<(), BadPeer> {
    let ended = move |conn: &Conn, exit: Exit| conn.post(Lane::System, &Packet::Ended { call, exit: short(exit) });
    let Ok(door) = door else {
        ended(conn, Exit::NoActor);
        return Ok(());
    };
    let link = link.map(|name| ActorName::new(name).map_err(|_| BadPeer("a link was from what is no name"))).transpose()?;
    let full = || {
        ended(conn, Exit::NodeLost(format!("{INBOUND_WATCHES} actors of the node are watched from here already: {to} is not")));
    };
    let Some((place, cancelled)) = admit(conn, call, (Kind::Watch, 0), None, full)? else { return Ok(()) };
    let conn = conn.clone();
    playhouse_rt::spawn(async move {
        let end = door.ended();
        // A door keeps its actor; a watch alone does not.
        let linked = link.map(|link| (link, door));
        playhouse_rt::select! {
            exit = end => {
                ended(&conn, exit);
            }
            cancelled = cancelled => if let (Err(_), Some((link, door))) = (cancelled, linked) {
                let why = conn.reason();
                door.stop(Exit::Linked(format!("{link}@{}, whose node was lost: {why}", conn.origin.node)));
            },
        }
        drop(place);
    });
    Ok(())
}

/// How much of a stream its reader has room for.
pub(crate) struct Room {
    state: Mutex<(u32, usize)>,
    more: Notify,
}

impl Room {
    fn new(items: u32) -> Room {
        Room { state: Mutex::new((items.min(STREAM_ITEMS), 0)), more: Notify::new() }
    }

    fn grant(&self, items: u32, bytes: u64) -> Result<(), BadPeer> {
        {
            let mut state = lock(&self.state);
            let used = usize::try_from(bytes).ok().and_then(|bytes| state.1.checked_sub(bytes));
            let free = state.0.checked_add(items).filter(|free| *free <= STREAM_ITEMS);
            let (Some(free), Some(used)) = (free, used) else {
                return Err(BadPeer("more of a stream was granted than was used"));
            };
            *state = (free, used);
        }
        self.more.notify_one();
        Ok(())
    }

    /// Waits until an item of so many bytes may be sent. One task waits.
    async fn wait(&self, length: usize) {
        loop {
            let (items, used) = *lock(&self.state);
            if items > 0 && (used <= STREAM_BYTES / 4 || used + length <= STREAM_BYTES) {
                return;
            }
            self.more.notified().await;
        }
    }

    fn take(&self, length: usize) {
        let mut state = lock(&self.state);
        *state = (state.0 - 1, state.1 + length);
    }
}

pub(crate) fn stream(
    conn: &Arc<Conn>,
    system: &System,
    door: &Opened,
    (call, window): (CallId, u32),
    arrival: &Arrival<'_>,
    within: Duration,
) -> Result<(), BadPeer> {
    let lane = arrival.lane;
    let room = Arc::new(Room::new(window));
    let full = || fail(conn, lane, call, RemoteError::Full);
    let Some((place, cancelled)) = admit(conn, call, (Kind::Stream, request(arrival)), Some(room.clone()), full)? else {
        return Ok(());
    };
    let mut answers = match system.receive_open(door, arrival, within) {
        Ok(answers) => answers,
        Err(error) => {
            fail(conn, lane, call, error);
            return Ok(());
        }
    };
    let (conn, planted) = (conn.clone(), system.planted());
    playhouse_rt::spawn(async move {
        let sending = async {
            let mut first = true;
            let mut sent = 0u64;
            loop {
                // Only with room for the next one is it asked for; but whether the stream begins at all is known without any.
                let lost = planted.item_lost_at_credit && lock(&room.state).0 == 0;
                if !std::mem::take(&mut first) {
                    room.wait(TELL_WEIGHT).await;
                }
                let packet =
                    match std::future::poll_fn(|cx| guarded(|| answers.as_mut().poll_next(cx), |error| Some(Err(error)))).await {
                        Some(Ok(item)) => {
                            if lost {
                                continue;
                            }
                            let weight = item.len() + TELL_WEIGHT;
                            room.wait(weight).await;
                            room.take(weight);
                            let packet = Packet::Item { call, payload: &item }.encode();
                            sent += 1;
                            if planted.item_twice && sent.is_multiple_of(16) {
                                room.wait(weight).await;
                                room.take(weight);
                                send_or_say(&conn, lane, call, packet.clone()).await;
                            }
                            packet
                        }
                        Some(Err(error)) => {
                            drop(conn.peer.send(lane, Packet::Failed { call, error }.encode().into()).await);
                            return;
                        }
                        None => {
                            drop(conn.peer.send(lane, Packet::Done { call }.encode().into()).await);
                            return;
                        }
                    };
                if !send_or_say(&conn, lane, call, packet).await {
                    return;
                }
            }
        };
        playhouse_rt::select! {
            () = sending => {}
            _ = cancelled => {}
        }
        // Before its place is free: the producer ends with its reader.
        drop(answers);
        drop(place);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_bounded_in_bytes_too() {
        let mut state = State::default();
        let mut open = |call, kind, bytes| state.open(CallId(call), kind, bytes, None).map(drop);
        assert_eq!(open(1, Kind::Ask, INBOUND_ASK_BYTES - 1), Ok(()));
        assert_eq!(open(1, Kind::Ask, 1), Err(Refused::Twice));
        assert_eq!(open(2, Kind::Stream, 1_000), Ok(()), "one message more");
        assert_eq!(open(3, Kind::Ask, 1), Err(Refused::Full));
        assert_eq!(open(3, Kind::Stream, 1), Err(Refused::Full));
        assert_eq!(open(3, Kind::Watch, 0), Ok(()), "it holds nothing");
        state.close(CallId(1), Kind::Ask, INBOUND_ASK_BYTES - 1);
        assert_eq!(state.open(CallId(4), Kind::Ask, 1, None).map(drop), Ok(()));
        assert_eq!((state.bytes, state.counts), (1_001, [1, 1, 1]));
    }
}
