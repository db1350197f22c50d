//! What nodes say to each other: names, time as a number, limits, frames, the codec and the errors that cross the wire.
//!
//! Nothing here opens a socket, reads a clock or rolls dice; `no_std` makes that a fact of the compiler.
#![no_std]
extern crate alloc;

pub mod codec;
pub mod frame;
pub mod limits;
pub mod name;
pub mod packet;
pub mod time;

pub use codec::{DecodeError, EncodeError, decode, encode, encode_into, encode_long};
pub use frame::{FrameError, Frames};
pub use name::{ActorName, BadName, Incarnation, NodeName};
pub use packet::{CallId, Exit, Lane, MessageId, Packet, Parcel, Priority, RemoteError, Trace};
pub use time::Time;
