//! Supervision at work: the decisions of [`crate::supervise`], carried out on actors.
//!
//! A supervisor is a task of its own, so that none of its children can hold it up. A child's reference and mailbox outlive its restarts.

mod builder;
mod child;
mod handle;
mod shell;

pub use builder::Supervision;
pub use handle::{SupervisorRef, TreeError};

pub(crate) use shell::start_and_wait as start;

/// What a supervisor can be asked for at once, before those who ask must wait.
const REQUESTS: usize = 64;
