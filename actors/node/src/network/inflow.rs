//! Tells of another node to the actors of this one: each has its place in a mailbox, or waits for one within the credit that was
//! granted for its actor.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use playhouse_actors::{System, Taken};
use playhouse_rt::sync::Notify;
use playhouse_wire::limits::{TELL_FLOWS, TELL_WEIGHT, TELL_WINDOW};
use playhouse_wire::{ActorName, Lane, Packet, Parcel, RemoteError};

use super::conn::Conn;
use super::flow::{fits, needs_credit};
use super::{BadPeer, Opened, arrival, lock};
use crate::limits::INBOUND_WAITING;

/// Tells to one actor on one lane through one connection.
pub(crate) struct Inflow {
    to: ActorName,
    lane: Lane,
    /// Some wait, so later ones do too. Set by the lane's reader only.
    waits: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Came, and was not granted back.
    used: usize,
    /// Of that, what no longer waits.
    done: usize,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    message: Bytes,
    door: Opened,
}

type Place = std::pin::Pin<Box<dyn Future<Output = Result<(), RemoteError>> + Send>>;

impl Inflow {
    /// A message came. With `done`, it does not wait. Gives what is to be granted now.
    fn came(&self, weight: usize, done: bool) -> Result<usize, BadPeer> {
        let mut state = lock(&self.state);
        if !fits(state.used, weight) {
            return Err(BadPeer("more was told than was granted"));
        }
        state.used += weight;
        Ok(if done { state.done(weight) } else { 0 })
    }

    fn grant(&self, conn: &Conn, bytes: usize) {
        if bytes > 0 {
            conn.post(Lane::System, &Packet::Credit { to: self.to.as_str(), lane: self.lane, bytes: bytes as u64 });
        }
    }
}

impl State {
    fn done(&mut self, weight: usize) -> usize {
        self.done += weight;
        if self.done < TELL_WINDOW / 4 {
            return 0;
        }
        self.settle()
    }

    fn settle(&mut self) -> usize {
        self.used -= self.done;
        std::mem::take(&mut self.done)
    }
}

fn weight(parcel: &Parcel<'_>) -> usize {
    parcel.payload.len() + TELL_WEIGHT
}

/// The tells through one connection.
#[derive(Default)]
pub(crate) struct Inflows {
    by_lane: [Mutex<BTreeMap<ActorName, Arc<Inflow>>>; 2],
    /// Bytes that wait.
    waiting: AtomicUsize,
    eased: Notify,
}

impl Inflows {
    /// The state for an actor; `None` on lanes without credit. Called by the lane's reader, which uses none that it found before.
    pub(crate) fn find(&self, conn: &Conn, lane: Lane, to: &str) -> Result<Option<Arc<Inflow>>, BadPeer> {
        let Some(index) = needs_credit(lane) else { return Ok(None) };
        let mut inflows = lock(&self.by_lane[index]);
        if let Some(inflow) = inflows.get(to) {
            return Ok(Some(inflow.clone()));
        }
        // Before the other node runs out of them: it forgets those of which all was granted back.
        if inflows.len() >= TELL_FLOWS / 2 {
            inflows.retain(|_, inflow| {
                let mut state = lock(&inflow.state);
                let grant = state.settle();
                inflow.grant(conn, grant);
                state.used > 0
            });
            if inflows.len() >= TELL_FLOWS {
                return Err(BadPeer("more actors were told something at once than is allowed"));
            }
        }
        let name = ActorName::new(to).map_err(|_| BadPeer("a message was for what is no name"))?;
        let inflow = Inflow { to: name.clone(), lane, waits: AtomicBool::new(false), state: Mutex::default() };
        let inflow = Arc::new(inflow);
        inflows.insert(name, inflow.clone());
        Ok(Some(inflow))
    }

    /// Whether tells to an actor wait: what is asked of it on their lane must not come before them.
    pub(crate) fn wait_for(&self, lane: Lane, to: &str) -> bool {
        let index = needs_credit(lane).filter(|_| self.waiting() > 0);
        index.is_some_and(|index| lock(&self.by_lane[index]).get(to).is_some_and(|inflow| inflow.waits.load(SeqCst)))
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting() > INBOUND_WAITING
    }

    /// Waits until fewer tells wait, or the connection has ended.
    pub(crate) async fn eased(&self, conn: &Conn) {
        loop {
            let mut eased = std::pin::pin!(self.eased.notified());
            eased.as_mut().enable();
            if !self.is_crowded() {
                return;
            }
            playhouse_rt::select! {
                () = eased => {}
                () = conn.over() => return,
            }
        }
    }
}

/// Takes one tell.
pub(crate) fn take(
    conn: &Arc<Conn>,
    system: &System,
    inflow: Option<&Arc<Inflow>>,
    lane: Lane,
    message: &Bytes,
    parcel: &Parcel<'_>,
    door: &Opened,
) -> Result<(), BadPeer> {
    let arrived = arrival(&conn.origin, lane, parcel);
    let Some(inflow) = inflow else {
        // What is told here must not wait, and is bounded by the mailbox alone.
        if let Ok(Taken::Waits(_)) = system.receive_tell(parcel.to, door, &arrived) {
            system.undelivered(parcel.to, &arrived, &RemoteError::Full);
        }
        return Ok(());
    };
    let weight = weight(parcel);
    if inflow.waits.load(SeqCst) {
        inflow.came(weight, false)?;
        conn.inflows.waiting.fetch_add(weight, SeqCst);
        let waiting = Waiting { message: message.clone(), door: door.clone() };
        let mut state = lock(&inflow.state);
        if inflow.waits.load(SeqCst) {
            state.waiting.push_back(waiting);
            return Ok(());
        }
        // Meanwhile the last of them found its place.
        drop(state);
        match system.receive_tell(parcel.to, door, &arrived) {
            Ok(Taken::Waits(place)) => start(conn, system, inflow, place, waiting, weight),
            _ => finish(conn, inflow, weight),
        }
        return Ok(());
    }
    match system.receive_tell(parcel.to, door, &arrived) {
        Ok(Taken::Waits(place)) => {
            inflow.came(weight, false)?;
            conn.inflows.waiting.fetch_add(weight, SeqCst);
            start(conn, system, inflow, place, Waiting { message: message.clone(), door: door.clone() }, weight);
        }
        // Also what could not be delivered is done; the system has noted it.
        _ => inflow.grant(conn, inflow.came(weight, true)?),
    }
    Ok(())
}

/// One that waited does so no more.
fn finish(conn: &Conn, inflow: &Inflow, weight: usize) {
    let grant = lock(&inflow.state).done(weight);
    inflow.grant(conn, grant);
    conn.inflows.waiting.fetch_sub(weight, SeqCst);
    conn.inflows.eased.notify_waiters();
}

fn start(conn: &Arc<Conn>, system: &System, inflow: &Arc<Inflow>, place: Place, first: Waiting, weight: usize) {
    inflow.waits.store(true, SeqCst);
    playhouse_rt::spawn(drain(conn.clone(), system.clone(), inflow.clone(), place, first, weight));
}

/// Gives those who wait their places, in order, until none waits or the connection ends: then they are dead letters, for what a later
/// connection brings must not come before them.
async fn drain(conn: Arc<Conn>, system: System, inflow: Arc<Inflow>, mut place: Place, mut now: Waiting, mut bytes: usize) {
    let dead = |waiting: &Waiting, error: &RemoteError| {
        if let Ok(Packet::Tell(parcel)) = Packet::decode(&waiting.message) {
            system.undelivered(parcel.to, &arrival(&conn.origin, inflow.lane, &parcel), error);
        }
    };
    loop {
        let placed = playhouse_rt::select! {
            placed = &mut place => placed,
            () = conn.over() => break,
        };
        if let Err(error) = placed {
            dead(&now, &error);
        }
        finish(&conn, &inflow, bytes);
        loop {
            {
                let mut state = lock(&inflow.state);
                let Some(next) = state.waiting.pop_front() else {
                    inflow.waits.store(false, SeqCst);
                    return;
                };
                now = next;
            }
            let Ok(Packet::Tell(parcel)) = Packet::decode(&now.message) else { unreachable!("it was read before") };
            bytes = weight(&parcel);
            match system.receive_tell(parcel.to, &now.door, &arrival(&conn.origin, inflow.lane, &parcel)) {
                Ok(Taken::Waits(next)) => {
                    place = next;
                    break;
                }
                _ => finish(&conn, &inflow, bytes),
            }
        }
    }
    let lost = std::mem::take(&mut lock(&inflow.state).waiting);
    for waiting in std::iter::once(now).chain(lost) {
        dead(&waiting, &RemoteError::Gone("the connection ended while it waited for room in the mailbox".into()));
    }
}
