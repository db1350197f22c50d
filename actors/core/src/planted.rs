//! Bugs put in on purpose, each honoured in exactly one cold place, so that the simulator can be shown to find them.

use std::task::Waker;
use std::time::Duration;

use crate::supervise;

/// The bugs of a system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// What a mailbox gives out at once comes last first.
    pub hand_reversed: bool,
    /// A tell from another node is taken twice.
    pub twice_received: bool,
    /// Those who watch an actor are not told of its end.
    pub notice_forgotten: bool,
    /// A link does nothing.
    pub link_forgotten: bool,
    /// A failure that is not the end is announced as one.
    pub notice_at_restart: bool,
    /// Mailboxes hold two more than they should.
    pub bound_plus_two: bool,
    /// What waits in a mailbox at the end of its actor is no dead letter.
    pub silent_loss: bool,
    /// A system stops its oldest actors first.
    pub oldest_stops_first: bool,
    /// The state of a life that is followed by another one is never dropped.
    pub state_kept: bool,
    /// An actor without a supervisor that fails begins its next life before the state of the last one is dropped.
    pub lives_overlap: bool,
    /// A supervised actor ignores that it is to begin another life.
    pub start_unheard: bool,
    /// A child that somebody else stopped is told to begin another life, as if it could.
    pub stopped_child_forgotten: bool,
    /// Asks have no deadline.
    pub endless_asks: bool,
    /// A stream of another node gives some items twice.
    pub item_twice: bool,
    /// What a stream of another node gives when it finds no room there is lost.
    pub item_lost_at_credit: bool,
    /// The producer of a stream does not hear that nobody reads it.
    pub stop_unheard: bool,
    /// A producer may be further ahead of a reader on its node than the window.
    pub window_too_wide: bool,
    /// A reader grants room for another node's items when they come, not when they are taken.
    pub credit_too_generous: bool,
    /// A stream whose producer dies ends as if it were complete.
    pub end_claimed: bool,
    /// What is said to many leaves out the last of them.
    pub broadcast_skips_one: bool,
    /// Who leaves a group stays in it.
    pub leaver_kept: bool,
    /// An actor that drains takes what it is told meanwhile.
    pub told_after_drain: bool,
    /// A drain is a stop.
    pub drain_drops: bool,
    /// A life of a supervised actor is started twice.
    pub child_started_twice: bool,
    /// A child that is removed comes back.
    pub removed_returns: bool,
    /// Offloaded work waits for no place in the pool.
    pub pool_over_its_bound: bool,
    /// A timer that was cancelled fires.
    pub timer_after_cancel: bool,
    /// Timers fire a little before their time.
    pub timer_early: bool,
    /// An interval makes up for the ticks that it missed.
    pub interval_bunches: bool,
    /// Mailboxes hold one more than they should.
    pub bound_plus_one: bool,
    /// No message is more urgent than another one.
    pub urgency_ignored: bool,
    /// Who waits for a place in a mailbox of its node is not woken when there is one.
    pub wake_up_lost: bool,
    /// A system has stopped before its actors have.
    pub stop_hasty: bool,
    /// Some of what another node tells comes after what it told later on the same lane.
    pub lane_unordered: bool,
    /// A long message from another node stops its flow for ever.
    pub long_message_stalls: bool,
    /// A shard says that a checkpoint is durable when it begins to be written.
    pub checkpoint_claimed: bool,
    /// A checkpoint of a shard leaves out a key.
    pub checkpoint_skips_key: bool,
    /// A persistent actor says that it is saved when that begins.
    pub persist_claimed: bool,
    /// A persistent actor that another one has taken over from goes on as if it were that one.
    pub persist_unfenced: bool,
    /// A task's progress is said to be kept, and is not.
    pub progress_claimed: bool,
    /// A call that may run on one node is given to another one.
    pub call_repeated: bool,
    /// A node that has as many calls as it takes says that it takes one more.
    pub call_claimed: bool,
    /// A system has all its actors on the first of its threads.
    pub one_thread: bool,
    /// An idle actor is not woken: it looks for what has come ten times a second.
    pub polling: bool,
    /// A node believes that it owns its names for as long as it lives.
    pub lease_kept: bool,
    /// An owner gives a name back before what it did in that name has ended.
    pub handed_over_hastily: bool,
    /// An entity is said to have moved when its new owner has been told.
    pub moved_in_words: bool,
    /// Those of supervisors.
    pub supervise: supervise::Planted,
}

/// How often one looks who is not woken; see [`Planted::polling`].
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// A waker that does nothing; `waker` is woken now and then, whether there is a reason or not.
#[cold]
pub(crate) fn looking(waker: Waker) -> Waker {
    drop(playhouse_rt::spawn(async move {
        loop {
            playhouse_rt::sleep(LOOKS_EVERY).await;
            waker.wake_by_ref();
        }
    }));
    Waker::noop().clone()
}
