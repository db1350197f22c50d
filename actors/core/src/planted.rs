//! Bugs put in on purpose, each honoured in exactly one cold place, so that the simulator can be shown to find them.

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
    /// A supervised actor ignores that it is to begin another life.
    pub start_unheard: bool,
    /// A child that somebody else stopped is told to begin another life, as if it could.
    pub stopped_child_forgotten: bool,
    /// Asks have no deadline.
    pub endless_asks: bool,
    /// Those of supervisors.
    pub supervise: supervise::Planted,
}
