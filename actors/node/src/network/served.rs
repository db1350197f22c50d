//! What another node asked of the actors here, watches here or reads from here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use playhouse_actors::{Arrival, Exit, System};
use playhouse_net::SendError;
use playhouse_rt::sync::{Notify, oneshot};
use playhouse_wire::limits::{STREAM_BYTES, STREAM_ITEMS, TELL_WEIGHT};
use playhouse_wire::{ActorName, CallId, Lane, Packet, RemoteError};

use super::conn::Conn;
use super::{BadPeer, Opened, Refused, lock, short};
use crate::limits::{INBOUND_ASKS, INBOUND_STREAMS, INBOUND_WATCHES};

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
    over: bool,
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
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.conn.served.lock();
        state.open.remove(&self.call);
        state.counts[self.kind as usize] -= 1;
        drop(state);
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

fn open(conn: &Arc<Conn>, call: CallId, kind: Kind, room: Option<Arc<Room>>) -> Result<(Place, Cancelled), Refused> {
    let mut state = conn.served.lock();
    if state.over {
        return Err(Refused::Over);
    }
    if state.counts[kind as usize] >= MOST[kind as usize] {
        return Err(Refused::Full);
    }
    if state.open.contains_key(&call) {
        return Err(Refused::Twice);
    }
    let (cancel, cancelled) = oneshot::channel();
    state.open.insert(call, Entry { cancel: Some(cancel), room });
    state.counts[kind as usize] += 1;
    Ok((Place { conn: conn.clone(), call, kind }, cancelled))
}

/// Opens a call, or refuses it.
fn admit(
    conn: &Arc<Conn>,
    call: CallId,
    kind: Kind,
    room: Option<Arc<Room>>,
    full: impl FnOnce(),
) -> Result<Option<(Place, Cancelled)>, BadPeer> {
    match open(conn, call, kind, room) {
        Ok(opened) => Ok(Some(opened)),
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
    let Some((place, cancelled)) = admit(conn, call, Kind::Ask, None, full)? else { return Ok(()) };
    let answer = match system.receive_ask(door, arrival, within) {
        Ok(answer) => answer,
        Err(error) => {
            fail(conn, lane, call, error);
            return Ok(());
        }
    };
    let conn = conn.clone();
    playhouse_rt::spawn(async move {
        let answering = async {
            let packet = match answer.await {
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
    let Some((place, cancelled)) = admit(conn, call, Kind::Watch, None, full)? else { return Ok(()) };
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
    let Some((place, cancelled)) = admit(conn, call, Kind::Stream, Some(room.clone()), full)? else { return Ok(()) };
    let mut answers = match system.receive_open(door, arrival, within) {
        Ok(answers) => answers,
        Err(error) => {
            fail(conn, lane, call, error);
            return Ok(());
        }
    };
    let conn = conn.clone();
    playhouse_rt::spawn(async move {
        let sending = async {
            let mut first = true;
            loop {
                // Only with room for the next one is it asked for; but whether the stream begins at all is known without any.
                if !std::mem::take(&mut first) {
                    room.wait(TELL_WEIGHT).await;
                }
                let packet = match std::future::poll_fn(|cx| answers.as_mut().poll_next(cx)).await {
                    Some(Ok(item)) => {
                        let weight = item.len() + TELL_WEIGHT;
                        room.wait(weight).await;
                        room.take(weight);
                        Packet::Item { call, payload: &item }.encode()
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
