//! The whole cluster in one process: the same `Node::start`, the real quinn, rustls, postcard and actix, over a simulated network,
//! disk, clock and dice. One seed is one history.
//!
//! Nothing here is a model of the product: a [`scenario`] starts real nodes in a [`world`], gives them work and faults, and holds what
//! came out against its promises. A run can be seen as a [`timeline`] and its datagrams be read from a [`pcap`]. Built without
//! `--cfg madsim` only these two are here; `cargo sim` builds it with.

pub mod pcap;
#[cfg(madsim)]
pub mod scenario;
pub mod timeline;
#[cfg(madsim)]
pub mod verdict;
#[cfg(madsim)]
pub mod weather;
#[cfg(madsim)]
pub mod world;
