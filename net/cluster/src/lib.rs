//! Who coordinates, and in which order the plane's commands apply.
//!
//! A [`Group`] of members agrees on the order of commands; each has a [`Replica`] of the machine that they change. One of them leads: it
//! stamps commands with the time, and carries out what the machine wants done.

mod agree;
pub mod limits;
mod replica;

pub use agree::{Called, Group, GroupError, Member, Planted, Profile, ProposeError, Replicated, Standing, Transport, Waits};
pub use replica::{Command, Kept, Log, Replica, Scribe};
