//! The whole cluster in one process: the same `Node::start`, the real quinn, rustls, postcard and actix, over a simulated network,
//! disk, clock and dice. One seed is one history.
//!
//! Nothing here is a model of the product: a [`scenario`] starts real nodes in a [`world`], gives them work and faults, and holds what
//! came out against its promises. Built without `--cfg madsim` there is only [`history`], which needs no simulation; `cargo sim` builds the rest.

pub mod history;
#[cfg(madsim)]
pub mod scenario;
#[cfg(madsim)]
pub mod verdict;
#[cfg(madsim)]
pub mod weather;
#[cfg(madsim)]
pub mod world;
