//! Tells of another node to the actors of this one: each has its place in a mailbox, or waits for one within the credit that was
//! granted for its actor.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use playhouse_actors::{System, Taken};
use playhouse_rt::ledger::Tag;
use playhouse_wire::limits::{MESSAGE_MAX, TELL_FLOWS, TELL_TOTAL, TELL_WEIGHT, TELL_WINDOW};
use playhouse_wire::{ActorName, Lane, Packet, Parcel, RemoteError};

use super::conn::Conn;
use super::flow::{fits, needs_credit};
use super::{BadPeer, Opened, arrival, lock};

/// Tells to one actor on one lane through one connection.
pub(crate) struct Inflow {
    to: ActorName,
    lane: Lane,
    /// Some wait, so later ones do too. Set by the lane's reader only.
    waits: AtomicBool,
    state: Mutex<State>,
    total: Arc<Total>,
}

#[derive(Default)]
struct State {
    /// Came, and was not granted back.
    used: usize,
    /// Of that, what no longer waits.
    done: usize,
    waiting: VecDeque<Waiting>,
    /// The connection ended while some waited: nothing that comes later may go past them.
    over: bool,
}

/// As in [`State`], of all actors together.
#[derive(Default)]
struct Total {
    used: AtomicUsize,
    done: AtomicUsize,
}

struct Waiting {
    message: Bytes,
    door: Opened,
    tag: Tag,
}

type Place = std::pin::Pin<Box<dyn Future<Output = Result<(), RemoteError>> + Send>>;

impl Inflow {
    /// A message came. With `done`, it does not wait. Gives what is to be granted now.
    fn came(&self, weight: usize, done: bool) -> Result<usize, BadPeer> {
        let mut state = lock(&self.state);
        if !fits(state.used, weight) {
            return Err(BadPeer("more was told than was granted"));
        }
        // The other node stops at the bound, perhaps with a long message on the other lane that came before this one.
        if self.total.used.fetch_add(weight, SeqCst) + weight > TELL_TOTAL + MESSAGE_MAX + TELL_WEIGHT {
            return Err(BadPeer("more was told than was granted for all actors together"));
        }
        state.used += weight;
        Ok(if done { self.done(&mut state, weight) } else { 0 })
    }

    /// One no longer waits. Gives what is to be granted now.
    fn done(&self, state: &mut State, weight: usize) -> usize {
        state.done += weight;
        self.total.done.fetch_add(weight, SeqCst);
        if state.done < TELL_WINDOW / 4 { 0 } else { self.settle(state) }
    }

    /// Gives all that may be granted.
    fn settle(&self, state: &mut State) -> usize {
        let done = std::mem::take(&mut state.done);
        state.used -= done;
        self.total.done.fetch_sub(done, SeqCst);
        self.total.used.fetch_sub(done, SeqCst);
        done
    }

    fn grant(&self, conn: &Conn, bytes: usize) {
        if bytes > 0 {
            conn.post(Lane::System, &Packet::Credit { to: self.to.as_str(), lane: self.lane, bytes: bytes as u64 });
        }
    }
}

impl State {
    /// Gives the message back when nothing will come of it.
    fn wait(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        if self.over {
            return Err(waiting);
        }
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// The connection ended. Gives those who waited.
    fn end(&mut self) -> VecDeque<Waiting> {
        self.over = true;
        std::mem::take(&mut self.waiting)
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
    total: Arc<Total>,
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
                let grant = inflow.settle(&mut state);
                inflow.grant(conn, grant);
                state.used > 0
            });
            if inflows.len() >= TELL_FLOWS {
                return Err(BadPeer("more actors were told something at once than is allowed"));
            }
        }
        let name = ActorName::new(to).map_err(|_| BadPeer("a message was for what is no name"))?;
        let inflow = Arc::new(Inflow {
            to: name.clone(),
            lane,
            waits: AtomicBool::new(false),
            state: Mutex::default(),
            total: self.total.clone(),
        });
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

    /// Grants what is done, of all actors, before so much of it is held back in small parts that the other node may tell nothing.
    fn settle(&self, conn: &Conn) {
        if self.total.done.load(SeqCst) < TELL_TOTAL / 4 {
            return;
        }
        for inflows in &self.by_lane {
            for inflow in lock(inflows).values() {
                let grant = inflow.settle(&mut lock(&inflow.state));
                inflow.grant(conn, grant);
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
    (message, tag): (&Bytes, Tag),
    parcel: &Parcel<'_>,
    door: &Opened,
) -> Result<(), BadPeer> {
    let arrived = arrival(&conn.origin, lane, parcel, tag);
    let Some(inflow) = inflow else {
        // What is told here must not wait, and is bounded by the mailbox alone.
        if let Ok(Taken::Waits(_)) = system.receive_tell(parcel.to, door, &arrived) {
            system.undelivered(parcel.to, &arrived, &RemoteError::Full);
        }
        return Ok(());
    };
    let weight = weight(parcel);
    let planted = system.planted();
    if planted.long_message_stalls && parcel.payload.len() > 4_096 {
        inflow.waits.store(true, SeqCst);
    }
    if planted.lane_unordered && weight.is_multiple_of(3) {
        let (conn, system, message, door) = (conn.clone(), system.clone(), message.clone(), door.clone());
        grant(&conn, inflow, inflow.came(weight, true)?);
        playhouse_rt::spawn(async move {
            playhouse_rt::sleep(std::time::Duration::from_millis(20)).await;
            if let Ok(Packet::Tell(parcel)) = Packet::decode(&message) {
                let _ = system.receive_tell(parcel.to, &door, &arrival(&conn.origin, lane, &parcel, tag));
            }
        });
        return Ok(());
    }
    if inflow.waits.load(SeqCst) {
        inflow.came(weight, false)?;
        conn.inflows.waiting.fetch_add(weight, SeqCst);
        let waiting = Waiting { message: message.clone(), door: door.clone(), tag };
        let mut state = lock(&inflow.state);
        if inflow.waits.load(SeqCst) {
            if state.wait(waiting).is_err() {
                system.undelivered(parcel.to, &arrived, &ended());
            }
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
            start(conn, system, inflow, place, Waiting { message: message.clone(), door: door.clone(), tag }, weight);
        }
        // Also what could not be delivered is done; the system has noted it.
        _ => {
            grant(conn, inflow, inflow.came(weight, true)?);
            conn.inflows.settle(conn);
        }
    }
    Ok(())
}

/// Why one that waited was not delivered.
fn ended() -> RemoteError {
    RemoteError::Gone("the connection ended while it waited for room in the mailbox".into())
}

fn grant(conn: &Arc<Conn>, inflow: &Arc<Inflow>, bytes: usize) {
    if bytes > 0 && playhouse_rt::buggify!("late-credit", 0.5) {
        let (conn, inflow) = (conn.clone(), inflow.clone());
        playhouse_rt::spawn(async move {
            playhouse_rt::sleep(std::time::Duration::from_millis(50)).await;
            inflow.grant(&conn, bytes);
        });
        return;
    }
    inflow.grant(conn, bytes);
}

/// One that waited does so no more.
fn finish(conn: &Arc<Conn>, inflow: &Arc<Inflow>, weight: usize) {
    let bytes = inflow.done(&mut lock(&inflow.state), weight);
    grant(conn, inflow, bytes);
    conn.inflows.waiting.fetch_sub(weight, SeqCst);
    conn.inflows.settle(conn);
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
            system.undelivered(parcel.to, &arrival(&conn.origin, inflow.lane, &parcel, waiting.tag), error);
        }
    };
    let mut over = std::pin::pin!(conn.over());
    loop {
        let placed = playhouse_rt::select! {
            placed = &mut place => placed,
            () = &mut over => break,
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
            match system.receive_tell(parcel.to, &now.door, &arrival(&conn.origin, inflow.lane, &parcel, now.tag)) {
                Ok(Taken::Waits(next)) => {
                    place = next;
                    break;
                }
                _ => finish(&conn, &inflow, bytes),
            }
        }
    }
    let lost = lock(&inflow.state).end();
    for waiting in std::iter::once(now).chain(lost) {
        dead(&waiting, &ended());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflow(total: &Arc<Total>) -> Inflow {
        let to = ActorName::new("any").unwrap();
        Inflow { to, lane: Lane::Data, waits: AtomicBool::new(false), state: Mutex::default(), total: total.clone() }
    }

    #[test]
    fn what_comes_after_the_end_of_the_connection_does_not_wait() {
        let waiting = || Waiting { message: Bytes::new(), door: Err(RemoteError::UnknownActor), tag: Tag::default() };
        let mut state = State::default();
        assert!(state.wait(waiting()).is_ok() && state.wait(waiting()).is_ok());
        assert_eq!(state.end().len(), 2);
        assert!(state.wait(waiting()).is_err());
        assert_eq!(state.end().len(), 0);
    }

    #[test]
    fn all_tells_together_are_bounded() {
        let total = Arc::default();
        // One long message may follow what fills the bound, and come before it.
        inflow(&total).came(MESSAGE_MAX + TELL_WEIGHT, false).unwrap();
        let flows = TELL_TOTAL / TELL_WINDOW;
        for _ in 0..flows {
            assert_eq!(inflow(&total).came(TELL_WINDOW, false), Ok(0));
        }
        assert!(inflow(&total).came(1, false).is_err());
    }

    #[test]
    fn what_is_done_is_counted_until_it_is_granted() {
        let total: Arc<Total> = Arc::default();
        let (one, two) = (inflow(&total), inflow(&total));
        assert_eq!(one.came(TELL_WINDOW / 4 - 1, true), Ok(0));
        assert_eq!(two.came(1_000, false), Ok(0));
        let counted = || (total.used.load(SeqCst), total.done.load(SeqCst));
        assert_eq!(counted(), (TELL_WINDOW / 4 + 999, TELL_WINDOW / 4 - 1));
        assert_eq!(one.came(1, true), Ok(TELL_WINDOW / 4));
        assert_eq!(counted(), (1_000, 0));
        assert_eq!(two.done(&mut lock(&two.state), 1_000), 0);
        assert_eq!(two.settle(&mut lock(&two.state)), 1_000);
        assert_eq!(counted(), (0, 0));
    }
}
