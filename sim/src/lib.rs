//! The whole cluster in one process: the same `Node::start`, the real quinn, rustls, postcard and actix, over a simulated network,
//! disk, clock and dice. One seed is one history.
//!
//! Nothing here is a model of the product: a [`scenario`] starts real nodes in a [`world`], gives them work and faults, and holds what
//! came out against its promises. What befalls a run is a [`plan`], which is data; [`shrink`] makes it smaller.
//! Built without `--cfg madsim` only what needs no simulation is here; `cargo sim` builds it with.

#[cfg(madsim)]
pub mod director;
pub mod plan;
#[cfg(madsim)]
pub mod scenario;
pub mod shrink;
#[cfg(madsim)]
pub mod verdict;
#[cfg(madsim)]
pub mod weather;
#[cfg(madsim)]
pub mod world;
